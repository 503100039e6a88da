"""Tables first: request bytes -> fields of the call, answer bytes -> usage, for each dialect (`cases/FILE.json`).

A request has `path`, `body` (or `raw` text) and either `call`, the fields that must be read, or `refused`, the code of
the refusal. An answer has `path`, one of `document`, `events` and `raw`, and `usage`; a field left out is not checked.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from gateway import dialects
from gateway.errors import Refusal
from gateway.protocols import Answer, Call, Meter
from gateway.usage import Usage

Case = dict[str, Any]
TABLES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "cases").glob("*.json"))}


def rows(kind: str) -> list[Any]:
    return [
        pytest.param(dialect, case, id=f"{dialect}: {case['name']}")
        for dialect, table in TABLES.items()
        for case in table[kind]
    ]


def bytes_of(case: Case) -> bytes:
    return case["raw"].encode() if "raw" in case else orjson.dumps(case["body"])


def answer_of(case: Case) -> tuple[bytes, bytes]:
    """Content type and bytes of an answer."""
    if "document" in case:
        return b"application/json; charset=utf-8", json.dumps(case["document"], indent=1).encode()
    if "events" not in case:
        return case["content_type"].encode(), case["raw"].encode()
    events = [event if isinstance(event, str) else orjson.dumps(event).decode() for event in case["events"]]
    return b"text/event-stream", "".join(f"data: {event}\n\n" for event in events).encode()


def meter_for(case: Case) -> Meter:
    found = dialects.match("POST", case["path"])
    assert found is not None
    dialect, route = found
    return dialect.meter(route, (Call(op=route.op, model=None, body={}),))


def metered(case: Case, chunks: list[bytes], content_type: bytes, coding: bytes = b"") -> Answer:
    meter = meter_for(case)
    meter.start(case.get("status", 200), content_type, coding)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish()


@pytest.mark.parametrize(("dialect", "case"), rows("requests"))
def test_a_request_is_read_as_the_table_says(dialect: str, case: Case) -> None:
    found = dialects.match("POST", case["path"])
    assert found is not None
    spoken, route = found
    assert route.dialect == dialect
    assert route.template == case.get("template", route.template)
    if "refused" in case:
        with pytest.raises(Refusal) as caught:
            spoken.parse(route, bytes_of(case))
        assert (caught.value.status, caught.value.code) == (400, case["refused"])
        assert caught.value.param == case.get("param", caught.value.param)
        return
    (call,) = spoken.parse(route, bytes_of(case))
    sent = orjson.loads(bytes_of(case))
    assert call.body == (
        sent["requests"][0]["params"] if route.template.endswith("batches") and "requests" in sent else sent
    )
    for name, value in case["call"].items():
        read = getattr(call, name)
        assert (list(read) if isinstance(read, tuple) else read) == value, name


@pytest.mark.parametrize(("dialect", "case"), rows("answers"))
def test_an_answer_is_metered_as_the_table_says_in_any_chunks(dialect: str, case: Case) -> None:
    content_type, data = answer_of(case)
    whole = metered(case, [data], content_type)
    assert whole.usage == msgspec.convert(case["usage"], Usage)
    assert whole.complete == case["complete"]
    for name in ("model", "id"):
        assert getattr(whole, name) == case.get(name, getattr(whole, name))
    assert list(whole.finish) == case.get("finish", list(whole.finish))
    squeezed = gzip.compress(data)
    assert metered(case, [bytes((byte,)) for byte in data], content_type) == whole
    assert metered(case, [event + b"\n\n" for event in data.split(b"\n\n")], content_type).usage == whole.usage
    if "raw" not in case:
        assert metered(case, [bytes((byte,)) for byte in squeezed], content_type, b"gzip") == whole
        assert metered(case, [squeezed], content_type, b"gzip") == whole


@pytest.mark.parametrize(("dialect", "case"), rows("answers"))
def test_half_an_answer_is_never_whole(dialect: str, case: Case) -> None:
    content_type, data = answer_of(case)
    if "document" in case:
        half = metered(case, [data[:-2]], content_type)
        assert not half.complete
        broken = metered(case, [gzip.compress(data)[:-9]], content_type, b"gzip")
        assert not broken.complete


def test_every_dialect_has_a_table() -> None:
    sessions = {"gemini_live", "openai_realtime"}  # whose messages are in test_sessions.py
    assert set(TABLES) | sessions == set(dialects.DIALECTS)
