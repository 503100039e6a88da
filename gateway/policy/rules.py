"""Pure. The sections `scorecards`, `rules` and `exceptions` -> the model, with their conditions read and typed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from gateway.documents import Document, Finding, Step, did_you_mean, shown
from gateway.policy.conditions.expressions import ExpressionError, Node, Ref, conjunction, names_in, parse, top_terms
from gateway.policy.conditions.typecheck import check
from gateway.policy.evidence import FLOOR, beta_of
from gateway.policy.facts import FACTS, SHARES, Row, limit_names, score_names
from gateway.policy.model import Evidence, Exemption, Family, ListOf, Rule, Schedule, Scorecard, Then
from gateway.policy.names import Name
from gateway.policy.places import Places
from gateway.policy.sections import (
    DAYS,
    LONGEST_DELAY,
    EvidenceItem,
    ExceptionItem,
    RuleItem,
    ScorecardItem,
    ThenSection,
    day_of,
)

__all__ = ["Judging"]

BARE = ("clamp", "tag", "throttle", "block")
SECOND = 1_000_000  # µs


class Judging:
    """Compiles the sections that judge; `findings` says what is wrong with them."""

    def __init__(
        self, document: Document, *, lists: Mapping[str, ListOf], limits: Iterable[str], timezone: str, on_missing: str
    ) -> None:
        self.document = document
        self.lists = lists
        self.limits = list(limits)
        self.timezone = timezone
        self.on_missing = on_missing
        self.findings: list[Finding] = []
        self._text = Places(document)
        self._zones: set[str] = set()
        self.rows: dict[str, Row] = FACTS | limit_names(self.limits)
        self.scores: dict[str, Name] = {}
        self.parsed: dict[str, Node] = {}
        self._facts = {name: row[0] for name, row in self.rows.items()}

    def find(self, path: tuple[Step, ...], message: str, hint: str = "", code: str = "value", **more: Any) -> None:
        if "offset" in more:
            more["offset"] = self._text.offset(path, more["offset"])
        self.findings.append(self.document.finding(path, message, hint=hint, code=code, **more))

    def cards(self, items: Sequence[ScorecardItem]) -> tuple[Scorecard, ...]:
        """The scorecards, in the order of their ids."""
        self.scores = score_names(item.id for item in items)
        found = [self._card(("scorecards", at), item) for at, item in self._once("scorecards", items)]
        return tuple(sorted(found, key=lambda card: card.id))

    def rules(self, items: Sequence[RuleItem]) -> tuple[Rule, ...]:
        """The rules, in the order of their ids."""
        found = [self._rule(("rules", at), item) for at, item in self._once("rules", items)]
        return tuple(sorted(found, key=lambda rule: rule.id))

    def exceptions(self, items: Sequence[ExceptionItem], rules: Sequence[Rule]) -> tuple[Exemption, ...]:
        """The exceptions, in the order of their ids."""
        known = [rule.id for rule in rules]
        found = [self._exception(("exceptions", at), item, known) for at, item in self._once("exceptions", items)]
        return tuple(sorted(found, key=lambda each: each.id))

    def _once(self, section: str, items: Sequence[Any]) -> list[tuple[int, Any]]:
        """The items with their places; an id that comes twice is found."""
        first: dict[str, int] = {}
        for at, item in enumerate(items):
            if item.id in first:
                there = self.document.value((section, first[item.id], "id"))
                message = f"the id {shown(item.id)} is here twice; the first is at {there.line}:{there.column}"
                self.find((section, at, "id"), message, "give each a name of its own", "duplicate-id")
            first.setdefault(item.id, at)
        return [(at, item) for at, item in enumerate(items) if first[item.id] == at]

    def condition(
        self,
        path: tuple[Step, ...],
        text: str,
        *,
        want: Literal["bool", "number"] = "bool",
        phase: Literal["request", "response"] = "request",
        scores: bool = True,
    ) -> Node | None:
        """The tree of a condition or quantity, or None with a finding at the character that is wrong."""
        try:
            node = parse(text)
            check(node, self._facts | self.scores, self.lists, want=want, phase=phase, scores=scores)
        except ExpressionError as error:
            self.find(path, error.message, error.hint, "condition", offset=error.offset)
            return None
        self.parsed[text] = node
        return node

    def _card(self, path: tuple[Step, ...], item: ScorecardItem) -> Scorecard:
        if item.needs is not None:
            self.condition((*path, "needs"), item.needs, scores=False)
        for entity in item.of:
            if entity not in item.prior:
                self.find((*path, "prior"), f"there is no prior for {entity}", f"as in `{{{entity}: -30 dB}}`", "prior")
        lines = []
        for at, line in self._once_in((*path, "evidence"), item.evidence):
            made = self._line((*path, "evidence", at), line, item)
            if made is not None:
                lines.append(made)
        for name, family in item.families.items():
            if family.ceiling <= 0:
                self.find((*path, "families", name), "a ceiling is above 0 dB", "as in `10 dB`")
        return Scorecard(
            id=item.id,
            of=tuple(item.of),
            prior=dict(item.prior.items()),
            families={name: Family(each.ceiling, each.correlation) for name, each in item.families.items()},
            evidence=tuple(lines),
            needs=item.needs or "",
            promise=dict(item.promise.items()),
        )

    def _once_in(self, path: tuple[Step, ...], items: Sequence[EvidenceItem]) -> list[tuple[int, EvidenceItem]]:
        seen: set[str] = set()
        for at, item in enumerate(items):
            if item.id in seen:
                message = f"the id {shown(item.id)} is twice in this card"
                self.find((*path, at, "id"), message, "give each a name of its own", "duplicate-id")
            seen.add(item.id)
        return list(enumerate(items))

    def _line(self, path: tuple[Step, ...], item: EvidenceItem, card: ScorecardItem) -> Evidence | None:
        given = [kind for kind in ("rate", "read", "when") if getattr(item, kind) is not None]
        if len(given) != 1:
            message = "a line is a rate, read or when" if not given else f"{' and '.join(given)} exclude each other"
            self.find(path, message, "write two lines" if given else "as in `rate: logprobs_share`", "evidence")
            return None
        if item.family not in card.families:
            hint = did_you_mean(item.family, card.families) or f"the families are {', '.join(card.families)}"
            self.find((*path, "family"), f"there is no family {shown(item.family)}", hint, "unknown-family")
            return None
        kind = given[0]
        for key, of in (("benign", "rate"), ("alternative", "rate")):
            if getattr(item, key) is not None and kind != of:
                self.find(
                    (*path, key), f"`{key}` means nothing with {kind}", "only a rate has it", "evidence", key=True
                )
        if item.points is not None and kind == "rate":
            self.find(
                (*path, "points"), "`points` means nothing with rate", "`benign` tells its worth", "evidence", key=True
            )
        if item.after is not None and item.after.unit != "requests":
            self.find((*path, "after"), "`after` counts requests", f"write `{item.after.amount} requests`", "units")
        if item.ceiling is not None and item.ceiling <= 0:
            self.find((*path, "ceiling"), "a ceiling is above 0 dB", "as in `10 dB`")
        if item.floor is not None and item.floor > 0:
            self.find((*path, "floor"), "a floor is at most 0 dB", "as in `0 dB`")
        text = str(getattr(item, kind))
        base: dict[str, Any] = {
            "id": item.id,
            "family": item.family,
            "text": text,
            "ceiling": item.ceiling if item.ceiling is not None else card.families[item.family].ceiling,
            "floor": item.floor if item.floor is not None else FLOOR,
            "after": float(item.after.amount) if item.after is not None else 0.0,
        }
        before = len(self.findings)
        if kind == "rate":
            base |= self._rate(path, item, text)
        elif kind == "read":
            self.condition((*path, "read"), text, want="number", scores=False)
            if not isinstance(item.points, tuple):
                self._points(path, item, "`read` needs a curve of `points`", "as in `points: {0%: -3 dB, 90%: 3 dB}`")
            base["points"] = item.points
        else:
            self.condition((*path, "when"), text, scores=False)
            if not isinstance(item.points, float):
                self._points(path, item, "`when` needs one number of `points`", "as in `points: -10 dB`")
            base["db"] = item.points
        return Evidence(kind=kind, **base) if len(self.findings) == before else None  # type: ignore[arg-type]

    def _points(self, path: tuple[Step, ...], item: EvidenceItem, message: str, hint: str) -> None:
        self.find(path if item.points is None else (*path, "points"), message, hint, "evidence")

    def _rate(self, path: tuple[Step, ...], item: EvidenceItem, text: str) -> dict[str, Any]:
        if text not in SHARES:
            known = text in self.rows and self.rows[text][0].kind == "number"
            what = f"{shown(text)} is no share" if known else f"there is no share {shown(text)}"
            hint = did_you_mean(text, SHARES) or f"the shares are {', '.join(SHARES)}"
            if known and text.rpartition(".")[0] not in SHARES:
                hint = f"write `read: {text}` and its `points`"
            self.find((*path, "rate"), what, hint, "unknown-name")
        found: dict[str, Any] = {}
        if item.benign is None:
            self.find(path, "`rate` needs `benign`", "as in `benign: {mean: 3%, rho: 0.09}`", "evidence")
        for key, section in (("null", item.benign), ("alternative", item.alternative)):
            if section is None:
                continue
            if section.mean >= 1:
                self.find((*path, "benign" if key == "null" else key, "mean"), "a mean is below 100%", "as in `3%`")
                continue
            found[key] = beta_of(section.mean, section.rho)
        return found

    def _rule(self, path: tuple[Step, ...], item: RuleItem) -> Rule:
        node = self.condition((*path, "when"), item.when, phase=item.phase)
        then = self._then((*path, "then"), item, item.then)
        if item.since is not None and day_of(item.since) is None:
            self.find((*path, "since"), f"there is no day {shown(item.since)}", "as in 2026-11-01", "day")
        if item.phase == "response" and item.on_missing == "match":
            self.find(
                (*path, "on_missing"), "an answer that has ended can't be refused any more", "leave it out", "phase"
            )
        when = item.when
        on_missing = item.on_missing or ("skip" if item.phase == "response" else self.on_missing)
        if node is not None and then.block:
            when = self._corroborated(item.when, on_missing)
        return Rule(
            id=item.id,
            when=when,
            then=then,
            mode=item.mode,
            phase=item.phase,
            on_missing=on_missing,  # type: ignore[arg-type]
            severity=item.severity,
            active=self._schedule((*path, "active"), item),
            owner=item.owner or "",
            since=item.since or "",
        )

    def _corroborated(self, text: str, on_missing: str) -> str:
        """A block on a score also waits for a second witness: two families, one of them content, params or campaign.

        Where what is missing matches, a missing witness still is none.
        """
        node = self.parsed[text]
        cards = sorted({name.split(".")[1] for name in names_in(node) if name.startswith("score.")})
        witnesses = [f"score.{card}.corroborated" for card in cards]
        asked = {term.name for term in top_terms(node) if isinstance(term, Ref)}
        wanted = [each for each in witnesses if each not in asked]
        if on_missing == "match":
            wanted = [f"{each} is not missing" for each in witnesses] + wanted
        if not wanted:
            return text
        longer = f"({text.strip()}) and {' and '.join(wanted)}"
        self.parsed[longer] = conjunction([node, *(parse(name) for name in wanted)])
        return longer

    def _then(self, path: tuple[Step, ...], rule: RuleItem, item: ThenSection) -> Then:
        given = [name for name in BARE if getattr(item, name) is not None]
        if not given:
            self.find(path, "this does nothing", "tag, clamp, throttle or block", "then")
        if rule.phase == "response":
            for name in given:
                if name != "tag":
                    hint = "the answer is out: only `tag` is left"
                    self.find((*path, name), f"`{name}` comes too late for `phase: response`", hint, "phase", key=True)
        for name, bound in (item.clamp or {}).items():
            self._clamp((*path, "clamp", name), name, bound)
        throttle, block = item.throttle, item.block
        made: dict[str, Any] = {}
        if throttle is not None:
            made = self._throttle((*path, "throttle"), throttle)
        return Then(
            tags=tuple(sorted(set(item.tag or ()))),
            clamp=dict((item.clamp or {}).items()),
            block=block.status if block is not None else 0,
            code=block.code if block is not None else "",
            block_for=(block.lasts or 0) if block is not None else 0,
            **made,
        )

    def _clamp(self, path: tuple[Step, ...], name: str, bound: float | bool) -> None:
        if bound is False:
            if name not in ("logprobs", "top_logprobs"):
                self.find(path, f"`{name}` can't be switched off", f"as in `{name}: 1`", "clamp")
        elif name == "logprobs":
            self.find(path, "`logprobs` is a switch", "write `logprobs: false`, or clamp `top_logprobs`", "clamp")
        elif name in ("n", "max_tokens") and bound < 1:
            self.find(path, f"`{name}` is at least 1", "to refuse the request write `block`", "clamp")
        elif name in ("n", "max_tokens", "top_logprobs") and bound != int(bound):
            self.find(path, f"`{name}` is a whole number", f"as in `{name}: {max(1, int(bound))}`", "clamp")

    def _throttle(self, path: tuple[Step, ...], item: Any) -> dict[str, Any]:
        if item.limit is None and item.delay is None:
            hint = "as in `{limit: acct-output, to: 25%, for: 30 min}` or `{delay: 2 s}`"
            self.find(path, "a throttle names a limit, or a delay", hint, "throttle")
        elif item.limit is None and item.to is not None:
            self.find((*path, "to"), "`to` is a share of a limit's rate", "name the `limit`", "throttle", key=True)
        elif item.limit is not None and item.to is None:
            self.find(path, "the share is missing", "as in `to: 25%`", "throttle")
        if item.limit is not None and item.limit not in self.limits:
            hint = did_you_mean(item.limit, self.limits)
            hint = hint or (f"the limits are {', '.join(self.limits[:10])}" if self.limits else "there are no limits")
            self.find((*path, "limit"), f"there is no limit {shown(item.limit)}", hint, "unknown-limit")
        if item.delay is not None and item.delay > LONGEST_DELAY:
            self.find((*path, "delay"), "a delay is at most 30 s", "longer, and clients give up", "throttle")
        return {
            "limit": item.limit or "",
            "to": item.to if item.to is not None else 1.0,
            "delay": item.delay or 0,
            "throttle_for": item.lasts or 0,
        }

    def _schedule(self, path: tuple[Step, ...], item: RuleItem) -> Schedule | None:
        active = item.active
        if active is None:
            return None
        zone = active.timezone or self.timezone
        if active.timezone is not None and _zone(zone) is None:
            self._zones = self._zones or available_timezones()  # a walk over a folder
            hint = did_you_mean(zone, self._zones) or "an IANA name, as in Europe/Berlin"
            self.find((*path, "timezone"), f"there is no time zone {shown(zone)}", hint, "timezone")
        start, end = active.hours or (0, 1440)
        days = frozenset(DAYS.index(day) for day in active.days or DAYS)
        return Schedule(days, start, end, zone)

    def _exception(self, path: tuple[Step, ...], item: ExceptionItem, known: Sequence[str]) -> Exemption:
        self.condition((*path, "when"), item.when)
        for at, rule in enumerate(item.silences):
            if rule not in known:
                hint = did_you_mean(rule, known) or (
                    "there are no rules" if not known else "silences names rules by id"
                )
                self.find((*path, "silences", at), f"there is no rule {shown(rule)}", hint, "unknown-rule")
        day = day_of(item.expires)
        expires = 0
        if day is None:
            far = item.expires[:4] > "2199"
            message = "an exception ends before the year 2200" if far else f"there is no day {shown(item.expires)}"
            self.find((*path, "expires"), message, "as in 2026-12-31", "day")
        elif (local := _zone(self.timezone)) is not None:
            after = datetime.combine(day + timedelta(days=1), datetime.min.time(), local)
            expires = int(after.timestamp()) * SECOND
        return Exemption(
            id=item.id,
            silences=frozenset(item.silences),
            when=item.when,
            becomes=item.becomes,
            expires=expires,
            owner=item.owner,
            reason=item.reason,
        )


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
