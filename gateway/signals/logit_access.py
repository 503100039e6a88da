"""Pure. P2, access to logits: the model's probabilities are asked for, and not only its words.

measures     the shares of generating requests that ask for log-probabilities; for more alternatives a token than a
             confidence needs; for many alternatives of the next token and no more of an answer, which is the whole
             distribution at one place and nothing else; for as many of each token of an answer, which are the soft
             targets that a smaller model is trained on; and those at temperature 0
formula      hits / n, decayed; scored by the hierarchical Bayes factor. Of a batch, as many lines ask for the
             distribution as have both marks at most, and the other wide ones for soft targets
unit         share of requests
state        20 bytes
half-life    4.9 days
evasion      none where the logits are the goal: to distil the distribution, or to solve for the last layer
look-alikes  evaluation harnesses (one alternative as a rule, ten at times), classifiers and rerankers that read a
             label's probability; pages that show how sure the model was of each word, and calibration studies
source       Hinton et al., Distilling the knowledge in a neural network (2015); Carlini et al., Stealing part of a
             production language model (2024)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Read, Signal, Slab, Span, share

__all__ = ["LogitAccess"]


class LogitAccess(Signal):
    """See the module's card."""

    code = "P2"
    family = "params"
    marks = ("logprobs", "wide", "greedy")
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("distribution", "week"), ("soft", "week"))

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op in GENERATES and "wide" in seen.marks:
            wide = seen.marks["wide"]
            here = min(wide, seen.marks.get("tiny", 0))
            slab.counts[self.at[3]] += here
            slab.counts[self.at[4]] += wide - here

    def readings(self) -> tuple[Read, ...]:
        logprobs, wide, greedy, distribution, soft = self.at
        week = "of the week's generating requests those"
        return (
            share("logprobs_share", f"{week} that asked for log-probabilities", "ask for log-probabilities", logprobs),
            share(
                "wide_share",
                f"{week} that asked for more than five alternatives a token",
                "ask for more than five alternatives a token",
                wide,
            ),
            share(
                "distribution_share",
                f"{week} that asked for the next token's distribution and nothing else",
                "ask for the next token's distribution and nothing else",
                distribution,
            ),
            share(
                "soft_target_share",
                f"{week} that asked for more than five alternatives for each token of an answer",
                "ask for more than five alternatives for each token of an answer",
                soft,
            ),
            share("greedy_share", f"{week} at temperature 0", "are at temperature 0", greedy),
        )
