"""Pure. C10, overlap with public corpora: prompts that are items of known question banks.

measures     the share of generating requests with a sentence of a known bank, and of these the share from splits that
             are kept for evaluation. Whoever sweeps a training split makes training data; a test split is what an
             evaluation sweeps, and what nobody should train on
formula      hits / n, decayed, a request without a telling mark counting by its answer (1 from 64 tokens on);
             scored by the hierarchical Bayes factor
unit         share of requests
state        8 bytes; the banks' hashes are the deployment's (`gateway/banks.py`)
half-life    4.9 days
evasion      have a small model paraphrase the bank: some $0.1 a thousand rows
look-alikes  evaluation (test splits), education, researchers
source       contamination checks by n-grams, as in Brown et al., Language models are few-shot learners (2020)
"""

from gateway.signals import Read, Signal, share, weighed

__all__ = ["PublicCorpus"]


class PublicCorpus(Signal):
    """See the module's card."""

    code = "C10"
    family = "content"
    marks = ("banked", "tested")

    def readings(self) -> tuple[Read, ...]:
        banked, tested = self.at
        return (
            weighed(
                "bank_share",
                "those from a public bank",
                "come from a public bank",
                banked,
            ),
            share(
                "bank_test_share", "of these those from a split for evaluation", "are for evaluation", tested, banked
            ),
        )
