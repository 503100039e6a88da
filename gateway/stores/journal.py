"""Shell. Numbers the ledger's rows and hands them on, in order. A segment file is one of the hands."""

from collections.abc import Callable

from gateway.ledger.record import Row

__all__ = ["Journal"]

Sink = Callable[[Row], None]


class Journal:
    """The order of this process's rows: `next()` gives the number, `append` hands the row to every sink.

    Both are called in the same section as the state step that the row describes, with no await between.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = list(sinks)
        self._seq = 0

    def next(self) -> int:
        self._seq += 1
        return self._seq

    def append(self, row: Row) -> None:
        for sink in self._sinks:
            sink(row)

    def subscribe(self, sink: Sink) -> None:
        self._sinks.append(sink)
