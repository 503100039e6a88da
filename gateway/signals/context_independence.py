"""Pure. C3, context independence: single questions, without a conversation, tools, images or an end user.

measures     the share of generating requests that stand alone (one turn, nothing attached); and the shares that go on
             with a conversation, that work with tools, that name an end user, that are read as they stream, that come
             with instructions beside what is asked, that have nothing in them. A harvest takes each answer once and
             never talks about it; people do, and agents work on. And of the conversations whose last answer has a
             sentence of 40 bytes or more the share where that answer was served here in the last day: a made-up history
             has none that was
formula      hits / n, decayed
unit         share of requests
state        36 bytes
half-life    4.9 days
evasion      a made-up history before each prompt ("hi", "ok"): ten tokens a row, and the last share shows only one
             whose answer is a sentence; one that was served: the same for all rows of a day, so a call a day. A tool
             that is never called, an image of one dot: as little. A made-up user id: free
look-alikes  every batch job: classification, translation, evaluation; of made-up histories: yesterday's conversation,
             one that another worker or model began, examples written as turns
source       the published collectors of Self-Instruct, s1 and open-r1: one turn a row, with nothing attached
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Read, Signal, Slab, Span, share

__all__ = ["ContextIndependence"]

MARKS = {
    "one_shot": ("one_shot_share", "single questions with nothing attached", "stand alone"),
    "continues": ("conversation_share", "turns of a conversation", "go on with a conversation"),
    "works": ("tool_share", "work with tools", "work with tools"),
    "named": ("named_share", "that name an end user", "name an end user"),
    "streamed": ("streamed_share", "whose answer streams", "stream their answer"),
    "instructed": ("instructed_share", "that instruct the model beside what is asked", "instruct the model"),
    "empty": ("empty_share", "that ask nothing", "ask nothing"),
}


class ContextIndependence(Signal):
    """See the module's card."""

    code = "C3"
    family = "content"
    marks = tuple(MARKS)
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (
        ("said", "week"),  # requests whose history ends with an answer that can be looked up
        ("served", "week"),  # of those, served here
    )

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.said and seen.op in GENERATES:
            slab.counts[self.at[-2]] += 1.0
            slab.counts[self.at[-1]] += slab.continued

    def readings(self) -> tuple[Read, ...]:
        *of_marks, said, served = self.at
        doc = "of the week's conversations whose last answer can be looked up those where it was served here of late"
        return (
            *(
                share(name, f"of the week's generating requests those: {doc}", words, at)
                for at, (name, doc, words) in zip(of_marks, MARKS.values(), strict=True)
            ),
            share("served_history_share", doc, "go on with an answer that was served here", served, said),
        )
