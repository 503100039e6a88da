"""Pure. C6, elicitation of reasoning: the caller wants the model's own thinking written out.

measures     the shares of generating requests that ask for the reasoning as a product (tags to think in, a trace, each
             step checked and in full), and that ask for steps as tutors and evaluations do too. The trace is what a
             student model learns from; a product shows its users the answer
formula      hits / n, decayed, a request without a telling mark counting by its answer (1 from 64 tokens on);
             scored by the hierarchical Bayes factor
unit         share of requests
state        8 bytes
half-life    4.9 days
evasion      other words: a person's hour a week; a model whose traces come unasked: none
look-alikes  tutoring, evaluation harnesses, chain-of-thought applications
source       Google GTIG's AI threat tracker of February 2026 (coercion of reasoning traces); Muennighoff et al., s1;
             the phrases are listed in `observe/phrases.py`
"""

from gateway.signals import Read, Signal, weighed

__all__ = ["CotElicitation"]


class CotElicitation(Signal):
    """See the module's card."""

    code = "C6"
    family = "content"
    marks = ("elicits", "reasons")

    def readings(self) -> tuple[Read, ...]:
        elicits, reasons = self.at
        return (
            weighed(
                "elicitation_share",
                "those that want the reasoning written out",
                "want the reasoning written out",
                elicits,
            ),
            weighed("steps_share", "those that ask for steps", "ask for steps", reasons),
        )
