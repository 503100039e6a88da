"""The chaos script in short: it runs, finds nothing wrong, and can tell what would be."""

import asyncio
from pathlib import Path

import orjson
import pytest

from gateway.ledger.record import Opened
from gateway.stores.segment_writer import SegmentWriter
from tests.chaos.__main__ import main, told
from tests.chaos.audit import audit
from tests.chaos.callers import Ask
from tests.chaos.host import Kill
from tests.chaos.records import Records
from tests.chaos.run import Plan, chaos
from tests.chaos.way import Way

SHORT = ("exact", "lost", "worker", "crash", "drain")


@pytest.mark.xdist_group("soak")
@pytest.mark.timeout(110)
async def test_what_breaks_is_told_and_nothing_is_given_twice(tmp_path: Path) -> None:
    report = await chaos(Plan(SHORT, clients=8, patient=False), tmp_path)
    assert report["wrong"] == []
    assert [each["scene"] for each in report["scenes"]] == list(SHORT)
    assert (report["lives"], report["kills"]) == (3, 2)
    assert report["answered"] > 500
    assert "nothing is wrong" in told(report)


async def test_a_way_passes_delays_swallows_and_refuses() -> None:
    done: list[bytes] = []

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            done.append(line)
            writer.write(line.upper())
        writer.close()

    async def ask(line: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
        try:
            writer.write(line)
            async with asyncio.timeout(0.5):
                return await reader.readline()
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        way = Way(server.sockets[0].getsockname()[1])
        await way.accept()
        assert await ask(b"one\n") == b"ONE\n"
        way.mode, way.late = "slow", 60.0
        with pytest.raises(TimeoutError):
            await ask(b"two\n")
        way.late = 0.01
        assert await ask(b"three\n") == b"THREE\n"
        way.mode = "swallow"
        with pytest.raises(TimeoutError):
            await ask(b"four\n")
        await way.refuse()
        with pytest.raises(ConnectionRefusedError):
            await ask(b"five\n")
        await way.accept()
        assert await ask(b"six\n") == b"SIX\n"
        await way.refuse()
    assert done == [b"one\n", b"two\n", b"three\n", b"four\n", b"six\n"]


def test_a_record_that_is_missing_or_there_twice_is_seen(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "ledger" / "worker-0", version="test")
    writer(Opened(1, 1, "test", "one", "p", accounts=100, memory=1 << 24, cells=1000))
    writer.close()
    lines = [("A", "chaos-1", 2), ("B", "chaos-2", 4), ("C", "chaos-2", 6), ("D", "chaos-9", 8)]
    made = [
        {
            "service": {"instance": "host:1/worker-0"},
            "request_id": id_,
            "client_request_id": name,
            "ts": "2026-11-26T10:00:00.000000Z",
            "store": "valkey",
            "http": {"status": 200, "upstream_status": 200},
            "end": "done",
            "t": {},
            "seq": {"ruled": seq, "settled": seq + 1},
        }
        for id_, name, seq in lines
    ]
    life = tmp_path / "life-0"
    life.mkdir()
    (life / "stdout").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in made) + b'{"half')
    records = Records()
    records.finish([life])
    asks = [Ask(f"chaos-{at}", "k", 1, began=at, ended=at + 0.5, status=200, whole=True) for at in range(1, 5)]
    wrong, taken = audit(tmp_path, asks, records, [Kill(4.9, 0, 0)])
    assert [each.split(":")[0].split(" of ")[0] for each in wrong] == [
        "1 requests have two lines, as chaos-2",
        "1 lines are",
        "an answered request has no line",
        *["the row `ruled`", "the row `settled`"] * 3,
        "{'lines'",  # one was taken by the kill, and its rows are not there
    ]
    assert taken["lines"] == 1


@pytest.mark.parametrize("arguments", [["--scene", "none"], ["--rounds", "0"], ["--workers", "1"], ["--timeout", "0"]])
def test_what_makes_no_sense_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
