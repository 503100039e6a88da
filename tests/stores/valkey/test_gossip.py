"""Workers that exchange what they know of accounts by way of a real server: what they hear, and what they survive."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.campaigns.tables import Campaigns
from gateway.stores.valkey.client import Client, connect
from gateway.stores.valkey.gossip import BATCH, Gossip, worker_of
from tests.campaigns.worlds import DAY, HOUR, WEEK, World, names
from tests.stores.valkey.servers import Server

PEPPER = "0a1b2c3d"


class Log:
    """What was said, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, event: str, /, *args: Any, **fields: Any) -> None:
        self.said.append(event)

    warning = error = exception = info


class Worker(World):
    """A process: a world of its own, and what exchanges its facts."""

    def __init__(self, client: Client, pepper: str = PEPPER, **more: Any) -> None:
        super().__init__()
        self.log = Log()
        self.exchange = Gossip(self.tables, client, pepper, clock=lambda: self.now, log=self.log, **more)

    def accounts(self) -> list[str]:
        return sorted(record.account for record in self.tables.records())


async def with_workers(server: Server, count: int, what: Callable[..., Awaitable[None]], **more: Any) -> None:
    """`what` with so many workers, each with a client of its own that waits long: nothing here is about time."""
    clients = [connect(server.uri, timeout=5.0) for _ in range(count)]
    try:
        await what(*[Worker(client, **more) for client in clients])
    finally:
        for client in clients:
            await client.aclose()


def test_workers_hear_each_other(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        one.ask("a", "frame", 5)
        other.ask("b", "frame", 3)
        for worker in (one, other, one):
            assert await worker.exchange.once()
        assert one.accounts() == other.accounts() == ["a", "b"]
        one.ask("a", "frame", 50)
        other.ask("a", "frame", 7)  # no routing: several see one account
        for worker in (one, other, one):
            assert await worker.exchange.once()
        for worker in (one, other):
            (record,) = [each for each in worker.tables.records() if each.account == "a"]
            assert record.requests == 62
        assert (one.tables.unreadable, one.tables.heard, one.tables.told) == (0, 2, 2)
        assert one.exchange.lag < 60

    asyncio.run(with_workers(server, 2, what))


def test_a_campaign_that_is_dealt_to_four_workers_is_found_on_each(server: Server) -> None:
    async def what(*workers: Worker) -> None:
        for at, worker in enumerate(workers):
            worker.crowd(10, name=f"old-{at}")
            worker.now = max(each.now for each in workers)
        for at, head in enumerate(names(12)):
            workers[at % 4].join(head, age=0)
            workers[at % 4].ask(head, "hydra", 4, params="rare", client="rare")
        for _ in range(2):
            for worker in workers:
                worker.now = max(each.now for each in workers)
                await worker.exchange.once()
                worker.settle()
        assert {worker.tables.live[0].members for worker in workers} == {12}
        assert len({worker.tables.live[0].id for worker in workers}) == 1
        assert [worker.members() for worker in workers] == [[names(12)]] * 4

    asyncio.run(with_workers(server, 4, what))


def test_more_than_a_call_holds_comes_in_rounds_and_once(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        for at in range(3 * BATCH + 5):
            one.ask(f"a{at}", "frame", 2)
        await one.exchange.once()
        await other.exchange.once()
        assert len(other.tables) == len(one.tables)
        assert other.tables.heard == 3 * BATCH + 5
        await other.exchange.once()
        assert other.tables.heard == 3 * BATCH + 5  # a record is read once
        await one.exchange.once()
        assert one.tables.heard == 0  # and never by who told it

    asyncio.run(with_workers(server, 2, what))


def test_a_worker_that_starts_hears_of_everybody_and_of_who_is_gone(server: Server) -> None:
    async def what(one: Worker, late: Worker) -> None:
        one.crowd(30)
        one.hydra(12)
        await one.exchange.once()
        late.now = one.now
        await late.exchange.once()
        assert late.accounts() == one.accounts()
        assert late.settle()[0].members == 12

    asyncio.run(with_workers(server, 2, what))


def test_a_server_that_comes_back_empty_is_told_everything_anew(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        for at in range(10):
            one.ask(f"a{at}", "frame", 3)
            other.ask(f"b{at}", "frame", 3)
        for worker in (one, other, one):
            await worker.exchange.once()
        server.kill()
        server.start()
        for worker in (one, other):
            while not await worker.exchange.once():
                await asyncio.sleep(0.01)
        assert len(server.ask("HKEYS", f"gauger:{{habits:{PEPPER}}}:records")) == 20
        assert one.log.said[-1] == "campaign facts are exchanged again"
        assert "the store has lost the campaign facts: all are told anew" in one.log.said
        late = Worker(one.exchange._client)  # type: ignore[arg-type]
        await late.exchange.once()
        assert len(late.tables) == 20

    asyncio.run(with_workers(server, 2, what))


def test_a_server_that_goes_back_in_time_is_told_everything_anew(server: Server) -> None:
    """Restored from an older copy: it has the same epoch, and a smaller number than was read."""

    async def what(one: Worker, other: Worker) -> None:
        one.ask("a", "frame", 3)
        await one.exchange.once()
        before = server.ask("HGETALL", f"gauger:{{habits:{PEPPER}}}:meta")
        one.ask("b", "frame", 3)
        await one.exchange.once()
        await other.exchange.once()
        assert other.accounts() == ["a", "b"]
        epoch, seq = before[b"epoch"], before[b"seq"]
        server.ask("FLUSHALL")
        server.ask("HSET", f"gauger:{{habits:{PEPPER}}}:meta", "epoch", epoch, "seq", seq)
        await one.exchange.once()
        assert len(server.ask("HKEYS", f"gauger:{{habits:{PEPPER}}}:records")) == 2

    asyncio.run(with_workers(server, 2, what))


def test_while_the_server_is_away_all_is_kept_and_said_once(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        one.ask("a", "frame", 3)
        server.kill()
        for _ in range(3):
            assert not await one.exchange.once()
        one.ask("b", "frame", 3)
        assert (one.exchange.errors, one.exchange.down) == (3, True)
        assert one.log.said == ["campaign facts are not exchanged"]
        assert one.tables.untold == 2
        server.start()
        while not await one.exchange.once():
            await asyncio.sleep(0.01)
        assert one.log.said[1:] == ["campaign facts are exchanged again"]
        await other.exchange.once()
        assert other.accounts() == ["a", "b"]

    asyncio.run(with_workers(server, 2, what))


def test_what_a_hanging_server_did_not_take_is_told_again(server: Server) -> None:
    async def what() -> None:
        client = connect(server.uri, timeout=0.1)
        one = Worker(client)
        one.ask("a", "frame", 3)
        server.freeze()
        assert not await one.exchange.once()
        server.thaw()
        assert one.tables.untold == 1
        while not await one.exchange.once():
            await asyncio.sleep(0.01)
        assert len(server.ask("HKEYS", f"gauger:{{habits:{PEPPER}}}:records")) == 1
        await client.aclose()

    asyncio.run(what())


def test_records_of_other_peppers_are_other_keys(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        stranger = Worker(other.exchange._client, "ffffffff")  # type: ignore[arg-type]
        one.ask("a", "frame", 3)
        stranger.ask("b", "frame", 3)
        for worker in (one, stranger, other):
            await worker.exchange.once()
        assert (other.accounts(), stranger.accounts()) == (["a"], ["b"])

    asyncio.run(with_workers(server, 2, what))


def test_the_store_holds_a_bounded_number_of_records_the_last_ones_told(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        for at in range(50):
            one.ask(f"a{at:02}", "frame", 2)
        await one.exchange.once()
        await other.exchange.once()
        assert other.accounts() == [f"a{at}" for at in range(30, 50)]
        for name in ("records", "index"):
            size = "HLEN" if name == "records" else "ZCARD"
            assert server.ask(size, f"gauger:{{habits:{PEPPER}}}:{name}") == 20
        assert server.ask("TTL", f"gauger:{{habits:{PEPPER}}}:records") > WEEK // 1_000_000

    asyncio.run(with_workers(server, 2, what, most=20))


def test_what_nobody_told_again_for_a_week_leaves_the_store(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        for at in range(5):
            one.ask(f"a{at}", "frame", 2)
        await one.exchange.once()
        other.now = one.now + WEEK + HOUR
        other.ask("b", "frame", 2)
        await other.exchange.once()
        assert len(server.ask("HKEYS", f"gauger:{{habits:{PEPPER}}}:records")) == 1
        one.now += 4 * DAY  # who lives tells again that all of it is still there
        await one.exchange.once()
        assert len(server.ask("HKEYS", f"gauger:{{habits:{PEPPER}}}:records")) == 6

    asyncio.run(with_workers(server, 2, what))


@pytest.mark.parametrize("bad", ["", "\1", "x" * 5000, "\2" + "y" * 40])
def test_a_record_that_is_none_stops_nobody(server: Server, bad: str) -> None:
    async def what(one: Worker, other: Worker) -> None:
        one.ask("a", "frame", 2)
        await one.exchange.once()
        server.ask("HSET", f"gauger:{{habits:{PEPPER}}}:records", "no worker", bad)
        server.ask("ZADD", f"gauger:{{habits:{PEPPER}}}:index", "0.5", "no worker")
        await other.exchange.once()
        assert other.accounts() == ["a"]
        assert other.tables.unreadable + other.tables.of_other_versions == 1

    asyncio.run(with_workers(server, 2, what))


def test_it_runs_beside_requests_and_ends_when_it_is_told_to(server: Server) -> None:
    async def what(one: Worker, other: Worker) -> None:
        tasks = [asyncio.create_task(worker.exchange.run()) for worker in (one, other)]
        one.ask("a", "frame", 3)
        while not len(other.tables):
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends)

    asyncio.run(with_workers(server, 2, what, every=0.02))


def test_a_defect_of_ours_is_said_once_and_passes(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    async def what(one: Worker) -> None:
        def broken(*_: Any) -> bool:
            raise RuntimeError("a defect")

        other = Worker(one.exchange._client)  # type: ignore[arg-type]
        other.ask("a", "frame", 3)
        await other.exchange.once()
        monkeypatch.setattr(Campaigns, "changed", broken)
        task = asyncio.create_task(one.exchange.run())
        while one.exchange.errors < 3:
            await asyncio.sleep(0.01)
        assert one.log.said == ["campaign facts are not exchanged"]
        monkeypatch.undo()
        while one.exchange.down:
            await asyncio.sleep(0.01)
        assert one.accounts() == ["a"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(with_workers(server, 1, what, every=0.02))


def test_who_goes_on_with_its_accounts_goes_on_with_what_it_had_told(server: Server) -> None:
    """Under the same name; what came before it had read all is added, and nothing counts twice on any worker."""

    async def what(other: Worker) -> None:
        client = other.exchange._client
        first = Worker(client, worker="slot1")  # type: ignore[arg-type]
        await first.exchange.once()
        first.crowd(2 * BATCH)
        for _ in range(3):
            first.ask("a", "frame", 5)
        other.ask("a", "frame", 4)
        other.now = first.now
        for worker in (first, other, first):
            await worker.exchange.once()
        again = Worker(client, worker="slot1")  # type: ignore[arg-type]
        again.now = first.now
        again.ask("a", "frame", 2)
        for worker in (again, other, again):
            worker.now = again.now
            await worker.exchange.once()
        for worker in (again, other):
            assert len(worker.tables) == 2 * BATCH + 1
            (record,) = [each for each in worker.tables.records() if each.account == "a"]
            assert record.requests == 15 + 4 + 2
        assert again.tables.foreign == 0
        assert other.tables.foreign == 2 * BATCH
        assert len(server.ask("HKEYS", f"gauger:{{habits:{PEPPER}}}:records")) == 2 * BATCH + 2
        again.now += 4 * DAY
        assert await again.exchange.once()
        assert again.tables.told > 2 * BATCH  # it is still there, and so it says

    asyncio.run(with_workers(server, 1, what))


def test_who_goes_on_in_an_empty_store_tells_what_comes(server: Server) -> None:
    async def what(other: Worker) -> None:
        one = Worker(other.exchange._client, worker="slot1")  # type: ignore[arg-type]
        one.ask("a", "frame", 3)
        await one.exchange.once()
        await other.exchange.once()
        assert other.accounts() == ["a"]

    asyncio.run(with_workers(server, 1, what))


def test_a_name_is_kept_and_one_that_is_none_is_made_anew(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    assert (tmp_path / ".worker").stat().st_mode & 0o777 == 0o600
    assert made.isalnum()
    assert worker_of(tmp_path) == made
    (tmp_path / ".worker").write_bytes(b"\xff:\n")
    other = worker_of(tmp_path)
    assert other != made
    assert worker_of(tmp_path) == other
    with pytest.raises(FileNotFoundError):
        worker_of(tmp_path / "none")
