"""Events: their shape, what of an exception or a foreign message is shown, and what never is."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.errors import Mistake, Refusal, StoreDown
from gateway.ledger.line import Service
from gateway.telemetry import events

SECRET = "sk-canary-4242"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = list(root.handlers)
    made = io.StringIO()
    events.configure("info", "json", made, service=Service("gauger", "0.1.0", "host:1"))
    yield made
    events.configure(capture=False, service=Service())
    root.handlers[:] = before


def said(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def caught(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as found:
        return found


def test_an_event_is_one_json_line_with_the_names_of_the_request_lines(stream: io.StringIO) -> None:
    events.get("serve").info("started", port=8080, policy=Path("a/b.yaml"), digest=None)
    (event,) = said(stream)
    ts = event.pop("ts")
    assert len(ts) == len("2026-11-24T02:30:00.000001Z")
    assert ts[-1] == "Z"
    assert event == {
        "level": "info",
        "event": "started",
        "source": "serve",
        "service": {"name": "gauger", "version": "0.1.0", "instance": "host:1"},
        "port": 8080,
        "policy": "a/b.yaml",
        "digest": None,
    }


def test_levels_below_the_threshold_are_silent(stream: io.StringIO) -> None:
    log = events.get("x")
    log.debug("quiet")
    log.info("loud")
    events.configure("error", "json", stream)
    log.warning("quiet too")
    log.error("louder")
    assert [event["event"] for event in said(stream)] == ["loud", "louder"]


def test_a_logger_made_before_configure_obeys_it() -> None:
    log = events.get("early")
    stream = io.StringIO()
    events.configure("info", "json", stream, capture=False)
    log.info("here")
    assert [event["source"] for event in said(stream)] == ["early"]
    events.configure(capture=False)


def test_structlog_of_the_host_application_is_left_alone(stream: io.StringIO) -> None:
    events.get("x").info("here")
    assert not structlog.is_configured()


def test_a_terminal_gets_text_and_a_pipe_gets_json() -> None:
    for made, is_json in ((Terminal(), False), (io.StringIO(), True)):
        events.configure("info", "auto", made, capture=False)
        events.get("x").info("started", port=1)
        assert made.getvalue().startswith("{") is is_json
        assert "started" in made.getvalue()
    events.configure(capture=False)


def test_no_value_can_drive_a_terminal() -> None:
    made = Terminal()
    events.configure("info", "console", made, capture=False)
    events.get("x").info(
        "started\x1b[2J", name="a\x1b[31m\nlevel=error\x9b\u2028", deep={"a": "\x9b"}, items=["\x1b]0;"]
    )
    events.configure(capture=False)
    text = made.getvalue()
    assert "\x9b" not in text
    assert "\u2028" not in text
    assert "\x1b[2J" not in text
    assert "\x1b[31m\n" not in text
    assert "\x1b]0;" not in text
    assert text.count("\n") == 1


def test_an_exception_shows_its_type_and_our_frames_but_not_its_text(stream: io.StringIO) -> None:
    def inside() -> None:
        dict[str, int]()[SECRET]

    try:
        try:
            inside()
        except KeyError as error:
            raise ValueError(SECRET) from error
    except ValueError:
        events.get("x").exception("broke", detail=KeyError(SECRET), thing=object(), many=[object()])
    (event,) = said(stream)
    assert SECRET not in stream.getvalue()
    assert event["level"] == "error"
    assert event["error"]["type"] == "ValueError"
    assert event["error"]["cause"]["type"] == "KeyError"
    assert event["detail"] == {"type": "KeyError"}
    assert (event["thing"], event["many"]) == ("<object>", ["<object>"])


def test_frames_are_ours_only(stream: io.StringIO) -> None:
    def read() -> int:
        raise ValueError(SECRET)

    from gateway.telemetry.ids import Ulids

    try:
        Ulids(read).next()
    except ValueError as error:
        events.get("x").error("broke", exc_info=error)
    (event,) = said(stream)
    assert [frame.partition(":")[0] for frame in event["error"]["frames"]] == ["gateway/telemetry/ids.py"]
    assert event["error"]["frames"][0].endswith(" next")
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Mistake("no such plan", place="a.yaml:3:1"), "a.yaml:3:1: no such plan"),
        (Refusal("too_large", 413, "request_too_large", "Too large."), "413 request_too_large: Too large."),
        (StoreDown("valkey did not answer in 50 ms"), "valkey did not answer in 50 ms"),
        (OSError(98, SECRET), "Address already in use"),
        (ValueError(SECRET), None),
        (OSError(SECRET), None),
    ],
)
def test_only_texts_that_we_wrote_are_shown(error: Exception, text: str | None, stream: io.StringIO) -> None:
    events.get("x").error("broke", exc_info=caught(error))
    (event,) = said(stream)
    assert event["error"].get("text") == text
    assert SECRET not in stream.getvalue()


def test_a_group_of_exceptions_names_each(stream: io.StringIO) -> None:
    events.get("x").error("broke", exc_info=ExceptionGroup(SECRET, [ValueError(SECRET), KeyError(SECRET)]))
    (event,) = said(stream)
    assert [error["type"] for error in event["error"]["errors"]] == ["ValueError", "KeyError"]
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(
    ("speak", "expected"),
    [
        (lambda log: log.warning("Invalid HTTP request received."), "Invalid HTTP request received."),
        (lambda log: log.error("port %d of %s is taken", 80, SECRET), "port 80 of <str> is taken"),
        (lambda log: log.error("took %.1f s", Decimal(1)), "took %.1f s"),
        (lambda log: log.error(f"Task exception was never retrieved\nfuture: {SECRET}"), None),
        (lambda log: log.error(ValueError(SECRET)), "ValueError"),
        (lambda log: log.error(OSError(98, SECRET)), "OSError"),
        (lambda log: log.error({"a": SECRET}), "<dict>"),
        (lambda log: log.error("broke", exc_info=caught(ValueError(SECRET))), "broke"),
    ],
)
def test_what_libraries_say_is_kept_without_what_could_be_a_secret(
    speak: Callable[[logging.Logger], None], expected: str | None, stream: io.StringIO
) -> None:
    speak(logging.getLogger("uvicorn.error"))
    (event,) = said(stream)
    assert event["event"] == (expected or "Task exception was never retrieved")
    assert event["source"] == "uvicorn.error"
    assert SECRET not in stream.getvalue()


def test_libraries_are_heard_from_warning_on_and_access_logs_never(stream: io.StringIO) -> None:
    for name in ("uvicorn", "httpx", "limits", "some.package"):
        logging.getLogger(name).info("%s", SECRET)
        logging.getLogger(name).warning("odd")
    logging.getLogger("uvicorn.access").warning("GET /")
    assert [event["source"] for event in said(stream)] == ["uvicorn", "httpx", "limits", "some.package"]


async def test_a_lost_task_does_not_spill_its_secret(stream: io.StringIO) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(SECRET), "future": SECRET}
    )
    (event,) = said(stream)
    assert event["event"] == "Task exception was never retrieved"
    assert event["error"]["type"] == "ValueError"
    assert SECRET not in stream.getvalue()


def test_configuring_twice_says_things_once(stream: io.StringIO) -> None:
    events.configure("info", "json", stream)
    logging.getLogger("uvicorn").warning("odd")
    assert len(said(stream)) == 1


def test_a_stream_that_is_gone_is_counted_and_stops_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    events.configure("info", "json", closed, capture=False)
    before = events.lost()
    events.get("x").info("unheard")
    assert events.lost() == before + 1
    events.configure(capture=False)
