"""The signals of campaigns by hand: counts, Poisson's tail in exact fractions, variances, marks."""

from fractions import Fraction
from math import factorial, log10, pi, sin
from random import Random

import pytest

from gateway.campaigns.habits import CELLS
from gateway.campaigns.signals.balance import Balance
from gateway.campaigns.signals.marked import Marked
from gateway.campaigns.signals.partition import POOL, PROMPTS, Partition
from gateway.campaigns.signals.shared_recipe import SharedRecipe
from tests.campaigns.signals.steps import BIN, DAY, T0, WEEK, asks, counted, looked, member, row, slab_of

LOG10_E = 0.4342944819032518
POOLED = [[5, 7, 4] + [0] * (CELLS - 3)] * 3  # three members whose words are alike: dispersion 0


# X1


def test_the_share_is_the_members_mean_and_whoever_came_with_the_frame_is_counted() -> None:
    members = [
        member("a", share=1.0, born=True, made=0),
        member("b", share=0.5, born=True, made=WEEK - DAY),
        member("c", share=0.9, born=True, made=WEEK + DAY),  # it was there before the gateway
        member("d", share=0.8, born=False, made=0),  # the frame came later
        member("e", share=0.8, born=True, made=400 * DAY, started=T0 - 8 * DAY),  # old, and never seen in a week
    ]
    assert looked(SharedRecipe(), members) == {
        "exclusive_share": pytest.approx(0.8),
        "born_share.hits": 3.0,
        "born_share.of": 5.0,
    }


def test_nothing_is_said_of_nobody() -> None:
    for made in (SharedRecipe, Partition, Balance, Marked):
        assert looked(made(), []) == {}


# X2


def tail_db(seen: int, expected: Fraction) -> float:
    """-10 log10 P(Poisson(expected) <= seen), the sum exact."""
    total = sum(expected**k / factorial(k) for k in range(seen + 1))
    return -10.0 * (log10(total) - float(expected) * LOG10_E)


def dealt(same: int) -> Partition:
    """Three members with 120, 100 and 30 prompts; the first two have `same` of them in common."""
    bond = Partition()
    asks(bond, "a", *range(1, 121))
    asks(bond, "b", *range(121 - same, 221 - same))
    asks(bond, "c", *range(1001, 1031))
    return bond


@pytest.mark.parametrize("same", [0, 1, 2, 5, 9])
def test_overlap_and_partition_are_those_of_a_pool_ten_times_as_large(same: int) -> None:
    """250 prompts asked: (250^2 - 120^2 - 100^2 - 30^2) / (2 * 10 * 250) = 7.44 pairs to expect."""
    expected = Fraction(250**2 - 120**2 - 100**2 - 30**2, 2 * 10 * 250)
    assert expected == Fraction(744, 100)
    made = looked(dealt(same), [member(str(at), words=each) for at, each in enumerate(POOLED)])
    assert made["dispersion"] == 0.0
    assert made["overlap"] == pytest.approx(same / float(expected))
    assert made["partition"] == pytest.approx(tail_db(same, expected), rel=1e-9)


def test_who_asks_what_all_others_ask_is_no_partition() -> None:
    """An evaluation: three members, one set of questions. 3 pairs of each, where (3 * 2 * 80^2) / (20 * 240) = 8."""
    bond = Partition()
    for account in ("a", "b", "c"):
        asks(bond, account, *range(1, 81))
    made = looked(bond, [member(str(at), words=each) for at, each in enumerate(POOLED)])
    assert made["overlap"] == pytest.approx(3 * 80 / 8)
    assert made["partition"] == pytest.approx(0.0, abs=1e-9)


def test_four_members_are_remembered_of_a_prompt_and_one_that_asks_again_counts_once() -> None:
    bond = Partition()
    for account in ("a", "b", "c", "d", "e", "f", "a", "b"):
        asks(bond, account, *range(1, 41), *range(1, 41))
    assert set(map(len, bond.here.tellers.values())) == {4}
    assert looked(bond, [])["overlap"] == pytest.approx(6 * 40 / ((160**2 - 4 * 40**2) / (20 * 160)))


def test_nothing_is_said_of_fewer_than_thirty_prompts_nor_of_one_member() -> None:
    few, one = Partition(), Partition()
    asks(few, "a", *range(1, 15))
    asks(few, "b", *range(101, 115))
    asks(one, "a", *range(1, 200))
    assert (looked(few, []), looked(one, [])) == ({}, {})


def test_without_words_nothing_is_claimed_of_one_pool() -> None:
    made = looked(dealt(0), [member(str(at)) for at in range(3)])
    assert (made["partition"], "dispersion" in made) == (0.0, False)


def test_the_sample_of_prompts_is_bounded_and_keeps_the_ratio() -> None:
    """20,000 prompts, each of two of twenty members: as many pairs as prompts, whatever is left of these."""
    bond, chance = Partition(), Random(3)
    for _ in range(20_000):
        prompt, one = chance.getrandbits(53), chance.randrange(20)
        asks(bond, f"a{one}", prompt)
        asks(bond, f"a{(one + 1 + chance.randrange(19)) % 20}", prompt)
    left = len(bond.here.tellers)
    assert PROMPTS // 3 <= left <= PROMPTS
    assert all(len(who) == 2 for who in bond.here.tellers.values())
    expected = 2 * left * (1 - 1 / 20) / (2 * POOL)  # (sum m)^2 (1 - 1/20) of equal members
    assert looked(bond, [])["overlap"] == pytest.approx(left / expected, rel=0.02)


def test_prompts_that_others_tell_count_as_if_they_had_been_asked_here() -> None:
    """Two workers, each with one member of a pair; what a member is told of twice counts once."""
    here, there, both = Partition(), Partition(), Partition()
    for bond in (here, both):
        asks(bond, "a", *range(1, 41))
    for bond in (there, both):
        asks(bond, "b", *range(36, 61))
    here.begin()
    for _ in range(2):
        here.heard("b", there.remembered("b"), T0)
    assert here.read() == looked(both, [])
    assert looked(here, []) == looked(Partition(), [])  # alone it knows of one member only


def test_samples_of_another_grain_expect_the_pairs_that_both_would_show() -> None:
    """A member that asked 6,400 times is told by a hundredth of its prompts; of those in common as many are found."""
    chance = Random(11)
    pool = [chance.getrandbits(53) for _ in range(6400)]
    here, there, whole = Partition(), Partition(), Partition()
    asks(here, "a", *pool[:3000])
    asks(there, "b", *pool)
    told = there.remembered("b")
    assert len(told) <= 1 + 64 * 7
    here.begin()
    here.heard("b", told, T0)
    made = here.read()
    for member_, prompts in (("a", pool[:3000]), ("b", pool)):
        asks(whole, member_, *prompts)
    assert made["overlap"] == pytest.approx(looked(whole, [])["overlap"], rel=0.5)
    assert made["overlap"] > 5.0


@pytest.mark.parametrize("bad", [b"", b"\0", b"\xff" + b"x" * 7, b"\0" * 3, b"\1" * 900])
def test_what_is_no_telling_changes_nothing(bad: bytes) -> None:
    for made in (Partition, Balance):
        bond = made()
        asks(bond, "a", *range(1, 41))
        asks(bond, "b", *range(101, 141))
        before = counted(bond, "ab")
        bond.begin()
        bond.heard("a", bad, T0)
        for name in "ab":
            bond.member(member(name), None)
        assert bond.read().keys() == before.keys()


def dispersion_of(cells: list[list[int]]) -> float:
    return looked(Partition(), [member(f"a{at}", words=each) for at, each in enumerate(cells)])["dispersion"]


def test_dispersion_is_pearsons_chi_square_by_its_degrees_of_freedom() -> None:
    """Three members, two cells: 10 + 30, 20 + 20, 30 + 10, so 20 are expected. chi^2 = 4 * 10^2 / 20 = 20, by 2."""
    cells = [[10, 30], [20, 20], [30, 10]]
    assert dispersion_of([each + [0] * (CELLS - 2) for each in cells]) == pytest.approx(10.0)


def drawn(chance: Random, weights: list[float], words: int = 160) -> list[int]:
    cells = [0] * CELLS
    for at in chance.choices(range(CELLS), weights, k=words):
        cells[at] += 1
    return cells


@pytest.mark.parametrize("seed", range(5))
def test_draws_from_one_pool_have_a_dispersion_of_one(seed: int) -> None:
    chance = Random(seed)
    pool = [chance.expovariate(1.0) + 0.2 for _ in range(CELLS)]
    assert 0.85 <= dispersion_of([drawn(chance, pool) for _ in range(40)]) <= 1.15


@pytest.mark.parametrize("seed", range(5))
def test_customers_with_a_vocabulary_of_their_own_have_far_more(seed: int) -> None:
    """Each member's words are spread otherwise; then nothing is claimed of a partition."""
    chance = Random(seed)
    cells = [drawn(chance, [chance.expovariate(1.0) + 0.05 for _ in range(CELLS)]) for _ in range(40)]
    assert dispersion_of(cells) > 2.6
    assert looked(dealt(0), [member(f"a{at}", words=each) for at, each in enumerate(cells)])["partition"] == 0.0


def test_between_one_pool_and_several_the_claim_fades_in_proportion() -> None:
    halves = [[22, 18], [22, 18], [14, 26]]
    cells = [each + [0] * (CELLS - 2) for each in halves]
    made = looked(dealt(0), [member(f"a{at}", words=each) for at, each in enumerate(cells)])
    ones = sum(each[0] for each in halves)
    mean = [Fraction(ones, 3), Fraction(120 - ones, 3)]
    chi = sum((each[at] - mean[at]) ** 2 / mean[at] for each in halves for at in (0, 1))
    assert made["dispersion"] == pytest.approx(float(chi / 2))
    part = min(1.0, max(0.0, 2.6 - float(chi / 2)))
    assert 0.0 < part < 1.0
    assert made["partition"] == pytest.approx(part * tail_db(0, Fraction(744, 100)))


# X3


def ratio(bins: list[dict[str, int]]) -> float:
    bond = Balance()
    row(bond, bins)
    return counted(bond, who(bins))["balance"]


def who(bins: list[dict[str, int]]) -> set[str]:
    return {account for each in bins for account in each}


def test_the_ratio_of_variances_by_hand() -> None:
    even, odd = {"a": 10}, {"b": 10}
    assert ratio([even if at % 2 else odd for at in range(50)]) == 0.0  # together always ten
    assert ratio([{"a": 10, "b": 10} if at % 2 else {} for at in range(50)]) == pytest.approx(2.0)  # two in step
    assert ratio([{"a": 4 + 6 * (at % 2), "b": 5} for at in range(50)]) == pytest.approx(1.0)  # only one varies


def crowd(chance: Random, rate: float, members: int = 40, bins: int = 96) -> list[dict[str, int]]:
    """Each member's own coin, three times a quarter of an hour."""
    return [
        {f"a{who}": count for who in range(members) if (count := sum(chance.random() < rate / 3 for _ in range(3)))}
        for _ in range(bins)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_independent_accounts_have_about_one(seed: int) -> None:
    assert 0.6 <= ratio(crowd(Random(seed), 0.6)) <= 1.5


@pytest.mark.parametrize("seed", range(5))
def test_one_stream_that_is_dealt_out_has_about_none(seed: int) -> None:
    chance, bins = Random(seed), []
    for _ in range(96):
        each: dict[str, int] = {}
        for _ in range(24):
            who = f"a{chance.randrange(40)}"
            each[who] = each.get(who, 0) + 1
        bins.append(each)
    assert ratio(bins) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_accounts_in_lock_step_have_more_than_ten(seed: int) -> None:
    chance = Random(seed)
    on = [chance.random() < 0.3 for _ in range(96)]
    assert ratio([{f"a{who}": 3 for who in range(40) if chance.random() < 0.9} if each else {} for each in on]) > 10.0


@pytest.mark.parametrize("seed", range(5))
def test_people_of_one_time_zone_are_between(seed: int) -> None:
    """Forty people who ask some eight times a day, most of it while they are awake, each when they like."""
    chance, bins = Random(seed), []
    for at in range(96):
        bins += crowd(chance, 0.09 * (1 + 0.95 * sin(2 * pi * at / 96)), bins=1)
    assert 1.7 <= ratio(bins) <= 5.0


@pytest.mark.parametrize("members", [40, 400])
def test_a_large_crowd_is_no_lock_step(members: int) -> None:
    """The ratio grows with the number of people who sleep at night; the correlation of two of them doesn't."""
    chance, bins = Random(3), []
    for at in range(96):
        bins += crowd(chance, 0.3 * (1 + 0.95 * sin(2 * pi * at / 96)), members, bins=1)
    bond = Balance()
    row(bond, bins)
    people = counted(bond, who(bins))
    assert people["lockstep"] < 0.2
    assert people["balance"] > members / 20
    bond = Balance()
    row(bond, [{f"a{who}": 3 for who in range(members)} if at % 4 == 0 else {} for at in range(96)])
    assert counted(bond, [f"a{who}" for who in range(members)])["lockstep"] > 0.9


def test_nothing_is_said_of_less_than_twelve_hours_nor_of_sixty_requests() -> None:
    for bins, each in ((47, 10), (50, 1)):
        bond = Balance()
        row(bond, [{"a": each} if at % 2 else {"b": each} for at in range(bins)])
        assert counted(bond, "ab") == {}


def test_a_day_later_it_begins_anew_and_says_what_it_said_until_there_is_enough() -> None:
    bond = Balance()
    row(bond, [{"a": 10, "b": 10} if at % 2 else {} for at in range(96)])
    assert counted(bond, "ab") == {"balance": pytest.approx(2.0), "lockstep": pytest.approx(1.0)}
    later = T0 // BIN * BIN + 200 * BIN
    row(bond, [{"a": 10} if at % 2 else {"b": 10} for at in range(46)], later)
    assert counted(bond, "ab")["balance"] == pytest.approx(2.0, abs=0.01)
    row(bond, [{"a": 10} if at % 2 else {"b": 10} for at in range(46, 60)], later + 46 * BIN)
    assert counted(bond, "ab")["balance"] < 0.5


# X7


def marked(*slabs: tuple[int, dict[str, int]]) -> dict[str, float]:
    found = [slab_of(requests, marks) for requests, marks in slabs]
    return looked(Marked(), [member(f"a{at}") for at in range(len(found))], found)


def test_members_that_bear_a_mark_now_and_then_are_counted_once_each() -> None:
    """The mark that most of them bear: four of ten want reasoning, one generates data."""
    four = [(20, {"elicits": 2})] * 4
    assert marked(*four, (20, {"generates": 5}), *[(20, {})] * 5) == {"marked.hits": 4.0, "marked.of": 10.0}


def test_a_mark_that_most_requests_bear_is_the_frames_and_is_not_counted() -> None:
    assert marked(*[(20, {"generates": 20})] * 6) == {"marked.hits": 0.0, "marked.of": 6.0}
    frame = {"generates": 20, "elicits": 2}
    assert marked(*[(20, frame)] * 4, (20, {"generates": 20})) == {"marked.hits": 4.0, "marked.of": 5.0}


def test_one_in_forty_is_no_mark_and_whoever_asked_little_is_not_looked_at() -> None:
    assert marked((40, {"elicits": 1}), (10, {"elicits": 2}), (4, {"elicits": 4})) == {
        "marked.hits": 1.0,
        "marked.of": 2.0,
    }


def test_whoever_nothing_is_remembered_of_is_passed_over() -> None:
    assert looked(Marked(), [member("a")], [None]) == {}
