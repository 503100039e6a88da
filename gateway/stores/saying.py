"""Shell. Where a store says what happens: it doesn't know `telemetry.events`, which is handed in."""

from typing import Any, Protocol

__all__ = ["SILENCE", "Log"]


class Log(Protocol):
    """Where the writer says what happens (`telemetry.events`, which stores don't know)."""

    def info(self, event: str, /, *args: Any, **fields: Any) -> Any: ...
    def warning(self, event: str, /, *args: Any, **fields: Any) -> Any: ...
    def error(self, event: str, /, *args: Any, **fields: Any) -> Any: ...
    def exception(self, event: str, /, *args: Any, **fields: Any) -> Any: ...


class Silence:
    """Says nothing: counters tell the same."""

    def info(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Nothing."""

    warning = error = exception = info


SILENCE = Silence()
