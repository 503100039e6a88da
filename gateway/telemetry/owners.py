"""Shell. How many owners score at or above the level of a calibration: whether it still holds, seen within days.

An owner is an organisation where it is known, else an account; it counts once, by a hash of its name. There are two
generations of 15 days each, of which the older one goes as a whole: what is counted is of the last 15 to 30 days, and
never of more days than the level was taken from. Where a calibration trusts owners by their age, younger ones, and
those whose age nobody told, count nothing. No verdict reads any of this, and it is empty after a start.

Room. A generation keeps at most 16,384 owners of a card, about 2 MB; beyond that those whose hash ends in zero bits,
each for two, four, eight… (adaptive sampling, as in `sketches.Seen`), with a standard error of about 1 %.
"""

from collections.abc import Mapping
from hashlib import blake2b

from gateway.identity import Caller
from gateway.policy.calibration import MONTH, Calibration

__all__ = ["GENERATION", "OwnersAbove"]

DAY = 86_400_000_000  # µs
GENERATION = 15 * DAY
TENURE = 90 * DAY
ROOM = 16_384  # owners of a generation
SLACK = 0.005  # dB: half a step of scores


class _Sample:
    """Owners by hash, and whether each was ever above."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.bits = 0
        self.found: dict[int, bool] = {}

    def add(self, owner: int, *, above: bool) -> None:
        if owner & ((1 << self.bits) - 1):
            return
        self.found[owner] = above or self.found.get(owner, False)
        while len(self.found) > self.room:
            self.bits += 1
            mask = (1 << self.bits) - 1
            self.found = {owner: above for owner, above in self.found.items() if not owner & mask}


class _Card:
    """One card's calibration, and two generations."""

    def __init__(self, digest: str, threshold: float, *, trusted: bool, room: int) -> None:
        self.digest = digest
        self.threshold = threshold - SLACK
        self.trusted = trusted
        self.room = room
        self.generation = 0
        self.samples = (_Sample(room), _Sample(room))  # this one, and the former

    def add(self, owner: int, score: float, now: int) -> None:
        generation = now // GENERATION
        if generation > self.generation:
            former = self.samples[0] if generation == self.generation + 1 else _Sample(self.room)
            self.samples = _Sample(self.room), former
            self.generation = generation
        self.samples[0].add(owner, above=score >= self.threshold)

    def counts(self) -> tuple[int, int]:
        """Owners, and those above, over both generations."""
        samples = self.samples
        bits = max(sample.bits for sample in samples)
        mask = (1 << bits) - 1
        owners: dict[int, bool] = {}
        for sample in samples:
            for owner, above in list(sample.found.items()):  # a scrape may come from another thread
                if not owner & mask:
                    owners[owner] = above or owners.get(owner, False)
        return len(owners) << bits, sum(owners.values()) << bits


class OwnersAbove:
    """`adopt` a policy's calibrations, `add` each judged request. `room`: owners that a generation keeps."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._cards: dict[str, _Card] = {}

    def adopt(self, calibrations: Mapping[str, Calibration]) -> None:
        """What is counted from now on. Counts stay where the calibration does; those of a trial count nothing."""
        before, self._cards = self._cards, {}
        for name, made in calibrations.items():
            card = made.card(name)
            month = made.window_days == MONTH and made.covered_days >= MONTH
            if card is None or not month or not card.level.supported or card.level.threshold_db is None:
                continue
            known = before.get(name)
            if known is None or known.digest != made.digest:
                trusted = made.cohort.rule == "trusted"
                known = _Card(made.digest, card.level.threshold_db, trusted=trusted, room=self._room)
            self._cards[name] = known

    def add(self, caller: Caller, scores: Mapping[str, float], now: int) -> None:
        """One judged request: its caller, scorecard -> dB, and when (µs)."""
        if not self._cards or not scores:
            return
        old = caller.created is not None and now - caller.created * 1_000_000 > TENURE
        name = f"org {caller.org}" if caller.org else f"account {caller.account}"
        owner = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        for card, known in self._cards.items():
            if card in scores and (old or not known.trusted):
                known.add(owner, scores[card], now)

    def scored(self) -> dict[str, float]:
        """Card -> owners."""
        return {name: card.counts()[0] for name, card in self._cards.items()}

    def above(self) -> dict[str, float]:
        """Card -> those of them at or above the level."""
        return {name: card.counts()[1] for name, card in self._cards.items()}
