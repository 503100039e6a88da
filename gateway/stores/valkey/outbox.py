"""Shell. What the store has to be told and nobody waits for: sent at once, repeated until it has arrived, bounded.

Every script that goes through here does nothing the second time, so a message whose answer was lost is sent again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import random
from typing import NamedTuple

from gateway.errors import Down, StoreDown
from gateway.stores.saying import SILENCE, Log
from gateway.stores.valkey.client import Client, Script

__all__ = ["Outbox"]

WAITING = 50_000  # messages
UNDER_WAY = 1024  # sent and not answered; more wait
BATCH = 64  # of those that wait, in one go
PAUSE = 0.1, 5.0  # s between tries of a store that is away: the first, the longest
LASTING: frozenset[Down] = frozenset(
    {"timeout", "closed", "refused", "busy", "loading", "oom", "disk", "readonly", "noreplicas", "moved"}
)
"""Troubles that pass. Anything else, a wrong password or a defect, is no reason to try again."""


class Message(NamedTuple):
    script: Script
    keys: Sequence[str]
    args: Sequence[bytes]


class Outbox:
    """`put` never waits and never fails. `dropped` counts what was given up: for want of room, or refused for good."""

    def __init__(
        self,
        client: Client,
        log: Log = SILENCE,
        *,
        room: int = WAITING,
        pause: tuple[float, float] = PAUSE,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.dropped = 0
        self._client = client
        self._log = log
        self._room = room
        self._pause = pause
        self._jitter = jitter
        self._waiting: deque[Message] = deque()
        self._sending: set[asyncio.Task[Down | None]] = set()
        self._retrying: asyncio.Task[None] | None = None
        self._trying = 0
        self._full = self._refused = False  # said already

    def __len__(self) -> int:
        """Messages that have not arrived yet, as far as is known."""
        return len(self._waiting) + len(self._sending) + self._trying

    def put(self, script: Script, keys: Sequence[str], *args: bytes) -> None:
        message = Message(script, keys, args)
        if self._retrying is not None or len(self._sending) >= UNDER_WAY:
            self._wait(message)
            return
        task = asyncio.get_running_loop().create_task(self._send(message))
        self._sending.add(task)
        task.add_done_callback(partial(self._sent, message))

    async def aclose(self, seconds: float = 1.0) -> None:
        """Waits for what is under way and tries once more to send the rest, within a bound; what is left is dropped."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait((self._retrying,))
        try:
            async with asyncio.timeout(seconds):
                while self._sending:
                    await asyncio.wait(self._sending)
                while self._waiting and await self._batch(BATCH):
                    pass
        except TimeoutError:
            pass
        for task in self._sending:
            task.cancel()
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait((self._retrying,))
        if self._waiting:
            self.dropped += len(self._waiting)
            self._log.warning("the store was not told of the end of requests", requests=len(self._waiting))
            self._waiting.clear()

    def _wait(self, message: Message) -> None:
        if len(self._waiting) >= self._room:
            self._waiting.popleft()  # the oldest is the nearest to its deadline
            self.dropped += 1
            if not self._full:
                self._full = True
                self._log.warning("more wait for the store than there is room for", room=self._room)
        self._waiting.append(message)
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    def _sent(self, message: Message, task: asyncio.Task[Down | None]) -> None:
        """In one turn a message stops being under way and waits again, where it has to: it counts as one throughout."""
        self._sending.discard(task)
        if not task.cancelled():
            self._heed(message, task.result())

    async def _send(self, message: Message) -> Down | None:
        """Why it has not arrived, if it hasn't."""
        try:
            await self._client.run(*message)
        except StoreDown as down:
            if down.kind not in LASTING and not self._refused:
                self._refused = True
                self._log.error("the store refuses what it is told", error=str(down))
            return down.kind
        self._refused = False
        return None

    def _heed(self, message: Message, down: Down | None) -> None:
        if down in LASTING:
            self._wait(message)
        elif down is not None:
            self.dropped += 1

    async def _batch(self, size: int) -> bool:
        """Whether all of so many that waited have arrived."""
        messages = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        self._trying = len(messages)
        try:
            answers = await asyncio.gather(*(self._send(message) for message in messages))
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(messages))
            raise
        finally:
            self._trying = 0
        for message, down in zip(messages, answers, strict=True):
            self._heed(message, down)
        return not any(answers)

    async def _retry(self) -> None:
        """One message asks whether the store is back; then the others follow."""
        wait, longest = self._pause
        size = 1
        while self._waiting:
            if size == 1:
                await asyncio.sleep(wait * (0.5 + self._jitter()))
                wait = min(2 * wait, longest)
            size = BATCH if await self._batch(size) else 1
            if size > 1:
                wait = self._pause[0]
        self._full = False
        self._retrying = None
