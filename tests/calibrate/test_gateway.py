"""A running gateway with a calibrated policy: what it counts, what its ledger holds, and that no verdict changes."""

from pathlib import Path

import httpx

from gateway.accounts import Directory
from gateway.calibrate.fitting import Options, calibrated
from gateway.ledger.record import Adopted, Ruled
from gateway.ledger.replay import Replay
from gateway.policy.calibration import write
from gateway.policy.loader import load
from gateway.policy.model import Policy
from tests.calibrate.scored import CARD, month, owners
from tests.ledger.ledgers import fresh
from tests.rig import Running, gateway

PLAIN = CARD.replace("PROMISE", "{throttle: 1% of owners/month}")
NAMED = PLAIN.replace("owners/month}", "owners/month}\n    calibration: c.json")


def policy(files: dict[str, str]) -> Policy:
    return load(files["made.yaml"], "made.yaml", lambda name: files[name].encode())


def named() -> Policy:
    """Its level is -21.99 dB: one who wants several answers (+12) is above, one who doesn't is not."""
    bare = load(PLAIN, "made.yaml", lambda name: b"")
    made = calibrated(owners(month([-22.0] * 400), by=bare), Options(rule="all")).calibration
    return policy({"made.yaml": NAMED, "c.json": write(made).decode()})


async def ask(g: Running, client: httpx.AsyncClient, key: str, n: int) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "n": n}
    answer = await client.post(f"{g.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200


async def test_it_counts_owners_above_the_level_and_begins_anew_without_a_calibration(tmp_path: Path) -> None:
    async with gateway(policy=PLAIN, state_dir=tmp_path) as g, httpx.AsyncClient() as client:
        await ask(g, client, "sk-one", 3)
        assert "gauger_owners_scored{" not in (await client.get(f"{g.ops_url}/metrics")).text
        before = next(row for row in g.rows if isinstance(row, Ruled)).verdict
        g.core.adopt(named(), Directory.empty())
        for key, n in (("sk-two", 3), ("sk-two", 1), ("sk-three", 1), ("sk-three", 1)):
            await ask(g, client, key, n)
        page = (await client.get(f"{g.ops_url}/metrics")).text
        assert 'gauger_owners_scored{card="theft"} 2.0' in page
        assert 'gauger_owners_above_calibrated{card="theft"} 1.0' in page
        after = [row.verdict for row in g.rows if isinstance(row, Ruled)][1]
        assert (after.scores, after.evidence, after.rules) == (before.scores, before.evidence, before.rules)


async def test_its_ledger_holds_the_calibration_and_replays_exactly(tmp_path: Path) -> None:
    async with gateway(policy=PLAIN, state_dir=tmp_path) as g, httpx.AsyncClient() as client:
        g.core.adopt(named(), Directory.empty())
        for at in range(6):
            await ask(g, client, f"sk-{at % 2}", 1 + at % 3)
    rows = g.rows
    last = [row for row in rows if isinstance(row, Adopted)][-1]
    assert list(last.files) == ["made.yaml", "c.json"]
    assert policy(last.files).digest == last.digest == named().digest
    replay = Replay(None, lambda row: policy(row.files), fresh)
    for row in rows:
        replay.step(row)
    assert (replay.tally.compared, replay.tally.differences) == (6, 0)
