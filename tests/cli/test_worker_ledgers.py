"""A folder with the ledgers of several workers is read as one: proven, erased from, replayed and searched."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import Result

from gateway.cli.searching import Searched
from gateway.cli.sources import expand
from gateway.errors import Mistake
from gateway.ledger.line import timestamp
from gateway.ledger.record import Opened, Row, Ruled, Settled
from gateway.stores.segments import ledgers, read_rows, segments
from tests.stores.ledgers import NOW, rows, write

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for worker in (0, 1, 10, 2):
        write(tmp_path / f"worker-{worker}", rows(12))
    (tmp_path / "worker-3").mkdir()  # has not written yet
    (tmp_path / "worker-x").mkdir()
    return tmp_path


def test_workers_are_read_in_order_of_their_number(folder: Path) -> None:
    assert [each.name for each in ledgers(folder)] == ["worker-0", "worker-1", "worker-2", "worker-10"]
    assert len(expand([str(folder)])) == sum(len(segments(each)) for each in ledgers(folder))


def test_what_one_process_wrote_before_comes_first(folder: Path) -> None:
    write(folder, rows(3))
    assert ledgers(folder)[0] == folder and len(ledgers(folder)) == 5


def test_a_folder_without_workers_is_itself(tmp_path: Path) -> None:
    assert ledgers(tmp_path) == [tmp_path]
    with pytest.raises(Mistake):
        expand([str(tmp_path)])


def test_each_worker_s_ledger_is_proven(run: Run, folder: Path) -> None:
    result = run("verify", str(folder))
    assert result.exit_code == 0
    assert result.stdout.count("proven\n") == 4
    broken = segments(folder / "worker-1")[0].path
    broken.write_bytes(broken.read_bytes()[40:])
    result = run("verify", str(folder), "--json")
    assert result.exit_code == 1
    assert [json.loads(line)["proven"] for line in result.stdout.splitlines()] == [True, False, True, True]


def test_a_head_belongs_to_one_ledger(run: Run, folder: Path) -> None:
    result = run("verify", str(folder), "--head", "0" * 64)
    assert result.exit_code == 2
    assert "worker-10" in str(result.exception.hint if isinstance(result.exception, Mistake) else result.output)


def test_an_account_is_erased_from_all_of_them(run: Run, folder: Path) -> None:
    accounts = {
        row.facts.caller.account for each in ledgers(folder) for row in read_rows(each) if isinstance(row, Ruled)
    }
    account = sorted(accounts)[0]
    assert run("erase", account, "--ledger", str(folder)).exit_code == 0
    for each in ledgers(folder):
        assert all(row.facts.caller.account != account for row in read_rows(each) if isinstance(row, Ruled))
    assert run("verify", str(folder)).exit_code == 0


def at_times(worker: int, step: int) -> list[Row]:
    """Requests of a worker, in turn with those of the other."""
    made: list[Row] = []
    for row in rows(12):
        changed = msgspec.structs.replace(row, now=NOW + row.seq * 10 + step)
        if isinstance(changed, Ruled | Settled):
            changed = msgspec.structs.replace(changed, request=f"{changed.request}-{worker}")
        made.append(changed)
    return made


def test_an_account_s_story_is_told_in_the_order_of_time(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "worker-0", at_times(0, 5))
    write(tmp_path / "worker-1", at_times(1, 0))
    result = run("explain", "account", "a0", "--ledger", str(tmp_path), "--json")
    story = json.loads(result.stdout)
    assert (story["requests"], story["starts"]) == (4, 0)
    times = [
        row.now
        for row in (*at_times(0, 5), *at_times(1, 0))
        if isinstance(row, Ruled) and row.facts.caller.account == "a0"
    ]
    assert (story["first"], story["last"]) == (timestamp(min(times)), timestamp(max(times)))
    told = [row.now for row in Searched(tmp_path).account("a0")]
    assert told == sorted(told) and len(told) == 2 * 4
    write(
        tmp_path / "worker-1", [Opened(1, NOW + 1000, "0"), msgspec.structs.replace(at_times(1, 0)[1], now=NOW + 1001)]
    )
    assert json.loads(run("explain", "account", "a0", "--ledger", str(tmp_path), "--json").stdout)["starts"] == 1


def test_what_a_worker_knew_of_an_account_is_in_its_own_ledger(tmp_path: Path) -> None:
    write(tmp_path / "worker-0", at_times(0, 5))
    write(tmp_path / "worker-1", at_times(1, 0))
    asked = [row for row in at_times(1, 0) if isinstance(row, Ruled) and row.facts.caller.account == "a0"][-1]
    before = list(Searched(tmp_path).before(asked))
    assert before[-1] == asked
    assert [row.request for row in before if isinstance(row, Ruled)] == ["R2-1", "R8-1"]
    assert sum(isinstance(row, Opened) for row in before) == 1
