"""Shell. Numbers the ledger's rows and hands them on, in order. A segment file is one of the hands."""

from collections.abc import Callable

from gateway.ledger.record import Adopted, Opened, Resumed, Row, Ruled, Settled

__all__ = ["Journal"]

Sink = Callable[[Row], None]


class Journal:
    """The order of this process's rows: `next()` gives the number, `append` hands the row to every sink.

    Both are called in the same section as the state step that the row describes, with no await between.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = list(sinks)
        self.seq = 0  # of the last row
        self.open: dict[str, Ruled] = {}  # requests between their two rows
        self._adopted: dict[str, Adopted] = {}

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def begin(self, row: Opened | Resumed) -> None:
        """The first row of a process: numbers go on from its own."""
        self.seq = row.seq
        self.append(row)

    def append(self, row: Row) -> None:
        kind = type(row)
        if kind is Ruled:
            self.open[row.request] = row  # type: ignore[union-attr,assignment]
        elif kind is Settled:
            self.open.pop(row.request, None)  # type: ignore[union-attr]
        elif kind is Adopted:
            self._adopt(row)  # type: ignore[arg-type]
        for sink in self._sinks:
            sink(row)

    @property
    def adopted(self) -> list[Adopted]:
        """The policy in force, last, and those by which requests that are under way were ruled."""
        return list(self._adopted.values())

    def _adopt(self, row: Adopted) -> None:
        needed = {each.policy for each in self.open.values()} - {row.digest}
        self._adopted = {digest: each for digest, each in self._adopted.items() if digest in needed}
        self._adopted[row.digest] = row

    def subscribe(self, sink: Sink) -> None:
        self._sinks.append(sink)
