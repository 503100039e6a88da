"""Globs: `*` stands for anything, everything else for itself, in time that grows with the text."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.conditions.globs import contains, glob_matches
from gateway.policy.model import ListOf

letters = st.text("ab*", max_size=8)


@given(letters, st.text("ab", max_size=12))
def test_a_glob_is_an_anchored_pattern(glob: str, text: str) -> None:
    wanted = re.fullmatch(".*".join(map(re.escape, glob.split("*"))), text) is not None
    assert glob_matches(glob, text) is wanted
    assert fnmatchcase(text, glob) is wanted


@pytest.mark.parametrize(
    "glob, text, matches",
    [
        ("aba*aba", "aba", False),
        ("aba*aba", "abaaba", True),
        ("a*", "A1", False),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("*", "line\nbreak", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_nothing_but_a_star_is_special(glob: str, text: str, matches: bool) -> None:
    assert glob_matches(glob, text) is matches


@given(st.lists(letters, max_size=6), st.frozensets(st.text("ab", max_size=3), max_size=3), st.text("ab", max_size=8))
def test_a_list_holds_its_values_and_what_its_globs_match(globs: list[str], exact: frozenset[str], text: str) -> None:
    wanted = text in exact or any(glob_matches(glob, text) for glob in globs)
    assert contains(ListOf("x", exact, tuple(globs)))(text) is wanted


def test_stars_never_make_it_go_back() -> None:
    """A regular expression would be at this for years."""
    assert glob_matches("*a" * 100 + "*b", "a" * 100_000) is False
    assert glob_matches("*a" * 100 + "*", "a" * 100_000) is True
