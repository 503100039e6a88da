"""Pure. C2, map over a dataset: what is asked is never asked again.

measures     how many of an account's asks, each a whole fresh text with capitals and blanks made alike, it had
             not asked before. A training set needs each row once; products ask again: the same documents, the same test
             suite, the same customer. One of the last eight asks within ten minutes, up to eight times, draws another
             answer of it (P4), side by side with others or not: `novel_share` leaves it out
formula      fresh = new / looked at, on an adaptive sample of asks (62 fingerprints a week), decayed
unit         share of asks
state        the sample that all signals share (580 bytes in all), nothing of its own
half-life    4.9 days; an ask is forgotten after one to two weeks
evasion      ask 20 to 30 % again: a call each, which may be as short as a word; draw more than eight in turn: free,
             where several answers of each are wanted anyway
look-alikes  batch classification, translation, writing for publication, evaluation in its first run
source       Flajolet, On adaptive sampling (1990); the sweep of Tramer et al. 2016 and of every generation recipe
"""

from collections.abc import Callable

from gateway.signals import Read, Signal, Slab

__all__ = ["DatasetSweep"]


class DatasetSweep(Signal):
    """See the module's card. What it reads is kept by `gateway/panel.py`, since other signals weigh with it."""

    code = "C2"
    family = "content"
    monotone = False

    def readings(self) -> tuple[Read, ...]:
        return (
            _of("fresh_share", "of the week's asks those that were not asked before", lambda s: s.fresh),
            _of(
                "novel_share",
                "the same without asks that draw one of the last eight once more within ten minutes",
                lambda s: s.novel,
            ),
        )


def _of(name: str, doc: str, get: Callable[[Slab], float]) -> Read:
    return Read(
        name,
        doc,
        lambda s: get(s) if s.generating else None,
        "share",
        "ask what was not asked before",
        lambda s: get(s) * s.generating,
        lambda s: s.generating,
        True,
    )
