"""Shell. Watches the policy and the accounts file; a good new version is swapped in, a bad one leaves the old in force.

Files are polled by content, not by modification time: a Kubernetes config map changes by a symbolic link's target.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from gateway.accounts import Directory
from gateway.edge.core import Core
from gateway.errors import Mistake
from gateway.policy.model import Policy
from gateway.telemetry import events

__all__ = ["Reloader"]

log = events.get("reload")


class Reloader:
    """`look()` compares the files with what is in force; `run()` does so every `interval` seconds until cancelled."""

    def __init__(
        self, core: Core, files: Callable[[], list[Path]], load: Callable[[], tuple[Policy, Directory]]
    ) -> None:
        self._core = core
        self._files = files
        self._load = load
        self._seen = self._digest()

    def look(self, *, force: bool = False) -> bool:
        """Reads the files again if they changed. True = something new is in force now."""
        digest = self._digest()
        if digest == self._seen and not force:
            return False
        self._seen = digest
        core = self._core
        try:
            policy, directory = self._load()
        except Mistake as error:
            core.metrics.policy_reload("refused")
            log.warning(
                "reload refused", error=error.message, place=error.place, hint=error.hint, kept=core.policy.digest
            )
            return False
        before = core.policy.digest
        core.adopt(policy, directory)
        core.metrics.policy_reload("loaded")
        log.info("reloaded", policy=policy.id, digest=policy.digest, before=before, accounts=len(directory))
        return True

    async def run(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            self.look()

    def _digest(self) -> str:
        total = hashlib.sha256()
        for file in self._files():
            try:
                total.update(hashlib.sha256(file.read_bytes()).digest())
            except OSError as error:
                total.update(type(error).__name__.encode())
        return total.hexdigest()
