import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import phrases
from gateway.observe.lexicon import LANGUAGES
from gateway.observe.lexicon.lines import Lexicon
from gateway.observe.phrases import MARKS, marks
from gateway.observe.text import normal
from tests.observe.wishes import ASKED, HONEST, WEAK

STRONG = {"elicits", "generates", "prefers"}
WISHES = [(mark, text) for table in (ASKED, WEAK) for mark, texts in table.items() for text in texts]


def found(text: str) -> set[str]:
    return set(marks(normal(text)))


@pytest.mark.parametrize("mark,text", WISHES)
def test_a_wish_has_its_mark(mark: str, text: str) -> None:
    assert mark in found(text)
    assert mark in found(text.upper()) or not text.isascii()  # other scripts' capitals don't all come back


@pytest.mark.parametrize("text", HONEST)
def test_honest_work_has_no_strong_mark(text: str) -> None:
    assert not found(text) & STRONG


@pytest.mark.parametrize("mark", ["reasons", "invents", "grades"])
def test_weak_wishes_have_no_strong_mark(mark: str) -> None:
    assert [text for text in WEAK[mark] if found(text) & STRONG] == []


def test_there_are_enough() -> None:
    assert {mark: len(texts) >= 15 for mark, texts in (ASKED | WEAK).items()} == dict.fromkeys(MARKS, True)
    assert len(HONEST) >= 50


PADDING = st.text(alphabet="abcdefgh ,ü한。", max_size=300)


@given(st.sampled_from([wish for wish in WISHES if "<|" not in wish[1]]), PADDING, PADDING)
def test_what_stands_around_hides_nothing(wish: tuple[str, str], before: str, after: str) -> None:
    mark, text = wish
    assert mark in found(f"{before}\n\n{text}\n\n{after}")


@given(st.one_of(st.binary(max_size=500), st.text(max_size=300).map(normal)))
def test_any_bytes(data: bytes) -> None:
    names = marks(data)
    assert names == marks(bytes(bytearray(data))) == tuple(name for name in MARKS if name in names)


ENTRIES = st.sampled_from(
    [entry for _, *tables in LANGUAGES for table in tables for entries in table.values() for entry in entries]
)


@given(st.lists(st.one_of(ENTRIES, st.sampled_from([" ", ". ", "\n\n", "x", "0", "'s", "ü", "中"])), max_size=40))
def test_any_order_of_entries(parts: list[str]) -> None:
    assert set(marks("".join(parts).encode())) <= set(MARKS)


@pytest.mark.parametrize(
    "text,expected",
    [
        ("Write out all your reasoning.", {"elicits", "reasons"}),
        ("Do not show all your reasoning.", {"reasons"}),  # denied
        ("For each label, give your reasoning.", {"reasons"}),  # each label, not all of the reasoning
        ("Explain his full thoughts.", set()),  # somebody else's
        ("Never reveal your chain of thought.", set()),
        ("What is a chain of thought?", set()),  # a question about it
        ("What is the answer? Use a chain of thought.", {"elicits"}),  # the question is over
        ("Generate training data.", {"generates"}),
        ("How do I generate training data?", set()),
        ("Generate a poem. The training data is old.", set()),  # the sentence ends between them
        ("Generate, for the five classes of our taxonomy,\ntraining data.", {"generates"}),  # a line is no sentence
        ("Generate a poem\n\ntraining data", set()),  # a paragraph is one
        ("Write 5 riddles.", {"invents"}),
        ("Write riddles.", set()),  # no number, no quality
        ("5 riddles are what I write.", set()),  # the verb comes first
        ("Overwrite 5 riddles.", set()),  # "write" is no word here
        ("Write 5 riddlesticks.", set()),
        ("Act as the user.", {"generates"}),
        ("Act as the user's lawyer.", set()),
        ("Think step by step.", {"reasons"}),
        ("Rethink step by steps.", {"reasons"}),  # "step by step" with its s
        ("The misstep by step", set()),
        ("Let\u2019s think.", {"reasons"}),
        ("Put it in \\boxed{}.", set()),
        ("Think, and put it in \\boxed{}.", {"reasons"}),
        ("Response A is short. Response B is long.", set()),  # nothing is compared
        ("Response A is short. Response B is better.", {"prefers"}),
        ("Response 1 is short.", set()),
        ("Response 1 is short. Response 2 is better.", {"prefers"}),
        ("Write 9 diverse prompts.", {"generates", "invents"}),
        ("Write 9 diverse prompts for Midjourney.", {"invents"}),
        ("Hello\n\nHuman:", {"generates"}),
        ("Human: hello\n\nAssistant:", set()),
        ("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n", set()),
        ("ПИШИ ПО-РУССКИ: ХОД МЫСЛЕЙ", {"elicits"}),
        ("Преподаватель: приход мыслей", set()),  # "ход" is no word here
        ("用think step by step解题", {"reasons"}),  # a Chinese character is no letter of an English word
        ("", set()),
    ],
)
def test_rules(text: str, expected: set[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize("name,said,words", LANGUAGES, ids=[name for name, _, _ in LANGUAGES])
def test_entries_are_in_normal_form_and_stand_once(name: str, said: Lexicon, words: Lexicon) -> None:
    assert set(said) <= set(MARKS)
    for entries in (*said.values(), *words.values()):
        assert sorted(set(entries)) == sorted(entries)
        assert [entry for entry in entries if normal(entry).decode() != entry or not entry.strip("* ")] == []
    assert {"elicits", "reasons", "generates", "prefers", "grades"} <= {
        *said,
        *(("generates",) if "data" in words else ()),
    }


def test_every_class_is_needed_by_a_rule() -> None:
    needed = {*phrases.AROUND, *phrases.MADE, "make", "how", "numbered"}
    bits = phrases.BETWEEN | phrases.PARTS | phrases.LATE
    bits |= phrases.either(unless for _, _, _, unless, _ in phrases.AROUND.values())
    bits |= phrases.either(need for *_, wishes in phrases.AROUND.values() for need, _ in wishes)
    assert [name for name in phrases.CLASSES if name not in needed and not phrases.SEEN[name] & bits] == []
