"""Pure. R1, mass of output: how much is written for what is read.

measures     tokens written for each one read, and an answer; the shares of answered generating requests whose answer is
             long, and whose answer is worth its question: training wants the model's words, and pays for few of its own
formula      sums over answered generating requests, decayed. Long: more than 1,000 tokens, or 500 of reasoning, a
             choice. Worth it: at least 64 tokens a choice, and at least half as many as were read
unit         ratio; tokens; share of requests
state        20 bytes
half-life    4.9 days
evasion      shorter answers, longer prompts: poorer data, or more input tokens
look-alikes  writers, agents that write code, translation, tutors
source       reasoning traces of 2,000 and more tokens in s1K and OpenThoughts
"""

from typing import ClassVar

from gateway.observe import Observation
from gateway.signals import GENERATES, Ended, Read, Signal, Slab, Span, share, worthwhile

__all__ = ["OutputMass"]

LONG = 1000  # tokens a choice
THOUGHT = 500  # of them reasoning


class OutputMass(Signal):
    """See the module's card."""

    code = "R1"
    family = "response"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (
        ("output", "week"),
        ("input", "week"),
        ("answered", "week"),
        ("long", "week"),
        ("worth", "week"),
    )

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if not end.ok or seen.op not in GENERATES:
            return
        counts, weight = slab.counts, slab.weight
        output, input_, answered, long, worth = self.at
        counts[output] += end.output
        counts[input_] += end.input
        counts[answered] += weight
        choices = seen.n or 1
        if end.output > LONG * choices or end.reasoning > THOUGHT * choices:
            counts[long] += weight
        if worthwhile(seen, end):
            counts[worth] += weight

    def readings(self) -> tuple[Read, ...]:
        output, input_, answered, long, worth = self.at
        week = "of the week's answered generating requests those"
        return (
            Read(
                "output_per_input",
                "tokens that were written in the week for each token that was read",
                lambda s: s.counts[output] / s.counts[input_] if s.counts[input_] else None,
                "",
                "tokens written for each one read",
                missing=True,
            ),
            Read(
                "output_per_request",
                "tokens that were written for each request that was answered in the week",
                lambda s: s.counts[output] / s.counts[answered] if s.counts[answered] else None,
                "tokens",
                "tokens written a request",
                missing=True,
            ),
            share("long_answer_share", f"{week} with a long answer", "have a long answer", long, answered),
            share(
                "worthwhile_share",
                f"{week} whose answer holds more than the question",
                "have an answer that holds more than the question",
                worth,
                answered,
            ),
        )
