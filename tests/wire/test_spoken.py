"""What an answer says is held from both its ends, in any chunking, and no more of it than fits."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import text
from gateway.wire.spoken import HEAD, LIMIT, TAIL, TEXTS, Spoken, bound

LONG = "".join(f"{at:05} " for at in range(2000))  # 12,000 characters, no two places alike


def test_a_short_text_is_held_whole_and_a_long_one_at_its_ends() -> None:
    assert bound("short") == "short"
    assert bound(LONG[:LIMIT]) == LONG[:LIMIT]
    assert bound(LONG) == LONG[:HEAD] + "\n" + LONG[-TAIL:]
    assert bound(bound(LONG)) == bound(LONG)


def test_it_begins_and_ends_where_the_sample_of_a_prompt_does() -> None:
    lines = text.sample((LONG,), lambda data: 0).split("\n")
    assert (lines[0], lines[-1]) == tuple(bound(LONG).split("\n"))


@given(st.integers(0, 3 * LIMIT), st.lists(st.integers(0, 3 * LIMIT), max_size=12))
def test_any_chunking_holds_the_same(size: int, cuts: list[int]) -> None:
    whole = LONG[:size]
    spoken = Spoken()
    places = sorted({0, size, *(cut for cut in cuts if cut < size)})
    for start, end in pairwise(places):
        spoken.add(0, whole[start:end])
    assert spoken.texts() == ((bound(whole),) if size else ())


def test_texts_are_told_apart_and_only_so_many_are_held() -> None:
    spoken = Spoken()
    for at in range(2 * TEXTS):
        spoken.add(at, "a")
    for at in range(2 * TEXTS):
        spoken.add(at, str(at))
    assert spoken.texts() == tuple(f"a{at}" for at in range(TEXTS))


def test_what_is_no_text_or_has_no_number_says_nothing() -> None:
    spoken = Spoken()
    strange: list[tuple[Any, Any]] = [(0, None), (0, 5), (0, ["x"]), (None, "x"), ("0", "x"), ([], "x"), (0, "")]
    for at, piece in strange:
        spoken.add(at, piece)
    assert spoken.texts() == ()
