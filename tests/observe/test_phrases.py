import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe.lexicon import LANGUAGES
from gateway.observe.lexicon.lines import Lexicon
from gateway.observe.phrases import MARKS, marks
from gateway.observe.text import normal


@given(st.binary(max_size=600))
def test_any_bytes(data: bytes) -> None:
    found = marks(data)
    assert found == marks(data) == tuple(name for name in MARKS if name in found)


@pytest.mark.parametrize("language,phrases,words", LANGUAGES, ids=[name for name, _, _ in LANGUAGES])
def test_entries_are_in_normal_form_and_stand_once(language: str, phrases: Lexicon, words: Lexicon) -> None:
    for _, entries in (*phrases.items(), *words.items()):
        assert len(set(entries)) == len(entries), [e for e in entries if entries.count(e) > 1]
        for entry in entries:
            assert normal(entry).decode() == entry, entry
