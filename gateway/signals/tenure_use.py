"""Pure. A1, use for its age: how much an account takes, measured by how long it has been a customer.

measures     tokens written for an account in a week per day of its age; and how much of all that it ever took was
             written on its first day. Accounts made for a harvest are used at once, hard, and not for long
formula      use_for_age = output tokens of the week / max(1, age in days), age since the older of the account's
             `created` and the gateway's first sight of it; ramp = output tokens in the 24 hours after first sight / all
unit         tokens; share of tokens
state        28 bytes
half-life    4.9 days of the tokens; the ramp doesn't decay, it falls with use on later days: after n even days, 1/n
evasion      let accounts age before they are used: weeks, and what it costs to keep them; buy old ones
look-alikes  a new customer who means it, a launch, a hackathon, a migration from elsewhere. An age that nobody tells is
             no guilt: `use_for_age` is missing until the gateway has known the account for a week, `ramp` for a day.
             Whether an account pays, and how its use compares to its plan's, would say more: that needs claims of the
             operator's (plan, payment) and is for the policy's own conditions
source       Anthropic's report of February 2026 (some 670 exchanges an account in all)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import DAY, WEEK, Ended, Read, Signal, Slab, Span

__all__ = ["TenureUse"]

SECOND = 1_000_000  # µs


class TenureUse(Signal):
    """See the module's card."""

    code = "A1"
    family = "account"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("output", "week"), ("first_day", "ever"), ("all", "ever"))
    stamps = ("first", "created")

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        first, created = self.when
        if not slab.times[first]:
            slab.times[first] = slab.now
        slab.times[created] = 0 if who.created is None else who.created * SECOND

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if end.output:
            counts = slab.counts
            output, first_day, all_ = self.at
            counts[output] += end.output
            counts[all_] += end.output
            if slab.now - slab.times[self.when[0]] < DAY:
                counts[first_day] += end.output

    def readings(self) -> tuple[Read, ...]:
        first, created = self.when
        output, first_day, all_ = self.at

        def use(slab: Slab) -> float | None:
            known = slab.times[first]
            told = slab.times[created]
            if not known or not (told or slab.now - known >= WEEK):
                return None
            born = min(told, known) if told else known
            return slab.counts[output] / max(1.0, (slab.now - born) / DAY)

        def ramp(slab: Slab) -> float | None:
            if slab.now - slab.times[first] < DAY or not slab.counts[all_]:
                return None
            return slab.counts[first_day] / slab.counts[all_]

        return (
            Read(
                "use_for_age",
                "output tokens of the week for each day of the account's age",
                use,
                "tokens",
                "output tokens of the week for each day of its age",
                missing=True,
            ),
            Read(
                "ramp",
                "of all output tokens those of the first 24 hours",
                ramp,
                "share",
                "tokens of its first 24 hours, of all written",
                missing=True,
            ),
        )
