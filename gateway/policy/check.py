"""Pure. `check`: everything that is wrong with a policy file, and what is right and yet surely not meant."""

from collections.abc import Iterator
from itertools import chain

from gateway.documents import Document, Finding, in_order, shown
from gateway.policy.file import File
from gateway.policy.lints import lints
from gateway.policy.loader import Loaded, Resolve, read
from gateway.policy.model import Limit, Policy, Rate

__all__ = ["CODES", "check", "examine"]

CODES = (
    "anonymous-unlimited",
    "never-applies",
    "reserve-cut",
    "retry-never",
    "small-burst",
    "unused-plan",
    "unused-rate",
    "wide-burst",
)
"""Of the warnings in this file; `lints.py` has its own."""


def check(text: bytes | str, source: str, resolve: Resolve, now: int | None = None) -> list[Finding]:
    """Errors, or, where there are none, warnings; in the order of the file. Never raises.

    `now` in µs since the epoch; None: nothing is said about exceptions that have ended.
    """
    return examine(text, source, resolve, now)[0]


def examine(text: bytes | str, source: str, resolve: Resolve, now: int | None = None) -> tuple[list[Finding], Loaded]:
    """The same, with what was read, so that its tests can be run."""
    loaded = read(text, source, resolve)
    if loaded.policy is None or loaded.file is None or loaded.document is None:
        return loaded.findings, loaded
    document, file, policy = loaded.document, loaded.file, loaded.policy
    found = chain(
        _unused_rates(document, file),
        _unused_plans(document, file, policy),
        _limits(document, file, policy),
        _strangers(document, policy),
        lints(loaded, now),
    )
    return in_order(found), loaded


def _warning(document: Document, path: tuple[str | int, ...], message: str, hint: str, code: str) -> Finding:
    return document.finding(path, message, hint=hint, code=code, key=True, severity="warning")


def _unused_rates(document: Document, file: File) -> Iterator[Finding]:
    used = {item.rate.removeprefix("plan.") for item in file.limits if isinstance(item.rate, str)}
    for plan, item in file.plans.items():
        for name in item.__pydantic_extra__ or {}:
            if name not in used:
                message = f"no limit uses the rate {shown(name)}"
                hint = f"add a limit with `rate: plan.{name}`, or remove the rate"
                yield _warning(document, ("plans", plan, name), message, hint, "unused-rate")


def _unused_plans(document: Document, file: File, policy: Policy) -> Iterator[Finding]:
    identity = policy.identity
    if identity.directory is not None or (identity.jwt is not None and identity.jwt.plan is not None):
        return  # accounts or tokens may name any plan
    used = {identity.plan, identity.unknown.removeprefix("plan:"), identity.anonymous.removeprefix("plan:")}
    used |= {item.extends for item in file.plans.values() if item.extends is not None}
    for name in file.plans:
        if name not in used:
            hint = "an accounts file, a token's claim or `unknown: plan:NAME` gives a plan to a caller"
            yield _warning(document, ("plans", name), f"nobody can have the plan {shown(name)}", hint, "unused-plan")


def _limits(document: Document, file: File, policy: Policy) -> Iterator[Finding]:
    found: dict[str, list[Limit]] = {}
    for limit in chain.from_iterable(policy.limits.values()):
        found.setdefault(limit.id, []).append(limit)
    for at, item in enumerate(file.limits):
        path = ("limits", at)
        compiled = found.get(item.id, [])
        if not compiled:
            hint = "give one plan a rate, or remove the limit"
            message = f"the limit {shown(item.id)} never applies: every plan is unlimited"
            yield _warning(document, (*path, "rate"), message, hint, "never-applies")
            continue
        if item.retry == "never" and item.window == "rolling":
            hint = "leave `retry` out, or take `window: calendar`"
            message = "`retry: never` on a rolling limit turns callers away who would only have to wait a moment"
            yield _warning(document, (*path, "retry"), message, hint, "retry-never")
        if item.count in ("tokens.output", "tokens.total"):
            yield from _reservation(document, path, min(compiled, key=lambda limit: limit.burst))
        if item.count == "requests" and item.burst is not None and isinstance(item.rate, Rate):
            yield from _wide(document, path, compiled[0])


def _reservation(document: Document, path: tuple[str | int, ...], limit: Limit) -> Iterator[Finding]:
    """Of the plan with the smallest capacity."""
    first, at_most = limit.reserve.first, int(limit.reserve.at_most * limit.burst)
    if limit.burst < first:
        message = f"at one instant {limit.burst} tokens may pass, and a first answer alone reserves {first}"
        hint = f"take a burst of at least {2 * first} tokens, or a smaller `reserve: {{first: …}}`"
        yield _warning(document, (*path, "burst"), message, hint, "small-burst")
    elif at_most < first:
        message = f"`first` reserves {first} tokens, and `at_most` cuts that to {at_most}"
        hint = "take a larger burst, a larger `at_most` or a smaller `first`"
        yield _warning(document, (*path, "reserve"), message, hint, "reserve-cut")


def _wide(document: Document, path: tuple[str | int, ...], limit: Limit) -> Iterator[Finding]:
    if limit.burst > limit.rate.amount:
        message = f"at one instant {limit.burst} requests may pass, more than {limit.rate.amount} in a whole period"
        hint = "a burst adds to the rate: the most in a period is their sum"
        yield _warning(document, (*path, "burst"), message, hint, "wide-burst")


def _strangers(document: Document, policy: Policy) -> Iterator[Finding]:
    """Whoever shows no key has none to be counted by."""
    word = policy.identity.anonymous
    plan = word.removeprefix("plan:") if word.startswith("plan:") else policy.identity.plan
    limits = policy.limits_of(plan)
    if word != "refuse" and limits and all({"key", "org"} & set(limit.by) for limit in limits):
        message = "no limit holds for requests without a key: all of them count by key or org"
        hint = "count one of them by account, or say `identity: {anonymous: refuse}`"
        yield _warning(document, ("limits",), message, hint, "anonymous-unlimited")
