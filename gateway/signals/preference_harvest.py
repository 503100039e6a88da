"""Pure. C8, harvest of judgements: the model as a reward model.

measures     the shares of generating requests that have answers to one prompt compared, ranked or improved, and,
             weaker, that have one answer graded. Pairs with a winner are what preference training eats
formula      hits / n, decayed, a request without a telling mark counting by its answer (1 from 64 tokens on);
             scored by the hierarchical Bayes factor
unit         share of requests
state        8 bytes
half-life    4.9 days
evasion      one answer at a time, and compare the grades: coarser data, twice the calls
look-alikes  evaluations with a model as judge, moderation, a team that grades its own bot
source       Zheng et al., Judging LLM-as-a-judge; Cui et al., UltraFeedback; Anthropic's report of February 2026
             (rubric-based grading); the phrases are listed in `observe/phrases.py`
"""

from gateway.signals import Read, Signal, weighed

__all__ = ["PreferenceHarvest"]


class PreferenceHarvest(Signal):
    """See the module's card."""

    code = "C8"
    family = "content"
    marks = ("prefers", "grades")

    def readings(self) -> tuple[Read, ...]:
        prefers, grades = self.at
        return (
            weighed(
                "preference_share",
                "those that have answers compared",
                "have answers compared",
                prefers,
            ),
            weighed(
                "grading_share",
                "those that have an answer graded",
                "have an answer graded",
                grades,
            ),
        )
