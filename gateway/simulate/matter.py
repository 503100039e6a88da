"""Pure. Invented matter: words, and schemas that make texts of them by number. The same number is the same text.

Numbers are told apart by SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), so
that nothing has to be remembered of what was made, and a text can be made again.
"""

import math
import re
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["NAMES", "PLACES", "SLOTS", "Schema", "listed", "mix", "one", "passage"]

T = TypeVar("T")
MASK = 0xFFFFFFFFFFFFFFFF
SLOT = re.compile(r"\{(=?\w+)\}")


def listed(text: str) -> tuple[str, ...]:
    """Words in a row, told apart by `|`."""
    return tuple(text.split("|"))


def mix(number: int, salt: int = 0) -> int:
    """64 bits that look like chance, of a number and a salt."""
    n = (number + (salt + 1) * 0x9E3779B97F4A7C15) & MASK
    n = ((n ^ (n >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    n = ((n ^ (n >> 27)) * 0x94D049BB133111EB) & MASK
    return n ^ (n >> 31)


def one(choices: Sequence[T], number: int, salt: int = 0) -> T:
    """One of these, by number."""
    return choices[mix(number, salt) % len(choices)]


def _names(first: str, last: str) -> tuple[str, ...]:
    return tuple(f"{a}{b}".capitalize() for a in first.split() for b in last.split())


PLACES = _names(
    "bram cal dor el fen gran hol is kel lun mar nor ost per quil", "avik beck dale ford heim lind mouth stead tor wick"
)
NAMES = _names("an bel cor da em fi gis har io jo ka lo mi na", "ra lin vek to sa mund")

SLOTS: dict[str, Sequence[str]] = {
    "place": PLACES,
    "name": NAMES,
    "n": [str(n) for n in range(12, 98)],
    "m": [str(n) for n in range(3, 12)],
    "k": [str(n * 5) for n in range(22, 190)],
    "year": [str(n) for n in range(1612, 1989)],
    "hour": [f"{h}:{m:02}" for h in range(6, 22) for m in (0, 10, 15, 25, 40, 55)],
    "day": listed("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"),
    "goods": listed(
        "lanterns|kettles|oars|quilts|ladders|candles|maps|barrels|bricks|violins|saddles|tiles|ropes|"
        "seed bags|jars of honey|bicycles|clay pots|wool blankets|notebooks|umbrellas|door hinges|apples|"
        "fishing nets|copper pipes|window panes|chess sets|boots|paint tins|flags|tea chests"
    ),
    "job": listed(
        "baker|surveyor|nurse|ferry pilot|librarian|gardener|electrician|weaver|beekeeper|translator|potter|"
        "clerk|carpenter|judge|dentist|miller|engineer|chemist|teacher|tailor"
    ),
    "topic": listed(
        "tidal locks|sourdough starters|hash tables|compound interest|glacier movement|vaccines|"
        "public-key encryption|soil acidity|radio antennas|the water cycle|garbage collection|photosynthesis|"
        "price elasticity|bridge trusses|stack overflows|seed dispersal|musical scales|jury selection|"
        "lens focus|sorting networks|heat pumps|probability trees|crop rotation|loan amortisation|"
        "echo location|binary search|river deltas|battery chemistry|map projections|queueing theory|"
        "bird migration|memory caches|inflation|sound insulation|gear ratios|recursion|fermentation|"
        "steam engines|eclipses|version control"
    ),
    "audience": listed(
        "a ten-year-old|a new apprentice|a retired farmer|a first-year student|a busy manager|"
        "a group of tourists|a sceptical neighbour|a jury|a sports team|a night-school class|"
        "a museum visitor|a junior developer|a town council|a radio audience|a friend who hates numbers|"
        "a volunteer"
    ),
    "limit": listed(
        "in four sentences|with one everyday comparison|without any technical word|as a short dialogue|"
        "as a numbered list|in under 120 words|and name one common mistake|with a worked example|"
        "and end with a question|with two counter-examples|as a letter|and say what is still unknown"
    ),
    "lang": listed("Python|TypeScript|Go|Rust|Java|Kotlin|C#|Ruby|Swift|PHP|Scala|Elixir"),
    "act": listed(
        "removes duplicates|groups the entries by month|finds the longest gap|merges overlapping ranges|"
        "returns the median|counts what is missing|sorts by two keys|splits the list into equal parts|"
        "validates every entry|computes a running total|finds the first repeated entry|reverses each group|"
        "rounds to the nearest step|detects a cycle|picks the k largest|joins it with a second list|"
        "pads short entries|computes a moving average|finds the closest pair|drops outliers|builds an index|"
        "flattens nested lists|checks a checksum|parses dates"
    ),
    "rows": listed(
        "invoices|ferry trips|sensor readings|library loans|bus stops|recipes|tickets|players|parcels|trees|"
        "rooms|orders|songs|flights|patients|shifts|boats|lessons|payments|photos"
    ),
    "field": listed(
        "weight|due date|owner|colour|priority|distance|price|status|start time|region|rating|length|code|"
        "quantity|temperature|author|floor|speed|deposit|age"
    ),
    "extra": listed(
        "Do not use any library.|Handle an empty input.|Explain its complexity.|Add three tests.|"
        "Keep it under twenty lines.|Use only immutable values.|Return an error for bad input.|"
        "Write comments for each step.|Make it generic.|It must run in linear time.|Show how to call it.|"
        "Avoid recursion."
    ),
    "form": listed(
        "a short story|a limerick|a product review|a cover letter|an obituary|a weather report|a toast|"
        "a diary entry|a press release|a warning sign|a recipe|a riddle|a news item|a complaint|a speech|"
        "a lullaby"
    ),
    "mood": listed("hopeful|dry|gloomy|playful|formal|tender|angry|nostalgic|proud|puzzled|calm|hurried"),
    "turn": listed(
        "a lost key|a late ferry|an unexpected guest|a broken clock|a mistaken address|a sudden storm|"
        "a missing page|a borrowed coat|an old photograph|a wrong number|a locked gate|a stray dog|"
        "a burnt cake|a power cut"
    ),
    "unit": listed("kilograms|litres|metres|crates|pages|hours|miles|dozens|tonnes|rolls"),
    "verb": listed("sells|repairs|packs|counts|paints|ships|stacks|labels|cleans|weighs|sorts|rents"),
    "tongue": listed("French|German|Spanish|Polish|Italian|Dutch|Portuguese|Swedish|Turkish|Czech"),
    "law": listed(
        "deposit|lease|warranty|parking permit|building licence|fishing permit|noise rule|loan|"
        "insurance claim|inheritance|refund|work contract"
    ),
}
"""Of each slot, what may stand in it."""


class Schema:
    """Texts by number. `{slot}` draws a word, `{=2}` repeats what the third draw gave."""

    def __init__(self, text: str, salt: int = 0) -> None:
        parts = SLOT.split(text)
        self.texts = parts[::2]
        self.draws: list[tuple[Sequence[str], int]] = []  # what may stand there; or nothing, and which draw it repeats
        sizes: list[int] = []
        for name in parts[1::2]:
            if name.startswith("="):
                self.draws.append(((), int(name[1:])))
            else:
                self.draws.append((SLOTS[name], len(sizes)))
                sizes.append(len(SLOTS[name]))
        self.capacity = math.prod(sizes)
        step = mix(len(text), salt) % self.capacity | 1
        while math.gcd(step, self.capacity) != 1:
            step += 2
        self._step, self._offset = step, mix(len(text), salt + 1) % self.capacity

    def text(self, number: int) -> str:
        """The text of a number; numbers below `capacity` have different draws."""
        left = (number * self._step + self._offset) % self.capacity
        drawn: list[str] = []
        found = [self.texts[0]]
        for (choices, at), after in zip(self.draws, self.texts[1:], strict=True):
            if choices:
                left, which = divmod(left, len(choices))
                drawn.append(choices[which])
            found.append(drawn[at])
            found.append(after)
        return "".join(found)


SENTENCES = tuple(
    Schema(text, at)
    for at, text in enumerate(
        (
            "The ferry from {place} to {place} leaves at {hour} and takes {n} minutes.",
            "{name} of {place} {verb} {k} {goods} a week.",
            "In {year} the {job} {name} opened a workshop near {place}.",
            "A new rule on every {law} in {place} starts on {day}.",
            "The store room holds {n} crates of {goods} and {m} of {goods}.",
            "Visitors to {place} pay {m} coins on {day} and nothing after {hour}.",
            "{name} wrote to {name} that the {goods} had arrived with a {field} nobody expected.",
            "Of {k} {rows} in the file, {n} had no {field}.",
            "The mill at {place} needs {n} {unit} of grain for each {m} hours of work.",
            "Since {year} the people of {place} have argued about {topic}.",
            "The meeting about {topic} moved from {day} at {hour} to the hall in {place}.",
            "A {job} told the paper that {k} {unit} of it went missing in {place}.",
            "The report lists the {field} and the {field} of all {k} {rows}.",
            "Nobody in {place} remembers why the {goods} were painted in {year}.",
        )
    )
)


def passage(number: int, sentences: int) -> str:
    """Some sentences of invented facts."""
    found = []
    for at in range(sentences):
        n = mix(number, at)
        found.append(SENTENCES[n % len(SENTENCES)].text(n >> 8))
    return " ".join(found)
