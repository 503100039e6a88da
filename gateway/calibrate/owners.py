"""Pure. Judged requests, folded: of each owner the highest score of the last days, and the counts that nulls come from.

The unit is the owner: an organisation where it is known, else an account. Keys and months of one owner are not
independent, owners are. A day is 24 hours, counted from the first request; the window is the last `window` of them and
the one that they began in, so that it is never shorter than it says. What came before it still counts for an owner's
tenure, and the accounts' state has it.
"""

from array import array
from collections.abc import Iterator, Mapping
from hashlib import sha256
from math import inf

from gateway.calibrate.labels import Label, Labels
from gateway.calibrate.nulls import Count, rates
from gateway.decide import Verdict
from gateway.errors import Mistake
from gateway.identity import Caller
from gateway.ledger.replay import Judged
from gateway.policy.model import Policy
from gateway.policy.promises import card_digest

__all__ = ["DAY", "TENURE", "Owner", "Owners", "Peak"]

DAY = 86_400_000_000  # µs
TENURE = 90  # days
MOST = 500_000  # owners, and accounts: some 2 KB each, a gigabyte


class Peak:
    """One card's scores of one owner. `days` is a ring of the highest score of each day, `last` the newest of them."""

    __slots__ = ("addends", "at", "days", "last", "request", "score", "scored")

    def __init__(self, size: int) -> None:
        self.days = array("d", [-inf]) * size
        self.last = -1
        self.score = -inf  # the highest of which the addends are known
        self.at = 0  # its day
        self.request = ""
        self.addends = array("d")  # dB by line, in the order of the card
        self.scored = False  # whether there ever was evidence

    def put(self, day: int, score: float) -> None:
        """A score of a day; of one that the ring has no place for any more, nothing is kept."""
        size = len(self.days)
        for skipped in range(max(self.last + 1, day - size + 1), day + 1):
            self.days[skipped % size] = -inf
        self.last = max(self.last, day)
        if day > self.last - size:
            self.days[day % size] = max(self.days[day % size], score)

    def highest(self, first: int) -> float:
        """The highest score since a day; -inf where there is none."""
        size = len(self.days)
        start = max(first, self.last - size + 1, 0)
        return max((self.days[day % size] for day in range(start, self.last + 1)), default=-inf)


class Owner:
    """What is known of one owner. Times in µs."""

    __slots__ = ("accounts", "created", "first", "is_org", "last", "name", "peaks", "requests")

    def __init__(self, name: str, now: int, *, is_org: bool) -> None:
        self.name = name
        self.is_org = is_org
        self.first = self.last = now
        self.created: int | None = None
        self.requests = 0
        self.accounts: dict[str, array[float]] = {}  # account -> hits and requests of each share
        self.peaks: dict[str, Peak] = {}

    @property
    def tenured(self) -> bool:
        """Whether it was a customer, or seen here, for so long."""
        since = self.first if self.created is None else min(self.first, self.created)
        return self.last - since > TENURE * DAY


class Owners:
    """`adopt` the policy, then `add` each request. Raises Mistake for more owners than can be held."""

    def __init__(self, window: int) -> None:
        self.window = window  # days
        self.requests = 0  # that were scored
        self.start = self.end = 0  # µs, of the first and the last of them
        self.policy: Policy | None = None
        self.digests: dict[str, str] = {}  # card -> its digest
        self._size = window + 1
        self._found: dict[tuple[bool, str], Owner] = {}
        self._accounts = 0
        self._days: set[int] = set()  # with requests, of the window
        self._day = 0  # the last one
        self._lines: dict[str, list[str]] = {}
        self._shares: list[tuple[str, str, str]] = []

    def adopt(self, policy: Policy) -> None:
        """By which policy the requests that come are judged. Raises Mistake where its cards are others than before."""
        if not policy.scorecards:
            raise Mistake("this policy has no scorecards: there is nothing to calibrate", place=policy.source)
        parsed = policy.engine.parsed
        digests = {card.id: card_digest(card, parsed, policy.lists) for card in policy.scorecards}
        if self.policy is not None and digests != self.digests:
            hint = "`--policy FILE` judges all of them by one policy"
            raise Mistake("these requests were judged by several policies with different scorecards", hint=hint)
        if self.policy is None:
            self._lines = {card.id: [line.id for line in card.evidence] for card in policy.scorecards}
            self._shares = [(name, f"{name}.hits", f"{name}.of") for name in rates(policy)]
        self.policy, self.digests = policy, digests

    def add(self, judged: Judged) -> None:
        """One request at its end. What was never scored, as of nobody who is known, is left out."""
        verdict, caller = judged.verdict, judged.ruled.facts.caller
        if not verdict.scores or caller.account == "-":
            return
        now = judged.ruled.now
        if not self.requests:
            self.start = self.end = now
        self.requests += 1
        self.end = max(self.end, now)
        day = max(0, now - self.start) // DAY
        if day not in self._days:
            self._day = max(self._day, day)
            self._days = {each for each in self._days | {day} if each > self._day - self._size}
        owner = self._owner(caller, now)
        owner.requests += 1
        owner.last = max(owner.last, now)
        if caller.created is not None:
            created = caller.created * 1_000_000
            owner.created = created if owner.created is None else min(owner.created, created)
        for card, score in verdict.scores.items():
            self._score(owner, card, score, day, judged)
        self._count(owner, caller.account, verdict)

    @property
    def covered(self) -> int:
        """Days of the window that there were requests on."""
        return min(self.window, len(self._days))

    def active(self) -> Iterator[Owner]:
        """The owners that were seen in the window, by name."""
        for _, owner in sorted(self._found.items()):
            if self.day_of(owner.last) > self._day - self._size:
                yield owner

    def highest(self, owner: Owner, card: str) -> float:
        """dB: the highest score of the window; -inf where there is none."""
        peak = owner.peaks.get(card)
        return -inf if peak is None else peak.highest(self._day - self._size + 1)

    def addends(self, owner: Owner, card: str) -> dict[str, float]:
        """Line -> dB, where the owner's score was highest; empty where that isn't known."""
        peak = owner.peaks.get(card)
        if peak is None or peak.score != self.highest(owner, card):
            return {}
        return {line: db for line, db in zip(self._lines[card], peak.addends, strict=True) if db}

    def counts(self, owner: Owner) -> Mapping[str, Count]:
        """Share -> hits and requests, where most was known of each of the owner's accounts, summed."""
        found: dict[str, Count] = {}
        for at, (name, _, _) in enumerate(self._shares):
            hits = sum(each[2 * at] for each in owner.accounts.values())
            of = sum(each[2 * at + 1] for each in owner.accounts.values())
            if of:
                found[name] = hits, of
        return found

    def label(self, owner: Owner, labels: Labels | None) -> Label | None:
        return None if labels is None else labels.of(owner.name, owner.accounts)

    def digest(self) -> str:
        """SHA-256 over the highest scores of all owners of the window, without their names."""
        cards = sorted(self.digests)
        rows = sorted(" ".join(f"{self.highest(owner, card):.2f}" for card in cards) for owner in self.active())
        return sha256("\n".join([*cards, *rows]).encode()).hexdigest()

    def day_of(self, now: int) -> int:
        return max(0, now - self.start) // DAY

    def _owner(self, caller: Caller, now: int) -> Owner:
        key = (True, caller.org) if caller.org else (False, caller.account)
        owner = self._found.get(key)
        if owner is None:
            owner = self._found[key] = Owner(key[1], now, is_org=key[0])
            self._bound(len(self._found))
        return owner

    @staticmethod
    def _bound(count: int) -> None:
        if count > MOST:
            hint = "calibrate on a part of the traffic: fewer days, or a sample of whole owners"
            raise Mistake(f"more than {MOST:,} owners or accounts", hint=hint)

    def _score(self, owner: Owner, card: str, score: float, day: int, judged: Judged) -> None:
        peak = owner.peaks.get(card)
        if peak is None:
            peak = owner.peaks[card] = Peak(self._size)
        peak.put(day, score)
        evidence = judged.verdict.evidence.get(card)
        if evidence:
            peak.scored = True
        if score > peak.score or peak.at <= day - self._size:
            peak.score, peak.at, peak.request = score, day, judged.ruled.request
            known = evidence or {}
            peak.addends = array("d", [known.get(line, 0.0) for line in self._lines[card]])

    def _count(self, owner: Owner, account: str, verdict: Verdict) -> None:
        counts = owner.accounts.get(account)
        if counts is None:
            counts = owner.accounts[account] = array("d", bytes(16 * len(self._shares)))
            self._accounts += 1
            self._bound(self._accounts)
        readings = verdict.readings
        for at, (_, hits, of) in enumerate(self._shares):
            known = readings.get(of, 0.0)
            if known and known >= counts[2 * at + 1]:
                counts[2 * at], counts[2 * at + 1] = readings.get(hits, 0.0), known
