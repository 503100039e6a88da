"""Shell. What workers tell each other of accounts, by way of the store: each its own records, each all the others'.

Three keys with one hash tag, `gauger:{habits:<pepper's id>}:`, since fingerprints of another pepper say nothing here:

    meta      a hash: `epoch`, made where there is none, and `seq`, which counts what was ever told
    records   a hash: worker ":" account -> the last record that it told of it (`campaigns/form.py`)
    index     a sorted set of the same names, by the `seq` of that

A reader's place is a number, and it misses nothing: what is told again moves behind it. A store that has lost its
memory has another epoch, or a smaller number; then everything is told anew, and read from the start. One call tells and
reads, at most `BATCH` records each way; rounds follow at once while there is more, at most `ROUNDS` of them. The store
keeps `most` records, and none that wasn't told anew for a week: a worker that is gone is remembered so long, and one
that starts hears of all that the others had seen.

A worker's name stands for one set of accounts. One that starts with what a former process remembered of accounts
(`restore.py`) goes on under its name: before it tells anything, it reads what that one had told, and takes it for what
it has seen itself. One that starts with nothing has a new name, and hears of its predecessor as of any other. Else
requests would count twice, or be lost. `worker_of` keeps the name beside the ledger that accounts are restored from.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from gateway.campaigns.tables import Campaigns
from gateway.errors import StoreDown
from gateway.signals import DAY, WEEK
from gateway.stores.segment_writer import SILENCE, Log
from gateway.stores.valkey.client import Script

__all__ = ["EVERY", "MOST", "Gossip", "worker_of"]

EVERY = 2.0  # s
BATCH = 128  # records a call, each way
PUSHED = 131_072  # bytes of records that a call brings, about
ROUNDS = 8
PAUSE = 0.02  # s between two of them
SLICE = 2  # records that are packed between two turns of the loop, some 0.1 ms; one of those heard takes as long
MOST = 100_000  # records in the store: some 450 bytes each, of a campaign's members 1 KB

EXCHANGE = Script("""
local meta, records, index = KEYS[1], KEYS[2], KEYS[3]
local cursor, limit, most, oldest, own = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('HSET', meta, 'epoch', epoch)
end
local seq = tonumber(redis.call('HGET', meta, 'seq') or '0')
if #ARGV > 7 then
  for at = 8, #ARGV, 2 do
    seq = seq + 1
    redis.call('HSET', records, ARGV[at], ARGV[at + 1])
    redis.call('ZADD', index, seq, ARGV[at])
  end
  redis.call('HSET', meta, 'seq', string.format('%.0f', seq))
  local gone = redis.call('ZCARD', index) - most
  if gone > 0 then
    gone = redis.call('ZRANGE', index, 0, math.min(gone, 1000) - 1)
  else
    gone = {}
    for _, name in ipairs(redis.call('ZRANGE', index, 0, 7)) do
      local record, told = redis.call('HGET', records, name) or '', 0
      for at = 2, 9 do told = told * 256 + (string.byte(record, at) or 0) end
      if told < oldest then gone[#gone + 1] = name end
    end
  end
  if #gone > 0 then
    redis.call('ZREM', index, unpack(gone))
    redis.call('HDEL', records, unpack(gone))
  end
  for at = 1, 3 do redis.call('EXPIRE', KEYS[at], tonumber(ARGV[7])) end
end
local found = redis.call('ZRANGEBYSCORE', index, '(' .. cursor, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local heard = {}
for at = 1, #found, 2 do
  local name = found[at]
  cursor = found[at + 1]
  if #own == 0 or string.sub(name, 1, #own) ~= own then
    local record = redis.call('HGET', records, name)
    if record then
      heard[#heard + 1] = name
      heard[#heard + 1] = record
    end
  end
end
return {epoch, string.format('%.0f', seq), cursor, #found == 2 * limit and 1 or 0, heard}
""")
"""Keys: meta, records, index. Arguments: an epoch if there is none, the cursor, records to read and to keep, since when
(µs), prefix of names that are passed over, seconds that all is kept; then names and records. All is in one slot."""


class Runs(Protocol):
    """A client of the store (`client.py`)."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any: ...


class Gossip:
    """Has the tables of this process and those of others agree. `clock` gives the time in µs."""

    def __init__(
        self,
        campaigns: Campaigns,
        client: Runs,
        pepper: str,
        *,
        clock: Callable[[], int],
        every: float = EVERY,
        most: int = MOST,
        worker: str = "",
        log: Log = SILENCE,
    ) -> None:
        """`pepper` is its id. `worker`: the name of the process whose accounts these are; "" = there was none."""
        self._campaigns = campaigns
        self._client = client
        self._clock = clock
        self._every = every
        self._most = most
        self._log = log
        self._keys = [f"gauger:{{habits:{pepper}}}:{name}" for name in ("meta", "records", "index")]
        self._epoch = b""
        self._cursor = 0
        self._last = time.monotonic()
        self._adopts = bool(worker)  # what it had told has yet to be read
        self.worker = worker or secrets.token_hex(8)
        self.down = False
        self.errors = 0  # calls that failed
        campaigns.share()

    @property
    def lag(self) -> float:
        """Seconds since the last time that all went well."""
        return time.monotonic() - self._last

    async def run(self) -> None:
        """Exchanges until cancelled."""
        while True:
            await asyncio.sleep(self._every * random.uniform(0.75, 1.25))  # noqa: S311 - so that not all come at once
            await self.last()

    async def last(self) -> None:
        """Exchanges once more, whatever comes: at an end, so that the others know what this process knew."""
        try:
            await self.once()
        except Exception:  # noqa: BLE001 - a defect of ours: campaigns stay as they were heard of
            self.errors += 1
            if not self.down:
                self.down = True
                self._log.exception("campaign facts are not exchanged")

    async def once(self) -> bool:
        """Tells what has changed and hears what others have told, as far as `ROUNDS` go; whether the store answered."""
        for number in range(ROUNDS):
            if number:
                await asyncio.sleep(PAUSE)
            adopts = self._adopts
            told = [] if adopts else await self._changed()
            names = [name for pair in told for name in (f"{self.worker}:{pair[0]}", pair[1])]
            now = self._clock()
            args = [
                *(secrets.token_hex(8), self._cursor, BATCH, self._most, now - WEEK),
                *("" if adopts else f"{self.worker}:", (WEEK + DAY) // 1_000_000),
                *names,
            ]
            try:
                epoch, seq, cursor, more, heard = await self._client.run(EXCHANGE, self._keys, args)
            except StoreDown as down:
                self._campaigns.missed([account for account, _ in told])
                self._fail(down.kind)
                return False
            except BaseException:
                self._campaigns.missed([account for account, _ in told])
                raise
            if (self._epoch and epoch != self._epoch) or int(seq) < self._cursor:
                self._log.warning("the store has lost the campaign facts: all are told anew")
                self._cursor = 0
                self._campaigns.share()
                more = True
            else:
                self._cursor = int(cursor)
                await self._hear(heard, now)
            self._epoch = epoch
            self._adopts = adopts and bool(more)
            if not more and not adopts and len(told) < BATCH:
                break
        self._last = time.monotonic()
        if self.down:
            self.down = False
            self._log.warning("campaign facts are exchanged again")
        return True

    async def _changed(self) -> list[tuple[str, bytes]]:
        """What the others are to be told, in slices."""
        found: list[tuple[str, bytes]] = []
        size = 0
        while len(found) < BATCH and size < PUSHED:
            more = self._campaigns.changed(self._clock(), min(SLICE, BATCH - len(found)))
            if not more:
                break
            found += more
            size += sum([len(record) for _, record in more])
            await asyncio.sleep(0)
        return found

    async def _hear(self, heard: Sequence[bytes], now: int) -> None:
        """What the others have told, in slices."""
        for at in range(0, len(heard), 2):
            worker = heard[at].partition(b":")[0].decode("latin-1")
            if worker == self.worker:
                self._campaigns.adopt(heard[at + 1], now)
            else:
                self._campaigns.hear(heard[at + 1], worker, now)
            await asyncio.sleep(0)
            if at // 2 % SLICE == 0:
                self._campaigns.turn()
                await asyncio.sleep(0)

    def _fail(self, why: str) -> None:
        self.errors += 1
        if not self.down:
            self.down = True
            self._log.warning("campaign facts are not exchanged", why=why)


def worker_of(folder: Path) -> str:
    """The name that is kept in a folder which one process writes at a time; made where there is none.

    Raises OSError where it can be neither read nor written.
    """
    file = folder / ".worker"
    with suppress(FileNotFoundError):
        if (kept := file.read_text("ascii", "replace").strip()).isalnum():
            return kept
    made = secrets.token_hex(8)
    draft = folder / ".worker.part"
    draft.touch(0o600)
    draft.write_text(made)
    draft.replace(file)
    return made
