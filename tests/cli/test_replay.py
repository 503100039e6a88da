"""`gauger replay`: ledgers that agree with themselves, raw traffic decided line by line, and what goes wrong."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import zstandard
from click.testing import Result

from gateway.accounts import Directory
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.ledger.record import Opened, Row, Ruled, Settled, encode
from gateway.ledger.steps import Steps
from gateway.stores.segments import read_rows
from tests.cli.traffic import START, STEP, Line, chat, forty, line, text_of
from tests.ledger.ledgers import fresh, policy_of
from tests.rig import gateway

Run = Callable[..., Result]
SMOKE = Path(__file__).parents[3] / "shared" / "data" / "smoke.jsonl.gz"
POLICY = """
gauger: 1
policy: {id: strict}
limits:
  - {id: few, by: [account], count: requests, rate: 6 requests/min, burst: 3 requests}
  - {id: output, by: [account], count: tokens.output, rate: 20k tokens/min}
  - {id: live, by: [account], count: concurrent, rate: 1 requests, lease: 5 min}
rules:
  - {id: choices, when: req.n > 1, then: {tag: [many]}}
  - {id: streams, when: req.stream, then: {block: {status: 403}}, mode: shadow}
"""
WIDE = POLICY.replace("burst: 3", "burst: 60").replace("rate: 1 requests", "rate: 60 requests")


@pytest.fixture
def forty_lines(tmp_path: Path) -> list[Line]:
    made = forty()
    (tmp_path / "log.jsonl").write_text(text_of(made))
    (tmp_path / "strict.yaml").write_text(POLICY)
    (tmp_path / "wide.yaml").write_text(WIDE)
    return made


def decisions(path: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in path.read_bytes().splitlines()]


def decided(run: Run, tmp_path: Path, lines: list[Line], policy: str = POLICY, *more: str) -> list[dict[str, Any]]:
    """What this policy decides on these lines."""
    (tmp_path / "p.yaml").write_text(policy)
    result = run("replay", "-", "--policy", "p.yaml", "--decisions", "out.jsonl", *more, given=text_of(lines))
    assert result.exit_code == 0, result.output
    return decisions(tmp_path / "out.jsonl")


async def traffic(folder: Path, policy: str) -> None:
    """Requests to a running gateway, some at once, that writes its ledger into `folder`."""
    async with gateway(policy=policy, state_dir=folder.parent, ledger=folder) as g, httpx.AsyncClient() as client:

        async def send(at: int) -> None:
            body = {
                "model": "gpt-4o-mini",
                "messages": [{"role": "user", "content": f"question {at}"}],
                "n": 1 + at % 2,
            }
            headers = {"authorization": f"Bearer sk-{at % 3}"}
            path = "/v1/embeddings" if at % 5 == 4 else "/v1/chat/completions"
            if at % 7 == 6:
                body = {"model": 1}
            await client.post(g.url + path, json=body, headers=headers, timeout=30)

        for start in range(0, 40, 4):
            await asyncio.gather(*(send(at) for at in range(start, start + 4)))


def test_a_ledger_of_real_traffic_agrees_with_itself(run: Run, tmp_path: Path) -> None:
    asyncio.run(traffic(tmp_path / "led", POLICY))
    result = run("replay", "led")
    assert result.exit_code == 0, result.output
    assert "all 40 requests agree with the policy that they were judged by" in result.stdout
    assert "note:" not in result.stdout
    rows = list(read_rows(tmp_path / "led"))
    refused = [row for row in rows if isinstance(row, Settled) and row.outcome.end == "refused"]
    tagged = [row for row in rows if isinstance(row, Ruled) and row.verdict.rules == ("choices",)]
    assert len(refused) > 5
    assert len(tagged) > 5


def test_a_row_that_was_changed_is_named_and_the_code_is_1(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    assert run("replay", "log.jsonl", "--policy", "strict.yaml", "--ledger", "led").exit_code == 0
    rows = list(read_rows(tmp_path / "led"))
    at, row = next((at, row) for at, row in enumerate(rows) if isinstance(row, Ruled) and row.verdict.rules)
    rows[at] = msgspec.structs.replace(row, verdict=msgspec.structs.replace(row.verdict, rules=("other",)))
    (tmp_path / "rows.jsonl").write_bytes(b"".join(encode(each) + b"\n" for each in rows))
    result = run("replay", "rows.jsonl", "--json", "found.json")
    assert result.exit_code == 1
    assert f"row {row.seq}, " in result.stdout
    assert "verdict.rules.0: other recorded, choices now" in result.stdout
    told = json.loads((tmp_path / "found.json").read_bytes())
    assert told["tally"]["differences"] == 1
    assert told["tally"]["first"]["request"] == row.request


def test_one_decision_a_line_in_the_order_of_the_input(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    result = run("replay", "log.jsonl", "--policy", "strict.yaml", "--decisions", "out.jsonl")
    assert result.exit_code == 0
    assert result.stderr == ""
    found = decisions(tmp_path / "out.jsonl")
    assert [each["id"] for each in found] == [each["id"] for each in forty_lines]
    assert [(each["t"], each["account"]) for each in found] == [(each["t"], each["account"]) for each in forty_lines]
    assert all(isinstance(each["score"], float) for each in found)
    assert {each["action"] for each in found} == {"allow", "tag", "limit", "reject"}
    assert found[28]["action"] == "reject"
    assert found[28]["code"] == "invalid_type"
    shadowed = [each for each in found if each.get("shadow") == ["streams"]]
    assert shadowed
    assert all(each["verdict"] == "block" for each in shadowed)
    assert all(each["rules"] == (["choices"] if each["action"] == "tag" else each["rules"]) for each in found)


def test_compressed_piped_and_split_input_is_decided_the_same(
    run: Run, tmp_path: Path, forty_lines: list[Line]
) -> None:
    text = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(text))
    packed = zstandard.ZstdCompressor().compress(text[:4000]) + zstandard.ZstdCompressor().compress(text[4000:])
    (tmp_path / "log.zst").write_bytes(packed)
    cut = text.index(b"\n", 9000) + 1
    (tmp_path / "one.jsonl").write_bytes(text[:cut])
    (tmp_path / "two.jsonl").write_bytes(text[cut:])
    outputs = set()
    for sources, given in (
        (["log.jsonl"], b""),
        (["log.jsonl.gz"], b""),
        (["log.zst"], b""),
        (["-"], text),
        (["-"], gzip.compress(text)),
        (["one.jsonl", "two.jsonl"], b""),
    ):
        result = run("replay", *sources, "--policy", "strict.yaml", "--decisions", "out.jsonl", given=given)
        assert result.exit_code == 0, result.output
        outputs.add((tmp_path / "out.jsonl").read_bytes())
    assert len(outputs) == 1
    piped = run("replay", "log.jsonl", "--policy", "strict.yaml", "--decisions", "-")
    assert piped.stdout.encode() == outputs.pop()


def test_a_ledger_of_raw_traffic_agrees_and_shows_what_another_policy_would_change(
    run: Run, tmp_path: Path, forty_lines: list[Line]
) -> None:
    assert run("replay", "log.jsonl", "--policy", "strict.yaml", "--ledger", "led").exit_code == 0
    rows = list(read_rows(tmp_path / "led"))
    assert [row.seq for row in rows] == list(range(1, 83))
    assert [row.now for row in rows] == sorted(row.now for row in rows)
    for arguments in ([], ["--policy", "strict.yaml"]):
        same = run("replay", "led", *arguments)
        assert same.exit_code == 0
        assert "all 40 requests agree" in same.stdout
        assert "before" not in same.stdout
    other = run("replay", "led", "--policy", "wide.yaml", "--json", "found.json", "--html", "found.html", "--top", "3")
    assert other.exit_code == 0
    assert "newly allowed:" in other.stdout
    drift = json.loads((tmp_path / "found.json").read_bytes())["drift"]
    limited = sum(move["requests"] for move in drift["moves"] if move["before"] == "limit")
    assert limited > 5
    assert drift["newly_allowed"]["requests"] == drift["guessed"] == limited
    assert drift["newly_refused"]["requests"] == 0
    assert len(drift["examples"]) == 3
    assert "<h2>Accounts</h2>" in (tmp_path / "found.html").read_text()


def test_the_ledger_holds_neither_text_nor_key_and_no_address(
    run: Run, tmp_path: Path, forty_lines: list[Line]
) -> None:
    assert run("replay", "log.jsonl", "--ledger", "led").exit_code == 0
    text = "".join(encode(row).decode() for row in read_rows(tmp_path / "led") if not isinstance(row, Opened))
    for told in ("Explain", "bees", "child", "key-of-", "198.18."):
        assert told not in text


def test_the_ledger_says_how_much_was_remembered(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    sizes = {"GAUGER_STATE_MEMORY": "16 MiB", "GAUGER_MAX_ACCOUNTS": "200"}
    assert run("replay", "log.jsonl", "--ledger", "led", **sizes).exit_code == 0
    opened = next(iter(read_rows(tmp_path / "led")))
    assert isinstance(opened, Opened)
    assert (opened.memory, opened.accounts) == (16 << 20, 200)
    assert run("replay", "led").exit_code == 0


def test_hashes_are_public_unless_a_pepper_is_given(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    peppers = {"one": {}, "two": {}, "own": {"GAUGER_PEPPER": "a pepper for tests only"}}
    keys = {}
    for name, environment in peppers.items():
        assert run("replay", "log.jsonl", "--ledger", name, **environment).exit_code == 0
        rows = list(read_rows(tmp_path / name))
        keys[name] = [row.facts.caller.key for row in rows if isinstance(row, Ruled)]
    assert keys["one"] == keys["two"] != keys["own"]


def test_what_ends_at_an_instant_settles_before_what_begins_at_it(run: Run, tmp_path: Path) -> None:
    lines = [chat(0, "a", "one"), chat(1, "a", "two"), chat(2, "a", "three")]
    lines[0] |= {"t": 100.0, "latency_ms": 1000}
    lines[1] |= {"t": 101.0, "latency_ms": 1000}
    lines[2] |= {"t": 101.0, "latency_ms": 1000}
    found = decided(run, tmp_path, lines)
    assert [each["action"] for each in found] == ["allow", "allow", "limit"]
    assert found[2]["limits"] == ["live"]


def test_time_does_not_run_backwards(run: Run, tmp_path: Path) -> None:
    lines = [chat(0, "a", "one"), chat(1, "a", "two"), chat(2, "a", "three")]
    lines[1] |= {"t": lines[0]["t"] - 500}
    lines[2] |= {"t": lines[0]["t"] + 500}
    found = decided(run, tmp_path, lines, POLICY, "--ledger", "led")
    assert [each["action"] for each in found] == ["allow", "limit", "allow"]  # one at a time
    assert found[1]["t"] == lines[1]["t"]
    nows = [row.now for row in read_rows(tmp_path / "led")]
    assert nows == sorted(nows)


def test_a_line_that_is_no_request_is_refused_and_counted(run: Run, tmp_path: Path) -> None:
    lines = [chat(0, "a", "one"), {"t": START + 1, "account": "a", "id": "odd", "path": 7}, chat(2, "b", "two")]
    lines.append({"id": 9, "hello": 1})
    (tmp_path / "p.yaml").write_text(POLICY)
    result = run("replay", "-", "--policy", "p.yaml", "--decisions", "out.jsonl", given=text_of(lines))
    assert result.exit_code == 0
    assert "2 lines are no requests; the first: <stdin>:2: " in result.stderr
    assert "2 lines could not be read as a request" in result.stdout
    found = decisions(tmp_path / "out.jsonl")
    assert [each["action"] for each in found] == ["allow", "reject", "allow", "reject"]
    assert (found[1]["id"], found[1]["account"], found[1]["code"]) == ("odd", "a", "invalid_line")
    assert (found[3]["id"], found[3]["t"]) == (9, START + 2 * STEP)


def test_accounts_come_from_the_policy_s_accounts_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "who.yaml").write_text("accounts:\n  - {id: acct-1, plan: big, org: acme, labels: [evaluator]}\n")
    policy = (
        "gauger: 1\npolicy: {id: plans}\nidentity: {directory: who.yaml, plan: small}\n"
        "plans: {small: {requests: 6 requests/h}, big: {requests: 60 requests/h}}\n"
        "limits:\n  - {id: hourly, by: [account], count: requests, rate: plan.requests}\n"
        "rules:\n  - {id: known, when: '\"evaluator\" in account.labels', then: {tag: [known]}}\n"
    )
    lines = [chat(at, f"acct-{at % 2}", "hello") for at in range(6)]
    found = decided(run, tmp_path, lines, policy, "--ledger", "led")
    assert [each["action"] for each in found] == ["allow", "tag", "limit", "tag", "limit", "tag"]
    callers = [row.facts.caller for row in read_rows(tmp_path / "led") if isinstance(row, Ruled)]
    assert (callers[1].org, callers[1].plan, callers[1].known, callers[0].plan) == ("acme", "big", True, "small")


def test_without_an_account_the_key_says_who_asks(run: Run, tmp_path: Path) -> None:
    lines = [chat(at, "x", "hello") for at in range(4)]
    for at, each in enumerate(lines):
        del each["account"]
        each["key"] = f"sk-{at % 2}"
    lines[2]["headers"] = {"Authorization": "Bearer sk-other"}
    lines[3]["key"] = None
    found = decided(run, tmp_path, lines)
    accounts = [each["account"] for each in found]
    assert all(name.startswith("key-") for name in accounts[:3])
    assert len(set(accounts)) == 4
    assert accounts[3].startswith("net-")


def test_an_account_that_can_be_none_is_refused(run: Run, tmp_path: Path) -> None:
    found = decided(run, tmp_path, [chat(0, "no such name", "hello"), chat(1, "", "hello")])
    assert [(each["action"], each["code"]) for each in found] == [("reject", "invalid_identity_header")] * 2


def test_a_batch_is_judged_on_the_file_that_was_uploaded_before(run: Run, tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 50}
    inner = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    text = "\n".join(json.dumps(inner) for _ in range(5))
    file = {"filename": "b.jsonl", "content_type": "application/jsonl", "text": text}
    sent = {"purpose": "batch", "file": file}
    work = {"input_file_id": "file-abc", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    lines = [
        line(0, "a", "/v1/files", sent, response_usage=None, response_tokens=None),
        line(10, "a", "/v1/batches", work, response_usage=None, response_tokens=None),
        line(20, "b", "/v1/batches", work, response_usage=None, response_tokens=None),
        line(30, "a", "/v1/batches", {**work, "input_file_id": "file-b"}, response_usage=None, response_tokens=None),
    ]
    decided(run, tmp_path, lines, "gauger: 1\npolicy: {id: open}\n" + WIDE[WIDE.index("limits:") :], "--ledger", "led")
    rows = [row for row in read_rows(tmp_path / "led") if isinstance(row, Ruled | Settled)]
    upload = next(row for row in rows if isinstance(row, Settled))
    assert upload.outcome.folded is not None
    assert upload.outcome.folded.lines == 5
    ruled = [row for row in rows if isinstance(row, Ruled)]
    requests = [next(draw.cost for draw in row.verdict.draws if draw.limit == "few") for row in ruled]
    assert requests == [1, 5, 1, 1]  # the file is a's alone, and taken once
    assert "hello there" not in "".join(encode(row).decode() for row in rows)


def test_what_is_no_source_is_code_2(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.jsonl").write_text("\n\n")
    (tmp_path / "prose.txt").write_text("hello\n")
    packed = gzip.compress((tmp_path / "log.jsonl").read_bytes())
    (tmp_path / "half.gz").write_bytes(packed[: len(packed) // 2])
    for arguments, said in (
        (["missing.jsonl"], "missing.jsonl: can't be read"),
        (["empty"], "empty: there is no ledger in this folder"),
        (["nothing.jsonl"], "there is nothing to replay"),
        (["prose.txt"], "prose.txt:1: this is neither a ledger nor JSON lines"),
        (["half.gz"], "the compressed data is damaged"),
        (["log.jsonl", "--policy", "missing.yaml"], "missing.yaml"),
        (["log.jsonl", "--decisions", "empty"], "empty: can't be written"),
        ([], "Usage: gauger replay"),
    ):
        result = run("replay", *arguments)
        assert result.exit_code == 2, arguments
        assert said in result.stderr
        assert "Traceback" not in result.stderr


def test_decisions_and_a_ledger_are_made_of_raw_traffic_only(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    assert run("replay", "log.jsonl", "--ledger", "led").exit_code == 0
    result = run("replay", "led", "--decisions", "out.jsonl")
    assert result.exit_code == 2
    assert "--decisions and --ledger are for raw traffic" in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_half_a_last_line_is_left_out(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    assert run("replay", "log.jsonl", "--ledger", "led").exit_code == 0
    segment = next((tmp_path / "led").glob("segment-*.jsonl"))
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-2]) + lines[-2][:50])
    result = run("replay", "led")
    assert result.exit_code == 0
    assert "1 requests have no end in these rows" in result.stdout
    segment.write_bytes(b"".join(lines[:5]) + lines[5][:-9] + b'!"x"}}\n' + b"".join(lines[6:]))
    broken = run("replay", "led")
    assert broken.exit_code == 2
    assert ":6: this is no row of a ledger" in broken.stderr


def test_the_kill_switch_decides_everything_and_does_nothing(run: Run, tmp_path: Path, forty_lines: list[Line]) -> None:
    result = run("replay", "log.jsonl", "--policy", "strict.yaml", "--decisions", "o", GAUGER_ENFORCE="false")
    assert result.exit_code == 0
    found = decisions(tmp_path / "o")
    assert {each["action"] for each in found} == {"allow", "reject"}
    assert "limit" in {each["verdict"] for each in found}


def test_memory_does_not_grow_with_the_traffic() -> None:
    policy = policy_of(WIDE)
    rows: list[Row] = []
    player = Player(
        policy,
        Directory.empty(),
        PUBLIC_PEPPER,
        Steps(*fresh(Opened(1, 0, ""))),
        record=lambda row: rows.clear(),
    )
    held = []
    tracemalloc.start()
    try:
        for at in range(2000):
            made = chat(at, f"acct-{at % 50}", f"question {at}")
            player.play(json.dumps(made | {"latency_ms": 5000}).encode(), "x")
            if at in (1000, 1999):
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[1] - held[0] < 300_000


@pytest.mark.skipif(not SMOKE.is_file(), reason="the smoke traffic is not beside this checkout")
def test_smoke_traffic_is_decided_line_by_line_and_its_ledger_agrees(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    result = run("replay", str(SMOKE), "--policy", "p.yaml", "--decisions", "out.jsonl", "--ledger", "led")
    assert result.exit_code == 0, result.output
    lines = [json.loads(each) for each in gzip.decompress(SMOKE.read_bytes()).splitlines()]
    found = decisions(tmp_path / "out.jsonl")
    assert [(each["id"], each["t"], each["account"]) for each in found] == [
        (each["id"], each["t"], each["account"]) for each in lines
    ]
    assert "reject" not in {each["action"] for each in found}
    again = run("replay", "led")
    assert again.exit_code == 0
    assert "all 2,000 requests agree" in again.stdout
