"""Knobs as a command line and a file write them."""

import pytest

from gateway.errors import Mistake
from gateway.simulate.knobs import FIELDS, LIMITS, PRESETS, Hydra, differs, hydra_of, parsed


def test_a_preset_and_what_differs() -> None:
    assert parsed("hydra-200") == PRESETS["hydra-200"]
    made = parsed("hydra-40, pace=10, cover=30%, frames=each, pool=20k, succession=yes, schedule=human, delay=0.5")
    assert (made.accounts, made.pace, made.cover, made.frames, made.pool) == (40, 10.0, 0.3, -1, 20_000)
    assert (made.succession, made.schedule, made.delay, made.wording) == (True, "human", 0.5, "reasoning")
    assert parsed("accounts=3") == Hydra(accounts=3)
    assert hydra_of({"preset": "slow", "age": 30}, "f").age == 30


@pytest.mark.parametrize(
    "text, said, hint",
    [
        ("hydra-4", "no preset `hydra-4`", "hydra-40"),
        ("pase=3", "no knob `pase`", "pace"),
        ("pace", "no preset `pace`", "known"),
        ("hydra-40,slow", "`slow` is no knob", "pace=10"),
        ("pace=3,pace=4", "twice", ""),
        ("accounts=0", "`accounts` can't be `0`", "from 1 to 50,000"),
        ("accounts=2.5", "`accounts` can't be `2.5`", "number from 1"),
        ("pace=fast", "`pace` can't be `fast`", "number from"),
        ("pace=nan", "`pace` can't be", ""),
        ("pace=inf", "`pace` can't be", ""),
        ("cover=100%", "`cover` can't be", "to 0.95"),
        ("schedule=nightly", "`schedule` can't be `nightly`", "poisson, balanced, lockstep, human"),
        ("cover_as=chatapp", "no benign family `chatapp`", "chat_app"),
        ("id=a b", "can't be a campaign's name", ""),
        ("accounts=", "`accounts` can't be", ""),
        ("", "is no knob", ""),
    ],
)
def test_what_is_wrong_is_said_with_a_hint(text: str, said: str, hint: str) -> None:
    with pytest.raises(Mistake) as caught:
        parsed(text)
    assert said in str(caught.value)
    assert hint in caught.value.hint
    assert str(caught.value).startswith("--hydra: ")


def test_presets_are_within_the_bounds_and_every_number_has_some() -> None:
    for name, hydra in PRESETS.items():
        assert hydra_of({field: getattr(hydra, field) for field in FIELDS}, name) == hydra
    numbers = {name for name, field in FIELDS.items() if field.type in (int, float)}
    assert numbers == set(LIMITS)


def test_what_differs_is_what_is_shown() -> None:
    assert differs(Hydra(cover=0.5)) == {"accounts": 40, "pace": 26.0, "cover": 0.5}
