import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.seek import Seek, closed, goes_on

CHARS = "ab s'_-.0éя中가क"
LETTERS = set("abs_0éя")  # of scripts that have blanks, digits and the underscore
WORDS = st.text(alphabet=CHARS, min_size=1, max_size=4).filter(lambda word: "*" not in word and word.strip() == word)


def plainly(entries: list[str], text: str) -> set[str]:
    """The entries in a text, found one by one, by characters."""
    found = set()
    for entry in entries:
        for at in range(len(text)):
            if not text.startswith(entry, at):
                continue
            after = text[at + len(entry) :]
            after = after[1:] if after[:1] == "s" else after
            begins = entry[0] not in LETTERS or text[at - 1 : at] not in LETTERS
            ends = entry[-1] not in LETTERS or (after[:1] not in LETTERS and after[:2] != "'s")
            if begins and ends:
                found.add(entry)
    return found


@given(st.lists(WORDS, min_size=1, max_size=6, unique=True), st.text(alphabet=CHARS, max_size=60))
def test_it_finds_what_a_plain_search_finds(entries: list[str], text: str) -> None:
    seek = Seek({entry: (1 << at, ()) for at, entry in enumerate(entries)})
    said = seek.said(text.encode(), wide=not text.isascii())
    assert {entry for at, entry in enumerate(entries) if said >> at & 1} == plainly(entries, text)


def test_an_open_end() -> None:
    seek = Seek({"tun*": (1, ()), "tuna": (2, (7,))})
    assert [seek.said(text, wide) for text in (b"tuning", b"tuna", b"a tun", b"attune") for wide in (False, True)] == [
        *(1, 1, 3, 3, 1, 1, 0, 0)
    ]
    assert [(row.said, row.classes, row.first, row.last) for row in seek.rows] == [
        (1, (), True, False),
        (2, (7,), True, True),
    ]


@pytest.mark.parametrize(
    "text,expected", [*((text, True) for text in "a9_éжếع"), *((text, False) for text in "中の가 .'…。")]
)
def test_letters_of_scripts_that_have_blanks(text: str, expected: bool) -> None:
    data = text.encode()
    assert {goes_on(data, at) for at in range(len(data))} == {expected}


@given(st.binary(min_size=1, max_size=12))
def test_any_bytes(data: bytes) -> None:
    assert {goes_on(data, at) for at in range(len(data))} <= {True, False}
    assert {closed(data + b"  ", at) for at in range(len(data))} <= {True, False}
