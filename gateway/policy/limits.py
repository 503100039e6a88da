"""Pure. The `limits` section -> the limits of each plan, with their rates, bursts and units checked and resolved."""

from typing import Any

from gateway.documents import Document, Finding, did_you_mean, shown
from gateway.policy.file import LimitItem
from gateway.policy.model import Limit, Rate, Reserve

__all__ = ["compile_limits", "default_burst"]

Plans = dict[str, dict[str, Rate | None]]

CALENDAR = ("h", "day", "week", "month")
SHARE_OF_REQUESTS = 6  # a sixth of a period at one instant
LEASE = 900_000_000  # µs
LEAST_LEASE = 90_000_000  # µs; three renewals


def compile_limits(
    document: Document, items: list[LimitItem], plans: Plans, default: str, broken: set[str]
) -> tuple[dict[str, tuple[Limit, ...]], list[Finding]]:
    """Plan -> its limits, and what is wrong. Without plans the default plan has them all. Unlimited ones are left out.

    `broken` plans extend what isn't there: nothing is said of the rates that they lack.
    """
    compiler = _Limits(document, plans, broken)
    found: dict[str, list[Limit]] = {name: [] for name in plans} or {default: []}
    seen: dict[str, int] = {}
    for at, item in enumerate(items):
        if item.id in seen:
            first = document.value(("limits", seen[item.id], "id"))
            message = f"the id {shown(item.id)} is here twice; the first is at {first.line}:{first.column}"
            compiler.find(at, "id", message, "give each limit a name of its own", "duplicate-id")
        seen.setdefault(item.id, at)
        compiler.lone(at, item)
        made: dict[Rate, Limit] = {}
        for plan, rate in compiler.rates(at, item, list(found)).items():
            if rate not in made:
                made[rate] = _limit(item, rate)
            found[plan].append(made[rate])
    return {name: tuple(limits) for name, limits in found.items()}, compiler.findings


def default_burst(count: str, amount: int) -> int:
    """Requests: a sixth of a period's amount. Tokens: all of it, so that one large request fits."""
    return max(1, amount // SHARE_OF_REQUESTS) if count == "requests" else amount


def _limit(item: LimitItem, rate: Rate) -> Limit:
    whole = item.window == "calendar" or item.count == "concurrent"
    burst = rate.amount if whole else item.burst.amount if item.burst else default_burst(item.count, rate.amount)
    how = item.reserve
    return Limit(
        id=item.id,
        by=tuple(item.by),  # type: ignore[arg-type]
        count=item.count,
        rate=rate,
        burst=burst,
        window=item.window,
        reserve=Reserve() if how is None else Reserve(how.guess, how.first.amount, how.at_most),
        lease=item.lease or LEASE,
        shadow=item.mode == "shadow",
        retry=item.retry,
        status=item.status,
        on_store_error=item.on_store_error,
    )


class _Limits:
    """The checks of one limit at a time."""

    def __init__(self, document: Document, plans: Plans, broken: set[str]) -> None:
        self.document = document
        self.plans = plans
        self.broken = broken
        self.findings: list[Finding] = []

    def find(self, at: int, name: str, message: str, hint: str = "", code: str = "value", **more: Any) -> None:
        self.findings.append(self.document.finding(("limits", at, name), message, hint=hint, code=code, **more))

    def lone(self, at: int, item: LimitItem) -> None:
        """Keys that don't go together."""
        if len(set(item.by)) < len(item.by):
            self.find(at, "by", "a dimension is named twice", "remove one of them")
        live, calendar = item.count == "concurrent", item.window == "calendar"
        if live and calendar:
            self.find(at, "window", "requests at once have no window", "remove `window`", "units")
        if item.burst is not None and (live or calendar):
            kind = "concurrent" if live else "a calendar window"
            hint = "the rate itself is the most that may run at once" if live else "all of it may come at one instant"
            self.find(at, "burst", f"`burst` means nothing with {kind}", hint, "units", key=True)
        elif item.burst is not None and item.burst.unit != _unit(item):
            hint = f"write `{item.burst.amount} {_unit(item)}`"
            self.find(at, "burst", f"this limit counts {_unit(item)}, not {item.burst.unit}", hint, "units")
        if item.reserve is not None and item.count not in ("tokens.output", "tokens.total"):
            hint = "only the answer's tokens have to be guessed: tokens.output, tokens.total"
            self.find(at, "reserve", f"`reserve` means nothing with {item.count}", hint, "units", key=True)
        if item.lease is not None and not live:
            self.find(
                at, "lease", f"`lease` means nothing with {item.count}", "only concurrent has it", "units", key=True
            )
        elif item.lease is not None and item.lease < LEAST_LEASE:
            hint = "leases of running requests are renewed every 30 s; write 90 s or more"
            self.find(at, "lease", "this lease would end while its request still runs", hint, "units")

    def rates(self, at: int, item: LimitItem, names: list[str]) -> dict[str, Rate]:
        """The rate of every plan that this limit holds for."""
        if isinstance(item.rate, Rate):
            good = self._fits(at, item, item.rate, ("limits", at, "rate"))
            return dict.fromkeys(names, item.rate) if good else {}
        name = item.rate.removeprefix("plan.")
        known = sorted({rate for rates in self.plans.values() for rate in rates})
        if name not in known:
            hint = did_you_mean(name, known).replace("`", "`plan.", 1)
            if not hint:
                hint = f"they have {', '.join(known)}" if known else "add it to a plan" if self.plans else "add `plans`"
            self.find(at, "rate", f"no plan has a rate {shown(name)}", hint, "plan-rate")
            return {}
        found = {}
        checked: set[tuple[str | int, ...]] = set()
        for plan, rates in self.plans.items():
            if name not in rates:
                if plan in self.broken:
                    continue
                message = f"the plan {shown(plan)} has no rate {shown(name)}, which the limit {shown(item.id)} needs"
                hint = f"add `{name}: unlimited`, or a quantity"
                self.findings.append(
                    self.document.finding(("plans", plan), message, hint=hint, code="plan-rate", key=True)
                )
                continue
            rate, where = rates[name], self._origin(plan, name)
            if rate is not None and (where in checked or self._fits(at, item, rate, where)):
                found[plan] = rate
            checked.add(where)
        return found

    def _origin(self, plan: str, name: str) -> tuple[str, str, str]:
        """Where a plan's rate stands: in itself, or in one that it extends."""
        plans = self.document.data["plans"]
        while name not in plans[plan]:  # ends: the loader has found it on this way
            plan = plans[plan]["extends"]
        return ("plans", plan, name)

    def _fits(self, at: int, item: LimitItem, rate: Rate, where: tuple[str | int, ...]) -> bool:
        """Whether a rate's unit and period are those of what is counted."""
        needed = "" if where[0] == "limits" else f", and the limit {shown(item.id)} counts {item.count}"
        if rate.unit != _unit(item):
            message = f"this is a rate of {rate.unit}{needed or f', and {item.count} is counted'}"
            hint = f"write `{rate.amount} {_unit(item)}{f'/{rate.period}' if rate.period else ''}`"
        elif item.count == "concurrent" and rate.period is not None:
            message = f"requests at once have no period{needed}"
            hint = f"write `{rate.amount} requests`"
        elif item.count != "concurrent" and rate.period is None:
            message, hint = f"the period is missing{needed}", f"write `{rate.amount} {rate.unit}/min`"
        elif item.window == "calendar" and rate.period not in CALENDAR:
            message = f"a calendar window is an h, day, week or month, not `{rate.period}`"
            hint = "take a longer period, or leave `window` out"
        else:
            return True
        self.findings.append(self.document.finding(where, message, hint=hint, code="units"))
        return False


def _unit(item: LimitItem) -> str:
    return "tokens" if item.count.startswith("tokens") else "requests"
