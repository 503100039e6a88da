"""Pure. P3, probing with logit biases: a walk through the vocabulary.

measures     the share of generating requests that bias a token which this account had not biased before. A product bans
             or favours a fixed list; whoever solves for the model's last layer biases token after token
formula      sum of 1 / P over requests in which a new id is seen, decayed, at most the requests with a bias, / n;
             P = 1 - (1 - q)^k, where q is the chance that a new id is seen to be new, and k the request's ids that
             aren't known. biased_tokens = -m ln(1 - set / m) * 2^level, the most that it ever was
unit         share of requests; tokens
state        143 bytes
half-life    4.9 days; a token that was biased stays known, until the sample has to be thinned
evasion      slowly, or from many accounts: the rank of the last layer (4,096 and more) in requests, however spread
look-alikes  none that lasts: a new list is new once
source       Carlini et al., Stealing part of a production language model (2024); Finlayson et al., Logits of
             API-protected LLMs leak proprietary information (2024); Whang et al., A linear-time probabilistic counting
             algorithm (1990); Horvitz and Thompson, A generalization of sampling (1952)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Read, Signal, Slab, Span
from gateway.sketches import Bits

__all__ = ["LogitBiasProbe"]

TOKENS = Bits(1024)


class LogitBiasProbe(Signal):
    """See the module's card."""

    code = "P3"
    family = "params"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("novel", "week"), ("biased", "week"), ("tokens", "ever"))
    sketch: ClassVar[int] = TOKENS.size

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if not seen.bias or seen.op not in GENERATES:
            return
        counts, (novel, biased, tokens) = slab.counts, self.at
        lines = min(seen.marks.get("biased", 0), slab.weight)
        counts[biased] += lines
        chance = TOKENS.chance(slab.bytes, self.start)
        new, known = TOKENS.add(slab.bytes, self.start, seen.bias)
        if new:
            each = 1.0 / (1.0 - (1.0 - chance) ** (len(seen.bias) - known))
            counts[novel] += each * min(new, lines)  # no line is novel without an id of its own
            counts[tokens] = max(counts[tokens], TOKENS.different(slab.bytes, self.start))

    def readings(self) -> tuple[Read, ...]:
        novel, biased, tokens = self.at

        def hits(slab: Slab) -> float:
            return min(slab.counts[novel], slab.counts[biased])

        return (
            Read(
                "novel_bias_share",
                "of the week's generating requests those that bias a token which was not biased before",
                lambda s: hits(s) / s.generating if s.generating else None,
                "share",
                "bias a token that was not biased before",
                hits,
                lambda s: s.generating,
                True,
            ),
            Read(
                "biased_tokens",
                "different tokens that were ever biased: about right to a thousand, then at least a third",
                lambda s: s.counts[tokens],
                "",
                "different tokens biased",
            ),
        )
