"""Pure. The gate's steps on a clock that is data: judge, draw, settle, and the renewal of leases in between.

The stores are handed in. What a step does to them is what `edge/gate.py` does to them at the same place, in the same
order, so that replaying the rows, and playing raw traffic, leave the state that a gateway would hold.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from gateway.decide import REFUSES, AccountState, Facts, Outcome, Reflection, Verdict, actual, judge, settle
from gateway.errors import Refusal
from gateway.identity import Caller
from gateway.ledger.record import Resumed
from gateway.policy.draws import used_so_far
from gateway.policy.model import Policy
from gateway.quotas import Draw, Drawn, Reading
from gateway.refusals import refusal_of
from gateway.usage import Usage

__all__ = ["NOBODY", "Accounts", "Limits", "Steps", "action_of", "instead", "refused", "score_of", "word_of"]

T = TypeVar("T")

NOBODY = Caller(account="-")
"""The caller of a request that was refused before it was known who asks: nothing is remembered of it."""

RENEW = 30_000_000  # µs between renewals of the leases of requests under way, as `edge/core.py` renews them
BRIDGED = 31_536_000_000_000  # µs of silence that are bridged at all: nothing is under way for a year
STRIDE = 1_800_000_000  # µs of silence that are bridged by one renewal: half of the deadline of a reservation
SOFTER = frozenset({"allow", "tag", "clamp", "throttle"})  # words that a spent limit outranks


class Limits(Protocol):
    """A store of limits that never waits (`stores/memory.py`)."""

    def take(self, draws: Sequence[Draw], now: int, request: str | None = None) -> Drawn: ...
    def add(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]: ...
    def give(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]: ...
    def keep(self, request: str, now: int) -> None: ...
    def resume(self, max_cells: int, now: int) -> None: ...


class Accounts(Protocol):
    """A table of what is remembered of accounts (`stores/accounts.py`)."""

    def get(self, account: str) -> AccountState: ...
    def update(self, account: str, transition: Callable[[AccountState], tuple[AccountState, T]]) -> T: ...
    def resume(self, capacity: int, probation: int, memory: int) -> None: ...


class Steps:
    """One gateway's state, stepped event by event; `now` in µs, and never less than before."""

    def __init__(self, limits: Limits, accounts: Accounts) -> None:
        self.limits = limits
        self.accounts = accounts
        self.errors = 0  # exceptions inside judging and settling
        self._live: dict[str, None] = {}  # requests with a reservation that is open
        self._renewed = 0

    def known(self, account: str) -> tuple[Reading, ...]:
        """What the limits last answered this account: a part of the facts that it is judged on."""
        return self.accounts.get(account).limits

    def row_of(self, account: str) -> bytes:
        """The row of signals of an account; empty where nothing is remembered."""
        return self.accounts.get(account).signals

    def judge(self, policy: Policy, facts: Facts, now: int) -> Verdict:
        """Rungs 5 and 6. A defect of ours leaves the account as it was, and `on_error` decides."""
        caller = facts.caller
        if caller.account == "-" and caller == NOBODY:
            return Verdict("reject", "reject", refuse=facts.rejected)
        try:
            return self.accounts.update(caller.account, lambda state: judge(policy, state, facts, now))
        except Exception as error:  # noqa: BLE001 - the gate does the same, and the verdict says so
            self.errors += 1
            name = type(error).__name__
            if policy.on_error == "allow":
                return Verdict(error=name)
            return Verdict("block", "block", refuse="policy_error", error=name)

    def draw(self, request: str, verdict: Verdict, now: int) -> Drawn | None:
        """Rung 7. None where the verdict refuses: then no limit is asked."""
        if verdict.refuse:
            return None
        drawn = self.limits.take(verdict.draws, now, request)
        if drawn.ok:
            self._live[request] = None
        return drawn

    def charge(self, policy: Policy, request: str, verdict: Verdict, usage: Usage, now: int) -> None:
        """What a request that is under way has used by now."""
        if request in self._live:
            self.limits.add(request, used_so_far(verdict.draws, policy.tokens, usage), now)

    def settle(
        self,
        policy: Policy,
        request: str,
        facts: Facts,
        verdict: Verdict,
        outcome: Outcome,
        now: int,
        costs: dict[str, int] | None = None,
    ) -> tuple[dict[str, int], Reflection]:
        """Rung 9: what went back to the limits, and what the rules say of the answer.

        `costs` replaces what the outcome says that each limit's draw cost; {} leaves all as drawn.
        """
        settled: dict[str, int] = {}
        if request in self._live:
            del self._live[request]
            if costs is None:
                proven = outcome.upstream_status not in REFUSES or self.accounts.get(facts.caller.account).proven
                costs = actual(policy, facts, verdict, outcome, proven=proven)
            settled = self.limits.give(request, costs, now)
        return settled, Reflection() if facts.rejected else self._learn(policy, facts, verdict, outcome, now)

    def forget(self, request: str) -> None:
        """A request whose end will never come: its leases are renewed no more."""
        self._live.pop(request, None)

    def take_up(self, requests: Iterable[str]) -> None:
        """Goes on with these requests under way."""
        self._live.update(dict.fromkeys(requests))

    def resume(self, row: Resumed) -> None:
        """A new process goes on with this state: nothing is under way any more, and its bounds are its own."""
        self._live.clear()
        self.limits.resume(row.cells, row.now)
        self.accounts.resume(row.accounts, row.probation, row.memory)

    def keep(self, now: int) -> None:
        """Renews what is open, every 30 s of the events' time; a silence is bridged before a deadline passes in it."""
        if now - self._renewed < RENEW:
            return
        if self._live and self._renewed:
            at = max(self._renewed, now - BRIDGED)
            while at < now:
                at = min(now, at + STRIDE)
                for request in self._live:
                    self.limits.keep(request, at)
        self._renewed = now

    def _learn(self, policy: Policy, facts: Facts, verdict: Verdict, outcome: Outcome, now: int) -> Reflection:
        caller = facts.caller
        if caller.account == "-" and caller == NOBODY:
            return Reflection()
        try:
            return self.accounts.update(
                caller.account, lambda state: settle(policy, state, facts, verdict, outcome, now)
            )
        except Exception:  # noqa: BLE001 - the gate does the same: the answer is out, and the account stays as it was
            self.errors += 1
            return Reflection()


def refused(policy: Policy, facts: Facts, verdict: Verdict, drawn: Drawn | None) -> Outcome | None:
    """How a request ends that the policy or a limit refuses; None where both let it pass."""
    if drawn is None:
        status = verdict.effects.block or (503 if verdict.refuse == "policy_error" else 403)
        return Outcome(end="refused", status=status, error=verdict.refuse)
    if drawn.ok:
        return None
    refusal: Refusal = refusal_of(drawn.readings, policy.limits_of(facts.caller.plan))
    return Outcome(end="refused", status=refusal.status, limits=drawn.readings, error=refusal.code)


def instead(usage: Usage, facts: Facts, done: Verdict, says: Verdict) -> Usage:
    """What an answer would have used, had `says` been done to its request and not what was done: a choice that a clamp
    takes or leaves is an equal part of the output."""
    asked = facts.seen.n // max(1, facts.seen.prompts)
    had, has = ((verdict.effects.clamp.get("n") or (None, asked))[1] or 1 for verdict in (done, says))
    if had == has:
        return usage
    output, reasoning = (int(tokens * has / had) for tokens in (usage.output, usage.reasoning))
    return msgspec.structs.replace(usage, output=output, reasoning=reasoning)


def action_of(verdict: Verdict, limits: Sequence[Reading], reflection: Reflection | None = None) -> str:
    """The strongest effect that was done: the verdict's action, or `limit` where a limit was spent.

    Rules of the answer can only tag.
    """
    if verdict.action in SOFTER:
        for reading in limits:
            if not reading.ok and not reading.shadow:
                return "limit"
        if reflection is not None and reflection.tags and verdict.action == "allow":
            return "tag"
    return verdict.action


def word_of(verdict: Verdict, limits: Sequence[Reading]) -> str:
    """The same for full enforcement: limits in shadow count too."""
    if verdict.verdict in SOFTER:
        for reading in limits:
            if not reading.ok:
                return "limit"
    return verdict.verdict


def score_of(verdict: Verdict, prior: float = 0.0) -> float:
    """dB: the largest of the scorecards' scores; `prior` where nothing was scored, as of a malformed request."""
    return max(verdict.scores.values()) if verdict.scores else prior
