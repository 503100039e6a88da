"""Shell. One worker: the gateway of `gauger serve`, on sockets that its supervisor listens on.

Standard input is the channel to the supervisor. Where that one is gone, the worker lets its requests end, and ends.
"""

import asyncio
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import httpx
import uvloop

from gateway.edge.ops import operator_app
from gateway.edge.server import LAST_WORDS, run
from gateway.errors import Mistake
from gateway.serving import Gateway, opened, tune, warn_of_open_relay
from gateway.settings import Settings
from gateway.telemetry import events
from gateway.workers.channel import Answer, Ask, Brief, Last, Message, Up, Wrong, frame, read, read_brief
from gateway.workers.sharing import Acceptor, Board

__all__ = ["main"]

AT_ONCE = 16  # questions that are answered at once
MERCY = 30.0  # s beyond its drain that a worker without a supervisor may take: it writes a last snapshot
Protocol = Callable[[], asyncio.Protocol]
WORDS = 5.0  # s that the last message may take

log = events.get("workers")


def main() -> int:
    """The worker's exit code: 0 drained, 2 it can't start."""
    try:
        channel = socket.socket(fileno=os.dup(0))
    except OSError:
        raise SystemExit("gauger: a worker is started by `gauger serve --workers N`") from None
    with open(os.devnull) as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    with channel:
        brief = read_brief(channel)
        if brief is None:
            return 0
        sockets = [_inherited(number) for number in (*brief.shared, *brief.own)]
        try:
            uvloop.run(_work(brief, channel, sockets))
        except Mistake as error:
            with suppress(OSError):
                channel.setblocking(True)
                channel.sendall(frame(Wrong(error.message, error.place, error.hint)))
            return 2
    return 0


async def _work(brief: Brief, channel: socket.socket, sockets: list[socket.socket]) -> None:
    settings = Settings(**brief.settings)
    board, number = Board(brief.board, settings.workers), brief.worker
    os.close(brief.board)
    shared = sockets[: len(brief.shared)]

    def accept(
        sock: socket.socket, protocol: Protocol, tls: ssl.SSLContext | None, open_: Callable[[], int]
    ) -> Acceptor:
        if sock in shared:
            return Acceptor(sock, protocol, tls, open_, partial(board.ahead, number), partial(board.away, number))
        return Acceptor(sock, protocol, tls, open_, lambda _: False)

    async with opened(settings, brief.upstream, sockets) as gateway:
        gateway.data.accept = accept
        gateway.on_signals()
        reader, writer = await asyncio.open_unix_connection(sock=channel.dup())
        _outlive(channel, settings.drain_delay + settings.drain_timeout + LAST_WORDS + MERCY)
        serving = asyncio.create_task(_answer(gateway, reader, writer))
        policy = gateway.core.policy

        def started() -> None:
            tune()
            if brief.worker == 0:
                warn_of_open_relay(settings, policy)
            _say(writer, Up(policy.id, policy.digest, policy.mode))

        try:
            await run([gateway.data], gateway.stop, started=started, settings=settings)
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(WORDS):
                    _say(writer, Last(gateway.core.metrics.render()))
                    await writer.drain()
        finally:
            serving.cancel()
            writer.close()


async def _answer(gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the supervisor's questions until it is gone, and then ends the worker."""
    operator = httpx.ASGITransport(app=operator_app(gateway.core, gateway.reloader))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(ask: Ask) -> None:
        try:
            answer = await client.request(ask.method, ask.path, content=ask.body)
            _say(writer, Answer(ask.id, answer.status_code, answer.content))
        except Exception:
            log.exception("a question of the supervisor was not answered")
            _say(writer, Answer(ask.id, 500, b'{"error": "it failed, and its log says why"}'))
        finally:
            room.release()

    async with httpx.AsyncClient(transport=operator, base_url="http://worker") as client, asyncio.TaskGroup() as group:
        while (message := await read(reader)) is not None:
            if isinstance(message, Ask):
                await room.acquire()
                group.create_task(one(message))
        log.warning("the supervisor is gone")
        gateway.end()


def _say(writer: asyncio.StreamWriter, message: Message) -> None:
    """Says nothing where the supervisor is gone: uvloop's transports raise then, where asyncio's are silent."""
    if not writer.is_closing():
        writer.write(frame(message))


def _outlive(channel: socket.socket, seconds: float) -> None:
    """Has the process end at the latest so long after its supervisor, even if its event loop does not turn."""

    def wait() -> None:
        poll = select.poll()
        poll.register(number, getattr(select, "POLLRDHUP", 0))  # its end, and nothing that it says
        poll.poll()
        time.sleep(seconds)
        os._exit(1)

    number = os.dup(channel.fileno())
    threading.Thread(target=wait, name="gauger-supervisor", daemon=True).start()


def _inherited(number: int) -> socket.socket:
    """A listening socket of the supervisor's, one that says it is TCP's (see `edge/server.py`)."""
    os.set_inheritable(number, False)
    with socket.socket(fileno=os.dup(number)) as found:
        family = found.family
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=number)


if __name__ == "__main__":
    sys.exit(main())
