"""Pure. The knobs of an attack campaign: one frozen struct, presets by name, and how a command line writes them."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from gateway.documents import did_you_mean, shown
from gateway.errors import Mistake
from gateway.simulate.habits import FAMILIES

__all__ = ["LIMITS", "PRESETS", "Hydra", "differs", "hydra_of", "parsed"]

Wording = Literal["plain", "reasoning", "generation"]
Manner = Literal["own", "popular", "rotating"]
Schedule = Literal["poisson", "balanced", "lockstep", "human"]


class Hydra(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A campaign: accounts that ask one pool of prompts, each its own part of it."""

    id: str = ""  # the campaign's name; "" = hydra-1, hydra-2 …
    accounts: int = 40
    pace: float = 26.0  # requests a day of an account
    pool: int = 10_000  # different prompts
    overlap: float = 0.0  # share of requests that ask what another account asked too
    frames: int = 1  # 0 = bare prompts, 1 = all share one, several = accounts take turns, -1 = each its own
    wording: Wording = "plain"  # what the frame asks for besides the answer
    paraphrase: int = 1  # wordings of each frame and prompt; 1 = always the same words
    params: Manner = "own"  # rare ones that all share, the commonest, or each account some common ones
    client: Manner = "own"
    per_network: int = 10  # accounts that share a /24
    cover: float = 0.0  # share of requests that look like a benign family, and aren't useful
    cover_as: str = "hobbyist"
    schedule: Schedule = "poisson"
    rotation: int = 0  # requests before an account is abandoned; 0 = never
    succession: bool = False  # a new account begins when one is refused or abandoned
    delay: float = 2.0  # hours until it does
    age: float = 0.0  # days since the accounts were opened
    start: float = 0.0  # days after the traffic's begin
    answer: int = 450  # tokens of an answer, median
    retries: int = 1  # of a prompt whose answer was lost

    @property
    def label(self) -> str:
        return self.id or "hydra"


LIMITS: Mapping[str, tuple[float, float]] = {
    "accounts": (1, 50_000),
    "pace": (0.1, 100_000),
    "pool": (1, 1_000_000),
    "overlap": (0, 0.95),
    "frames": (-1, 10_000),
    "paraphrase": (1, 10_000),
    "per_network": (1, 50_000),
    "cover": (0, 0.95),
    "rotation": (0, 1_000_000),
    "delay": (0, 720),
    "age": (0, 3_000),
    "start": (0, 366),
    "answer": (1, 100_000),
    "retries": (0, 10),
}
"""The least and the most of each number."""

PRESETS: Mapping[str, Hydra] = {
    "hydra-20": Hydra(accounts=20),
    "hydra-40": Hydra(accounts=40, wording="reasoning"),
    "hydra-200": Hydra(accounts=200, pool=50_000, wording="reasoning", frames=5),
    "hydra-2000": Hydra(accounts=2_000, pool=500_000, wording="reasoning", frames=20, per_network=20),
    "loud": Hydra(accounts=4, pace=2_000, pool=50_000, wording="reasoning", schedule="balanced"),
    "slow": Hydra(accounts=100, pace=6, pool=10_000, wording="reasoning"),
    "paraphrased": Hydra(accounts=40, frames=-1, paraphrase=500, wording="reasoning"),
    "covered": Hydra(accounts=60, pace=40, cover=0.6, wording="reasoning", schedule="human"),
    "popular-client": Hydra(accounts=40, params="popular", client="popular", wording="reasoning"),
    "rotating": Hydra(accounts=40, rotation=60, succession=True, wording="reasoning"),
    "lockstep": Hydra(accounts=40, schedule="lockstep", wording="reasoning"),
    "full-evasion": Hydra(
        accounts=60,
        frames=-1,
        paraphrase=2_000,
        params="popular",
        client="popular",
        per_network=1,
        cover=0.5,
        schedule="human",
        age=60,
    ),
}
"""Campaigns by name."""

FIELDS = {field.name: field for field in msgspec.structs.fields(Hydra)}
WORDS: Mapping[str, Mapping[str, Any]] = {
    "frames": {"none": 0, "bare": 0, "each": -1},
    "succession": {"yes": True, "no": False},
}


def parsed(text: str, place: str = "--hydra") -> Hydra:
    """`hydra-40,pace=10,cover=30%` -> the knobs: a preset or none first, then what differs. Raises Mistake."""
    given: dict[str, Any] = {}
    for at, part in enumerate(each.strip() for each in text.split(",")):
        name, sign, value = (each.strip() for each in part.partition("="))
        if not sign:
            if at or not part:
                raise Mistake(f"{shown(part)} is no knob", place=place, hint="as in hydra-40,pace=10,cover=30%")
            given["preset"] = part
        elif name in given:
            raise Mistake(f"`{name}` is given twice", place=place)
        else:
            given[name] = value
    return hydra_of(given, place)


def hydra_of(given: Mapping[str, Any], place: str) -> Hydra:
    """The knobs in a mapping, a `preset` among them. Raises Mistake for what is unknown or out of bounds."""
    rest = dict(given)
    preset = rest.pop("preset", None)
    if preset is None:
        made = Hydra()
    elif isinstance(preset, str) and preset in PRESETS:
        made = PRESETS[preset]
    else:
        hint = did_you_mean(preset, PRESETS) or f"known: {', '.join(PRESETS)}"
        raise Mistake(f"there is no preset {shown(preset)}", place=place, hint=hint)
    changes: dict[str, Any] = {}
    for name, value in rest.items():
        if name not in FIELDS:
            hint = did_you_mean(name, FIELDS) or f"known: {', '.join(FIELDS)}"
            raise Mistake(f"there is no knob {shown(name)}", place=place, hint=hint)
        changes[name] = _value(name, value, place)
    made = msgspec.structs.replace(made, **changes)
    if made.cover_as not in FAMILIES:
        hint = did_you_mean(made.cover_as, FAMILIES) or f"known: {', '.join(FAMILIES)}"
        raise Mistake(f"there is no benign family {shown(made.cover_as)}", place=place, hint=hint)
    if made.id and not all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in made.id):
        raise Mistake(f"{shown(made.id)} can't be a campaign's name", place=place, hint="letters, digits, - and _")
    return made


def _value(name: str, value: Any, place: str) -> Any:
    """A knob's value out of a text, or out of YAML."""
    kind = FIELDS[name].type
    if isinstance(value, str):
        word = value.lower()
        if word in WORDS.get(name, {}):
            value = WORDS[name][word]
        elif kind in (int, float):
            value = _number(word, kind)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        made = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        choices = get_args(kind)
        hint = f"one of: {', '.join(map(str, choices))}" if choices else f"`{name}` is {_said(name)}"
        raise Mistake(f"`{name}` can't be {shown(value)}", place=place, hint=hint) from None
    if name in LIMITS and not LIMITS[name][0] <= made <= LIMITS[name][1]:
        low, high = LIMITS[name]
        raise Mistake(f"`{name}` can't be {shown(value)}", place=place, hint=f"from {low:,} to {high:,}")
    return made


def _number(word: str, kind: object) -> Any:
    """`30%`, `10k`, `2.5`; the text itself where it is no number."""
    scale = {"%": 0.01, "k": 1_000.0}.get(word[-1:], 1.0)
    try:
        made = float(word[:-1] if scale != 1.0 else word) * scale
    except ValueError:
        return word
    return int(made) if kind is int and made.is_integer() else made


def _said(name: str) -> str:
    if name in LIMITS:
        low, high = LIMITS[name]
        return f"a number from {low:,} to {high:,}"
    return "yes or no" if name == "succession" else "a word"


def differs(knobs: Hydra) -> dict[str, Any]:
    """Accounts and pace, and every knob that isn't as usual."""
    usual = Hydra()
    found = {name: getattr(knobs, name) for name in FIELDS}
    return {k: v for k, v in found.items() if k in ("accounts", "pace") or v != getattr(usual, k)}
