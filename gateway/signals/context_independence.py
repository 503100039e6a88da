"""Pure. C3, context independence: single questions, without a conversation, tools, images or an end user.

measures     the share of generating requests that stand alone (one turn, nothing attached); and the shares that go on
             with a conversation, that work with tools, that name an end user, that are read as they stream, that have
             nothing in them. A harvest takes each answer once and never talks about it; people do, and agents work on
formula      hits / n, decayed
unit         share of requests
state        24 bytes
half-life    4.9 days
evasion      a made-up history before each prompt: two and more times the input tokens; a made-up user id: free, so
             naming one acquits of little
look-alikes  every batch job: classification, translation, evaluation
source       the catalogue's C3
"""

from gateway.signals import Read, Signal, share

__all__ = ["ContextIndependence"]

MARKS = {
    "one_shot": ("one_shot_share", "single questions with nothing attached", "stand alone"),
    "continues": ("conversation_share", "turns of a conversation", "go on with a conversation"),
    "works": ("tool_share", "work with tools", "work with tools"),
    "named": ("named_share", "that name an end user", "name an end user"),
    "streamed": ("streamed_share", "whose answer streams", "stream their answer"),
    "empty": ("empty_share", "that ask nothing", "ask nothing"),
}


class ContextIndependence(Signal):
    """See the module's card."""

    code = "C3"
    family = "content"
    marks = tuple(MARKS)

    def readings(self) -> tuple[Read, ...]:
        return tuple(
            share(name, f"of the week's generating requests those: {doc}", words, at)
            for at, (name, doc, words) in zip(self.at, MARKS.values(), strict=True)
        )
