"""Shell. The state that a process begins with: a snapshot and the rows after it, or all rows, or nothing.

Rows are folded as `gauger replay` folds them, so the state is the one that a replay of this ledger has at that place.
What can't be used is named and left out; nothing of it stops a start. Of a snapshot that is damaged, of another form,
another engine or another pepper, or that this ledger doesn't go on from, the one before is tried, and then the rows.
"""

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import msgspec

from gateway.adopt import adopted
from gateway.campaigns.tables import Campaigns
from gateway.decide import Facts, Verdict
from gateway.errors import Mistake
from gateway.ledger.chain import Broken
from gateway.ledger.line import Service
from gateway.ledger.record import ENGINE, Adopted, Gap, Opened, Resumed, Settled, decode_sealed
from gateway.ledger.replay import Replay
from gateway.policy.model import Policy
from gateway.settings import Settings
from gateway.signals import DAY
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.kept import LAYOUT, Kept
from gateway.stores.memory import MemoryLimits
from gateway.stores.segment_writer import Place
from gateway.stores.segments import segments
from gateway.stores.served import Served
from gateway.stores.snapshot import Header, opened, snapshots
from gateway.stores.tail import Tail
from gateway.telemetry import events

__all__ = ["Start", "start", "undisturbed"]

log = events.get("restore")
REBUILT = 2_147_483_648  # bytes of rows that are folded at most where no snapshot is of use: a minute or two
FUTURE = DAY  # µs: what is further ahead of the clock was written by a wrong one, or is read by one


class Start(NamedTuple):
    """What a process begins with. `row` is the ledger's first row of it."""

    accounts: MemoryAccounts
    limits: MemoryLimits
    served: Served
    campaigns: Campaigns | None
    row: Opened | Resumed


class _Linking:
    """The campaigns during a fold, stepped as the gate steps them; `accounts` are whose rows of signals they read."""

    def __init__(self, settings: Settings) -> None:
        self.accounts = MemoryAccounts()
        self.fold: Replay | None = None  # whose accounts they are, as long as it lasts
        self.campaigns: Campaigns | None = None
        self.until: dict[str, int] = {}
        self.errors = 0
        self._memory = settings.campaign_memory
        self.begin()

    def begin(self) -> None:
        """Nothing is remembered."""
        self.until = {}
        if self._memory:
            self.campaigns = Campaigns(self._row_of, self._memory)

    def _row_of(self, account: str) -> bytes:
        accounts = self.accounts if self.fold is None else self.fold.steps.accounts
        return accounts.get(account).signals

    def ended(self, facts: Facts, verdict: Verdict, row: Settled) -> None:
        """A request has settled."""
        if self.campaigns is None or not 200 <= row.outcome.upstream_status < 300:
            return
        if row.seq <= self.until.get(row.account, 0):
            return
        try:
            self.campaigns.saw(facts.caller, verdict.batch or facts.seen, row.now)
        except Exception:  # noqa: BLE001 - the gate goes on, too
            self.errors += 1


class _Foreign(Exception):
    """The rows are of another pepper: what they name is not what is met now."""


def start(settings: Settings, policy: Policy, pepper: str, service: Service, now: int) -> Start:
    """What the ledger of these settings holds; without one, nothing. Its writer's lock must be held."""
    nothing = Opened(
        1,
        now,
        service.version,
        service.instance,
        pepper,
        accounts=settings.max_accounts,
        memory=settings.state_memory,
        cells=settings.max_cells,
        store="memory" if settings.store.get_secret_value() == "memory" else "valkey",
    )
    folder = settings.ledger
    try:
        if folder is not None and segments(folder):
            with undisturbed():
                return _Search(folder, settings, policy, nothing).found()
    except (_Foreign, Mistake, Broken, OSError, msgspec.DecodeError) as error:
        log.warning("not restored", ledger=str(folder), why=str(error), state="empty")
    except Exception:  # a defect of ours must not keep a gateway from starting
        log.exception("not restored", ledger=str(folder), state="empty")
    linking = _Linking(settings)
    limits, linking.accounts = _stores(nothing)
    return Start(linking.accounts, limits, Served(settings.served_memory), linking.campaigns, nothing)


class _Search:
    """The snapshots one after the other, then the rows alone."""

    def __init__(self, folder: Path, settings: Settings, policy: Policy, nothing: Opened) -> None:
        self.folder = folder
        self.settings = settings
        self.policy = policy
        self.nothing = nothing
        self.began = perf_counter()
        self.pepper = ""  # of a snapshot that is of another one

    def found(self) -> Start:
        for path in snapshots(self.folder):
            try:
                return self._restored(path)
            except (Broken, ValueError, OSError) as error:  # `msgspec.DecodeError` is a ValueError
                log.warning("a snapshot is not used", file=path.name, why=str(error))
        most = max(1, REBUILT // self.settings.ledger_segment_bytes)
        return self._folded(Tail(self.folder, most=most), _Linking(self.settings))

    def _restored(self, path: Path) -> Start:
        with closing(opened(path)) as snapshot:
            header = snapshot.header
            if header.pepper != self.nothing.pepper:
                self.pepper = header.pepper
                raise Broken(f"it is of pepper {header.pepper}, and {self.nothing.pepper} is in force")
            for name, theirs, ours in (("engine", header.engine, ENGINE), ("layout", header.layout, LAYOUT)):
                if theirs != ours:
                    raise Broken(f"it is of {name} {theirs} (version {header.version}), this is {ours}")
            place = Place(header.segment, header.offset, header.rows, bytes.fromhex(header.head))
            tail = Tail(self.folder, place)
            linking, served = _Linking(self.settings), Served(self.settings.served_memory)
            kept = Kept(MemoryAccounts(memory=0), MemoryLimits(), linking.campaigns, served)
            for piece in snapshot.pieces():
                kept.take(piece)
            kept.finish()
            linking.until = kept.until
        return self._folded(tail, linking, header, kept)

    def _folded(self, tail: Tail, linking: _Linking, header: Header | None = None, kept: Kept | None = None) -> Start:
        """The state behind the last row."""
        unread: list[str] = []
        replay = Replay(
            None, lambda row: self._policy(row, unread), self._fresh, otherwise=self.policy, ended=linking.ended
        )
        seq = header.seq if header is not None else 0
        limits = kept is None or kept.limits is not None
        if kept is not None:
            replay.take_up(seq, kept.limits or MemoryLimits(), kept.accounts, kept.open, kept.adopted)
        linking.fold = replay
        served = kept.served if kept is not None else Served(self.settings.served_memory)
        folded, pepper, known, whole = 0, "" if kept is not None else self.pepper, kept is None, kept is not None
        latest = header.now if header is not None else 0
        for link in tail:
            if link.kind not in ("row", "erased"):
                continue
            row = decode_sealed(link.body)
            known = known or isinstance(row, Opened) or row.seq + (row.lost - 1 if isinstance(row, Gap) else 0) > seq
            if not known:
                continue
            folded += 1
            latest = max(latest, row.now)
            if isinstance(row, Opened | Resumed):
                pepper = row.pepper
            if isinstance(row, Opened):
                limits = whole = True
                linking.begin()
                served = Served(self.settings.served_memory)
            replay.step(row)
        if pepper and pepper != self.nothing.pepper:
            raise _Foreign(f"it is of pepper {pepper}, and {self.nothing.pepper} is in force")
        if not folded and kept is None:
            raise Broken("there are no rows in it")
        if latest > self.nothing.now + FUTURE:
            raise Broken(f"its last row is {(latest - self.nothing.now) // 1_000_000} s ahead of the clock")
        row = Resumed(
            replay.seq + 1,
            max(latest, self.nothing.now),
            self.nothing.version,
            self.nothing.instance,
            self.nothing.pepper,
            self.nothing.accounts,
            self.nothing.probation,
            self.nothing.memory,
            self.nothing.cells,
            snapshot=seq,
            folded=folded,
            limits=limits,
            partial=not whole,
        )
        found = replay.tally
        unsettled = replay.open
        replay.step(row)
        accounts, cells = replay.steps.accounts, replay.steps.limits
        assert isinstance(accounts, MemoryAccounts)
        assert isinstance(cells, MemoryLimits)
        said = {
            "open": unsettled,
            "linking_errors": linking.errors,
            "differences": found.differences,
            "gaps": found.gaps,
            "damage": tail.damage,
            "segments_left_out": tail.left_out,
            "policies_unread": unread,
        }
        linking.accounts, linking.fold, linking.until = accounts, None, {}
        log.info(
            "restored",
            accounts=len(accounts),
            campaigns=len(linking.campaigns.live) if linking.campaigns is not None else 0,
            cells=cells.cells,
            snapshot=seq,
            rows=folded,
            seconds=round(perf_counter() - self.began, 2),
            **{name: value for name, value in said.items() if value},
        )
        return Start(accounts, cells, served, linking.campaigns, row)

    def _fresh(self, row: Opened) -> tuple[MemoryLimits, MemoryAccounts]:
        return _stores(row if row.seq else self.nothing)

    def _policy(self, row: Adopted, unread: list[str]) -> Policy:
        """A policy of the past. Where this version can't read it, the one in force stands in."""
        try:
            return adopted(row)
        except Mistake:
            unread.append(row.digest)
            return self.policy


def _stores(row: Opened) -> tuple[MemoryLimits, MemoryAccounts]:
    return MemoryLimits(row.cells), MemoryAccounts(row.accounts, row.probation, memory=row.memory)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the collector: what is made here stays, and to walk it ever again would take longer than to make it."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
