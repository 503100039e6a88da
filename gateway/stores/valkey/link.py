"""Shell. One connection to a server, which carries the calls of everybody at once, each with a deadline.

Calls of one turn of the event loop leave in one write, and answers are read in order. A call whose deadline has passed
ends there and then; its connection takes no new calls from that moment, waits for what is still due on it, and closes:
a late answer belongs to the call that asked for it, and to nobody else.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # the library's own, not the builtin one
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)

from gateway.errors import Down, StoreDown

__all__ = ["Link", "Moved", "NoScript", "pack"]

WORDS: dict[str, Down] = {
    "NOREPLICAS": "noreplicas",
    "MISCONF": "disk",
    "MASTERDOWN": "loading",
    "CLUSTERDOWN": "moved",
    "TRYAGAIN": "moved",
    "CROSSSLOT": "error",
    "BUSY": "timeout",  # somebody else's script runs for too long
}
"""First words of error answers that valkey-py has no class for."""


class NoScript(Exception):
    """The server doesn't know the script: it hasn't run."""


class Moved(Exception):
    """The slot lives elsewhere: the call hasn't run. `once`: only this call is to go there (ASK)."""

    def __init__(self, slot: int, place: tuple[str, int], *, once: bool) -> None:
        super().__init__(f"slot {slot} is at {place[0]}:{place[1]}")
        self.slot = slot
        self.place = place
        self.once = once


def pack(*words: bytes) -> bytes:
    """One command as the wire has it."""
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


class Link:
    """A connection of the library's and the calls that are under way on it. It connects by itself.

    That may take `patience` seconds: longer than a call, else a server that is far away would never be reached. A call
    that is over by then is not sent. `usable` is False from the moment when something is wrong; `ended` is called once,
    when the link is closed.
    """

    def __init__(self, connection: AbstractConnection, patience: float, ended: Callable[["Link"], None]) -> None:
        self.usable = True
        self._patience = patience
        self._connected = False
        self._connection = connection
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._calls: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._out: list[bytes] = []
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when it rings; uvloop's handles don't all know
        self._reason = StoreDown("the connection was closed", "closed")
        self._stopping = False
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._finish)

    def __len__(self) -> int:
        """Calls that wait for an answer."""
        return len(self._calls)

    def call(self, packed: bytes, deadline: float) -> "asyncio.Future[Any]":
        """Sends a command; the future ends by `deadline` (of the loop's clock) at the latest.

        It raises StoreDown, NoScript or Moved.
        """
        answer: asyncio.Future[Any] = self._loop.create_future()
        if not self.usable:
            _fail(answer, StoreDown(str(self._reason), self._reason.kind))
            return answer
        self._calls.append((deadline, answer))
        self._out.append(packed)
        self._wake.set()
        if self._timer is None or deadline < self._due:
            self._arm(deadline)
        return answer

    def retire(self, reason: StoreDown) -> None:
        """Takes no more calls; closes when the last one has ended."""
        if self.usable:
            self.usable = False
            self._reason = reason
        if all(answer.done() for _, answer in self._calls):
            self._stop()

    async def aclose(self) -> None:
        self.retire(StoreDown("the store's client is closed", "closed"))
        self._stop()
        await asyncio.wait((self._task,))

    def _stop(self) -> None:
        if not self._stopping:  # twice would end the closing itself
            self._stopping = True
            self._task.cancel()

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        late, soonest = False, 0.0
        for deadline, answer in self._calls:
            if answer.done():
                continue
            if deadline <= now:
                late = True
                _fail(answer, StoreDown("no answer in time", "timeout"))
            elif not soonest or deadline < soonest:
                soonest = deadline
        if soonest:
            self._arm(soonest)
        if late and self._connected:
            self.retire(StoreDown("no answer in time", "timeout"))

    async def _run(self) -> None:
        writing = None
        try:
            await self._connect()
            writing = self._loop.create_task(self._write())
            await self._read()
        except asyncio.CancelledError:
            pass  # by `_stop` alone
        except (ValkeyError, OSError, StoreDown) as error:
            if self.usable:
                self._reason = down(error)
        finally:
            self.usable = False
            if writing is not None:
                writing.cancel()
                await asyncio.wait((writing,))
            await self._connection.disconnect(nowait=True)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
        for _, answer in self._calls:
            if not answer.done():
                _fail(answer, StoreDown(str(self._reason), self._reason.kind))
        self._calls.clear()
        self._ended(self)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise StoreDown("no connection in time", "timeout") from None
        except ConnectionError as error:
            if isinstance(error, AuthenticationError | BusyLoadingError):
                raise
            raise StoreDown(f"no connection: {error}", "refused") from error
        self._connected = True
        waiting = [(call, packed) for call, packed in zip(self._calls, self._out, strict=True) if not call[1].done()]
        self._calls.clear()
        self._calls.extend(call for call, _ in waiting)
        self._out = [packed for _, packed in waiting]

    async def _write(self) -> None:
        """Whatever was asked for since the last write goes out in one; a slow server stops it here."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            out, self._out = self._out, []
            try:
                await self._connection.send_packed_command(out, check_health=False)
            except (ValkeyError, OSError):
                return  # the reading side sees the same end, and tells

    async def _read(self) -> None:
        calls, read = self._calls, self._connection.read_response
        while True:
            try:
                answer = await read(disconnect_on_error=False)
            except ResponseError as error:
                if not calls:  # "max number of clients reached", and nobody has asked
                    raise
                wrong = meaning(error)
                _, waiting = calls.popleft()
                if not waiting.done():
                    _fail(waiting, wrong)
            else:
                if not calls:
                    raise InvalidResponse("an answer to nothing")
                _, waiting = calls.popleft()
                if not waiting.done():
                    waiting.set_result(answer)
            if not self.usable and all(each.done() for _, each in calls):
                return


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    answer.set_exception(error)
    answer.exception()  # who is cancelled in this very moment will not ask, and asyncio would complain


def meaning(error: ResponseError) -> Exception:
    """What an error answer says."""
    if isinstance(error, NoScriptError):
        return NoScript()
    text = str(error)
    word, _, rest = text.partition(" ")
    if word in ("MOVED", "ASK"):
        slot, _, place = rest.partition(" ")
        host, _, port = place.rpartition(":")
        return Moved(int(slot), (host, int(port)), once=word == "ASK")
    return down(error)


def down(error: Exception) -> StoreDown:
    """The library's errors in our words."""
    if isinstance(error, StoreDown):
        return error
    text = str(error)
    if isinstance(error, BusyLoadingError):
        return StoreDown(f"the server is loading its data: {text}", "loading")
    if isinstance(error, ReadOnlyError):
        return StoreDown("the server is a replica", "readonly")
    if isinstance(error, OutOfMemoryError):
        return StoreDown("the server has no memory left", "oom")
    if isinstance(error, AuthenticationError | NoPermissionError):
        return StoreDown(f"the server doesn't allow it: {text}", "error")
    if isinstance(error, InvalidResponse):
        return StoreDown("the server speaks another protocol", "error")
    if isinstance(error, ResponseError):
        return StoreDown(text, WORDS.get(text.partition(" ")[0], "error"))
    return StoreDown(f"the connection ended: {text}", "closed")
