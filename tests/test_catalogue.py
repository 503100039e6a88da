"""Cards are read to the letter, every signal has one, and what fades is told by it."""

import pytest

from gateway.campaigns.bonds import BONDS
from gateway.campaigns.signals import Bond
from gateway.catalogue import CARDS, KEYS, SPAN_HALF, Card, card_of, fades, in_order, parse, reference
from gateway.gauges import PANEL
from gateway.observe import Observation
from gateway.signals import SPANS, Read, Signal, Slab

FINE = """Pure. Z12, a made-up trace: what it is about.

measures     the first line,
             and the second
formula      k / n
unit         share
state        8 bytes
half-life    4.9 days; more
evasion      none
look-alikes  everybody
source       a book
"""


def made(code: str, family: str, *, half_life: str = "4.9 days") -> Card:
    return Card(code, code.lower(), family, f"{code}: x", "", "", "", "", half_life, "", "", "", ())


def test_a_field_that_goes_on_is_one_line() -> None:
    code, title, fields = parse(FINE)
    assert (code, title) == ("Z12", "a made-up trace: what it is about")
    assert fields["measures"] == "the first line, and the second"
    assert tuple(fields) == KEYS


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Pure. Z12, a", "Pure. A", "a card begins"),
        ("Pure.", "Shell.", "a card begins"),
        ("state        8 bytes\n", "", "lacks state"),
        ("unit         share", "colour       red", "no 'colour'"),
        ("unit         share", "formula      again", "'formula', or has it twice"),
        ("measures     the first line,\n", "", "begins with a key"),
        ("             and the second", "And the second", "begins with a key"),
    ],
)
def test_what_is_no_card_is_refused(old: str, new: str, said: str) -> None:
    assert old in FINE
    with pytest.raises(ValueError, match=said):
        parse(FINE.replace(old, new))


@pytest.mark.parametrize("file", PANEL.signals)
def test_every_signal_has_its_card_and_its_readings_have_words(file: str) -> None:
    card = CARDS[file]
    assert (card.code, card.family) == (PANEL.signals[file].code, PANEL.signals[file].family)
    assert all(getattr(card, key.replace("-", "_")) for key in KEYS)
    assert card.readings
    assert all(gauge.words and gauge.doc for gauge in card.readings)


def test_no_two_signals_have_one_code() -> None:
    assert len({card.code for card in CARDS.values()}) == len(CARDS)


def test_a_card_that_names_another_signal_is_refused() -> None:
    class Impostor(Signal):
        code = "Q1"
        family = "content"

        def asked(self, slab: Slab, seen: Observation, who: object) -> None: ...

        def readings(self) -> tuple[Read, ...]:
            return ()

    Impostor.__module__ = "gateway.signals.volume"
    with pytest.raises(ValueError, match="its card says V1, its class Q1"):
        card_of("impostor", Impostor())


def test_cards_stand_by_family_and_by_number() -> None:
    cards = [made("C10", "content"), made("A1", "account"), made("P1", "params"), made("C2", "content")]
    assert [card.code for card in in_order({card.file: card for card in cards}).values()] == ["C2", "C10", "P1", "A1"]


def test_half_lives_of_the_spans_are_ln_2_of_them() -> None:
    hour = 3600 * 1e6
    assert {name: round(0.6931 * span / hour, 1) for name, span in SPANS.items()} == {
        "hour": 0.7,  # 42 minutes
        "day": 16.6,
        "week": 116.4,  # 4.9 days
    }
    assert set(SPAN_HALF) == set(SPANS)


@pytest.mark.parametrize(
    ("half_life", "reading", "said"),
    [
        ("4.9 days; an ask is forgotten after one to two weeks", "fresh_share", "4.9 days"),
        ("42 minutes, 17 hours, 4.9 days", "hour.requests", "42 minutes"),
        ("42 minutes, 17 hours, 4.9 days", "day.output_tokens", "17 hours"),
        ("none: it stays", "ramp", ""),
    ],
)
def test_how_long_half_of_a_reading_lasts(half_life: str, reading: str, said: str) -> None:
    assert fades(made("V1", "account", half_life=half_life), reading) == said


def test_the_table_names_every_signal_once_and_every_reading() -> None:
    rows = reference().splitlines()
    assert [row.split(" | ")[1] for row in rows[2:]] == [card.code for card in CARDS.values()]
    for name in PANEL.readings:
        assert sum(f"`{name}`" in row for row in rows) == 1


def test_signals_of_campaigns_have_cards_of_the_same_kind() -> None:
    assert {card.file for card in CARDS.values() if card.family == "campaign"} == set(BONDS)
    card = CARDS["partition"]
    assert (card.code, card.path) == ("X2", "gateway/campaigns/signals/partition.py")
    assert CARDS["volume"].path == "gateway/signals/volume.py"
    assert [each.name for each in card.readings] == ["campaign.partition", "campaign.overlap", "campaign.dispersion"]
    (marked,) = CARDS["marked"].readings
    assert (marked.share, marked.among, marked.words) == (True, "members", "bear a mark")
    assert fades(CARDS["marked"], "campaign.marked") == "4.9 days"
    assert fades(card, "campaign.partition") == ""


def test_a_campaign_s_card_that_names_another_signal_is_refused() -> None:
    class Impostor(Bond):
        code = "X9"
        gauges = ()

        def read(self) -> dict[str, float]:
            return {}

    Impostor.__module__ = "gateway.campaigns.signals.marked"
    with pytest.raises(ValueError, match="its card says X7, its class X9"):
        card_of("impostor", Impostor)
