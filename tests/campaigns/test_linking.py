"""The arithmetic of linking: weights by hand, union-find and stars against naive ones, the cohort test's two sides."""

from collections.abc import Callable, Iterable
from itertools import combinations
from math import lgamma, log, log10
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.campaigns.linking import Links, Turn, User, cohort, needed, pairs, weight
from tests.campaigns.worlds import record

NAMES = [f"a{at}" for at in range(12)]


def test_weights_by_hand() -> None:
    """w = 10 lg(m (O + 1) / (o + 1)): rare is worth much, common nothing, and nothing is ever evidence against."""
    assert weight(0.9, 0, 99) == pytest.approx(10 * log10(90))
    assert weight(0.8, 9, 99) == pytest.approx(10 * log10(8))
    assert weight(0.8, 99, 99) == 0.0
    assert weight(0.3, 0, 0) == 0.0
    assert needed(100) == pytest.approx(30.0)
    assert needed(0) == needed(1) == pytest.approx(10.0)


@given(st.floats(0.01, 1), st.integers(0, 1000), st.integers(0, 1000))
def test_a_value_that_more_have_is_worth_less(agree: float, have: int, more: int) -> None:
    assert weight(agree, have + more, 2000) <= weight(agree, have, 2000)
    assert weight(agree, have, 2000 + more) >= weight(agree, have, 2000)


def components(joins: list[tuple[str, str]]) -> set[frozenset[str]]:
    """Naive: sets that are merged until none meet."""
    found: list[set[str]] = []
    for one, other in joins:
        meet = [each for each in found if one in each or other in each]
        found = [each for each in found if each not in meet]
        found.append({one, other}.union(*meet))
    return {frozenset(each) for each in found if len(each) > 1}


def groups(links: Links, among: Iterable[str] = NAMES) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for account in among:
        found.setdefault(links.find(account), set()).add(account)
    return {frozenset(each) for each in found.values() if len(each) > 1}


JOINS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=30)


@settings(deadline=None)
@given(JOINS, st.lists(st.sampled_from(NAMES), max_size=5))
def test_union_find_is_the_naive_one(joins: list[tuple[str, str]], looked: list[str]) -> None:
    links = Links()
    for one, other in joins:
        links.join(one, other)
        for account in looked:  # looking in between shortens ways and changes nothing
            links.find(account)
    assert groups(links) == components(joins)


@settings(deadline=None)
@given(JOINS, st.randoms())
def test_the_order_of_joins_does_not_matter(joins: list[tuple[str, str]], chance: Random) -> None:
    one, other = Links(), Links()
    for pair in joins:
        one.join(*pair)
    shuffled = list(joins)
    chance.shuffle(shuffled)
    for a, b in shuffled:
        other.join(b, a)
    assert groups(one) == groups(other)
    assert {one.find(name) for name in NAMES} == {other.find(name) for name in NAMES}  # the same name stands for all


def test_a_long_chain_is_one_and_recursion_has_no_part_in_it() -> None:
    links = Links()
    for at in range(20_000, 0, -1):
        links.join(f"a{at:05}", f"a{at - 1:05}")
    assert {links.find(f"a{at:05}") for at in (0, 1, 9_999, 20_000)} == {"a00000"}
    assert links.find("a stranger") == "a stranger"


def made(account: str, keys: tuple[int, int, int], share: float) -> User:
    habits = record(account, times=1)
    habits.seconds = keys
    return User(habits, share)


def by_pairs(users: list[User], frame: float, weigh: Callable[[int], float], need: float) -> list[tuple[str, str]]:
    """Fellegi and Sunter as it is defined: every pair by itself."""
    found = []
    for one, other in combinations(users, 2):
        same = [a for a, b in zip(one.habits.seconds, other.habits.seconds, strict=True) if a and a == b]
        more = sum(map(weigh, same))
        if more > 0.0 and frame * min(one.share, other.share) + more >= need:
            found.append((one.habits.account, other.habits.account))
    return found


KEY = st.integers(0, 3)
SHARES = st.integers(1, 8).map(lambda at: at / 8)  # of binary fractions, so that sums are exact
WORTH = st.dictionaries(st.integers(1, 33), st.integers(0, 12), max_size=9)
SMALL = st.lists(st.tuples(st.tuples(KEY, KEY, KEY), SHARES), max_size=14)


@settings(deadline=None, max_examples=400)
@given(
    SMALL, st.integers(0, 20), st.dictionaries(st.integers(1, 33), st.integers(0, 12), max_size=9), st.integers(1, 30)
)
@example([((1, 0, 0), 1.0), ((1, 2, 0), 0.5), ((0, 2, 0), 1.0)], 8, {1: 4, 12: 4}, 8)
def test_stars_link_what_all_pairs_link(
    asked: list[tuple[tuple[int, int, int], float]], frame: int, worth: dict[int, int], need: int
) -> None:
    """Linking each group's members to one of them gives the connected components of all pairs above the need."""
    users = [
        made(f"u{at:02}", (keys[0], keys[1] and keys[1] + 10, keys[2] and keys[2] + 20), share)
        for at, (keys, share) in enumerate(asked)
    ]
    links = Links()
    turns = pairs(users, float(frame), lambda key: float(worth.get(key, 0)), float(need), links, Turn())
    made_of = 0
    while True:
        try:
            next(turns)
        except StopIteration as end:
            made_of = end.value
            break
    expected = by_pairs(users, float(frame), lambda key: float(worth.get(key, 0)), float(need))
    assert groups(links, [user.habits.account for user in users]) == components(expected)
    assert all(
        (user.habits.account in links) == any(user.habits.account in pair for pair in expected) for user in users
    )
    assert bool(made_of) == bool(expected)


def log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def odds(hits: int, of: int, mean: float, rho: float) -> float:
    """dB of Beta(9, 1) against a beta of this mean and correlation, written out."""
    size = 1 / rho - 1
    a, b = mean * size, (1 - mean) * size
    return (
        10
        / log(10)
        * (log_beta(9 + hits, 1 + of - hits) - log_beta(9, 1) - log_beta(a + hits, b + of - hits) + log_beta(a, b))
    )


@pytest.mark.parametrize("usual", [0.2, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("of", [10, 20, 60])
def test_a_cohort_is_one_exactly_where_both_tests_say_so(usual: float, of: int) -> None:
    sides = set()
    for born in range(of + 1):
        for pure in range(of + 1):
            came, only = odds(born, of, usual, 0.15), odds(pure, of, 0.5, 0.25)
            is_one = came >= 10 and came + only >= 20
            assert cohort(10, born, pure, of, usual) == is_one, (born, pure, came, only)
            assert not cohort(9, born, pure, of, usual)  # owners
            sides.add(is_one)
    assert sides == ({False} if usual == 0.9 else {False, True})  # where nearly all come so, nobody stands out


@given(st.integers(10, 500), st.data(), st.sampled_from([0.2, 0.5, 0.9]))
def test_more_who_came_with_it_make_no_cohort_less_of_one(of: int, data: st.DataObject, usual: float) -> None:
    born, pure = data.draw(st.integers(0, of - 1)), data.draw(st.integers(0, of - 1))
    if cohort(of, born, pure, of, usual):
        assert cohort(of, born + 1, pure, of, usual)
        assert cohort(of, born, pure + 1, of, usual)
