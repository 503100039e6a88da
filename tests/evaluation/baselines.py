"""Pure. Two plain ways to tell extraction, to compare with: a rate limit, and one feature.

hour      requests of the last hour
day       output tokens of the last 24 hours
opening   share of the last 200 prompts that begin as the commonest does, times log(1 + how many there are)

They are given an advantage that nobody has: the lowest threshold that flags no benign account of this very traffic.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from math import log1p
from typing import Any

import msgspec

from tests.evaluation.metrics import THROTTLE, Case, threshold
from tests.evaluation.traffic import Line

__all__ = ["FEATURES", "NAMES", "RATE", "Scores", "judged", "scored"]

Scores = dict[str, dict[str, list[float]]]
"""Baseline -> account -> a score a request, in order."""

RATE = "hour"
FEATURES = ("day", "opening")
NAMES = {"hour": "requests/h", "day": "output tokens/24 h", "opening": "commonest opening"}
"""Of the features the better one is shown beside the rate."""

HOUR = 3600.0  # s
DAY = 24 * HOUR
PROMPTS = 200
CHARACTERS = 400
WORDS = re.compile(r"\w+")
FIRST = 8  # words


class _Read(msgspec.Struct):
    t: float
    body: Any = None


_READ = msgspec.json.Decoder(_Read)
_PLAIN = msgspec.json.Encoder()


class _Window:
    """A sum over the last seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sum = 0.0
        self.held: deque[tuple[float, float]] = deque()

    def add(self, t: float, amount: float) -> float:
        self.held.append((t, amount))
        self.sum += amount
        while self.held[0][0] < t - self.seconds:
            self.sum -= self.held.popleft()[1]
        return self.sum


class _Openings:
    """How the last prompts begin."""

    def __init__(self) -> None:
        self.held: deque[str] = deque()
        self.counts: Counter[str] = Counter()

    def add(self, text: str) -> float:
        opening = " ".join(WORDS.findall(text[:CHARACTERS].lower())[:FIRST])
        self.held.append(opening)
        self.counts[opening] += 1
        if len(self.held) > PROMPTS:
            oldest = self.held.popleft()
            self.counts[oldest] -= 1
            if not self.counts[oldest]:
                del self.counts[oldest]
        return max(self.counts.values()) / len(self.held) * log1p(len(self.held))


class _Account:
    def __init__(self) -> None:
        self.hour = _Window(HOUR)
        self.day = _Window(DAY)
        self.openings = _Openings()


def scored(requests: Iterable[Line]) -> Scores:
    """What each baseline says of each request."""
    accounts: dict[str, _Account] = {}
    found: Scores = {name: {} for name in NAMES}
    for line in requests:
        account = accounts.get(line.account)
        if account is None:
            account = accounts[line.account] = _Account()
            for scores in found.values():
                scores[line.account] = []
        read = _READ.decode(line.data)
        found["hour"][line.account].append(account.hour.add(read.t, 1.0))
        found["day"][line.account].append(account.day.add(read.t, float(line.tokens)))
        found["opening"][line.account].append(account.openings.add(prompt_of(read.body)))
    return found


def judged(scores: dict[str, list[float]], like: Sequence[Case]) -> list[Case]:
    """The cases with a baseline's scores, which acts above the score of every benign account."""
    least = threshold((max(scores[case.account]) for case in like if case.label != "extraction"), 0.0)
    return [
        msgspec.structs.replace(
            case,
            scores=scores[case.account],
            ranks=[THROTTLE if score > least else 0 for score in scores[case.account]],
        )
        for case in like
    ]


def prompt_of(body: Any) -> str:
    """The text of a request, as far as its beginning: instructions, then what was said, each on a line of its own."""
    if not isinstance(body, dict):
        return ""
    plain = (body.get(name) for name in ("system", "instructions", "prompt", "input"))
    parts = [text for text in plain if isinstance(text, str)]
    said = [*(body.get("messages") or [])]
    if isinstance(body.get("input"), list):
        said += body["input"]
    for each in said:
        content = each.get("content") if isinstance(each, dict) else each
        parts.append(content if isinstance(content, str) else _PLAIN.encode(content).decode() if content else "")
        if sum(map(len, parts)) > CHARACTERS:
            break
    return "\n".join(parts)
