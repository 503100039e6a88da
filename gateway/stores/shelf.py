"""Shell. The closed segments of a ledger: compressed, and removed when they are too old or too many."""

from collections.abc import Callable
from pathlib import Path

from gateway.stores.saying import Log
from gateway.stores.segments import compressed, segments, upkeep

__all__ = ["Shelf"]


class Shelf:
    """All segments of a folder. `keep_bytes`: of all of them as they lie on disk; `keep_age`: µs; 0 = never."""

    def __init__(
        self, folder: Path, *, compress: bool, keep_bytes: int, keep_age: int, log: Log, clock: Callable[[], int]
    ) -> None:
        self.kept = self.bytes = 0  # segments and their size, when they were last counted
        self._folder = folder
        self._compress = compress
        self._keep_bytes = keep_bytes
        self._keep_age = keep_age
        self._log = log
        self._clock = clock

    def tidy(self, written: int | None) -> None:
        """Compresses closed segments and removes what is too old or too much. `written`: number of the open one.

        Left for later while erasing goes on. Raises OSError.
        """
        try:
            with upkeep(self._folder, wait=False):
                closed = [segment for segment in segments(self._folder) if segment.number != written]
                if self._compress:
                    closed = [
                        segment._replace(path=compressed(segment.path)) if segment.path.suffix == ".jsonl" else segment
                        for segment in closed
                    ]
                self.count()
                for segment in closed:
                    age = self._clock() - segment.path.stat().st_mtime_ns // 1000  # that of its last row
                    old = bool(self._keep_age) and age > self._keep_age
                    if not old and not (self._keep_bytes and self.bytes > self._keep_bytes):
                        break
                    segment.path.unlink()
                    self._log.info("segment removed", segment=segment.path.name, why="age" if old else "size")
                    self.count()
        except BlockingIOError:
            return

    def count(self) -> None:
        """Counts segments and bytes anew. Raises OSError."""
        found = segments(self._folder)
        self.kept = len(found)
        self.bytes = sum(segment.path.stat().st_size for segment in found)
