"""Shell. Every event but the request lines: start, stop, reload, degraded. JSON lines on stderr, colours on a terminal.

Names agree with the request lines (`ts`, `level`, `event`, `service`). Nothing from outside is printed as it came: an
exception is its type and our own frames, with its text only where the type is ours (`gateway.errors`); of a foreign
library's message only the template and its numbers remain. Values that aren't plain are replaced by their type.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from gateway.errors import Mistake, Refusal, StoreDown
from gateway.ledger.line import Service, encode, timestamp

__all__ = ["Format", "configure", "get", "lost"]

Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]
Event = MutableMapping[str, Any]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
QUIET = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "limits", "asyncio", "h11", "hpack")
OURS = Path(__file__).resolve().parent.parent
DEPTH = 5  # causes of an exception that are followed
FRAMES = 20  # of our own frames, the innermost


class _Setup:
    """Where events go. One for the process, because the standard library's logging is one for the process."""

    def __init__(self) -> None:
        self.threshold = 20
        self.format: Format = "auto"
        self.stream: TextIO | None = None  # None = whatever sys.stderr is when an event happens
        self.service = Service()
        self.lost = 0


_setup = _Setup()


class _Sink:
    """The end of the chain. A stream that is gone must not stop the gateway: what it didn't take is counted."""

    def msg(self, text: str) -> None:
        stream = _setup.stream if _setup.stream is not None else sys.stderr
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError, AttributeError):  # broken, closed, or no stderr at all
            _setup.lost += 1

    debug = info = warning = error = critical = exception = log = msg


def lost() -> int:
    """How many events could not be written."""
    return _setup.lost


def configure(
    level: Level = "info",
    fmt: Format = "auto",
    stream: TextIO | None = None,
    *,
    service: Service | None = None,
    capture: bool = True,
) -> None:
    """Says where events go and from which level on. `capture` also takes over the standard library's logging.

    `fmt` auto is `console` on a terminal and `json` elsewhere. A gateway inside somebody else's application
    leaves `capture` off. structlog's own global configuration is never touched.
    """
    _setup.threshold = LEVELS[level]
    _setup.format = fmt
    _setup.stream = stream
    if service is not None:
        _setup.service = service
    if capture:
        root = logging.getLogger()
        for handler in [one for one in root.handlers if isinstance(one, _Bridge)]:
            root.removeHandler(handler)
        root.addHandler(_Bridge(logging.WARNING))
        for name in QUIET:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = name != "uvicorn.access"
            logger.setLevel(logging.WARNING)


def get(name: str) -> FilteringBoundLogger:
    """The logger of one part of the gateway; `name` becomes the field `source`."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        _Sink(),
        processors=[_enough, _named, _errors, _tidied, _written],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
        cache_logger_on_first_use=False,
        source=name,
    )
    return logger


def _enough(_: Any, method: str, event: Event) -> Event:
    if LEVELS.get(method, 40) < _setup.threshold:
        raise structlog.DropEvent
    return event


def _named(_: Any, method: str, event: Event) -> Event:
    service = _setup.service
    return {
        "ts": timestamp(time.time_ns() // 1000),
        "level": "error" if method == "exception" else method,
        "event": event.pop("event", ""),
        "source": event.pop("source", ""),
        "service": {"name": service.name, "version": service.version, "instance": service.instance},
        **event,
    }


def _errors(_: Any, __: str, event: Event) -> Event:
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["error"] = _described(found)
    event.pop("stack_info", None)
    return event


def _tidied(_: Any, __: str, event: Event) -> Event:
    return {str(name): _plain(value) for name, value in event.items()}


def _written(_: Any, __: str, event: Event) -> str:
    if _setup.format == "json" or (_setup.format == "auto" and not _terminal()):
        return encode(dict(event)).decode("ascii")
    return _coloured(event)


def _terminal() -> bool:
    stream = _setup.stream if _setup.stream is not None else sys.stderr
    try:
        return stream.isatty()
    except (ValueError, AttributeError):
        return False


def _coloured(event: Event) -> str:
    shown = {name: value for name, value in event.items() if name not in ("ts", "service", "source")}
    escaped = {name: _printable(value) for name, value in shown.items()}
    line = structlog.dev.ConsoleRenderer(sort_keys=False)(
        None, event["level"], {"timestamp": event["ts"], "logger": event["source"], **escaped}
    )
    return f"{line}\n"


def _printable(value: Any) -> Any:
    return encode({"": value}).decode("ascii")[4:-2].strip('"') if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, BaseException):
        return _described(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return f"<{type(value).__name__}>"


def _described(error: BaseException, depth: int = DEPTH) -> dict[str, Any]:
    """Type and our own frames; its text only where we wrote it, or where the system's error number says it all."""
    made: dict[str, Any] = {"type": type(error).__name__}
    if isinstance(error, Mistake | Refusal | StoreDown):
        made["text"] = str(error)
    elif isinstance(error, OSError) and isinstance(error.errno, int):
        made["text"] = os.strerror(error.errno)
    frames = _frames(error.__traceback__)
    if frames:
        made["frames"] = frames
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth > 1:
        made["cause"] = _described(cause, depth - 1)
    if isinstance(error, BaseExceptionGroup) and depth > 1:
        made["errors"] = [_described(inner, depth - 1) for inner in error.exceptions[:DEPTH]]
    return made


def _frames(trace: TracebackType | None) -> list[str]:
    found = []
    for frame, number in traceback.walk_tb(trace):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(OURS):
            found.append(f"{path.relative_to(OURS.parent)}:{number} {frame.f_code.co_name}")
    return found[-FRAMES:]


class _Bridge(logging.Handler):
    """Takes what libraries say through the standard library, and keeps what can't be a secret."""

    def emit(self, record: logging.LogRecord) -> None:
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        detail: dict[str, Any] = {}
        if isinstance(record.msg, BaseException):
            detail["exc_info"] = record.msg
        elif record.exc_info:
            detail["exc_info"] = record.exc_info
        getattr(get(record.name), level)(_template(record), **detail)


def _template(record: logging.LogRecord) -> str:
    """The first line of a message with its numbers; its other arguments, and what follows, could hold anything."""
    if isinstance(record.msg, BaseException):
        return type(record.msg).__name__
    first = str(record.msg).partition("\n")[0] if isinstance(record.msg, str) else f"<{type(record.msg).__name__}>"
    if not isinstance(record.args, tuple) or not record.args:
        return first
    shown = tuple(one if isinstance(one, int | float) else f"<{type(one).__name__}>" for one in record.args)
    try:
        return first % shown
    except (TypeError, ValueError):
        return first
