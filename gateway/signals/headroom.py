"""Pure. P5, headroom: how much room the caller leaves for an answer.

measures     the shares of generating requests that bound their answer to at most 1,024 tokens, and that leave it 4,096
             tokens and more by name. Who shows answers to people, or routes by them, bounds them; a trace that is cut
             off is no training row
formula      hits / n, decayed
unit         share of requests
state        8 bytes
half-life    4.9 days
evasion      a lower bound: loses the longest traces. No bound at all says nothing either way
look-alikes  agents that write code, writers, whoever copied a generous number from an example
source       the parameters of open-r1 (16,384 tokens), OpenThoughts (8,000) and Evol-Instruct (2,048)
"""

from gateway.signals import Read, Signal, share

__all__ = ["Headroom"]


class Headroom(Signal):
    """See the module's card."""

    code = "P5"
    family = "params"
    marks = ("bounded", "roomy")

    def readings(self) -> tuple[Read, ...]:
        bounded, roomy = self.at
        week = "of the week's generating requests those that"
        return (
            share("bounded_share", f"{week} allow an answer 1,024 tokens at most", "bound their answer", bounded),
            share("roomy_share", f"{week} ask for room of 4,096 tokens and more", "leave ample room", roomy),
        )
