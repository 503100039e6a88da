"""A session is charged while it lasts: each charge is a row, so what the limits answered after it is replayed."""

from pathlib import Path
from typing import Any

import msgspec

from gateway.ledger.record import Row, Used, decode, decode_sealed, encode
from gateway.ledger.story import Teller
from gateway.stores.proof import erase
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.segments import read_rows
from gateway.usage import Usage
from tests.ledger.ledgers import SECOND, START, Written, policy_of, replayed

TIGHT = """
gauger: 1
policy: {id: made}
limits:
  - {id: output, by: [account], count: tokens.output, rate: 6k tokens/min}
  - {id: daily, by: [account], count: tokens.total, rate: 20k tokens/day, window: calendar}
"""
SESSION: dict[str, Any] = {
    "op": "realtime",
    "dialect": "openai_realtime",
    "route": "/v1/realtime",
    "chars": 0,
    "stream": True,
}


def charge(made: Written, name: str, at: float, output: int) -> None:
    """What a gateway does when a session has used so much."""
    now = START + round(at * SECOND)
    facts, verdict, _ = made.open[name]
    usage = Usage(10, output, source="upstream")
    made.steps.keep(now)
    made.steps.charge(made.policy, name, verdict, usage, now)
    made.put(Used(made.next(), now, name, facts.caller.account, usage))


def talk() -> Written:
    """A session of ten minutes, with requests of the same account and of another in between."""
    made = Written(TIGHT)
    made.ask("session", 0, **SESSION)
    for at in range(10):
        charge(made, "session", 60 * at + 20, 2500 * (at + 1))
        made.call(f"chat{at}", 60 * at + 30)
        made.call(f"other{at}", 60 * at + 31, "b")
    made.end("session", 600, output=25_000)
    made.call("after", 601)
    return made


def test_a_session_agrees_with_itself() -> None:
    made = talk()
    replay, judged = replayed(made.rows)
    assert (replay.tally.differences, replay.tally.first, replay.tally.gaps) == (0, None, 0)
    assert len(judged) == replay.tally.requests == 22
    refused = [each for each in judged if each.settled is not None and each.settled.outcome.end == "refused"]
    assert len(refused) > 3  # the session's tokens left nothing for some of the chats


def test_without_its_charges_it_does_not() -> None:
    rows: list[Row] = []
    for row in talk().rows:
        if not isinstance(row, Used):
            rows.append(msgspec.structs.replace(row, seq=len(rows) + 1))
    replay, _ = replayed(rows)
    assert replay.tally.differences > 0


def test_another_policy_charges_by_its_own_limits() -> None:
    wide = policy_of(TIGHT.replace("6k tokens/min", "600k tokens/min").replace("20k tokens/day", "9M tokens/day"))
    replay, judged = replayed(talk().rows, wide)
    assert replay.tally.compared == 0
    assert all(reading.ok for each in judged for reading in each.limits)
    tight = policy_of(TIGHT.replace("6k tokens/min", "2k tokens/min"))
    _, judged = replayed(talk().rows, tight)
    assert sum(any(not reading.ok for reading in each.limits) for each in judged) > 8


def test_the_row_is_read_back_and_told_apart() -> None:
    row = Used(7, START, "r", "a", Usage(1, 2, source="upstream"))
    assert decode(encode(row)) == decode_sealed(encode(row)) == row
    assert encode(row).startswith(b'{"type":"used"')


def test_it_stands_in_the_chain_and_goes_with_its_account(tmp_path: Path) -> None:
    made = talk()
    writer = SegmentWriter(tmp_path, version="test")
    for row in made.rows:
        writer(row)
    writer.close()
    rows = list(read_rows(tmp_path))
    assert rows == made.rows
    erase(tmp_path, "a")
    assert not [row for row in read_rows(tmp_path) if isinstance(row, Used)]


def test_an_account_s_story_is_told_over_it() -> None:
    teller = Teller("a")
    for row in talk().rows:
        teller.add(row)
    story = teller.story()
    assert story is not None
    assert story.requests == 12
