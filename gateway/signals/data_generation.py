"""Pure. C7, generation of training data: prompts that make prompts.

measures     the shares of generating requests that ask for instructions, prompts or question-answer pairs for a model,
             and, weaker, for a number of invented items of any kind
formula      hits / n, decayed, a request without a telling mark counting by its answer (1 from 64 tokens on);
             scored by the hierarchical Bayes factor
unit         share of requests
state        8 bytes
half-life    4.9 days
evasion      wording of one's own: hours of prompt work, once
look-alikes  permitted synthesis of data (a contract says so: label the account), quiz and game makers, test data
source       Wang et al., Self-Instruct; Xu et al., WizardLM (Evol-Instruct); Ge et al., Persona Hub; the phrases are
             listed in `observe/phrases.py`
"""

from gateway.signals import Read, Signal, weighed

__all__ = ["DataGeneration"]


class DataGeneration(Signal):
    """See the module's card."""

    code = "C7"
    family = "content"
    marks = ("generates", "invents")

    def readings(self) -> tuple[Read, ...]:
        generates, invents = self.at
        return (
            weighed(
                "generation_share",
                "those that ask for material to train a model on",
                "ask for material to train a model on",
                generates,
            ),
            weighed(
                "invention_share",
                "those that ask for invented items",
                "ask for invented items",
                invents,
            ),
        )
