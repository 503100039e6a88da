"""Pure. The centre: `judge` before the model answers, `settle` after. No clock, no chance, no I/O.

    judge(policy, state, facts, now)          -> (state, Verdict)
    settle(policy, state, facts, outcome, now) -> state

`now` is an integer of microseconds since the epoch. State is a fold over the ledger's rows in order.
"""

from typing import Literal

import msgspec

from gateway.actions import Effects
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.quotas import Draw, Reading
from gateway.usage import Usage

__all__ = ["AccountState", "Facts", "Outcome", "Verdict"]

End = Literal["done", "refused", "client_abort", "upstream_error", "timeout", "crash"]
Word = Literal["allow", "tag", "clamp", "throttle", "block"]


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the judge may know: what isn't here can't influence a verdict."""

    caller: Caller
    seen: Observation
    limits: tuple[Reading, ...] = ()  # what the limits last answered this account
    kill: bool = False  # the kill switch: everything is shadow


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the policy says. `verdict` is full enforcement's word, `action` what is done (shadow mode, kill switch)."""

    verdict: Word = "allow"
    action: Word = "allow"
    effects: Effects = Effects()
    refuse: str = ""  # a Refusal's code, where identity or opaque paths are refused by the policy
    rules: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()  # what acting will ask of the limits
    input: int = 0  # tokens reserved for the prompt
    output: int = 0  # tokens reserved for the answer
    error: str = ""  # the type of an exception inside judging; `on_error` decided


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a request ended."""

    end: End
    status: int = 0  # as the client saw it; 0 = no answer began
    upstream_status: int = 0
    usage: Usage = Usage()
    answered: bool = False  # the model began to answer
    limits: tuple[Reading, ...] = ()  # what the limits answered; they were charged unless one refused
    settled: dict[str, int] = {}  # limit id -> actual minus reserved
    store: str = "memory"  # or valkey, degraded
    error: str = ""  # low-cardinality type


class AccountState(msgspec.Struct):
    """What is remembered of an account between requests."""

    requests: int = 0
