"""Forty invented requests of four accounts, as a log would have them."""

import json
from typing import Any

START = 1_750_000_000.25  # Unix seconds
STEP = 0.4  # s
TOPICS = ("tides", "bread", "maps", "glass", "bees")

Line = dict[str, Any]


def chat(at: int, account: str, text: str, **more: Any) -> Line:
    body = {"model": "m-large", "messages": [{"role": "user", "content": text}], **more}
    return line(at, account, "/v1/chat/completions", body)


def line(at: int, account: str, path: str, body: Any, **more: Any) -> Line:
    made = {
        "id": f"r{at:03}",
        "t": START + at * STEP,
        "account": account,
        "key": f"key-of-{account}",
        "client_ip": "198.18.0.7",
        "user_agent": "python-httpx/0.27",
        "method": "POST",
        "path": path,
        "body": body,
        "status": 200,
        "response_usage": {"prompt_tokens": 20 + at, "completion_tokens": 100 + at},
        "response_tokens": 100 + at,
        "latency_ms": 900 + 100 * at,
    }
    return {**made, **more}


def forty() -> list[Line]:
    """Chats, a stream, embeddings, Anthropic and Gemini paths, a failure, a GET, a malformed body."""
    made = []
    for at in range(40):
        account, topic = f"acct-{at % 4}", TOPICS[at % 5]
        text = f"Explain {topic} to a child, number {at}."
        if at % 10 == 3:
            made.append(line(at, account, "/v1/embeddings", {"model": "m-embed", "input": text}))
        elif at % 10 == 4:
            body = {"model": "c-1", "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
            usage = {"input_tokens": 30, "output_tokens": 64, "cache_read_input_tokens": 5}
            made.append(line(at, account, "/v1/messages", body, response_usage=usage))
        elif at % 10 == 5:
            body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
            usage = {"promptTokenCount": 12, "candidatesTokenCount": 40}
            made.append(line(at, account, "/v1beta/models/g-1:generateContent", body, response_usage=usage))
        elif at % 10 == 6:
            made.append(line(at, account, "/v1/models", None, method="GET", response_usage=None, response_tokens=None))
        elif at % 10 == 7:
            made.append({**chat(at, account, text), "status": 503, "response_usage": None, "response_tokens": 0})
        elif at == 28:
            made.append(line(at, account, "/v1/chat/completions", {"model": 7, "messages": []}, status=400))
        else:
            made.append(chat(at, account, text, n=1 + at % 2, stream=at % 3 == 0))
    return made


def text_of(lines: list[Line]) -> str:
    return "".join(json.dumps(each) + "\n" for each in lines)
