"""What one request looks like: nothing of its words, everything that signals count, whatever was sent."""

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import Observation, Prints
from gateway.observe.features import MAX_ASKS, MAX_BIASED, MAX_PIECES, features
from gateway.observe.params import spelled, vector
from gateway.observe.phrases import MARKS
from gateway.observe.text import normal
from gateway.observe.wire import Wire, form_of, from_wire
from gateway.protocols import Call

OURS, THEIRS = Prints(b"k"), Prints(b"other")
JSON = (b"content-type", b"application/json")
CHAT = "/v1/chat/completions"
LONG = "the quick brown fox jumps over the lazy dog, and then it does so once more. "


def sent(body: Any, path: str = CHAT, prints: Prints = OURS, *headers: tuple[bytes, bytes]) -> Wire:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return from_wire("POST", path, [JSON, *headers], raw, prints)


def asks(prompt: Any, prints: Prints = OURS, **body: Any) -> Observation:
    wire = sent({"model": "m", "messages": [{"role": "user", "content": prompt}], **body}, prints=prints)
    assert not wire.refused, wire.refused
    return wire.seen


class Canaries:
    """Words that stand nowhere else."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, more: str = "") -> str:
        self.words.append(f"zqx{len(self.words)}vjk")
        return f"{self.words[-1]} {more}".strip()


def bodies(c: Canaries) -> Iterator[tuple[str, Any]]:
    """Path and body of each dialect, with a canary in whatever holds words."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{c()}"}}
    tool = {
        "type": "function",
        "function": {"name": c(), "description": c(), "parameters": {"type": "object", "properties": {c(): {}}}},
    }
    called = {"id": c(), "type": "function", "function": {"name": c(), "arguments": f'{{"{c()}": "{c()}"}}'}}
    chat = {
        "model": "m",
        "messages": [
            {"role": "system", "content": c(LONG)},
            {"role": "developer", "content": c()},
            {"role": "user", "name": c(), "content": [{"type": "text", "text": c(LONG)}, picture]},
            {"role": "assistant", "content": c(LONG), "reasoning_content": c(), "tool_calls": [called]},
            {"role": "tool", "tool_call_id": c(), "content": c()},
            {"role": "user", "content": c(LONG)},
        ],
        "tools": [tool],
        "user": c(),
        "safety_identifier": c(),
        "metadata": {c(): c()},
        "stop": [c()],
        "response_format": {"type": "json_schema", "json_schema": {"name": c(), "schema": {c(): c()}}},
        "logit_bias": {c(): 1, "50256": -100},
        "prediction": {"type": "content", "content": c()},
        c(): c(),
        "x": {c(): {c(): c()}},
    }
    yield CHAT, chat
    yield "/v1/completions", {"model": "m", "prompt": [c(LONG), c()], "suffix": c(), "user": c(), "stop": c()}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": c(LONG)}]}
    yield (
        "/v1/responses",
        {
            "model": "m",
            "instructions": c(LONG),
            "input": [{"role": "user", "content": c()}, said, {"role": "user", "content": c(LONG)}],
            "tools": [{"type": "function", "name": c(), "description": c(), "parameters": {"type": c()}}],
            "user": c(),
            "metadata": {c(): c()},
            "previous_response_id": c(),
        },
    )
    message = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": c(LONG)}],
        "messages": [
            {"role": "user", "content": c()},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": c(LONG)}, {"type": "thinking", "thinking": c()}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": c(), "content": c()}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": c(), "name": c(), "input": {c(): c()}}]},
            {"role": "user", "content": c(LONG)},
        ],
        "tools": [{"name": c(), "description": c(), "input_schema": {c(): c()}}],
        "metadata": {"user_id": c()},
        "stop_sequences": [c()],
    }
    yield "/v1/messages", message
    yield "/v1/messages/count_tokens", {name: message[name] for name in ("model", "messages", "system", "tools")}
    yield "/v1/messages/batches", {"requests": [{"custom_id": c(), "params": {**message, "system": c()}}] * 3}
    part = {"parts": [{"text": c(LONG)}, {"inlineData": {"mimeType": "image/png", "data": c()}}]}
    content = {
        "contents": [
            {"role": "user", **part},
            {"role": "model", "parts": [{"text": c(LONG)}, {"functionCall": {"name": c(), "args": {c(): c()}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": c(), "response": {c(): c()}}}, {"text": c()}]},
        ],
        "systemInstruction": {"parts": [{"text": c(LONG)}]},
        "tools": [{"functionDeclarations": [{"name": c(), "description": c(), "parameters": {c(): c()}}]}],
        "generationConfig": {"stopSequences": [c()], "responseSchema": {c(): c()}},
        "labels": {c(): c()},
    }
    yield "/v1beta/models/m:generateContent", content
    yield "/v1beta/models/m:streamGenerateContent?alt=sse&x=" + c().strip(), content
    yield "/v1beta/models/m:batchEmbedContents", {"requests": [{"model": "models/m", "content": part}]}
    yield "/v1/embeddings", {"model": "m", "input": [c(LONG), c()], "user": c()}
    yield "/v1/other/" + c().strip(), {c(): c()}


def test_no_word_of_a_request_is_in_what_is_kept_of_it() -> None:
    c = Canaries()
    headers = [
        (b"authorization", f"Bearer sk-{c()}".encode()),
        (b"cookie", f"a={c()}".encode()),
        (b"user-agent", f"curl/8.1 ({c()})".encode()),
    ]
    wires = [(path, sent(body, path, OURS, *headers)) for path, body in bodies(c)]
    assert len(c.words) > 90
    for path, wire in wires:
        assert not wire.refused, (path, wire.refused)
        kept = msgspec.json.encode(wire).decode().lower()
        assert [word for word in c.words if word in kept] == []
        assert wire.seen.client == "curl"
    ops = {wire.seen.op for _, wire in wires}
    assert ops == {"chat", "text_completion", "generate_content", "embeddings", "count_tokens", "batch", "opaque"}


def test_no_word_of_an_upload_is_in_what_is_kept_of_it() -> None:
    c = Canaries()
    lines = [
        {"custom_id": c(), "method": "POST", "url": path, "body": body}
        for path, body in bodies(c)
        if path in (CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings")
    ]
    text = "".join(orjson.dumps(line).decode() + "\n" for line in lines)
    content_type, form = form_of("batch", c(), "application/jsonl", text)
    wire = from_wire("POST", "/v1/files", [(b"content-type", content_type)], form, OURS)
    assert wire.folded is not None and wire.folded.lines == 4
    kept = msgspec.json.encode(wire).decode().lower()
    assert [word for word in c.words if word in kept] == []


def test_the_words_of_a_logit_bias_are_fingerprints_and_the_same_ones_of_any_list() -> None:
    """A token id is a word of a public vocabulary: what a product bans is its own affair."""
    some = {str(token): -100 for token in range(50_000, 50_040)}
    more = {str(token): -100 for token in range(50_000, 50_300)}
    few, many = asks("hi", logit_bias=some), asks("hi", logit_bias=more)
    assert len(few.bias) == 40 and len(many.bias) == MAX_BIASED
    assert not {*few.bias, *many.bias} & {*range(50_000, 50_300)}
    assert {each for each in few.bias if each <= many.bias[-1]} == {*few.bias} & {*many.bias} != set()
    assert not {*asks("hi", THEIRS, logit_bias=some).bias} & {*few.bias}


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        (b"OpenAI/Python 1.99.0", "openai"),
        (b"libwww-perl/6.72", "libwww-perl"),
        (b"sk-proj-4f9QxT3BlbkFJ7aR0cWq2ZkLmN8pVtYu", "other"),
        (b"ann@example.org", "other"),
        (b"https://example.org", "other"),
        (b"\xff/1", "other"),
        (b"", ""),
    ],
)
def test_a_client_is_a_product_and_no_key_or_address(agent: bytes, client: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert sent(body, CHAT, OURS, (b"user-agent", agent)).seen.client == client


def test_what_is_kept_is_bounded() -> None:
    """4 KB, however much is sent; the largest is a logit bias of 64 token ids and a sample of 16 prompts."""
    huge = {
        "model": "m" * 128,
        "prompt": [f"{LONG * 20}{'x' * at}" for at in range(200)],
        "logit_bias": {str(100_000 + at): 1 for at in range(300)},
        "user": "u" * 100_000,
    }
    seen = sent(huge, "/v1/completions").seen
    assert (len(seen.asks), len(seen.pieces), len(seen.bias)) == (MAX_ASKS, MAX_PIECES, MAX_BIASED)
    assert seen.distinct == 200
    assert len(msgspec.json.encode(seen)) < 4096


def test_of_many_long_prompts_in_one_request_a_few_are_looked_at() -> None:
    """Eight times what is looked at of one prompt, so that hostile characters take 16 ms and not 130."""
    long = [f"{at:02}{'e' + chr(0x301) * 9}{LONG * 60}" for at in range(64)]
    seen = sent({"model": "m", "prompt": [*long, *long]}, "/v1/completions").seen
    assert (len(seen.asks), seen.distinct, seen.prompts) == (8, 64, 128)
    short = [f"{LONG}{'x' * at}" for at in range(64)]
    assert len(sent({"model": "m", "prompt": short}, "/v1/completions").seen.asks) == MAX_ASKS


@pytest.mark.parametrize(
    ("prompt", "marks", "fresh"),
    [
        ("", {"empty"}, 0),
        (LONG * 270_000, {"one_shot"}, len(LONG) * 270_000),  # 20 MB
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5_000_000}}], set(), 0),
        ([{"type": "text", "text": "What is it?"}] * 10_000, {"one_shot"}, 110_000),
        ("\u0315\u0300" * 100_000, {"one_shot"}, 200_000),
        ("\u200b" * 1000, {"empty"}, 1000),
        ("Привет, 世界! नमस्ते दुनिया, مرحبا بالعالم. γειά σου, שלום", {"one_shot"}, 56),
    ],
    ids=["nothing", "20 MB", "an image", "10,000 parts", "stacked marks", "invisible", "scripts"],
)
def test_whatever_is_sent_is_observed(prompt: Any, marks: set[str], fresh: int) -> None:
    seen = asks(prompt)
    assert (set(seen.marks), seen.fresh) == (marks, fresh)
    assert seen == asks(prompt)
    assert len(msgspec.json.encode(seen)) < 1024


def test_ten_thousand_messages_are_one_conversation() -> None:
    messages = [{"role": ("user", "assistant")[at % 2], "content": f"{LONG}{at}"} for at in range(9_999)]
    seen = sent({"model": "m", "messages": messages}).seen
    assert (seen.messages, seen.answers, set(seen.marks)) == (9_999, 4_999, {"continues"})
    assert seen.asks == asks(f"{LONG}9998").asks
    assert seen.said != 0


@given(st.text(st.characters(), max_size=200), st.text(st.characters(), max_size=200))
def test_any_text_at_all_has_features(asked: str, system: str) -> None:
    """Lone surrogates too, which a JSON body can't bring."""
    call = Call(op="chat", model=None, body={}, text=(asked, system), asked=(asked,), system=(system,), user=asked)
    found = features(call, OURS)
    assert found == features(call, OURS)
    assert found.asks and found.distinct == 1 and 0 not in (*found.asks, *found.pieces, found.head, found.tail)
    assert ("empty" in found.marks) != ("one_shot" in found.marks)


def numbers(seen: Observation) -> list[int]:
    """All fingerprints of an observation."""
    each = (seen.head, seen.tail, seen.system, seen.params, seen.said, seen.user)
    return [*seen.asks, *seen.pieces, *[one for one in each if one]]


def test_the_same_text_has_the_same_prints_under_one_key_and_others_under_another() -> None:
    turns = [("system", LONG), ("user", "Why?"), ("assistant", LONG * 2), ("user", LONG * 100)]
    body = {"model": "m", "user": "u", "messages": [{"role": role, "content": text} for role, text in turns]}
    ours, again, theirs = sent(body).seen, sent(body, CHAT, Prints(b"k")).seen, sent(body, CHAT, THEIRS).seen
    assert ours == again
    assert len(numbers(ours)) == len(numbers(theirs)) >= 8
    assert not set(numbers(ours)) & set(numbers(theirs))


def wide(text: str) -> str:
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)


def test_dresses_of_a_text_make_no_other_ask() -> None:
    plain = asks("Write 12 questions about Rivers, please!")
    for dressed in (
        wide("Write 12 questions about Rivers, please!"),
        "\u200b".join("Write 12 questions about Rivers, please!"),
        "WRITE 12 QUESTIONS ABOUT RIVERS, PLEASE!",
        "\n Write 12\tquestions about\n\n\nRivers, please! ",
    ):
        assert asks(dressed).asks == plain.asks
    assert asks("Write 12 questions about lakes, please!").asks != plain.asks
    assert asks("Write 13 questions about Rivers, please!").asks != plain.asks


def test_of_a_long_text_the_middle_is_looked_at_where_the_key_says() -> None:
    text = " ".join(f"{chr(97 + at % 26)}{chr(97 + at // 26 % 26)}{chr(97 + at // 676)} word" for at in range(2500))
    changed = [text[:at] + "#" + text[at + 1 :] for at in range(2500, len(text) - 1500, 100)]
    seen = {
        prints: [asks(each, prints).asks != asks(text, prints).asks for each in changed] for prints in (OURS, THEIRS)
    }
    assert 0 < sum(seen[OURS]) < len(changed) / 2  # 1 KB of some 17
    assert seen[OURS] != seen[THEIRS]


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 6}, "wide"),
        ({"n": 2}, "choices"),
        ({"max_tokens": 2}, "tiny"),
        ({"logit_bias": {"5": 1}}, "biased"),
        ({"temperature": 0}, "greedy"),
        ({"seed": 1}, "seeded"),
        ({"response_format": {"type": "json_object"}}, "structured"),
        ({"stream": True}, "streamed"),
        ({"user": "anna"}, "named"),
    ],
)
def test_a_parameter_leaves_its_mark(body: dict[str, Any], mark: str) -> None:
    assert mark in asks("Why?", **body).marks
    assert mark not in asks("Why?", logprobs=False, n=1, max_tokens=3, temperature=1, top_logprobs=None).marks


def test_parameters_are_told_by_names_and_values_and_not_by_what_is_asked() -> None:
    one = asks("Why?", temperature=0.5, top_p=1, stop=["a"])
    assert one.params == asks("Because.", user="u", stop=["b"], top_p=1, temperature=0.5).params
    assert one.params != asks("Why?", temperature=0.6, top_p=1, stop=["a"]).params
    assert one.params != asks("Why?", temperature=0.5, top_p=1, stop=["a"], seed=None).params


def test_parameters_by_hand() -> None:
    body = {
        "b": None,
        "a": "x" * 99,
        "messages": [1],
        "c": {"z": {"k": 1}, "user": "x", "y": [1, 2]},
        "n": 1,
        "top_p": 1,
    }
    assert vector(body) == b"a='%s;b=None;c{y=[2],z={k}};n=1;top_p=1" % (b"x" * 63)
    assert spelled(body) == 3
    assert spelled({"temperature": 0, "stream": True, "echo": False, "x": False}) == 1
    assert len(vector({"k" * 10**6: "v" * 10**6, "o": {"i" * 10**6: {"j" * 10**6: 1}}})) < 400


def test_several_prompts_are_as_many_asks() -> None:
    seen = sent({"model": "m", "prompt": ["Why?", "why? ", "Who?", "When?"]}, "/v1/completions").seen
    assert (seen.prompts, len(seen.asks), seen.distinct) == (4, 3, 3)
    assert asks("Who?").asks[0] in seen.asks


def test_frames_are_told_at_both_ends() -> None:
    one, other = asks("Translate to French: good morning my friends"), asks("Translate to French: see you")
    assert one.head == other.head and one.tail != other.tail
    one, other = asks("Cats and dogs? Answer in one word."), asks("Is it far? Answer in one word.")
    assert one.tail == other.tail and one.head != other.head
    one, other = asks("请把下面的句子翻译成英文：今天天气很好。"), asks("请把下面的句子翻译成英文：他在公园。")
    assert one.head == other.head and one.tail != other.tail


def test_the_last_answer_of_a_history_is_told_again_wherever_it_stands() -> None:
    answer = "Water is wet because of the way in which it clings to things. It also runs."
    bodies_ = [[("user", f"{at}?"), ("assistant", answer), ("user", "Go on")] for at in range(2)]
    said = [
        sent({"model": "m", "messages": [{"role": role, "content": text} for role, text in turns]}).seen.said
        for turns in bodies_
    ]
    assert said[0] == said[1] != 0


def test_decoys_do_not_push_a_walk_through_the_vocabulary_out_of_sight() -> None:
    walked = {str(50_000 + at): 5 for at in range(200)}
    decoys = {str(at): 0 for at in range(64)}
    bias = asks("x", logit_bias={**decoys, **walked}).bias
    assert len(bias) == 64
    assert sum(token >= 50_000 for token in bias) > 30


def test_what_a_system_text_says_is_the_same_however_often_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is remembered by a hash, for a bounded number of texts, and without a word of it."""
    monkeypatch.setattr("gateway.observe.prints.KNOWN", 3)
    prints = Prints(b"p")
    texts = [f"You are the helper of shop {word}. Think step by step." for word in ("one", "two", "six", "ten", "one")]
    for text in (*texts, *texts):
        body = {"model": "m", "messages": [{"role": "system", "content": text}, {"role": "user", "content": "Hello"}]}
        found = sent(body, prints=prints).seen
        assert found == sent(body, prints=Prints(b"p")).seen
        assert found.system == prints.of(normal(text)) and found.marks["reasons"] == 1
        assert len(prints._known) <= 3 and all(len(key) == 16 for key in prints._known)
    assert {mark for _, said in prints._known.values() for mark in said} <= set(MARKS)
