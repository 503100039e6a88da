"""`gauger verify` and `gauger erase`: what they say, their exit codes, and a gateway whose ledger they read."""

import json
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import Result

from gateway.errors import Mistake
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Ruled, Settled
from gateway.stores import proof, segment_writer
from gateway.stores.proof import erase, verify
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.segments import read_rows, segments
from tests.cli.process import serving
from tests.rig import gateway
from tests.stores.ledgers import rows, write

Run = Callable[..., Result]

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "the secret of the soup"}]}
POLICY = "gauger: 1\npolicy: {id: %s}\nlists:\n  partners: {file: partners.txt}\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)
    monkeypatch.setattr(segment_writer, "BATCH_ROWS", 4)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Segments of three starts: closed and compressed, closed and plain, and one that a crash left open."""
    folder = tmp_path / "ledger"
    write(folder, rows(12), max_bytes=2000)
    write(folder, rows(5), compress=False)
    write(folder, rows(5), compress=False)
    last = segments(folder)[-1].path
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))
    return folder


def text_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("segment-*")}


def test_a_whole_ledger_is_code_0_and_its_head_is_printed(run: Run, ledger: Path) -> None:
    result = run("verify", str(ledger))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "proven"
    assert "22 rows of 3 starts" in lines[1]
    assert "the last segment is open" in result.stdout
    assert lines[-1] == f"head {verify(ledger).head}"


def test_the_report_as_json(run: Run, ledger: Path) -> None:
    told = json.loads(run("verify", str(ledger), "--json").stdout)
    assert (told["proven"], told["rows"], told["runs"], told["broken"]) == (True, 22, 3, None)
    assert told["head"] == verify(ledger).head


def test_a_change_is_code_1_with_file_line_and_what(run: Run, ledger: Path) -> None:
    path = segments(ledger)[-2].path
    path.write_bytes(path.read_bytes().replace(b'"R2"', b'"R9"', 1))
    result = run("verify", str(ledger))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:3: the hash doesn't continue the chain")
    told = json.loads(run("verify", str(ledger), "--json").stdout)
    assert told["proven"] is False
    assert told["broken"]["line"] == 3


@pytest.mark.parametrize("arguments", [["nowhere"], ["empty"], ["ledger", "--head", "abc"], ["ledger", "--head", ""]])
def test_what_can_not_be_read_is_code_2(run: Run, ledger: Path, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    result = run("verify", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("gauger: ")
    assert "Traceback" not in result.stderr


def test_a_remembered_head_is_found_and_what_came_after_is_counted(run: Run, ledger: Path) -> None:
    before = verify(ledger).head
    write(ledger, rows(5))
    result = run("verify", str(ledger), "--head", before.upper())
    assert result.exit_code == 0
    assert "5 rows came after it" in result.stdout


def test_a_remembered_head_tells_of_an_end_that_was_cut_off(run: Run, ledger: Path) -> None:
    head = verify(ledger).head
    path = segments(ledger)[-1].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert run("verify", str(ledger)).exit_code == 0
    result = run("verify", str(ledger), "--head", head)
    assert result.exit_code == 1
    assert "the remembered head is nowhere in this ledger" in result.stdout
    path.unlink()
    assert run("verify", str(ledger)).exit_code == 0
    assert run("verify", str(ledger), "--head", head).exit_code == 1


def test_any_damage_to_any_file_is_found(ledger: Path, tmp_path: Path) -> None:
    """Bytes changed, removed and put in, lines removed, swapped and repeated, files cut, removed, swapped."""
    head, whole = verify(ledger).head, text_of(ledger)
    chance = random.Random(5)
    for turn in range(400):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ledger, copy)
        names = sorted(whole)
        name, other = chance.sample(names, 2)
        text = whole[name]
        place = chance.randrange(len(text))
        lines = text.splitlines(keepends=True)
        one = chance.randrange(len(lines))
        two = chance.randrange(len(lines))
        changed = {
            0: text[:place] + bytes([text[place] ^ 1 << chance.randrange(8)]) + text[place + 1 :],
            1: text[:place] + text[place + 1 :],
            2: text[:place] + chance.randbytes(1) + text[place:],
            3: text[:place],
            4: b"".join([*lines[:one], *lines[one + 1 :]]),
            5: b"".join([*lines[:one], lines[two], *lines[one:]]),
            6: b"".join(
                lines[two] if at == one else lines[one] if at == two else line for at, line in enumerate(lines)
            ),
            7: b"",
            8: whole[other],
        }[turn % 9]
        if changed == text:
            continue
        if turn % 9 == 7:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(changed)
        report = verify(copy, head)
        if not report.proven:
            continue
        if turn % 9 == 7 and name == names[0]:  # as retention does: the proof says that it begins later
            assert report.begins == 2
            continue
        rest = list(read_rows(copy))
        assert name.endswith(".zst"), (turn % 9, name, place)  # bits of the packing that say nothing
        assert rest == list(read_rows(ledger))


def test_a_ledger_begins_where_retention_left_it(run: Run, ledger: Path) -> None:
    first = segments(ledger)[0].path
    first.unlink()
    result = run("verify", str(ledger))
    assert result.exit_code == 0
    assert "begins at segment 2, after " in result.stdout
    second = segments(ledger)[1].path
    second.unlink()
    result = run("verify", str(ledger))
    assert result.exit_code == 1
    assert "segments are missing" in result.stdout


def test_what_retention_takes_meanwhile_is_where_the_proof_begins(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = segments(ledger)
    monkeypatch.setattr(proof, "segments", lambda folder: found)
    found[0].path.unlink()
    assert verify(ledger).begins == 2
    found[2].path.unlink()
    with pytest.raises(Mistake, match="can't be read: No such file"):
        verify(ledger)


def test_numbers_that_jump_without_a_gap_are_told(run: Run, tmp_path: Path) -> None:
    write(tmp_path, [*rows(3), *rows(3, first=6)])
    result = run("verify", str(tmp_path))
    assert result.exit_code == 0
    assert "1 places where the rows' numbers jump" in result.stdout


def test_an_account_is_erased_and_the_rest_is_proven_with_the_same_head(run: Run, ledger: Path) -> None:
    SegmentWriter(ledger).close()  # the crash is tidied up
    head = verify(ledger).head
    before = list(read_rows(ledger))
    result = run("erase", "a1", "--ledger", str(ledger))
    assert result.exit_code == 0
    gone = [
        row
        for row in before
        if (isinstance(row, Ruled) and row.facts.caller.account == "a1")
        or (isinstance(row, Settled) and row.account == "a1")
    ]
    assert gone
    assert result.stdout.startswith(f"{len(gone)} rows erased in ")
    after = list(read_rows(ledger))
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        if old in gone:
            assert isinstance(new, Erased)
            assert (new.seq, new.now, new.was) == (old.seq, old.now, type(old).__name__.lower())
        else:
            assert old == new
    report = verify(ledger, head)
    assert (report.proven, report.head, report.erased, report.unnumbered) == (True, head, len(gone), 0)
    assert f"{len(gone)} rows were erased with their account" in run("verify", str(ledger)).stdout
    assert b'"a1"' not in b"".join(path.read_bytes() for path in ledger.glob("*.jsonl"))
    assert erase(ledger, "a1") == (0, 0, 0)
    write(ledger, rows(3))
    assert verify(ledger, head).proven


def test_an_account_whose_name_is_in_other_rows_takes_only_its_own(ledger: Path) -> None:
    assert erase(ledger, "R2") == (0, 0, 0)
    assert erase(ledger, "a") == (0, 0, 0)


def test_while_a_gateway_writes_its_open_segment_is_left(run: Run, tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, max_bytes=4000)
    for row in rows(41):
        writer(row)
    assert writer.flush()
    total = sum(b'"a1"' in line for line in (str(row).replace("'", '"').encode() for row in read_rows(tmp_path)))
    result = run("erase", "a1", GAUGER_LEDGER=str(tmp_path))
    assert result.exit_code == 1
    assert "erase again when it is closed" in result.stdout
    left = total - int(result.stdout.split()[0])
    assert left > 0
    for row in rows(10, first=42):
        writer(row)
    writer.close()
    assert verify(tmp_path).proven
    assert run("erase", "a1", "--ledger", str(tmp_path)).exit_code == 0
    assert not any(isinstance(row, Settled) and row.account == "a1" for row in read_rows(tmp_path))
    assert verify(tmp_path).proven


def test_erasing_hides_no_damage(run: Run, ledger: Path) -> None:
    path = segments(ledger)[-2].path
    path.write_bytes(path.read_bytes().replace(b'"R2"', b'"R9"', 1))
    erase(ledger, "a0")
    assert not verify(ledger).proven


async def test_a_gateway_s_ledger_has_the_journal_s_rows(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    async with (
        gateway(state_dir=tmp_path, ledger=folder, ledger_segment_bytes=8192) as g,
        httpx.AsyncClient() as client,
    ):
        for number in range(20):
            headers = {"authorization": f"Bearer sk-{number % 3}"}
            answer = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=headers)
            assert answer.status_code == 200
        assert (await client.post(f"{g.url}/v1/chat/completions", content=b"{", headers=headers)).status_code == 400
        ledger = g.core.ledger
        assert ledger is not None
        assert ledger.flush()
        metrics = (await client.get(f"{g.ops_url}/metrics")).text
        assert f"gauger_ledger_rows_total {float(len(g.rows) + 2)}" in metrics
        assert "gauger_ledger_rows_dropped_total 0.0" in metrics
        with pytest.raises(Exception, match="another process writes this ledger"):
            SegmentWriter(folder)
    kept = list(read_rows(folder))
    assert kept[2:] == g.rows
    opened, adopted = kept[:2]
    assert isinstance(opened, Opened)
    assert (opened.seq, opened.pepper, opened.accounts) == (1, g.core.pepper.id, 100_000)
    assert isinstance(adopted, Adopted)
    assert (adopted.seq, adopted.digest, adopted.id) == (2, g.core.policy.digest, "open")
    report = verify(folder)
    assert (report.proven, report.closed, report.rows) == (True, True, 44)
    assert report.segments > 1
    records = g.records()
    assert [record["seq"]["ruled"] for record in records] == [row.seq for row in kept if isinstance(row, Ruled)]
    text = b"".join(path.read_bytes() for path in folder.glob("*.jsonl"))
    assert b"soup" not in text
    assert b"sk-1" not in text
    account = records[0]["account"]["id"]
    assert erase(folder, account).rows == 14
    assert verify(folder, report.head).proven


def test_a_process_writes_its_ledger_and_another_must_not(run: Run, tmp_path: Path) -> None:
    folder, policy = tmp_path / "ledger", tmp_path / "policy.yaml"
    policy.write_text(POLICY % "one")
    (tmp_path / "partners.txt").write_text("acme\n")
    other = tmp_path / "other"
    other.mkdir()
    arguments = ["--policy", str(policy), "--ledger", str(folder)]
    with serving(tmp_path, *arguments) as served:
        url = f"{served.url}/v1/chat/completions"
        assert httpx.post(url, json=CHAT, headers={"authorization": "Bearer sk-1"}, timeout=20).status_code == 200
        with serving(other, *arguments) as second:
            assert second.wait() == 2
            assert any("another process writes this ledger" in line for line in second.said)
        policy.write_text(POLICY % "two")
        served.signal(signal.SIGHUP)
        served.hear('"reloaded"')
        assert httpx.post(url, json=CHAT, headers={"authorization": "Bearer sk-1"}, timeout=20).status_code == 200
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        head = served.hear('"segment closed".*"head":"([0-9a-f]{64})"')[1]
    kept = list(read_rows(folder))
    assert [type(row) for row in kept] == [Opened, Adopted, Ruled, Settled, Adopted, Ruled, Settled]
    assert [row.seq for row in kept] == list(range(1, 8))
    one, two = (row for row in kept if isinstance(row, Adopted))
    assert (one.id, two.id, one.source) == ("one", "two", next(iter(one.files)))
    assert list(one.files.values()) == [POLICY % "one", "acme\n"]
    ruled = [row for row in kept if isinstance(row, Ruled)]
    assert [row.policy for row in ruled] == [one.digest, two.digest]
    with serving(tmp_path, *arguments) as served:
        assert served.url
        served.process.kill()
        served.wait()
    result = run("verify", str(folder), "--head", head)
    assert result.exit_code == 0
    assert not any(isinstance(row, Gap) for row in read_rows(folder))
