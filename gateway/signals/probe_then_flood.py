"""Pure. T4, probe then flood: a request that asks nothing, to learn the limits, and then the whole load.

measures     whether, within 10 minutes of a probe, 50 requests came at 100 times the account's pace before; and whether
             the client's name changed in between, as where one library reads the limits and another sends. A probe is
             an empty request, or a single short question for at most 2 tokens. Where an account probes all day, its
             probes are a health check and none counts
formula      flood = n >= 50 and n / (now - probe) >= 100 * (requests of the day before the probe) / day; the reading
             is 1, or 2 with another client, when last seen, decayed
unit         0 to 2
state        28 bytes
half-life    42 minutes
evasion      skip the probe: free. It catches tools as they come
look-alikes  the first minutes of a new program that warms up its connection; health checks, which the day's count of
             probes and their own pace keep out. A list of models is fetched on a path that no dialect reads, and is
             not seen as a probe
source       the curator library sends `{"messages": []}` before the load, by another HTTP client
"""

from typing import ClassVar
from zlib import crc32

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import DAY, GENERATES, Read, Signal, Slab, Span

__all__ = ["ProbeThenFlood"]

OPEN = 600_000_000  # µs after a probe
FLOOD = 50.0  # requests
RAMP = 100.0
HABIT = 2.5  # probes of the last day: with more it's a habit
SHORT = 64  # characters of all that the model reads


class ProbeThenFlood(Signal):
    """See the module's card."""

    code = "T4"
    family = "timing"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (
        ("flooded", "hour"),
        ("probes", "day"),
        ("before", "ever"),
        ("since", "ever"),
    )
    stamps = ("probed",)
    sketch: ClassVar[int] = 4  # checksum of the client's name at the probe

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in GENERATES:
            return
        counts, times, marks = slab.counts, slab.times, seen.marks
        flooded, probes, before, since = self.at
        probed = self.when[0]
        elapsed = slab.now - times[probed]
        if seen.chars <= SHORT and ("empty" in marks or ("tiny" in marks and "one_shot" in marks)) and not seen.lines:
            if elapsed >= OPEN and counts[probes] < HABIT:
                times[probed] = slab.now
                counts[before] = slab.generating_day - slab.weight
                counts[since] = 0.0
                slab.bytes[self.start : self.start + 4] = _client(seen)
            counts[probes] += 1.0
        elif elapsed < OPEN:
            came = counts[since] = counts[since] + slab.weight
            if came >= FLOOD and came * DAY >= RAMP * counts[before] * elapsed:
                then, now = slab.bytes[self.start : self.start + 4], _client(seen)
                strength = 2.0 if then != now and any(then) and any(now) else 1.0
                counts[flooded] = max(counts[flooded], strength)

    def readings(self) -> tuple[Read, ...]:
        flooded = self.at[0]
        return (
            Read(
                "probe_then_flood",
                "1 when a flood follows a probe, 2 when the client changes in between; half of it 42 minutes later",
                lambda s: s.counts[flooded],
                "",
                "a flood after a probe",
            ),
        )


def _client(seen: Observation) -> bytes:
    """A checksum of the client's name; zeros where it gives none."""
    return crc32(seen.client.encode()).to_bytes(4, "little")
