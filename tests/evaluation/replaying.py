"""Shell. Traffic through the gateway's own steps, as `gauger replay` plays it, account by account at the end."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from math import inf
from typing import Any

import msgspec

from gateway.accounts import Directory
from gateway.calibrate.nulls import Count, rates
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.decide import Verdict
from gateway.errors import Mistake
from gateway.ledger.record import Ruled
from gateway.ledger.steps import Steps
from gateway.policy.model import Policy
from gateway.restore import undisturbed
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits
from tests.evaluation.metrics import RANKS, Case
from tests.evaluation.traffic import Labelled, Line

__all__ = ["ALONE", "Fleet", "Track", "cases", "replay"]


class Track(msgspec.Struct):
    """What came of one account's requests, in their order."""

    scores: list[float] = msgspec.field(default_factory=list)  # dB
    ranks: bytearray = msgspec.field(default_factory=bytearray)
    limited: int = 0  # requests that a limit refused
    score: float = -inf  # the highest that evidence gave, where there was any
    peak: int = 0  # the first request with it, counted from 1
    verdict: Verdict = Verdict()  # what was said of that request
    last: Verdict = Verdict()  # what was said of the last one
    counts: dict[str, Count] = msgspec.field(default_factory=dict)  # share -> its counts where most was known of it


class _Said(msgspec.Struct):
    """What is read of a decision's line."""

    action: str
    score: float


NOTHING: Count = (0.0, 0.0)
_SAID = msgspec.json.Decoder(_Said)


class Fleet(msgspec.Struct, frozen=True):
    """Processes that the requests are dealt to. Each has state of its own: accounts, limits, answers served."""

    workers: int = 1
    by_key: bool = True  # all of an account's requests to one of them; else each request to any
    shared: bool = True  # they tell each other what accounts do every time, every `EVERY`


ALONE = Fleet()
EVERY = 2_000_000  # µs, of the traffic's clock


class _Worker:
    """One process."""

    def __init__(self, policy: Policy, directory: Directory, record: Any) -> None:
        self.steps = Steps(MemoryLimits(), MemoryAccounts())
        self.player = Player(policy, directory, PUBLIC_PEPPER, self.steps, record=record)

    def told(self, now: int) -> list[bytes]:
        """What all others are to be told."""
        self.player.advance(now)
        found = []
        while more := self.player.campaigns.changed(now):
            found += [record for _, record in more]
        return found


def _exchange(workers: list[_Worker], now: int) -> None:
    """All tell all."""
    for at, worker in enumerate(workers):
        for record in worker.told(now):
            for other in workers:
                if other is not worker:
                    other.player.campaigns.hear(record, str(at), now)
                    other.player.campaigns.turn()


def replay(
    policy: Policy, requests: Iterable[Line], fleet: Fleet = ALONE, directory: Directory | None = None
) -> dict[str, Track]:
    """account -> what came of it, on any worker. Raises Mistake where judging met a defect: such figures are worth
    nothing."""
    last: list[Verdict] = []

    def record(row: Any) -> None:
        if type(row) is Ruled:
            last.append(row.verdict)

    workers = [_Worker(policy, directory or Directory.empty(), record) for _ in range(fleet.workers)]
    share = fleet.shared and fleet.workers > 1
    if share:
        for worker in workers:
            worker.player.campaigns.share()
    exchanged = 0
    shares = [(name, f"{name}.hits", f"{name}.of") for name in rates(policy)]
    tracks: dict[str, Track] = {}
    with undisturbed():
        for number, line in enumerate(requests, 1):
            said_of = line.account if fleet.by_key else f"{number}"
            player = workers[blake2b(said_of.encode()).digest()[0] % fleet.workers].player
            said = _SAID.decode(player.play(line.data, f"request {number}"))
            if share and player.now >= exchanged + EVERY:
                exchanged = player.now
                _exchange(workers, exchanged)
            verdict = last.pop()
            track = tracks.get(line.account)
            if track is None:
                track = tracks[line.account] = Track()
            _add(track, said, verdict, shares)
        for worker in workers:
            worker.player.finish()
    errors, bad = (sum(each) for each in zip(*[(one.steps.errors, one.player.bad) for one in workers], strict=True))
    if errors or bad:
        raise Mistake(f"{errors} requests met a defect of judging, {bad} lines are no requests")
    return tracks


def cases(tracks: Mapping[str, Track], requests: Iterable[Line], known: Mapping[str, Labelled]) -> list[Case]:
    """The same with what is known of each account. Output tokens count where a request is of its account's kind.

    Raises Mistake for an account that nothing is known of.
    """
    strangers = sorted(tracks.keys() - known.keys())
    if strangers:
        raise Mistake(f"{len(strangers)} accounts have no label, as {strangers[0]}")
    tokens: dict[str, list[int]] = {}
    for line in requests:
        own = line.label == known[line.account].label
        tokens.setdefault(line.account, []).append(line.tokens if own else 0)
    return [
        Case(name, known[name].label, known[name].family, track.scores, track.ranks, tokens[name])
        for name, track in tracks.items()
    ]


def _add(track: Track, said: _Said, verdict: Verdict, shares: Iterable[tuple[str, str, str]]) -> None:
    track.scores.append(said.score)
    track.ranks.append(RANKS[verdict.action])
    track.limited += said.action == "limit"
    if verdict.evidence and said.score > track.score:
        track.score, track.peak, track.verdict = said.score, len(track.scores), verdict
    track.last = verdict
    readings = verdict.readings
    for name, hits, of in shares:
        known = readings.get(of, 0.0)
        if known and known >= track.counts.get(name, NOTHING)[1]:
            track.counts[name] = (readings.get(hits, 0.0), known)
