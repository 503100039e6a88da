"""Pure. T1, closed loop: the pace is the model server's, not a person's.

measures     a worker starts a request when an answer has come, so requests begin right after others have ended, and
             the number in flight stays where it is. People read first, and the users of a busy product don't wait for
             each other: their number in flight wanders
formula      of the starts of a day (i) those at most min(50 ms, a fourth of the usual gap between starts) after an
             answer, or while the number in flight, this one included, is the usual one and at least 2; (ii) the second
             kind alone; (iii) those 5 s to 10 min after the last answer with nothing in flight. Usual number: Boyer and
             Moore's vote on the numbers at the starts, with at most 256 votes, give or take a 64th. In flight is
             forgotten after an hour without a start or an answer. Simulated, (i): 1 to 200 workers up to 30 ms away
             87 to 100 %; independent requests, 1 in 20 s to 100 a second, 0 to 57 %; one person reading, 0 %
unit         share of requests
state        48 bytes
half-life    17 hours
evasion      random waits as long as an answer takes: half the throughput, or twice the accounts
look-alikes  batch classification, translation, evaluation and CI run in the same loop, and read the same; a busy
             product with many users doesn't. A caller more than 50 ms of network away is seen by (ii) only
source       Boyer and Moore, MJRTY (1991); distillation tools with a fixed number of workers
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, HOUR, Ended, Read, Signal, Slab, Span, share

__all__ = ["ClosedLoop"]

PACED = GENERATES - {"batch"}  # a batch is started once, and nobody waits for it
SECOND = 1_000_000  # µs
PROMPT = SECOND // 20  # after an answer
PART = 4  # of the usual gap
SMOOTH = 8  # gaps that the usual one is made of
CONFIDENT = 256.0  # votes; so a pool that is resized is believed after as many starts
SLACK = 64.0
PERSON = (5 * SECOND, 600 * SECOND)


class ClosedLoop(Signal):
    """See the module's card."""

    code = "T1"
    family = "timing"
    malformed = True  # what is refused unread ends too, and would be taken for the end of another
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (
        ("starts", "day"),
        ("looped", "day"),
        ("level", "day"),
        ("idle", "day"),
        ("in_flight", "ever"),
        ("usual", "ever"),
        ("votes", "ever"),
        ("gap", "ever"),
    )
    stamps = ("began", "answered")

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in PACED:
            return
        counts, times, now = slab.counts, slab.times, slab.now
        starts, looped, level, idle, flying, usual, votes, gap = self.at
        began, answered = self.when
        since, thought = now - times[began], now - times[answered]
        flight = counts[flying] + 1.0
        if flight > 1.0 and since > HOUR and thought > HOUR:
            flight = 1.0
        counts[starts] += 1.0
        counts[flying] = flight
        times[began] = now
        mean = counts[gap] or SECOND
        counts[gap] = mean = mean + ((since if since < SECOND else SECOND) - mean) / SMOOTH
        loops = thought <= PROMPT and thought * PART <= mean
        plateau = counts[usual]
        if -plateau <= (flight - plateau) * SLACK <= plateau:
            if counts[votes] < CONFIDENT:
                counts[votes] += 1.0
            if plateau >= 2.0:
                counts[level] += 1.0
                loops = True
        elif counts[votes] >= 1.0:
            counts[votes] -= 1.0
        else:
            counts[usual], counts[votes] = flight, 1.0
        if loops:
            counts[looped] += 1.0
        elif flight == 1.0 and PERSON[0] <= thought <= PERSON[1]:
            counts[idle] += 1.0

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if seen.op in PACED:
            flying = self.at[4]
            slab.counts[flying] = max(0.0, slab.counts[flying] - 1.0)
            if end.ok:
                slab.times[self.when[1]] = slab.now

    def readings(self) -> tuple[Read, ...]:
        starts, looped, level, idle = self.at[:4]
        day = "of the day's generating requests those that began"
        return (
            share(
                "closed_loop_share",
                f"{day} right after an answer, or with the usual number in flight",
                "began as others ended",
                looped,
                starts,
            ),
            share(
                "plateau_share",
                f"{day} with the usual number in flight, 2 or more",
                "began with the usual number in flight",
                level,
                starts,
            ),
            share(
                "human_gap_share",
                f"{day} 5 s to 10 min after the last answer, with nothing in flight",
                "began after a person's pause",
                idle,
                starts,
            ),
        )
