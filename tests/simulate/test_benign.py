"""The benign population and the controls have the shapes that they claim."""

import re
from collections import Counter, defaultdict
from statistics import median

import pytest

from gateway.simulate.chance import dice_of
from gateway.simulate.habits import FAMILIES, benchmark
from gateway.simulate.people import VECTORS
from gateway.simulate.schedule import DAY, zipf
from gateway.simulate.traffic import Line
from gateway.simulate.world import BEGIN, Scenario, World
from tests.simulate.worlds import lines_of, messages, networks, params


def control(name: str, days: float = 4.0, benign: int = 0) -> tuple[World, list[Line]]:
    scenario = Scenario(days=days, benign=benign, controls=(name,))
    world = World(scenario, dice_of(1))
    return world, [sent.line for sent in world.play()]


def by_account(lines: list[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.account].append(line)
    return found


@pytest.fixture(scope="module")
def crowd() -> tuple[World, list[Line]]:
    world = World(Scenario(days=3, benign=250), dice_of(5))
    return world, [sent.line for sent in world.play()]


def test_every_family_is_there_and_all_of_it_is_innocent(crowd: tuple[World, list[Line]]) -> None:
    world, lines = crowd
    assert {line.family for line in lines} == set(FAMILIES)
    assert len(FAMILIES) >= 10
    assert {(line.label, line.campaign, line.useful) for line in lines} == {("benign", None, False)}
    daily = [len(each) / 3 for each in by_account(lines).values()]
    assert 8 < median(daily) < 60
    assert max(daily) > 10 * median(daily)  # some are large
    failed = sum(line.status != 200 for line in lines) / len(lines)
    assert 0.006 < failed < 0.02
    assert len(world.accounts) > 250


def test_owners_are_old_and_new_and_some_have_several_accounts_of_one_org(crowd: tuple[World, list[Line]]) -> None:
    world, _ = crowd
    accounts = Counter(account.owner for account in world.accounts)
    assert len(accounts) == 250
    assert 10 < sum(count > 1 for count in accounts.values()) < 50
    assert max(accounts.values()) <= 5
    for account in world.accounts:
        assert (account.org is not None) == (accounts[account.owner] > 1)
    ages = [-account.created / DAY for account in world.accounts]
    assert 0.03 < sum(age < 30 for age in ages) / len(ages) < 0.3
    assert 60 < median(ages) < 400
    assert max(ages) <= 900


def test_parameters_and_clients_follow_a_zipf_law(crowd: tuple[World, list[Line]]) -> None:
    chance = dice_of(1)("zipf")
    ranks = Counter(zipf(chance, 24) for _ in range(20_000))
    assert ranks[0] / ranks[9] == pytest.approx(10, rel=0.25)
    _, lines = crowd
    clients = Counter(each[0].user_agent for each in by_account(lines).values())
    assert clients.most_common(1)[0][1] > 0.12 * clients.total()
    assert len(clients) > 10
    vectors = Counter(params(each[0]) for each in by_account(lines).values() if each[0].family == "framework")
    assert any(count > 1 for count in vectors.values())
    assert sum(count == 1 for count in vectors.values()) > len(VECTORS) // 4  # some have their own


def test_offices_keep_hours_and_clocks_do_not(crowd: tuple[World, list[Line]]) -> None:
    _, lines = crowd

    def quiet(family: str) -> float:
        """The share of the four quietest hours in a row, over accounts with enough to say."""
        shares = []
        for each in by_account([line for line in lines if line.family == family]).values():
            if len(each) >= 60:
                hours = Counter(int(line.t % DAY // 3600) for line in each)
                shares.append(min(sum(hours[(at + k) % 24] for k in range(4)) for at in range(24)) / len(each))
        return median(shares)

    assert quiet("rag") < 0.03
    assert quiet("chat_app") < 0.1


def test_conversations_grow_and_agents_use_tools(crowd: tuple[World, list[Line]]) -> None:
    _, lines = crowd
    turns = Counter(len(messages(line)) for line in lines if line.family == "chat_app")
    assert {2, 4, 6} <= set(turns)
    agents = [line for line in lines if line.family == "coding_agent"]
    assert all(b'"tools"' in bytes(line.body) for line in agents)
    assert any(part["role"] == "tool" for line in agents for part in messages(line))
    rag = {messages(line)[0]["content"] for line in lines if line.family == "rag"}
    assert len(rag) == len({line.owner for line in lines if line.family == "rag"})  # each its own instructions


def test_test_sets_are_swept_whole_by_several_owners(crowd: tuple[World, list[Line]]) -> None:
    _, lines = crowd
    owners: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.family == "eval_harness":
            text = messages(line)[0]["content"]
            owners[re.sub(r"^Question: |\n[^\n]*$", "", text)].add(line.owner)
    assert benchmark(0, 0) in owners
    assert len(owners[benchmark(0, 0)]) > 2


def test_viral_unrelated_owners_take_one_new_template_over() -> None:
    world, lines = control("viral")
    accounts = by_account(lines)
    assert len({account.owner for account in world.accounts}) == len(world.accounts) == 50
    heads = Counter(messages(line)[0]["content"] for line in lines if b'"messages"' in bytes(line.body))
    frame, _ = heads.most_common(1)[0]
    first = {}
    share = {}
    for name, each in accounts.items():
        framed = [line for line in each if frame.encode()[:20] in bytes(line.body)]
        first[name], share[name] = framed[0].t - BEGIN, len(framed) / len(each)
    assert max(first.values()) < 3.6 * DAY
    assert max(first.values()) - min(first.values()) > DAY
    assert median(share.values()) > 0.3
    assert 0.2 < sum(value == 1 for value in share.values()) / 50 < 0.8  # the new ones do nothing else
    ages = [-account.created / DAY for account in world.accounts]
    assert sum(age > 30 for age in ages) >= 20
    assert sum(age < 3 for age in ages) >= 10
    asked = Counter(messages(line)[1]["content"] for line in lines if frame.encode()[:20] in bytes(line.body))
    assert asked.most_common(1)[0][1] <= 3  # private matter
    assert len({params(each[-1]) for each in accounts.values()}) > 15
    assert len(networks(lines)) > 30


@pytest.mark.parametrize("name, org", [("enterprise", "enterprise"), ("enterprise-unclaimed", None)])
def test_enterprise_projects_share_instructions_client_and_parameters(name: str, org: str | None) -> None:
    world, lines = control(name, days=1.0)
    assert len(world.accounts) == 80
    assert {account.org for account in world.accounts} == {org}
    assert {account.owner for account in world.accounts} == {"enterprise"}
    assert len({messages(line)[0]["content"] for line in lines}) == 1
    assert len({line.user_agent for line in lines}) == 1
    assert len({params(line) for line in lines}) == 1
    assert len(networks(lines)) == 1
    found = {created for _, _, created in world.directory()}
    assert len(found) > 20


def test_a_course_is_new_accounts_one_template_and_the_same_exercises() -> None:
    world, lines = control("course")
    assert len({account.owner for account in world.accounts}) == len(world.accounts) == 30
    assert (
        max((line.t - BEGIN) - account.created for account, line in zip(world.accounts, lines, strict=False)) < 5 * DAY
    )
    assert len({messages(line)[0]["content"] for line in lines}) == 1
    asked: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        asked[messages(line)[1]["content"]].add(line.account)
    assert len(asked) <= 60
    assert median(map(len, asked.values())) > 10  # full overlap


def test_a_franchise_is_one_product_at_many_owners() -> None:
    world, lines = control("franchise")
    assert len({account.owner for account in world.accounts}) == len(world.accounts) == 40
    words = {messages(line)[0]["content"] for line in lines}
    assert len(words) == 40
    assert len({text.partition("\n")[0] for text in words}) == 1
    assert len({line.user_agent for line in lines}) == 1
    assert all(-account.created >= 10 * DAY for account in world.accounts)


def test_more_owners_change_nothing_for_the_first_ones() -> None:
    few = lines_of(Scenario(days=1, benign=10))
    many = [line for line in lines_of(Scenario(days=1, benign=20)) if int(line.owner.partition("-")[2]) < 10]
    for line in few + many:
        line.id = ""
    assert few == many
