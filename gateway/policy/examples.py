"""Pure. The section `tests` -> examples that can be run: what is known by name, in the units that conditions use."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gateway.documents import Document, Finding, Step, did_you_mean, shown
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.policy.facts import SHARES
from gateway.policy.names import Name
from gateway.policy.quantities import QuantityError, decibel_of, number_of
from gateway.policy.sections import YEARS, ExpectSection, SendSection, TestItem

__all__ = ["NOON", "Example", "examples"]

NOON = "2026-01-15T12:00:00"
"""When a test happens that doesn't say."""

SECOND = 1_000_000  # µs
MOST_SENDS = 100_000  # requests of all tests of a file: some seconds
LONGEST = 3_660 * 86_400 * SECOND  # from a test's first request to its last
WHOLE = frozenset({"n", "max_tokens", "messages", "tools", "images", "audio", "bytes", "chars", "lines"})


class Example(msgspec.Struct, frozen=True):
    """One test of the file."""

    name: str
    known: dict[str, Any]  # name -> value
    caller: Caller
    seen: Observation
    at: int  # µs since the epoch
    expect: ExpectSection
    send: SendSection | None
    path: tuple[Step, ...]


def examples(
    document: Document,
    items: list[TestItem],
    names: Mapping[str, Name],
    rules: Sequence[str],
    plans: Mapping[str, Any],
    timezone: str,
) -> tuple[tuple[Example, ...], list[Finding]]:
    """The examples, and what is wrong with them. `rules`: the ids of the policy's rules."""
    reader = _Reader(document, names, rules, plans, timezone)
    found = tuple(reader.example(("tests", at), item) for at, item in enumerate(items))
    return found, reader.findings


class _Reader:
    def __init__(
        self,
        document: Document,
        names: Mapping[str, Name],
        rules: Sequence[str],
        plans: Mapping[str, Any],
        timezone: str,
    ) -> None:
        self.document = document
        self.names = names
        self.rules = rules
        self.known = set(rules)
        self.limits = [name[6:-5] for name in names if name.startswith("limit.")]
        self.cards = [name[6:] for name in names if name.startswith("score.") and name.count(".") == 1]
        self.plans = plans
        self.timezone = timezone
        self.findings: list[Finding] = []
        self.seen: set[str] = set()
        self.sends = 0

    def find(self, path: tuple[Step, ...], message: str, hint: str = "", code: str = "test", **more: Any) -> None:
        self.findings.append(self.document.finding(path, message, hint=hint, code=code, **more))

    def example(self, path: tuple[Step, ...], item: TestItem) -> Example:
        if item.name in self.seen:
            self.find((*path, "name"), "two tests have this name", "say what is different", "duplicate-id")
        self.seen.add(item.name)
        known: dict[str, Any] = {}
        places: dict[str, tuple[Step, ...]] = {}
        key = "test"
        for steps, value in _leaves(item.given):
            name = ".".join(steps)
            place = (*path, "given", *steps)
            if name == "key":
                key = str(value)
            elif name in self.names:
                converted = self._value(place, name, self.names[name], value)
                if name == "account.plan":
                    self._plan(place, converted)
                if converted is not None:
                    known[name], places[name] = converted, place
            else:
                hint = did_you_mean(name, [*self.names, "key"]) or "the names that conditions know, and `key`"
                self.find(place, f"there is no name {shown(name)}", hint, "unknown-name", key=True)
        self._shares(known, places)
        _derive(known)
        self._expected((*path, "expect"), item.expect)
        if item.send is None:
            for word in ("allowed", "first_refused"):
                if getattr(item.expect, word) is not None:
                    self.find((*path, "expect", word), f"`{word}` needs `send`", "as in `send: {times: 21}`", key=True)
        if item.send is not None:
            self.sends += item.send.times
            if self.sends > MOST_SENDS >= self.sends - item.send.times:
                message = f"the tests send more than {MOST_SENDS} requests in all"
                self.find((*path, "send", "times"), message, "they are run before each reload: send fewer", "bound")
        if item.send is not None and (item.send.times - 1) * item.send.every > LONGEST:
            self.find((*path, "send", "every"), "these requests take longer than ten years", "send fewer, or sooner")
        at = self._at((*path, "at"), item.at)
        return Example(
            name=item.name,
            known=known,
            caller=_caller(known, key, at),
            seen=_seen(known),
            at=at,
            expect=item.expect,
            send=item.send,
            path=path,
        )

    def _shares(self, known: Mapping[str, Any], places: Mapping[str, tuple[Step, ...]]) -> None:
        """A share is at most all of it, and given by its counts it needs both."""
        for name, place in places.items():
            share, dot, facet = name.rpartition(".")
            if name in SHARES and not 0 <= known[name] <= 1:
                meant = 1 < known[name] <= 100 and known[name] == int(known[name])
                hint = f"did you mean `{known[name]:g}%`?" if meant else "as in `50%`"
                self.find(place, f"`{name}` is a share, 0% to 100%", hint, "value")
            elif dot and share in SHARES:
                other = f"{share}.{'of' if facet == 'hits' else 'hits'}"
                if other not in known and share not in known:
                    self.find(place, f"`{name}` says nothing without `{other}`", "as in `{hits: 4, of: 400}`", "value")
                elif facet == "hits" and known[name] > known.get(other, known[name]):
                    self.find(place, f"`{name}` is more than `{other}`", "`hits` are those of `of` that did", "value")

    def _plan(self, path: tuple[Step, ...], plan: Any) -> None:
        if plan is not None and self.plans and plan not in self.plans:
            hint = did_you_mean(plan, self.plans) or f"the plans are {', '.join(list(self.plans)[:10])}"
            self.find(path, f"there is no plan {shown(plan)}", hint, "unknown-plan")

    def _expected(self, path: tuple[Step, ...], expect: ExpectSection) -> None:
        """Whatever an expectation names must be there: else it could only fail, or never."""
        for key in ("rules", "shadow", "excepted"):
            for at, rule in enumerate(getattr(expect, key) or ()):
                if rule not in self.known:
                    self._unknown((*path, key, at), "rule", rule, self.rules)
        for card in expect.score or ():
            if card not in self.cards:
                self._unknown((*path, "score", card), "scorecard", card, self.cards, key=True)
        for limit in expect.throttle or ():
            if limit not in self.limits:
                self._unknown((*path, "throttle", limit), "limit", limit, self.limits, key=True)
        first = expect.first_refused
        if first is not None and first.limit is not None and first.limit not in self.limits:
            self._unknown((*path, "first_refused", "limit"), "limit", first.limit, self.limits)
        for at, name in enumerate(expect.missing or ()):
            if name not in self.names and name not in self.known:
                hint = did_you_mean(name, self.names) or "a name that conditions know, or the id of a rule"
                self.find((*path, "missing", at), f"there is no name {shown(name)}", hint, "unknown-name")

    def _unknown(self, path: tuple[Step, ...], what: str, word: str, known: Sequence[str], **more: Any) -> None:
        some = f"the {what}s are {', '.join(known[:10])}{', …' if len(known) > 10 else ''}"
        hint = did_you_mean(word, known) or (some if known else f"there are no {what}s")
        self.find(path, f"there is no {what} {shown(word)}", hint, f"unknown-{what}", **more)

    def _value(self, path: tuple[Step, ...], name: str, entry: Name, value: object) -> Any:
        """A value in the unit that conditions compare in; None with a finding for one that isn't."""
        try:
            if entry.kind == "number":
                return decibel_of(value) if entry.unit == "dB" else number_of(value)
        except QuantityError as error:
            self.find(path, error.message, error.hint, "value")
            return None
        if entry.kind == "bool" and isinstance(value, bool):
            return value
        if entry.kind == "text" and isinstance(value, str):
            return value
        if entry.kind == "texts" and isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        wanted = {"bool": "true or false", "text": "text", "texts": "a list of texts"}[entry.kind]
        hint = ""
        if entry.kind == "bool" and value in ("yes", "on", "no", "off"):
            hint = f"write `{'true' if value in ('yes', 'on') else 'false'}`"
        elif entry.kind == "text" and isinstance(value, bool | int | float):
            hint = "put quotes around it"
        elif entry.kind == "texts" and isinstance(value, str) and len(value) <= 40:
            hint = f"write it in brackets, as in `[{value}]`"
        self.find(path, f"`{name}` is {wanted}, not {shown(value)}", hint, "type")
        return None

    def _at(self, path: tuple[Step, ...], text: str | None) -> int:
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return 0  # said where the zone stands
        try:
            moment: datetime | None = datetime.fromisoformat(text or NOON)
        except ValueError:
            moment = None
        if moment is None or moment.year not in YEARS:
            self.find(path, f"{shown(text)} is no moment", f"as in {NOON}", "value")
            return 0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return int(moment.timestamp() * SECOND)


def _leaves(given: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value under its dotted name: nested mappings and dotted keys say the same."""
    for key, value in given.items():
        if isinstance(value, dict):
            yield from (((key, *rest), inner) for rest, inner in _leaves(value))
        else:
            yield (key,), value


def _derive(known: dict[str, Any]) -> None:
    """What follows from what is known: a share from its counts, a second witness from two families."""
    for name in [name for name in known if name.endswith(".of")]:
        share = name.removesuffix(".of")
        hits, of = known.get(f"{share}.hits"), known[name]
        if hits is not None and of:
            known.setdefault(share, hits / of)
    for name in [name for name in known if name.endswith(".families")]:
        known.setdefault(f"{name.removesuffix('families')}corroborated", known[name] >= 2)


def _caller(known: Mapping[str, Any], key: str, at: int) -> Caller:
    age = known.get("account.age")
    return Caller(
        account=known.get("account.id", key),
        key=key,
        org=known.get("account.org"),
        plan=known.get("account.plan"),
        labels=known.get("account.labels", ()),
        created=None if age is None else int(at // SECOND - age),
        known=known.get("account.known", False),
        source=known.get("account.source", "key"),
    )


def _seen(known: Mapping[str, Any]) -> Observation:
    """A chat of one short message, with whatever is known of the request."""
    made: dict[str, Any] = {"op": "chat", "dialect": "openai_chat", "route": "/v1/chat/completions", "model": "test"}
    made |= {"messages": 1, "chars": 40}
    for name, value in known.items():
        field = name.removeprefix("req.")
        if field == name or field in ("logprobs", "top_logprobs", "input_est", "output_est"):
            continue
        made[field] = int(value) if field in WHOLE else value
    if known.get("req.top_logprobs") is not None or known.get("req.logprobs"):
        made["logprobs"] = int(known.get("req.top_logprobs", 0))
    return Observation(**made)
