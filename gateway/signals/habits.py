"""Pure. Habits: in how many of an account's generating requests of the last week something was asked for.

logprobs     log-probabilities of tokens: the usual way to copy a model's distribution, and to grade with it
choices      more than one choice: cheap sampling of many answers to one prompt

unit         hits of requests, decayed with a time constant of a week
state        3 numbers and a time, about 40 bytes packed
evasion      don't ask: costs the attacker the distribution, and pays for each prompt once a sample
look-alikes  evaluation harnesses, rerankers, whoever votes among several answers
source       Carlini et al., Stealing Part of a Production Language Model (2024), for log-probabilities
"""

import msgspec

from gateway.signals import WEEK, Counts, decayed

__all__ = ["ASKED", "Habits"]

ASKED = ("logprobs", "choices")
NONE: Counts = (0.0, 0.0, 0.0)


class Habits(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Requests that generate, and in how many of them each of `ASKED` was asked for, as of `at`."""

    at: int = 0  # µs
    week: Counts = NONE

    def asked(self, now: int, *, logprobs: bool, choices: bool) -> "Habits":
        """With one more generating request."""
        now = max(now, self.at)
        n, a, b = decayed(self.week, now - self.at, WEEK) if self.at else self.week
        return Habits(now, (n + 1.0, a + logprobs, b + choices))

    @property
    def of(self) -> float:
        """Requests that generate."""
        return self.week[0]

    def hits(self, name: str) -> float:
        return self.week[1 + ASKED.index(name)]
