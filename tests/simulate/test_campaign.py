"""Every knob does what it says, measured on the traffic."""

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from gateway.simulate.knobs import PRESETS, Hydra, parsed
from gateway.simulate.people import CLIENTS
from gateway.simulate.traffic import Heard
from tests.simulate.worlds import asks, attack, messages, networks, params, variance_ratio, world_of

BARE = "frames=none,"


def shared(found: dict[str, list[str]]) -> int:
    """How many asks more than one account has."""
    owners = Counter(text for texts in found.values() for text in set(texts))
    return sum(1 for count in owners.values() if count > 1)


def test_accounts_pace_and_length() -> None:
    lines = attack("accounts=20,pace=50", days=3)
    assert len({line.account for line in lines}) == 20
    assert len(lines) / 60 == pytest.approx(50, rel=0.1)
    assert {(line.label, line.family, line.campaign, line.owner) for line in lines} == {
        ("extraction", "hydra", "hydra-1", "hydra-1")
    }
    assert len({line.key for line in lines}) == 20


def test_accounts_share_the_pool_out_and_ask_nothing_twice() -> None:
    found = asks(attack(BARE + "accounts=20"))
    texts = [text for each in found.values() for text in each]
    lost = len(texts) - len(set(texts))  # what the model server failed is asked again
    assert lost <= 0.03 * len(texts)
    assert shared(found) <= lost


def test_overlap_is_the_share_that_others_ask_too() -> None:
    lines = attack(BARE + "accounts=20,overlap=30%,pace=60")
    texts = [messages(line)[0]["content"] for line in lines]
    assert 1 - len(set(texts)) / len(texts) == pytest.approx(0.3, abs=0.05)
    assert sum(line.useful for line in lines) == pytest.approx(0.7 * len(lines), rel=0.05)


def test_a_pool_ends_and_so_does_the_campaign() -> None:
    lines = attack(BARE + "accounts=5,pace=500,pool=300")
    assert len({messages(line)[0]["content"] for line in lines}) == 300
    assert sum(line.useful for line in lines) >= 298


def test_a_file_s_prompts_are_asked_each_once() -> None:
    bank = tuple(f"Question number {at}?" for at in range(250))
    lines = attack(BARE + "accounts=5,pace=500", prompts=bank)
    assert {messages(line)[0]["content"] for line in lines} == set(bank)
    order = [bank.index(messages(line)[0]["content"]) for line in lines]
    assert sum(b == a + 1 for a, b in pairwise(order)) < 20  # shuffled


@pytest.mark.parametrize("frames, count", [("1", 1), ("4", 4), ("each", 12)])
def test_frames(frames: str, count: int) -> None:
    lines = attack(f"accounts=12,frames={frames}")
    heads: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        said = messages(line)
        heads[line.account].add(said[0]["content"][:25] if len(said) == 2 else said[-1]["content"][:25])
    assert all(len(each) == 1 for each in heads.values())  # exclusive: all that the account asks
    assert len({next(iter(each)) for each in heads.values()}) == pytest.approx(count, abs=count // 4)


def test_wording_and_paraphrase() -> None:
    plain = {messages(line)[0]["content"] for line in attack("accounts=3,pace=100")}
    told = [str(messages(line)) for line in attack("accounts=3,pace=100,wording=reasoning")]
    assert all("step" in text or "chain of thought" in text for text in told)
    many = attack("accounts=3,pace=100,paraphrase=1000")
    assert len({messages(line)[0]["content"][:60] for line in many}) > 0.5 * len(many)
    assert len(plain) == 1  # a system prompt
    new = [str(messages(line)) for line in attack("accounts=3,pace=100,wording=generation")]
    assert all("five" in text or "5 new" in text for text in new)


def test_parameters_and_clients() -> None:
    own, popular, rotating = (
        attack(f"accounts=20,params={word},client={word}") for word in ("own", "popular", "rotating")
    )
    assert len({params(line) for line in own}) == 1
    assert "top_p" in params(own[0]) or "max_tokens" in params(own[0]) or "temperature" in params(own[0])
    assert {line.user_agent for line in own}.isdisjoint(CLIENTS)
    assert {params(line) for line in popular} == {"[('model', 'gpt-4o-mini')]"}
    assert {line.user_agent for line in popular} == {CLIENTS[0]}
    assert 4 <= len({params(line) for line in rotating}) <= 20
    assert 4 <= len({line.user_agent for line in rotating}) <= 20
    assert {line.user_agent for line in rotating} <= set(CLIENTS)


@pytest.mark.parametrize("each", [1, 5, 30])
def test_accounts_per_network(each: int) -> None:
    found = networks(attack(f"accounts=30,per_network={each}"))
    assert len(found) == 30 // each
    assert {len(accounts) for accounts in found.values()} == {each}
    assert all(network.startswith(("198.18.", "198.19.")) for network in found)


def test_cover_looks_like_a_family_and_is_of_no_use() -> None:
    lines = attack("accounts=20,pace=60,cover=60%,cover_as=coding_agent")
    filler = [line for line in lines if b'"tools"' in bytes(line.body)]
    assert len(filler) / len(lines) == pytest.approx(0.6, abs=0.05)
    assert not any(line.useful for line in filler)
    assert all(line.useful == (line.status == 200) for line in lines if b'"tools"' not in bytes(line.body))


def test_schedules_by_their_variance_ratio() -> None:
    """Poisson accounts don't know each other, a shared load leaves no variance, lock-step multiplies it."""
    ratio = {
        name: variance_ratio(attack(f"accounts=40,pace=96,schedule={name}"))
        for name in ("poisson", "balanced", "lockstep", "human")
    }
    assert 0.75 < ratio["poisson"] < 1.3
    assert ratio["balanced"] < 0.1
    assert ratio["lockstep"] > 5
    assert 0.75 < ratio["human"] < 3


def test_people_sleep_by_their_own_clock() -> None:
    hours: dict[str, Counter[int]] = defaultdict(Counter)
    for line in attack("accounts=4,pace=400,schedule=human", days=3):
        hours[line.account][int(line.t % 86_400 // 3600)] += 1
    for counter in hours.values():
        quiet = min(sum(counter[(at + k) % 24] for k in range(5)) for at in range(24))
        assert quiet < 0.08 * counter.total()
    assert len({counter.most_common(1)[0][0] for counter in hours.values()}) > 1


def test_rotation_gives_accounts_up_and_succession_begins_new_ones() -> None:
    lines = attack("accounts=5,pace=200,rotation=30,succession=yes,delay=1,per_network=5")
    each = Counter(line.account for line in lines)
    assert max(each.values()) == 30
    assert len(each) > 20
    first = {line.account: line.t for line in reversed(lines)}
    last = {line.account: line.t for line in lines}
    ended = sorted(last[name] for name, count in each.items() if count == 30)
    later = sorted(first.values())[5:]
    assert len(later) >= len(ended) - 5
    assert all(any(t > end for end in ended) for t in later)
    assert len(networks(lines)) == -(-len(each) // 5)
    alone = attack("accounts=5,pace=200,rotation=30")
    assert Counter(Counter(line.account for line in alone).values()) == {30: 5}


def test_age_and_start() -> None:
    world = world_of(parsed("accounts=3,age=60,start=1"), days=2.0)
    lines = [sent.line for sent in world.play()]
    assert min(line.t for line in lines) > 1_767_571_200 + 86_400
    assert {account.created for account in world.accounts} == {(1 - 60) * 86_400.0}
    assert {created for _, _, created in world.directory()} == {1_767_571_200 - 59 * 86_400}


@pytest.mark.parametrize("schedule", ["poisson", "balanced", "human", "lockstep"])
def test_whoever_is_blocked_is_succeeded_and_asks_again_once(schedule: str) -> None:
    knobs = Hydra(accounts=3, pace=400, frames=0, schedule=schedule, succession=True, delay=0.5)  # type: ignore[arg-type]
    world = world_of(knobs)
    (campaign,) = world.campaigns
    blocked = {account.name for account in world.accounts}
    seen: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for sent in world.play(deaf=False):
        name = sent.line.account
        seen[name] += 1
        asked[messages(sent.line)[0]["content"]] += 1
        sent.actor.hear(sent, Heard(False, blocked=True) if name in blocked else Heard(True))
    assert all(seen[name] == 3 for name in blocked)
    assert campaign.accounts == 6
    assert campaign.given_up == 3
    assert max(asked.values()) == 2
    assert campaign.useful + campaign.lost == len(asked)
    assert campaign.useful > 0


def test_whoever_is_limited_waits_an_hour() -> None:
    world = world_of(Hydra(accounts=1, pace=8_640, frames=0))
    times = []
    for sent in world.play(deaf=False):
        times.append(sent.line.t)
        sent.actor.hear(sent, Heard(False, limited=True))
        if len(times) == 6:
            break
    gaps = [b - a for a, b in pairwise(times)]
    assert [gap > 3600 for gap in gaps] == [False, False, True, False, False]


def test_every_preset_runs() -> None:
    for name, hydra in PRESETS.items():
        lines = attack(f"{name},accounts={min(hydra.accounts, 10)}", days=0.5)
        assert lines, name
