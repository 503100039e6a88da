"""Pure. Lints of the sections that judge: what is right in a file and surely not meant, each with a code of its own.

`lints` reads the file, `tried` what its own tests showed. Both want a policy without errors.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.documents import Finding, Step, shown
from gateway.policy.conditions.expressions import Bool, Compare, Node, Number, Ref, lists_in, names_in, show, walk
from gateway.policy.conditions.ranges import least, verdict_of
from gateway.policy.conditions.typecheck import never_missing
from gateway.policy.effects import STRENGTH
from gateway.policy.examples import Example
from gateway.policy.loader import Loaded
from gateway.policy.model import Policy, Rule, Scorecard
from gateway.policy.names import Name
from gateway.policy.places import Places
from gateway.policy.promises import card_digest, doubts, thresholds
from gateway.policy.reach import Reach, reach
from gateway.policy.sections import BlockSection
from gateway.policy.twins import twins

__all__ = ["CODES", "Ran", "lints", "tried"]

CODES = (
    "always-matches",
    "below-reach",
    "block-code",
    "expired",
    "long-exception",
    "never-matches",
    "never-missing",
    "no-owner",
    "out-of-reach",
    "placebo",
    "promise",
    "same-condition",
    "test-failed",
    "throttle-shared",
    "throttle-unlimited",
    "unused-card",
    "unused-family",
    "unused-list",
    "untested",
)

LONG = 180  # days
DAY = 86_400_000_000  # µs
CODE = BlockSection.model_fields["code"].default


class Ran(Protocol):
    """How one of a policy's tests went (`trials.Result`)."""

    @property
    def example(self) -> Example: ...
    @property
    def failures(self) -> tuple[str, ...]: ...
    @property
    def rules(self) -> tuple[str, ...]: ...
    @property
    def excepted(self) -> tuple[str, ...]: ...


class _Site(NamedTuple):
    """A condition of the file, or a quantity."""

    kind: str  # rule, exception, needs, evidence, read
    path: tuple[Step, ...]
    node: Node


def lints(loaded: Loaded, now: int | None = None) -> list[Finding]:
    """What the file alone shows. `now` in µs since the epoch; None: nothing is said about expiry."""
    if loaded.policy is None or loaded.policy.engine is None:
        return []
    work = _Lints(loaded)
    work.conditions()
    work.scores()
    work.twins()
    work.effects()
    work.exceptions(now)
    work.promises()
    work.unused()
    return work.findings


def tried(loaded: Loaded, results: Iterable[Ran]) -> list[Finding]:
    """What the file's tests show: those that fail, and what none of them tries. Packs have tests of their own."""
    if loaded.policy is None or loaded.policy.engine is None:
        return []
    work, ran = _Lints(loaded), list(results)
    for each in ran:
        if each.failures:
            message = f"this test fails: {'; '.join(each.failures[:3])}"
            hint = "`gauger test` shows all of it" if len(each.failures) > 3 else ""
            work.find((*each.example.path, "name"), message, hint, "test-failed", severity="error")
    work.untested(ran)
    return work.findings


class _Lints:
    def __init__(self, loaded: Loaded) -> None:
        assert loaded.document is not None
        assert loaded.file is not None
        assert loaded.policy is not None
        self.document, self.file = loaded.document, loaded.file
        self.policy: Policy = loaded.policy
        self.findings: list[Finding] = []
        self.places = Places(loaded.document)
        self.parsed: dict[str, Node] = self.policy.engine.parsed
        self.names = self.policy.engine.names
        self.rules = {rule.id: rule for rule in self.policy.rules}
        self.sites = list(self._sites())

    def find(self, path: tuple[Step, ...], message: str, hint: str, code: str, *, offset: int = 0, **more: Any) -> None:
        at = self.places.offset(path, offset)
        more.setdefault("severity", "warning")
        self.findings.append(self.document.finding(path, message, hint=hint, code=code, offset=at, **more))

    def own(self, path: tuple[Step, ...]) -> bool:
        """Whether something stands in the checked file itself: what a pack does is the pack's business."""
        return self.document.file_of(path) == self.document.file

    def _sites(self) -> Iterator[_Site]:
        for at, rule in enumerate(self.file.rules):
            yield _Site("rule", ("rules", at, "when"), self.parsed[rule.when])
        for at, each in enumerate(self.file.exceptions):
            yield _Site("exception", ("exceptions", at, "when"), self.parsed[each.when])
        for at, card in enumerate(self.file.scorecards):
            if card.needs is not None:
                yield _Site("needs", ("scorecards", at, "needs"), self.parsed[card.needs])
            for number, line in enumerate(card.evidence):
                for kind, text in (("evidence", line.when), ("read", line.read)):
                    if text is not None:
                        key = "when" if kind == "evidence" else kind
                        yield _Site(kind, ("scorecards", at, "evidence", number, key), self.parsed[text])

    def conditions(self) -> None:
        """Conditions whose answer is known beforehand."""
        for kind, path, node in self.sites:
            known = never_missing(node, self.names)
            for test in known:
                message = f"`{show(test.of)}` is never missing"
                self.find(path, message, "leave this part out", "never-missing", offset=test.of.at)
            if known or kind == "read":
                continue
            verdict = verdict_of(node, self.names)
            if verdict == "never":
                hint = _as_share(node, self.names)
                hint = hint or "two parts of it exclude each other, or a value that can't be is asked for"
                self.find(path, "this condition can never hold", hint, "never-matches")
            elif verdict == "always" and kind == "rule" and not isinstance(node, Bool):
                hint = 'for a rule that always holds write `when: "true"`'
                self.find(path, "this condition always holds", hint, "always-matches")

    def scores(self) -> None:
        """Thresholds beyond what the cards can come to."""
        cards = [(card, reach(card, self._idle(card))) for card in self.policy.scorecards]
        for kind, path, node in self.sites:
            if kind not in ("rule", "exception"):
                continue
            for card, ends in cards:
                name = f"score.{card.id}"
                self._above(kind, path, node, name, ends.most, "dB")
                self._above(kind, path, node, f"{name}.families", float(len(ends.strong)), "")
                for part, value, inclusive in thresholds(node, name):
                    if value < ends.least or (value == ends.least and inclusive):
                        message = f"the card never falls below {ends.least:g} dB: this part holds for every score"
                        self.find(path, message, "take a higher threshold", "below-reach", offset=part.at)
        for at, item in enumerate(self.file.rules):
            rule = self.rules[item.id]
            if rule.when != item.when:
                self._witness(("rules", at, "then", "block"), rule, cards)

    def _idle(self, card: Scorecard) -> dict[str, bool]:
        return {
            line.id: verdict_of(self.parsed[line.text], self.names) == "never"
            for line in card.evidence
            if line.kind == "when"
        }

    def _above(self, kind: str, path: tuple[Step, ...], node: Node, name: str, most: float, unit: str) -> None:
        read = next((each for each, _ in walk(node) if isinstance(each, Ref) and each.name == name), None)
        if read is None:
            return
        wanted = least(node, name, self.names)
        if wanted.value == float("inf") or wanted.value < most or (wanted.value == most and wanted.inclusive):
            return
        more = "" if wanted.inclusive else "more than "
        message = f"this {kind} needs {more}{wanted.value:g} strong families, and the card can have {most:g}"
        hint = "a strong family has at least 5 dB"
        if unit == "dB":
            message = f"this {kind} needs {more}{wanted.value:g} dB, and the card can reach {most:g} dB"
            hint = "take a lower threshold, or raise ceilings"
        self.find(path, message, hint, "out-of-reach", offset=read.at)

    def _witness(self, path: tuple[Step, ...], rule: Rule, cards: Sequence[tuple[Scorecard, Reach]]) -> None:
        """A block on a score waits for a second witness, which some cards can't give."""
        read = names_in(self.parsed[rule.when])
        for card, ends in cards:
            if f"score.{card.id}.corroborated" in read and not ends.corroborated:
                message = f"a block waits for a second witness, and the card {shown(card.id)} can't give one"
                hint = "two families must be able to reach 5 dB, one of them content, params or campaign"
                self.find(path, message, hint, "out-of-reach", key=True)

    def twins(self) -> None:
        """Rules that could be one, and rules that another one makes superfluous."""
        places = {item.id: at for at, item in enumerate(self.file.rules)}
        rules = [self.rules[item.id] for item in self.file.rules]
        for rule, other, shadowed in twins(rules, {rule.id: show(self.parsed[rule.when]) for rule in rules}):
            there = f"{shown(other)} at {self._place(places[other])}"
            if shadowed:
                message = f"this rule is shadowed: {there} has the same condition and does as much"
                hint = "remove one of the two"
            else:
                message, hint = f"the rule {there} has the same condition", "put what both do into one rule"
            self.find(("rules", places[rule], "when"), message, hint, "same-condition")

    def _place(self, at: int) -> str:
        path = ("rules", at, "id")
        mark, file = self.document.value(path), self.document.file_of(path)
        return f"{'' if file == self.document.file else f'{file}:'}{mark.line}:{mark.column}"

    def effects(self) -> None:
        """What rules do, and to whom."""
        for at, item in enumerate(self.file.rules):
            path: tuple[Step, ...] = ("rules", at, "then")
            rule = self.rules[item.id]
            if rule.mode == "draft":
                continue
            if rule.then.block and rule.then.code == CODE:
                hint = "give it a code of its own, as in `code: unusual_use`"
                message = "callers and support can't tell this block from another"
                self.find((*path, "block"), message, hint, "block-code", key=True)
            if rule.mode == "enforce" and STRENGTH[rule.then.word] >= STRENGTH["throttle"] and not rule.owner:
                message = "nobody answers for this rule, which slows down or refuses"
                self.find(
                    ("rules", at, "id"), message, "add `owner`: whom to ask when it meets the wrong one", "no-owner"
                )
            if rule.then.limit:
                self._throttle((*path, "throttle", "limit"), rule)

    def _throttle(self, path: tuple[Step, ...], rule: Rule) -> None:
        limit = rule.then.limit
        without = [plan for plan, limits in self.policy.limits.items() if all(each.id != limit for each in limits)]
        if without:
            some = f"{', '.join(without[:5])}{', …' if len(without) > 5 else ''}"
            message = f"{shown(limit)} is unlimited for the plan {some}: nobody there is slowed down"
            self.find(path, message, "add a `delay`, or give every plan a rate", "throttle-unlimited")
        by = next(item.by for item in self.file.limits if item.id == limit)
        names = names_in(self.parsed[rule.when])
        of_campaign = any(name.startswith("campaign.") or name.endswith(".campaign") for name in names)
        if not ({"account", "key"} & set(by) or ("campaign" in by and of_campaign)):  # all of it is meant
            message = f"{shown(limit)} counts by {' and '.join(by)}: slowing one caller down slows down others"
            self.find(path, message, "take a limit that counts by account or key", "throttle-shared")

    def exceptions(self, now: int | None) -> None:
        """Exceptions that change nothing, have ended, or last long."""
        for at, each in enumerate(self.file.exceptions):
            path: tuple[Step, ...] = ("exceptions", at)
            found = next(every for every in self.policy.exceptions if every.id == each.id)
            words = [self.rules[rule].then.word for rule in each.silences]
            if all(STRENGTH[word] <= STRENGTH[each.becomes] for word in words):
                message = f"this exception softens nothing: no rule of it does more than {each.becomes}"
                key = "becomes" if "becomes" in each.model_fields_set else "silences"
                self.find((*path, key), message, "remove it, or let `becomes` be weaker", "placebo")
            if now is None:
                continue
            if found.expires <= now:
                message = f"this exception has ended: its last day was {each.expires}"
                self.find((*path, "expires"), message, "remove it, or renew it", "expired", severity="error")
            elif found.expires > now + (LONG + 1) * DAY:
                message = f"this exception lasts for {(found.expires - now) // DAY} more days"
                hint = f"at most {LONG} days: whoever answers for it can renew it"
                self.find((*path, "expires"), message, hint, "long-exception")

    def promises(self) -> None:
        """Promises without support, and rules that break one: errors where a block in force reads the score."""
        blocking = {
            name
            for rule in self.policy.rules
            if rule.then.block and rule.mode == "enforce" and self.policy.mode == "enforce"
            for name in names_in(self.parsed[rule.when])
        }
        cards = {card.id: card for card in self.policy.scorecards}
        places = {item.id: at for at, item in enumerate(self.file.rules)}
        for at, item in enumerate(self.file.scorecards):
            card = cards[item.id]
            blocks = not blocking.isdisjoint(_score_names(card.id))
            digest = card_digest(card, self.parsed, self.policy.lists)
            calibration = self.policy.calibrations.get(card.id)
            for each in doubts(card, digest, calibration, self.policy.rules, self.parsed, self.names):
                message, hint = each.message, each.hint
                if blocks:
                    message += ", and a rule in force blocks on this score"
                    hint = f"keep the block in shadow, or: {hint}"
                path = ("rules", places[each.rule], "when") if each.rule else ("scorecards", at, "promise", each.action)
                self.find(path, message, hint, "promise", severity="error" if blocks else "warning")

    def unused(self) -> None:
        """Lists, families and cards of this file that nothing reads."""
        lists = {name for site in self.sites for name in lists_in(site.node)}
        read = {name for site in self.sites for name in names_in(site.node)}
        self._unused(
            (("lists", name) for name in self.file.lists if name not in lists),
            lambda path: (
                f"no condition looks into the list {shown(path[-1])}",
                f"write `… in lists.{path[-1]}`, or remove it",
            ),
            "unused-list",
        )
        for at, card in enumerate(self.file.scorecards):
            used = {line.family for line in card.evidence}
            self._unused(
                (("scorecards", at, "families", name) for name in card.families if name not in used),
                lambda path: (f"no evidence is of the family {shown(path[-1])}", "add a line, or remove it"),
                "unused-family",
            )
            if read.isdisjoint(_score_names(card.id)):
                hint = f"add a rule with `when: score.{card.id} >= …`, in shadow to begin with"
                if self.own(("scorecards", at, "id")):
                    self.find(("scorecards", at, "id"), f"no rule reads score.{card.id}", hint, "unused-card")

    def _unused(
        self, paths: Iterable[tuple[Step, ...]], words: Callable[[tuple[Step, ...]], tuple[str, str]], code: str
    ) -> None:
        for path in paths:
            if self.own(path):
                message, hint = words(path)
                self.find(path, message, hint, code, key=True)

    def untested(self, results: Sequence[Ran]) -> None:
        """Enforced rules whose two sides no test shows, and exceptions that no test needs."""
        for at, item in enumerate(self.file.rules):
            path: tuple[Step, ...] = ("rules", at, "id")
            if item.mode != "enforce" or not self.own(path):
                continue
            held = sum(item.id in each.rules for each in results)
            if not results:
                self.find(
                    path,
                    "no test tries this rule",
                    "show under `tests` where it holds, and where it doesn't",
                    "untested",
                )
            elif not held:
                self.find(path, "this rule holds in no test", "add one where it does", "untested")
            elif held == len(results):
                self.find(path, "this rule holds in every test", "add one where it doesn't", "untested")
        for at, each in enumerate(self.file.exceptions):
            path = ("exceptions", at, "id")
            if self.own(path) and not any(each.id in result.excepted for result in results):
                message = "this exception softens nothing in any test"
                self.find(path, message, "add a test that needs it, or remove it", "placebo")


def _score_names(card: str) -> set[str]:
    return {f"score.{card}", f"score.{card}.families", f"score.{card}.corroborated"}


def _as_share(node: Node, names: Mapping[str, Name]) -> str:
    """What was meant where a share is compared with more than 1."""
    for each, _ in walk(node):
        if isinstance(each, Compare) and isinstance(each.left, Ref) and isinstance(each.right, Number):
            name, bound = each.left.name, each.right.value
            if name in names and names[name].unit == "share" and 2 <= bound <= 100:
                return f"{name} is a share, at most 100%: did you mean `{bound:g}%`?"
    return ""
