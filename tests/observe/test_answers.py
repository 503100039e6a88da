"""The pieces of an answer are those that a prompt is found by, and short sentences are nobody's."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import Prints
from gateway.observe.answers import LEAST, MOST, answer_pieces
from tests.signals.wired import PRINTS, chat, talk

ONE = "The tide comes in twice a day because the earth turns under two bulges."
TWO = "The second bulge, on the far side, is what is left behind by the pull."
SORRY = "I'm sorry, but I can't help with that."


def sentences(count: int, of: str = "tide") -> str:
    """Different ones: figures would make no difference."""
    names = (chr(97 + at // 26) + chr(97 + at % 26) for at in range(count))
    return " ".join(f"Sentence {name} of the {of} goes on for a while." for name in names)


def met(answer: str, prompt: str) -> int:
    """How many pieces of this prompt stood in that answer."""
    return len(set(answer_pieces((answer,), PRINTS)) & set(chat(prompt).pieces))


def test_each_sentence_of_forty_bytes_is_a_piece() -> None:
    found = answer_pieces((f"Yes. {ONE}\n\n* {TWO}",), PRINTS)
    assert set(found) == {PRINTS.of(ONE.lower().encode()[:-1] + b"."), PRINTS.of(TWO.lower().encode())}
    assert answer_pieces(("x" * (LEAST - 1),), PRINTS) == ()
    assert len(answer_pieces(("x" * LEAST,), PRINTS)) == 1


def test_what_is_short_is_everybody_s() -> None:
    assert len(SORRY) < LEAST
    assert answer_pieces((SORRY, "", "42", " \n "), PRINTS) == ()
    assert met(SORRY, SORRY) == 0


def test_an_answer_that_is_the_prompt_is_met_by_all_its_pieces() -> None:
    assert met(sentences(20), sentences(20)) == MOST
    assert met(sentences(20), "Which of these is better?\n" + sentences(20) + "\nSay A or B.") >= MOST - 2
    assert met(ONE, f"Rewrite this question, so that it is harder to answer:\n{ONE}") == 1
    assert met(sentences(20), sentences(20, "moon")) == 0


def test_a_single_sentence_of_many_is_rarely_met() -> None:
    """Of twenty sentences four are kept, so an excerpt of one is met by one in five."""
    whole = sentences(20)
    assert sum(met(whole, f"{part}.") for part in whole.rstrip(".").split(". ")) == MOST


def test_an_answer_in_the_history_is_looked_up_by_its_first_piece() -> None:
    for answer in (ONE, sentences(20), sentences(300), f"  \n{sentences(20)}"):
        assert talk("Why?", answer, "And then?").said == answer_pieces((answer,), PRINTS)[0]
    assert talk("Why?", SORRY, "And then?").said == 0


def test_what_a_json_answer_holds_is_met_where_it_is_read_out() -> None:
    body = (
        f'{{"questions": [{{"text": "{ONE}"}}, {{"text": "{TWO}\\nHow long does it take until the water is back?"}}]}}'
    )
    for prompt in (ONE, TWO, "How long does it take until the water is back?"):
        assert met(body, prompt) == 1
        assert met(f"```json\n{body}\n```", prompt) == 1
    assert met(f"He said: {body}", ONE) == 0


def test_every_text_of_an_answer_has_its_own() -> None:
    found = answer_pieces((ONE, TWO, ONE), PRINTS)
    assert found == answer_pieces((ONE,), PRINTS) + answer_pieces((TWO,), PRINTS)
    assert set(found).isdisjoint(answer_pieces((ONE, TWO), Prints(b"another pepper")))


@given(st.lists(st.text(min_size=1, max_size=120), max_size=8), st.integers(1, MOST))
def test_fewer_are_the_first_of_more(texts: list[str], most: int) -> None:
    found = answer_pieces(texts, PRINTS)
    assert len(found) <= MOST * len(texts)
    assert all(0 < each < 2**53 for each in found)
    for text in texts:
        assert answer_pieces((text,), PRINTS, most) == answer_pieces((text,), PRINTS)[:most]
