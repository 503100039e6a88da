"""Pure. What is asked: distinct prompts of a fixed size, API keys, and the one answer that is given.

Made from a seed, so every contestant and every run gets the same bytes. One constant body would flatter whoever
remembers what it has seen.
"""

import json
import random

__all__ = ["ANSWER", "KEYS", "bodies", "chunk", "tail"]

COUNT = 512
KEYS = tuple(f"sk-bench-{at:02d}-{random.Random(at).getrandbits(128):032x}" for at in range(64))
COMMON = """
the of and to in a is that for it as with on by this are from or an be which at not have was can will one all we how
what when use make time about into than more over only your please explain write compare list show find
"""
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu bra cle dri fro gla pri sta tre vin"


def _vocabulary(dice: random.Random) -> list[str]:
    syllables = SYLLABLES.split()
    return ["".join(dice.choices(syllables, k=dice.randint(2, 4))) for _ in range(3000)]


def _prose(dice: random.Random, words: list[str], length: int) -> str:
    """Sentences of about `length` characters: half common words, half rarer ones, the early ones oftener."""
    made: list[str] = []
    common = COMMON.split()
    size = 0
    while size < length:
        sentence = [
            dice.choice(common) if dice.random() < 0.5 else words[int(len(words) * dice.random() ** 3)]
            for _ in range(dice.randint(6, 18))
        ]
        text = " ".join(sentence).capitalize() + dice.choice(".?.!.")
        made.append(text)
        size += len(text) + 1
    return " ".join(made)[:length]


def bodies(size: int, count: int = COUNT, *, stream: str = "") -> list[bytes]:
    """`count` distinct chat completions of `size` bytes each, as JSON without a line break.

    `stream` is what the model server is told about its pace, as in `Pace: 200 chunks, 20 ms.`; empty = no stream.
    Raises ValueError where `size` leaves no room for a prompt.
    """
    dice = random.Random(size)
    words = _vocabulary(dice)
    made = []
    for at in range(count):
        messages = [{"role": "system", "content": f"You are the assistant of a small shop. {stream}".strip()}]
        if at % 2:  # half of them are in the middle of a conversation
            messages.append({"role": "user", "content": _prose(dice, words, size // 10)})
            messages.append({"role": "assistant", "content": _prose(dice, words, size // 4)})
        messages.append({"role": "user", "content": ""})
        call: dict[str, object] = {"model": "bench", "messages": messages, "temperature": 0.7, "max_tokens": 256}
        if stream:
            call["stream"] = True
            call["stream_options"] = {"include_usage": True}
        left = size - len(json.dumps(call))
        if left < 16:
            raise ValueError(f"{size} bytes leave no room for a prompt")
        messages[-1]["content"] = _prose(dice, words, left)
        made.append(json.dumps(call).encode())
    return made


ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": _prose(random.Random(1), _vocabulary(random.Random(1)), 1100),
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 420, "completion_tokens": 250, "total_tokens": 670},
        "system_fingerprint": "fp_bench",
    }
).encode()
"""The whole answer of a call without a stream: about 1.4 KB."""


def _event(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _delta(choices: list[object], usage: object) -> bytes:
    about = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench"}
    said = {**about, "choices": choices, "usage": usage}
    return json.dumps(said).encode()


def chunk() -> bytes:
    """One token of a stream, framed for a chunked answer: about 200 bytes."""
    return _event(_delta([{"index": 0, "delta": {"content": " token"}, "finish_reason": None}], None))


def tail(chunks: int) -> bytes:
    """What ends a stream of so many chunks: why it ended, the usage, [DONE], the last frame."""
    end = _event(_delta([{"index": 0, "delta": {}, "finish_reason": "stop"}], None))
    usage = {"prompt_tokens": 420, "completion_tokens": chunks, "total_tokens": 420 + chunks}
    return end + _event(_delta([], usage)) + _event(b"[DONE]") + b"0\r\n\r\n"
