"""Shell. Watches the policy and the accounts file; a good new version is swapped in, a bad one leaves the old in force.

Files are polled by content, not by modification time: a Kubernetes config map changes by a symbolic link's target.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from gateway.accounts import Directory
from gateway.edge.core import Core
from gateway.errors import Mistake
from gateway.files import plain
from gateway.policy.model import Policy
from gateway.telemetry import events

__all__ = ["Reloader"]

SETTLE = 0.05  # s that a changed file must stay as it is: half of a file may be a policy too, with half of its limits
REST = 20  # times as long as reading them took, refused rules are not read again unless they change or somebody asks
TRIES = 5  # at reading files that are being written
Rules = tuple[Policy, Directory]

log = events.get("reload")


class Reloader:
    """`look()` compares the files with what is in force; `run()` does so now and then until cancelled.

    Rules that were refused are read again now and then: what was wrong may be a file that is not watched yet. One
    reading goes on at a time, however many ask.
    """

    def __init__(self, core: Core, files: Callable[[], list[Path]], load: Callable[[], Rules]) -> None:
        self._core = core
        self._files = files
        self._load = load
        self._seen = self._digest()
        self._refused = ""  # what was said of the rules that are not in force
        self._asked = asyncio.Event()
        self._one = asyncio.Lock()
        self._rested = 0.0  # monotonic s from which refused rules may be read again

    def ask(self) -> None:
        """Has `run` read the files again now, changed or not."""
        self._asked.set()

    async def now(self) -> tuple[bool, list[str]]:
        """Reads the files again now, changed or not. True, or False and every finding in them: the old ones stay."""
        async with self._one:
            for _ in range(TRIES):
                digest = await asyncio.to_thread(self._digest)
                found = await asyncio.to_thread(self._read)
                if await asyncio.to_thread(self._digest) == digest:
                    return self._take(digest, found, force=True), self._refused.splitlines()
                await asyncio.sleep(SETTLE)
        return False, ["the files change while they are read"]

    def look(self, *, force: bool = False) -> bool:
        """Reads the files again if they changed. True = something new is in force now."""
        digest = self._digest()
        if digest == self._seen and not force and not self._refused:
            return False
        return self._take(digest, self._read(), force)

    async def run(self, interval: float) -> None:
        """Looks every `interval` seconds, 0 = only when asked. A long accounts file is read in a thread."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval or None):  # `wait_for` may take a cancellation for its time-out
                    await self._asked.wait()
            force = self._asked.is_set()
            self._asked.clear()
            async with self._one:
                await self._watch(force)

    async def _watch(self, force: bool) -> None:
        digest = await asyncio.to_thread(self._digest)
        if digest == self._seen and not force and (not self._refused or monotonic() < self._rested):
            return
        await asyncio.sleep(SETTLE)
        found = await asyncio.to_thread(self._read)
        if await asyncio.to_thread(self._digest) == digest:
            self._take(digest, found, force)
        elif force:
            self.ask()

    def _read(self) -> Rules | Exception:
        began = monotonic()
        try:
            return self._load()
        except Exception as error:  # noqa: BLE001 - whatever a file makes of us, the rules in force stay in force
            return error
        finally:
            self._rested = monotonic() + REST * (monotonic() - began)

    def _take(self, digest: str, found: Rules | Exception, force: bool) -> bool:
        core, before = self._core, self._core.policy.digest
        new, self._seen = digest != self._seen or force, digest
        if not isinstance(found, Exception):
            policy, directory = found
            try:
                core.adopt(policy, directory)
            except Mistake as error:
                found = error
        if isinstance(found, Exception):
            self._refuse(found, new)
            return False
        self._refused = ""
        core.metrics.policy_reload("loaded")
        log.info("reloaded", policy=policy.id, digest=policy.digest, before=before, accounts=len(directory))
        return True

    def _refuse(self, error: Exception, new: bool) -> None:
        """Says so once, and not at every look."""
        said = str(error) if isinstance(error, Mistake) else type(error).__name__
        new, self._refused = new or said != self._refused, said
        if not new:
            return
        what, place, hint = (error.message, error.place, error.hint) if isinstance(error, Mistake) else (said, "", "")
        self._core.metrics.policy_reload("refused")
        log.warning("reload refused", error=what, place=place, hint=hint, kept=self._core.policy.digest)

    def _digest(self) -> str:
        total = hashlib.sha256()
        for file in self._files():
            try:
                total.update(hashlib.sha256(plain(file)).digest())
            except OSError as error:
                total.update(type(error).__name__.encode())
        return total.hexdigest()
