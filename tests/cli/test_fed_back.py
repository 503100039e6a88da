"""Raw traffic that says what was answered: a pipeline that feeds on its own answers, and an agent that pastes some."""

import json
from pathlib import Path
from typing import Any

from gateway.accounts import Directory
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.ledger.record import Row, Ruled, Settled
from gateway.ledger.steps import Steps
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits
from gateway.stores.served import Served
from tests.cli.traffic import START, Line, chat
from tests.ledger.ledgers import policy_of

CARD = """
gauger: 1
policy: {id: card}
scorecards:
  - id: extraction
    prior: -30 dB
    families: {content: 27 dB}
    evidence:
      - {id: fed-back, family: content, rate: fed_back_share, benign: {mean: 1%, rho: 0.3}, ceiling: 10 dB, floor: 0 dB}
rules:
  - {id: fed, when: score.extraction >= -21 dB, then: {tag: [fed]}}
"""
STAGES = ("Explain", "Rewrite so that it is harder", "Judge, and give a grade", "Add a constraint")


def words(at: int, account: str, parts: str = "xyz") -> str:
    """A text of so many sentences that nobody else says."""
    names = [chr(97 + at // 26 % 26) + chr(97 + at % 26) + account + part for part in parts]
    return "\n".join(f"The {name} is a kind of thing of which there are many in the world." for name in names)


def answered(at: int, account: str, prompt: str, answer: str, *, document: bool = False, **more: Any) -> Line:
    """A request whose answer the log has kept, as text or as the document that it was."""
    made = chat(at, account, prompt) | {"latency_ms": 100, **more}
    if document:
        return made | {"response": {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}}
    return made | {"response_text": answer}


def chain(account: str, *, document: bool = False) -> list[Line]:
    """Seeds, each taken through three further stages by what the model said before."""
    made = []
    for at in range(40):
        answer = words(at, account)
        prompt = f"{STAGES[at % 4]}:\n{words(at - 1, account) if at % 4 else f'seed number {chr(97 + at)}'}"
        made.append(answered(at, account, prompt, answer, document=document))
    return made


def agent(account: str) -> list[Line]:
    """Questions of its own; in one of ten it pastes a line of the dozen that it was told a while ago."""
    made = []
    for at in range(40):
        prompt = f"What shall I do with part {chr(97 + at % 26)}{at} of the plant, please?"
        if at % 10 == 9:
            prompt += "\n" + words(at - 5, account, "j")
        made.append(answered(at, account, prompt, words(at, account, "abcdefghijkl")))
    return made


def play(lines: list[Line], served: Served | None = None) -> tuple[list[Ruled], Player]:
    rows: list[Row] = []
    player = Player(
        policy_of(CARD),
        Directory.empty(),
        PUBLIC_PEPPER,
        Steps(MemoryLimits(), MemoryAccounts()),
        served=served,
        record=rows.append,
    )
    for at, each in enumerate(lines):
        player.play(json.dumps(each).encode(), str(at))
    player.finish()
    assert not player.bad
    return [row for row in rows if isinstance(row, Ruled)], player


def scores(lines: list[Line]) -> list[float]:
    return [row.verdict.scores["extraction"] for row in play(lines)[0]]


def test_a_chain_rises_to_the_ceiling_of_its_line_and_an_agent_stays() -> None:
    for document in (False, True):
        rising = scores(chain("chain", document=document))
        assert rising[0] == -30
        assert max(rising) == rising[-1] == -20
    found = scores(agent("agent"))
    assert -30 < max(found) < -24  # one excerpt of four was of the pieces that are kept: it isn't deaf,
    assert found[-1] == -30  # and it heals


def test_what_answers_said_is_looked_up_when_they_have_ended() -> None:
    slow = answered(0, "a", "Begin.", words(0, "a"), latency_ms=10_000)
    early, late = chat(1, "b", words(0, "a")), chat(1, "b", words(0, "a")) | {"t": START + 11}
    assert [row.facts.returned for row in play([slow, early, late])[0]] == [0, 0, 3]


def test_only_an_answer_that_was_given_counts() -> None:
    asks = chat(9, "b", words(0, "a"))
    for made, returned in (
        (answered(0, "a", "Begin.", words(0, "a")), 3),
        (answered(0, "a", "Begin.", words(0, "a"), status=500), 0),
        (answered(0, "a", "Begin.", words(0, "a"), path="/v1/elsewhere", document=True), 0),
        (chat(0, "a", "Begin."), 0),
        (chat(0, "a", "Begin.") | {"response": None, "response_text": 7}, 0),
        (chat(0, "a", "Begin.") | {"response": [1], "response_text": words(0, "a")}, 0),
    ):
        assert [row.facts.returned for row in play([made, asks])[0]] == [0, returned]


def test_without_memory_nothing_comes_back() -> None:
    assert {row.facts.returned for row in play(chain("chain"), Served(0))[0]} == {0}


def test_the_command_reads_answers_and_its_ledger_agrees_without_them(run: Any, tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(CARD)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in chain("chain")))
    given = ("replay", "log.jsonl", "--policy", "card.yaml", "--decisions", "out", "--ledger", "led")
    assert run(*given).exit_code == 0
    last = json.loads((tmp_path / "out").read_bytes().splitlines()[-1])
    assert (last["score"], last["rules"]) == (-20.0, ["fed"])
    kept = b"".join(each.read_bytes() for each in (tmp_path / "led").iterdir())
    assert b'"returned":' in kept
    assert b"kind of thing" not in kept
    again = run("replay", "led")
    assert again.exit_code == 0, again.output
    assert run(*given[:-2], GAUGER_SERVED_MEMORY="0").exit_code == 0
    assert json.loads((tmp_path / "out").read_bytes().splitlines()[-1])["score"] == -30.0


def test_answers_are_in_no_row() -> None:
    rows: list[Row] = []
    player = Player(
        policy_of(CARD), Directory.empty(), PUBLIC_PEPPER, Steps(MemoryLimits(), MemoryAccounts()), record=rows.append
    )
    player.play(json.dumps(answered(0, "a", "Begin.", words(0, "a"))).encode(), "1")
    player.finish()
    assert [type(row) for row in rows] == [Ruled, Settled]
    assert "kind of thing" not in repr(rows)
