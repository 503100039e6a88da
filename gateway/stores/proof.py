"""Shell. Proving a ledger's folder, and erasing an account from it so that it can still be proven."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.errors import Mistake
from gateway.ledger.chain import Broken, Chain, Link, body_of, chain_at, tombstone
from gateway.ledger.record import Ruled, Settled, Used, decode
from gateway.stores.forgetting import ask
from gateway.stores.segments import Segment, lines, segments, single_writer, take_up, upkeep, write_whole
from gateway.stores.snapshot import discard

__all__ = ["Break", "Erasure", "Report", "erase", "verify"]


class Break(msgspec.Struct, frozen=True):
    """The first place where the chain doesn't hold."""

    file: str
    line: int
    why: str


class Report(msgspec.Struct):
    """What the proof covers. Times are µs since the epoch. Up to the first break, where there is one."""

    broken: Break | None = None
    segments: int = 0
    begins: int = 0  # number of the first segment; over 1 where retention took the ones before
    after: str = ""  # the head that the first segment goes on from
    rows: int = 0
    runs: int = 0  # starts of the gateway: with nothing, each counts its rows from 1
    resumed: int = 0  # of them, those that went on with what was remembered, and with its numbers
    first_seq: int = 0
    first_time: int = 0
    last_seq: int = 0
    last_time: int = 0
    erased: int = 0  # rows that are tombstones
    gaps: int = 0
    lost: int = 0  # rows that gaps stand for
    recovered: int = 0  # segments that a crash left open
    unnumbered: int = 0  # places where numbers jump and no gap says why
    closed: bool = False  # the last segment has its footer
    half: bool = False  # its last line is half: it is being written, or a crash cut it
    head: str = ""  # 64 hex digits: keep it elsewhere, and `verify --head` proves that nothing up to here has changed
    known: str = ""  # file and line where the remembered head is
    beyond: int = 0  # rows after it

    @property
    def proven(self) -> bool:
        return self.broken is None


class Erasure(NamedTuple):
    """What an erasure did. `left` rows are in the segment that a running gateway writes."""

    rows: int
    segments: int
    left: int


def verify(folder: Path, head: str | None = None) -> Report:
    """Walks the whole ledger. `head` is one that an earlier proof, a footer or the log has told: 64 hex digits.

    Raises Mistake where there is no ledger or it can't be read, OSError never.
    """
    remembered = None if head is None else _head(head)
    report = Report()
    walk = _Walk(report, remembered)
    try:
        found = _listed(folder)
        for at, segment in enumerate(found):
            try:
                walk.segment(segment, last=at == len(found) - 1)
            except FileNotFoundError:
                if report.segments:
                    raise
                continue  # retention took it since the folder was listed: the proof begins later
            except Broken as error:
                report.broken = Break(str(segment.path), walk.line, str(error))
                break
    except OSError as error:
        raise Mistake(f"can't be read: {error.strerror}", place=str(error.filename or folder)) from None
    report.head = walk.chain.value.hex()
    if report.broken is None and remembered is not None and not report.known:
        why = "the remembered head is nowhere in this ledger: it was cut short or written anew, or retention took it"
        report.broken = Break(str(found[-1].path), walk.line, why)
    return report


def erase(folder: Path, account: str) -> Erasure:
    """Puts a tombstone in the place of every row of an account, one segment after the other, each in one step.

    Snapshots are removed: the next start folds the rows that are left. While a gateway writes this ledger its open
    segment is left alone, and it is asked to forget the account. Raises Mistake where that can't be done.
    """
    try:
        _listed(folder)
        with ExitStack() as stack:
            stack.enter_context(upkeep(folder, wait=True))
            try:
                stack.enter_context(single_writer(folder))
                take_up(folder, time.time_ns() // 1000)
                running = False
            except BlockingIOError:
                running = True
                ask(folder, account)
            discard(folder)
            rows = changed = 0
            found = segments(folder)
            closed = found[:-1] if running else found
            for segment in closed:
                count = _erase_in(segment.path, account)
                rows += count
                changed += count > 0
            left = _count(found[-1].path, account) if running else 0
    except Broken as error:
        raise Mistake(str(error), place=str(folder), hint="`gauger verify DIR` says where") from None
    except OSError as error:
        raise Mistake(f"can't be erased from: {error.strerror}", place=str(error.filename or folder)) from None
    return Erasure(rows, changed, left)


class _Walk:
    """One pass over the segments, in order."""

    def __init__(self, report: Report, remembered: str | None) -> None:
        self.report = report
        self.chain = Chain()
        self.line = 0
        self._remembered = None if remembered is None else bytes.fromhex(remembered)
        self._next = 0  # the number that the next row should have; 0 = any

    def segment(self, segment: Segment, *, last: bool) -> None:
        """Raises Broken where the chain doesn't hold; `line` is the place."""
        report, self.line = self.report, 0
        if report.segments and segment.number != self.chain.number + 1:
            raise Broken(f"the segment before is number {self.chain.number}: segments are missing")
        report.half = False
        for self.line, line in enumerate(lines(segment.path), 1):
            if last and not line.endswith(b"\n") and segment.path.suffix == ".jsonl":
                report.half = True
                break
            if not report.segments:
                self._first(line, segment)
            link = self.chain.read(line)
            if link.header is not None and link.header.number != segment.number:
                raise Broken(f"this is the header of segment {link.header.number}")
            if link.kind == "segment":
                report.segments += 1
            elif link.footer is not None:
                report.recovered += link.footer.why == "recovered"
            else:
                self._row(link)
            if self.chain.value == self._remembered:
                report.known, report.beyond = f"{segment.path}:{self.line}", 0
        if not self.chain.fresh and (not last or segment.path.suffix != ".jsonl"):
            raise Broken("the footer is missing: the segment was cut short")
        if self.chain.number != segment.number and not last:
            raise Broken("the segment is empty")
        report.closed = self.chain.fresh and not report.half

    def _first(self, line: bytes, segment: Segment) -> None:
        self.chain = chain_at(line)
        report = self.report
        report.begins, report.after = segment.number, self.chain.value.hex()
        if segment.number == 1 and any(self.chain.value):
            raise Broken("the first segment goes on from another")
        if self.chain.value == self._remembered:
            report.known = f"{segment.path}:0"

    def _row(self, link: Link) -> None:
        report = self.report
        if not report.rows:
            report.first_seq, report.first_time = link.seq, link.now
        report.rows += 1
        report.beyond += 1
        report.last_seq, report.last_time = link.seq, link.now
        report.erased += link.kind == "erased"
        resumed = link.type == "resumed"
        report.runs += link.seq == 1 or resumed
        report.resumed += resumed
        if link.seq != 1 and self._next and link.seq != self._next:
            report.unnumbered += 1
        self._next = link.seq + 1
        if link.type == "gap":
            report.gaps += 1
            report.lost += link.lost
            self._next = link.seq + link.lost


def _head(head: str) -> str:
    try:
        if len(bytes.fromhex(head)) == 32:
            return head
    except ValueError:
        pass
    raise Mistake("a head has 64 hex digits", hint="`gauger verify DIR` prints it")


def _listed(folder: Path) -> list[Segment]:
    found = segments(folder)
    if not found:
        raise Mistake("there is no ledger here", place=str(folder), hint="`gauger serve --ledger DIR` writes one")
    return found


def _is_of(line: bytes, account: str, needle: bytes) -> bool:
    if needle not in line:
        return False
    body = body_of(line)
    if body is None:
        return False
    row = decode(body)
    if isinstance(row, Ruled):
        return row.facts.caller.account == account
    return isinstance(row, Settled | Used) and row.account == account


def _count(path: Path, account: str) -> int:
    needle = msgspec.json.encode(account)
    try:
        return sum(_is_of(line, account, needle) for line in lines(path) if line.endswith(b"\n"))
    except msgspec.DecodeError:
        raise Broken(f"{path.name} has a line that is no row") from None


def _erase_in(path: Path, account: str) -> int:
    count = _count(path, account)
    if count:
        needle = msgspec.json.encode(account)

        def changed() -> Iterator[bytes]:
            for line in lines(path):
                yield tombstone(line) if _is_of(line, account, needle) else line

        write_whole(path, changed(), form=path.suffix, like=path)
    return count
