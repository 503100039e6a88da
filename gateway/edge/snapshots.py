"""Shell. Has what is remembered written beside the ledger now and then, and once more at the end, for the next start.

The state is taken between two requests, as it is behind one row; that is all that the event loop waits for. A thread
makes it bytes and writes it, and gives way after each piece.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from gateway.campaigns.keeping import Copy, copies, copy, forget, take
from gateway.campaigns.tables import Campaigns
from gateway.ledger.record import ENGINE, Adopted, Ruled
from gateway.stores.forgetting import asked, done
from gateway.stores.kept import LAYOUT, account_pieces, campaign_pieces, limit_pieces, row_pieces, served_pieces
from gateway.stores.memory import MemoryLimits
from gateway.stores.segments import upkeep
from gateway.stores.snapshot import Header, publish, write
from gateway.telemetry import events

if TYPE_CHECKING:
    from gateway.edge.core import Core

__all__ = ["Snapshots"]

log = events.get("snapshots")
PATIENCE = 5.0  # s for the ledger to write the rows before it
LOOK = 5.0  # s between two looks at who was erased, and whether rows were lost
RECORDS = 128  # records of campaigns that are copied between two turns of the loop, some 0.3 ms
REST = 0.001  # s that a thread gives others after each piece


class Outdated(Exception):
    """An account is in it that was erased meanwhile."""


class Snapshots:
    """Of one process, whose ledger is in `folder`."""

    def __init__(self, core: "Core", folder: Path, interval: float) -> None:
        self._core = core
        self.folder = folder
        self._interval = interval
        self._seq = 0  # of the last snapshot; what a start has folded is worth one in any case
        self._failing = False
        self._lost = 0  # rows of the ledger, when it was last looked
        self._rest = REST
        self._writing = threading.Lock()
        self.taken = self.failed = 0
        self.stopped = 0.0  # s: the longest that the event loop waited for one

    async def run(self) -> None:
        """Takes one every `interval` seconds in which rows came, and after rows were lost, until cancelled."""
        ledger, due = self._core.ledger, monotonic() + self._interval
        while True:
            await asyncio.sleep(min(LOOK, max(0.0, due - monotonic())) if self._interval else LOOK)
            self.forget()
            lost = ledger.dropped if ledger is not None else 0
            if monotonic() >= due or lost > self._lost:
                due, self._lost = monotonic() + self._interval, lost
                await self.take()

    def forget(self) -> None:
        """Forgets the accounts that were erased from the ledger."""
        core = self._core
        try:
            files = asked(self.folder)
            for account in files.values():
                core.accounts.forget(account)
                core.limits.forget(account)
                if core.campaigns is not None:
                    forget(core.campaigns, account)
            done(files)
        except Exception:  # a defect of ours: what runs beside the requests goes on, and asks again
            log.exception("erased accounts could not be forgotten", folder=str(self.folder))

    async def last(self) -> None:
        """Takes the one that the next start goes on from. Nobody needs to be given way to any more."""
        self._rest = 0.0
        await self.take()

    async def take(self) -> Path | None:
        """Takes one, if rows came since the last; None where none was needed, or could be written."""
        seq = self._core.journal.seq
        if not self._interval or seq == self._seq:
            return None
        self.forget()
        try:
            path = await self._take()
        except Outdated:
            return await self.take()
        except Exception:
            self.failed += 1
            if not self._failing:
                self._failing = True
                log.exception("no snapshot could be taken", folder=str(self.folder))
            return None
        if self._failing:
            self._failing = False
            log.warning("snapshots are taken again", folder=str(self.folder))
        self._seq = seq
        return path

    async def _take(self) -> Path:
        core, campaigns = self._core, self._core.campaigns
        assert core.ledger is not None
        if campaigns is None:
            return await self._written(None)
        while campaigns.walking:  # what is being gone through is halfway between two states
            campaigns.go_on()
            await asyncio.sleep(0)
        campaigns.still = True
        try:
            return await self._written(campaigns)
        finally:
            campaigns.still = False

    async def _written(self, campaigns: Campaigns | None) -> Path:
        core, began = self._core, perf_counter()
        assert core.ledger is not None
        accounts = core.accounts.held()
        limits = core.limits.held() if isinstance(core.limits, MemoryLimits) else None
        cells = core.limits.cells if limits is not None else 0
        linked = take(campaigns) if campaigns is not None else None
        rows: list[Ruled | Adopted] = [*core.journal.adopted, *core.journal.open.values()]
        seq, now = core.journal.seq, core.clock.now()
        place_of = core.ledger.place()
        stopped = perf_counter() - began
        records: list[Copy] = []
        if linked is not None:
            for some in copies(linked, RECORDS):
                records += [copy(record, core.journal.seq, habitual=habitual) for record, habitual in some]
                await asyncio.sleep(0)
            if campaigns is not None:
                campaigns.still = False
        served = []
        for part in core.served.parts():
            served.append(part)
            await asyncio.sleep(0)
        clock = core.served.clock
        async with asyncio.timeout(PATIENCE):
            place = await asyncio.wrap_future(place_of)
        header = Header(
            seq,
            now,
            core.service.version,
            ENGINE,
            LAYOUT,
            core.pepper.id,
            place.segment,
            place.offset,
            place.rows,
            place.head.hex(),
            core.policy.digest,
            sum(len(names) for names, _ in accounts.tables),
            cells,
            len(core.journal.open),
        )

        pieces = chain(
            row_pieces(rows),
            account_pieces(accounts),
            limit_pieces(limits) if limits is not None else (),
            campaign_pieces(linked.tables, records) if linked is not None else (),
            served_pieces(clock, served),
        )
        path = await asyncio.to_thread(self._write, header, pieces)
        self.taken += 1
        self.stopped = max(self.stopped, stopped)
        log.debug(
            "snapshot",
            file=path.name,
            seq=seq,
            accounts=header.accounts,
            bytes=path.stat().st_size,
            stopped_ms=round(stopped * 1e3, 1),
            seconds=round(perf_counter() - began, 2),
        )
        return path

    def _write(self, header: Header, pieces: Iterable[bytes]) -> Path:
        with self._writing:  # one that was given up at the end of the process may still be at it
            draft = write(self.folder, header, self._slowly(pieces))
            with upkeep(self.folder, wait=True):
                if asked(self.folder):  # somebody was erased meanwhile, who is in it
                    draft.unlink(missing_ok=True)
                    raise Outdated
                return publish(draft, header)

    def _slowly(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            if self._rest:
                time.sleep(self._rest)
