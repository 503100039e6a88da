"""`gauger explain`: from a ledger that a gateway wrote, from a line, from rows; what it says where nothing is found."""

import json
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest
from click.testing import Result

from gateway.ledger.line import Shown, encode, line
from gateway.ledger.record import Adopted, Opened, Row, Ruled, Settled
from gateway.ledger.record import encode as row_bytes
from gateway.stores import segment_writer
from gateway.stores.proof import erase
from gateway.stores.segments import segments
from tests.ledger.explained import POLICY as ACME_TEXT
from tests.ledger.explained import policy, rows, ruled, settled
from tests.rig import gateway
from tests.stores.ledgers import write

Run = Callable[..., Result]

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "the secret of the soup"}]}
KEEPER = """
gauger: 1
policy: {id: keeper}
plans: {default: {requests: 6 requests/h}}
limits: [{id: acct-requests, by: [account], count: requests, rate: plan.requests, burst: 4 requests}]
rules:
  - {id: no-sweeps, when: req.n > 2, then: {block: {status: 403, for: 1 min}}}
  - {id: seen, when: week.requests >= 2, then: {tag: [seen]}, mode: shadow}
"""
ACME = policy()
UNKNOWN = "01K5P0ABCDEFGHJKMNPQRSTVW0"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """One request that was blocked, in a ledger."""
    row = ruled(ACME)
    write(tmp_path / "ledger", rows(ACME, row, settled(row)))
    return tmp_path / "ledger"


async def test_a_gateway_s_own_ledger_explains_each_of_its_requests(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    async with (
        gateway(policy=KEEPER, state_dir=tmp_path, ledger=folder, ledger_segment_bytes=4096) as g,
        httpx.AsyncClient(headers={"authorization": "Bearer sk-1"}) as client,
    ):
        url = f"{g.url}/v1/chat/completions"
        for extra in ({}, {"n": 3}, {}):
            await client.post(url, json=CHAT | extra)
        other = {"authorization": "Bearer sk-2"}
        assert [(await client.post(url, json=CHAT, headers=other)).status_code for _ in range(5)] == [200] * 4 + [429]
        records = g.records()
    for record in records:
        found = json.loads(run("explain", "record", record["request_id"], "--ledger", str(folder), "--json").stdout)
        assert (found["verdict"], found["action"]) == (record["verdict"], record["action"])
        assert (found["account"], found["explained"], found["notes"]) == (record["account"]["id"], True, [])
    blocked, lasting, spent = records[1], records[2], records[-1]
    text = run("explain", blocked["request_id"], "--ledger", str(folder)).stdout
    assert "no-sweeps: block with 403 for 1 min [enforced]" in text
    assert "req.n > 2: 3" in text
    assert "  verdict tag, action allow\n      req.n at most 2 (1 less)\n" in text
    assert "  verdict tag\n      an exception that softens `no-sweeps` to a tag\n" in text
    assert "Only watched, in shadow mode: `seen`." in text
    text = run("explain", lasting["request_id"], "--ledger", str(folder)).stdout
    assert "no-sweeps: block with 403 for 1 min [lasts from an earlier request]" in text
    text = run("explain", spent["request_id"], "--ledger", str(folder)).stdout
    assert "6 requests an hour, 4 at one instant; at most 10 in any hour" in text
    assert "Limit `acct-requests` refuses: 1 request asked, 0 left" in text
    story = json.loads(run("explain", "account", spent["account"]["id"], "--ledger", str(folder), "--json").stdout)
    assert (story["requests"], story["actions"]) == (5, {"allow": 4, "limit": 1})
    assert "secret of the soup" not in text + json.dumps(story)


async def test_the_line_of_standard_output_explains_itself_with_the_ledger_s_policy(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    async with (
        gateway(policy=KEEPER, state_dir=tmp_path, ledger=folder) as g,
        httpx.AsyncClient(headers={"authorization": "Bearer sk-1"}) as client,
    ):
        await client.post(f"{g.url}/v1/chat/completions", json=CHAT | {"n": 3})
        record = g.records()[0]
    raw = json.dumps(record)
    alone = run("explain", "-", given=raw)
    assert alone.exit_code == 0
    assert f"The text of policy `{record['policy']['digest']}` is not at hand" in alone.stdout
    whole = run("explain", "-", "--ledger", str(folder), given=raw).stdout
    assert whole == run("explain", record["request_id"], "--ledger", str(folder)).stdout
    (tmp_path / "keeper.yaml").write_text(KEEPER)
    assert run("explain", "-", "--policy", "keeper.yaml", given=raw).stdout == whole


def test_record_then_account_is_tried(run: Run, ledger: Path) -> None:
    record = run("explain", ruled(ACME).request, "--ledger", str(ledger))
    assert record.stdout == run("explain", "record", ruled(ACME).request, "--ledger", str(ledger)).stdout
    account = run("explain", "acct_9", GAUGER_LEDGER=str(ledger))
    assert account.stdout == run("explain", "account", "acct_9", "--ledger", str(ledger)).stdout
    assert account.stdout.startswith("account  acct_9 (plan free, 0 keys, 0 networks)\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["record", "01K5P0ABCDEFGHJKMNPQRSTVW0"],
            "there is no record `01K5P0ABCDEFGHJKMNPQRSTVW0`; 6 lines of 1 segments searched",
        ),
        (["record", "acct_9"], "there is no record `acct_9`"),
        (["account", "acct_8"], "there is no account `acct_8`; 6 lines of 1 segments searched"),
        (["nobody\x1b[31m"], "there is no record, account or campaign `nobody·[31m`"),
    ],
)
def test_what_is_not_there_is_code_2_and_says_what_was_searched(
    run: Run, ledger: Path, arguments: list[str], said: str
) -> None:
    result = run("explain", *arguments, "--ledger", str(ledger))
    assert result.exit_code == 2
    assert said in result.stderr
    assert str(ledger) in result.stderr


def test_erased_rows_are_told_where_a_record_is_not_found(run: Run, ledger: Path) -> None:
    erase(ledger, "acct_9")
    result = run("explain", ruled(ACME).request, "--ledger", str(ledger))
    assert result.exit_code == 2
    assert "2 rows there were erased with their accounts" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "there is no request in it"),
        ("{", "this is no JSON"),
        ("[]", "this is no request line"),
        ('{"schema": "other/1"}', "this is no request line of schema gauger.decision/1"),
        ('{"schema": "gauger.decision/1"}', "it has no 'ts'"),
        ('{"type": "ruled"}', "this is no"),
        ('{"type":"ruled"}', "this is no row of a ledger"),
    ],
)
def test_a_file_that_holds_no_request_is_code_2(run: Run, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "file").write_text(content)
    result = run("explain", "file")
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_id_needs_a_ledger_and_one_thing_is_asked_at_a_time(run: Run, tmp_path: Path) -> None:
    assert "which ledger?" in run("explain", "R1").stderr
    assert run("explain", "a", "b").exit_code == 2
    assert "there is no ledger in this folder" in run("explain", "R1", "--ledger", str(tmp_path)).stderr


def test_a_pair_of_rows_with_or_without_their_chain(run: Run, ledger: Path, tmp_path: Path) -> None:
    row = ruled(ACME)
    bare = tmp_path / "bare"
    bare.write_bytes(b"\n".join(map(row_bytes, rows(ACME, row, settled(row)))))
    whole = run("explain", row.request, "--ledger", str(ledger)).stdout
    assert run("explain", "bare").stdout == whole
    for segment in segments(ledger):
        assert run("explain", str(segment.path)).stdout == whole
    pair = tmp_path / "pair"
    pair.write_bytes(row_bytes(row) + b"\n" + row_bytes(settled(row)))
    assert run("explain", "pair", "--ledger", str(ledger)).stdout == whole
    assert "is not at hand" in run("explain", "pair").stdout
    pair.write_bytes(row_bytes(row))
    assert "Its end isn't there" in run("explain", "pair").stdout
    pair.write_bytes(row_bytes(row) + b"\n" + row_bytes(row))
    assert "holds several requests" in run("explain", "pair").stderr


def test_a_record_of_an_older_policy_is_explained_by_its_own(run: Run, tmp_path: Path) -> None:
    old = policy(("score.extraction >= 10 dB", "score.extraction >= 11 dB"))
    row = ruled(old)
    first = rows(old, row, settled(row))
    newer: list[Row] = [
        Adopted(5, row.now + 2, ACME.digest, ACME.id, ACME.version, ACME.source, dict(ACME.files)),
    ]
    write(tmp_path / "ledger", [*first, *newer])
    text = run("explain", row.request, "--ledger", str(tmp_path / "ledger")).stdout
    assert f"digest {old.digest}" in text
    assert "score.extraction >= 11 dB: 14 dB" in text


def test_a_policy_whose_text_is_gone_or_broken_leaves_what_the_record_holds(run: Run, tmp_path: Path) -> None:
    row = ruled(ACME)
    lost: list[Row] = [Opened(1, row.now, "0"), row, settled(row)]
    broken: list[Row] = [
        Opened(1, row.now, "0"),
        Adopted(2, row.now, ACME.digest, "x", source="p", files={"p": "gauger: 2"}),
        row,
    ]
    for number, (written, said) in enumerate([(lost, "is not at hand"), (broken, "can't be read by this version")]):
        folder = tmp_path / str(number)
        write(folder, written)
        result = run("explain", row.request, "--ledger", str(folder))
        assert result.exit_code == 0
        assert said in result.stdout
        assert "Scorecard extraction: 14 dB" in result.stdout


def test_another_policy_is_a_what_if_and_says_so(run: Run, ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "milder.yaml").write_text(ACME_TEXT.replace("score.extraction >= 10 dB", "req.n >= 5"))
    result = run("explain", ruled(ACME).request, "--ledger", str(ledger), "--policy", "milder.yaml")
    assert result.exit_code == 0
    flat = " ".join(result.stdout.split())
    assert f"A what-if: it was judged by policy {ACME.digest} (verdict block, action block)" in flat
    assert "verdict  allow" in result.stdout  # nothing came before, in this ledger: no score, and n is 4
    (tmp_path / "wrong.yaml").write_text("gauger: 1\nrules: 3\n")
    assert run("explain", "R", "--ledger", str(ledger), "--policy", "wrong.yaml").exit_code == 2


def test_a_request_is_found_by_the_time_in_its_id_and_also_where_that_misleads(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    row = ruled(ACME)
    for number in range(4):
        request = f"01K5P0ABC{'DEFG'[number]}FGHJKMNPQRSTVW"
        sleep(0.002)
        each = Ruled(3, row.now, request, row.policy, row.facts, row.verdict)
        write(folder, rows(ACME, each, settled(each)), compress=bool(number % 2))
    for number in range(4):
        request = f"01K5P0ABC{'DEFG'[number]}FGHJKMNPQRSTVW"
        assert run("explain", "record", request, "--ledger", str(folder)).stdout.startswith(f"request  {request}\n")


def test_the_account_s_story(run: Run, tmp_path: Path) -> None:
    made: list[Any] = rows(ACME, ruled(ACME), settled(ruled(ACME)))[:2]
    for number in range(6):
        row = ruled(ACME, n=4 if number % 2 else 1, logprobs=2 if number % 2 else None)
        row = Ruled(number * 2 + 3, row.now + number * 40_000_000_000, f"R{number}", row.policy, row.facts, row.verdict)
        made += [row, Settled(number * 2 + 4, row.now, f"R{number}", "acct_9", settled(row).outcome)]
    write(tmp_path / "ledger", made)
    text = run("explain", "acct_9", "--ledger", str(tmp_path / "ledger")).stdout
    assert "requests 6; 300 input and 2,700 output tokens" in text
    assert "actions  tag 3, block 3" in text
    assert "Scorecard extraction: 14 dB last, highest 14 dB at 2026-09-22T01:20:00.000000Z" in text
    flat = " ".join(text.split())
    assert "+21.00 dB long-answers, in R0: day.output_tokens / day.input_tokens >= 5: day.output_tokens" in flat
    reached = "reaches score.extraction >= 0 dB, score.extraction >= 10 dB (slow-down, stop) (in R1)"
    assert f"14 dB: highest; {reached} day.output_tokens / day.input_tokens >= 5:" in flat
    assert "tag (R0): 0 requests and 0 output tokens before it, 6 and 2,700 from it on" in flat
    assert "block (R1): 1 request and 900 output tokens before it, 5 and 1,800 from it on" in flat
    assert "2026-09-22T01:20:00.000000Z  slow-down, stop began at extraction 14 dB (R1)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_line_of_a_policy_with_answers_tells_its_rules_apart(run: Run, tmp_path: Path) -> None:
    row = ruled(ACME)
    (tmp_path / "acme.yaml").write_text(ACME_TEXT)
    raw = encode(line(row, settled(row), Shown(ACME)))
    assert run("explain", "-", "--policy", "acme.yaml", given=raw).exit_code == 0
