"""`gauger replay` of what is broken: a mistake with a place, or one line that is refused; never a traceback."""

from pathlib import Path

import pytest

from gateway.ledger.chain import body_of
from tests.cli.test_replay import POLICY, WIDE, Run, decisions
from tests.cli.traffic import chat, forty, text_of


@pytest.mark.parametrize(
    ("where", "bad"),
    [
        (b'"request":"', b'"request":"\xff'),
        (b'"verdict":{', b'"verdict":{"scores":{"\xff":1},'),  # where it is read only if it must be
        (b'"verdict":{', b'"verdict":{"rules":7,'),
        (b'"verdict":{', b'"verdict":{"x":' + b"[" * 5000 + b"]" * 5000 + b","),
    ],
)
def test_a_row_with_bytes_that_are_no_text_is_no_row(run: Run, tmp_path: Path, where: bytes, bad: bytes) -> None:
    for name, text in (("log.jsonl", text_of(forty())), ("strict.yaml", POLICY), ("wide.yaml", WIDE)):
        (tmp_path / name).write_text(text)
    assert run("replay", "log.jsonl", "--policy", "strict.yaml", "--ledger", "led").exit_code == 0
    (segment,) = (tmp_path / "led").glob("*.jsonl")
    rows = [body_of(each) for each in segment.read_bytes().splitlines(keepends=True)]
    plain = [row for row in rows if row]
    at = next(at for at, row in enumerate(plain) if row.startswith(b'{"type":"ruled"'))
    plain[at] = plain[at].replace(where, bad, 1)
    assert bad in plain[at]
    (tmp_path / "rows.jsonl").write_bytes(b"".join(row + b"\n" for row in plain))
    for arguments in (["replay", "rows.jsonl"], ["replay", "rows.jsonl", "--policy", "wide.yaml"]):
        result = run(*arguments)
        assert (result.exit_code, "Traceback" in result.output) == (2, False), result.output
        assert f"rows.jsonl:{at + 1}: this is no row of a ledger" in result.stderr


def test_a_line_of_raw_traffic_that_is_no_text_is_refused_alone(run: Run, tmp_path: Path) -> None:
    lines = text_of([chat(at, "a", "one") for at in range(3)]).encode().splitlines(keepends=True)
    for at, bad in ((0, b'{"account":"\xff",'), (1, b'{"headers":{"\xfe":"x"},')):
        lines[at] = lines[at].replace(b"{", bad, 1)
    (tmp_path / "log.jsonl").write_bytes(b"".join(lines))
    result = run("replay", "log.jsonl", "--decisions", "out.jsonl")
    assert result.exit_code == 0, result.output
    assert [each["action"] for each in decisions(tmp_path / "out.jsonl")] == ["reject", "reject", "allow"]


@pytest.mark.parametrize("odd", ['"\\ud800"', "1" + "0" * 400, "1" * 9_000, "1e999", "[" * 3_000 + "]" * 3_000])
def test_json_that_any_caller_can_send_stops_no_replay(run: Run, tmp_path: Path, odd: str) -> None:
    text = text_of([chat(0, "a", "one"), chat(1, "a", "two"), chat(2, "b", "three")]).replace('"two"', odd, 1)
    (tmp_path / "p.yaml").write_text(POLICY)
    result = run("replay", "-", "--policy", "p.yaml", "--decisions", "out.jsonl", given=text)
    assert result.exit_code == 0, result.stderr
    assert [each["account"] for each in decisions(tmp_path / "out.jsonl")][::2] == ["a", "b"]


@pytest.mark.parametrize("bad", ["{", "not json", "[1]", '"x"', '{"t": NaN}', '{"t":1,"path":"/x","body":{"a":}}'])
def test_a_line_that_is_no_json_object_stops_with_its_number(run: Run, tmp_path: Path, bad: str) -> None:
    given = text_of([chat(0, "a", "one")]) + "\n" + bad + "\n"
    result = run("replay", "-", given=given)
    assert result.exit_code == 2
    assert "<stdin>:3: this line is no JSON object" in result.stderr
    assert "Traceback" not in result.stderr
