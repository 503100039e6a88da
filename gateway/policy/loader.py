"""Pure. Text of a policy file -> `Policy`: read, checked, resolved plan by plan. What is wrong comes all at once."""

import json
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from gateway.documents import MAX_FINDINGS, DocumentErrors, Finding, did_you_mean, in_order, parse, shown
from gateway.identity import HEADER_OF, IdentityRules, Jwt, Trusted
from gateway.policy.calibration import Broken, Calibration
from gateway.policy.calibration import read as read_calibration
from gateway.policy.engine import Engine
from gateway.policy.examples import examples
from gateway.policy.file import File, IdentitySection
from gateway.policy.limits import compile_limits
from gateway.policy.model import Exposure, ListOf, Plan, Policy, Rate, TokenWeights
from gateway.policy.packs import Merged, Resolve, merge
from gateway.policy.rules import Judging
from gateway.policy.shape import shape

__all__ = ["Loaded", "PolicyErrors", "Resolve", "load", "read"]

PolicyErrors = DocumentErrors
"""All that is wrong with a policy: `findings`."""

MAX_LIST = 4_194_304  # bytes of a list's file
MAX_LISTED = 200_000  # entries of a list's file
MAX_ALL_LISTED = 400_000  # of all such files together
MAX_LEEWAY = 600_000_000  # µs


class Loaded(msgspec.Struct):
    """What a file and its packs gave: everything where nothing was wrong. `data` is what the digest is made of."""

    findings: list[Finding]
    document: Merged | None = None
    file: File | None = None
    policy: Policy | None = None
    data: dict[str, Any] = {}


def load(text: bytes | str, source: str, resolve: Resolve, *, calibrated: bool = True) -> Policy:
    """The policy in a file's text. Raises PolicyErrors with every error in it; warnings are `check`'s.

    `calibrated` False leaves out what it says of calibrations: they may be yet to be made.
    """
    loaded = read(text, source, resolve, calibrated=calibrated)
    if loaded.policy is None:
        raise PolicyErrors(loaded.findings)
    return loaded.policy


def read(text: bytes | str, source: str, resolve: Resolve, *, calibrated: bool = True) -> Loaded:
    """The policy, or the findings that stand in its way. Never raises. `calibrated`: as in `load`."""
    try:
        alone = parse(text, source)
    except DocumentErrors as error:
        return Loaded(error.findings)
    document, findings = merge(alone, text, resolve)
    file, more = shape(document)
    if file is None or findings:
        return Loaded(in_order(findings + more), document, file)
    reader = _Compiler(document, file, resolve)
    policy = reader.policy(calibrated=calibrated)
    if reader.findings:
        return Loaded(in_order(reader.findings), document, file)
    return Loaded([], document, file, policy, reader.merged)


class _Compiler:
    """The checks that need more than one key, and the compiled values."""

    def __init__(self, document: Merged, file: File, resolve: Resolve) -> None:
        self.document = document
        self.file = file
        self.resolve = resolve
        self.findings: list[Finding] = []
        self.merged: dict[str, Any] = dict(document.data)
        self.files = dict(document.texts)
        self.broken: set[str] = set()  # plans that extend what isn't there
        self.listed = 0  # entries of lists' files so far

    def find(self, path: tuple[str | int, ...], message: str, hint: str = "", code: str = "value", **more: Any) -> None:
        self.findings.append(self.document.finding(path, message, hint=hint, code=code, **more))

    def policy(self, *, calibrated: bool) -> Policy:
        section, tokens = self.file.policy, self.file.tokens
        self._zone(section.timezone)
        plans = self._plans()
        lists = self._lists()
        identity = self._identity(plans)
        limits, findings = compile_limits(self.document, self.file.limits, plans, identity.plan, self.broken)
        self.findings += findings
        judging = Judging(
            self.document,
            lists=lists,
            limits=[item.id for item in self.file.limits],
            timezone=section.timezone,
            on_missing=section.on_missing,
        )
        scorecards = judging.cards(self.file.scorecards)
        calibrations = self._calibrations(read=calibrated)
        rules = judging.rules(self.file.rules)
        exceptions = judging.exceptions(self.file.exceptions, rules)
        self.findings += judging.findings
        names = {name: row[0] for name, row in judging.rows.items()} | judging.scores
        tests, findings = examples(
            self.document, self.file.tests, names, [item.id for item in self.file.rules], plans, section.timezone
        )
        self.findings += findings
        engine = None
        if (scorecards or rules or tests) and not self.findings:
            engine = Engine(
                scorecards=scorecards,
                rules=rules,
                exceptions=exceptions,
                rows=judging.rows,
                scores=judging.scores,
                lists=lists,
                parsed=judging.parsed,
            )
        text = json.dumps(self.merged, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return Policy(
            id=section.id,
            digest=sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12],
            source=self.document.file,
            version=section.version,
            mode=section.mode,
            timezone=section.timezone,
            on_missing=section.on_missing,
            on_error=section.on_error,
            opaque=section.opaque,
            abort=section.abort,
            tokens=TokenWeights(tokens.cache_read, tokens.cache_write, tokens.reasoning, tokens.batch, tokens.image),
            identity=identity,
            exposure=Exposure("dialect" in section.headers, "ietf" in section.headers),
            plans={name: Plan(name, rates) for name, rates in plans.items()},
            limits=limits,
            lists=lists,
            scorecards=scorecards,
            calibrations=calibrations,
            rules=rules,
            exceptions=exceptions,
            engine=engine,
            tests=tests,
            files=self.files,
        )

    def _zone(self, name: str) -> None:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            hint = did_you_mean(name, available_timezones()) or "an IANA name, as in Europe/Berlin"
            self.find(("policy", "timezone"), f"there is no time zone {shown(name)}", hint, "timezone")

    def _plans(self) -> dict[str, dict[str, Rate | None]]:
        """Plan -> name -> rate, with what it extends."""
        found: dict[str, dict[str, Rate | None]] = {}
        for name, plan in self.file.plans.items():
            chain, seen = [plan], {name}
            while chain[-1].extends is not None:
                above = chain[-1].extends
                where = ("plans", name, "extends")
                if above in seen:
                    self.find(
                        where, "plans extend each other in a circle", "one of them must give its own rates", "cycle"
                    )
                    self.broken.add(name)
                    break
                if above not in self.file.plans:
                    self.broken.add(name)
                    if len(chain) == 1:
                        self.find(where, f"there is no plan {shown(above)}", self._near_plan(above), "unknown-plan")
                    break
                seen.add(above)
                chain.append(self.file.plans[above])
            found[name] = {
                rate: value for each in reversed(chain) for rate, value in (each.__pydantic_extra__ or {}).items()
            }
        return found

    def _near_plan(self, word: str) -> str:
        if len(self.findings) > MAX_FINDINGS:
            return ""  # it won't be shown
        return did_you_mean(word, self.file.plans) or (
            f"the plans are {', '.join(list(self.file.plans)[:10])}" if self.file.plans else "there are no plans"
        )

    def _identity(self, plans: dict[str, dict[str, Rate | None]]) -> IdentityRules:
        section = self.file.identity
        if len(set(section.credential)) < len(section.credential):
            self.find(("identity", "credential"), "a place is named twice", "remove one of them")
        if not section.credential and not section.trusted and section.jwt is None:
            self.find(("identity", "credential"), "nothing tells callers apart", "name a place, or use trusted or jwt")
        for key, word in (("unknown", section.unknown), ("anonymous", section.anonymous)):
            name = word.removeprefix("plan:")
            if name != word and name not in plans:
                self.find(("identity", key), f"there is no plan {shown(name)}", self._near_plan(name), "unknown-plan")
        for at, item in enumerate(section.trusted):
            if item.header.lower().encode() in HEADER_OF.values() or item.header.lower() == "host":
                where = ("identity", "trusted", at, "header")
                self.find(where, f"{shown(item.header)} is the caller's own", "take a header that only the proxy sets")
        return IdentityRules(
            sources=tuple(section.credential),
            unknown=section.unknown,
            anonymous=section.anonymous,
            directory=section.directory,
            plan=self._default_plan(section, plans),
            trusted=tuple(Trusted(item.header.lower(), item.kind) for item in section.trusted),
            jwt=self._jwt(section),
        )

    def _default_plan(self, section: IdentitySection, plans: dict[str, dict[str, Rate | None]]) -> str:
        if section.plan is not None:
            if plans and section.plan not in plans:
                where = ("identity", "plan")
                self.find(
                    where, f"there is no plan {shown(section.plan)}", self._near_plan(section.plan), "unknown-plan"
                )
            return section.plan
        if len(plans) == 1:
            return next(iter(plans))
        if plans and "default" not in plans:
            hint = f"write `identity: {{plan: {next(iter(plans))}}}`, or name a plan `default`"
            self.find(("plans",), "no plan is the default", hint, "default-plan", key=True)
        return "default"

    def _jwt(self, section: IdentitySection) -> Jwt | None:
        jwt = section.jwt
        if jwt is None:
            return None
        if jwt.leeway > MAX_LEEWAY:
            self.find(("identity", "jwt", "leeway"), "a leeway is at most 10 min")
        return Jwt(
            jwks=jwt.jwks,
            issuer=jwt.issuer,
            audience=jwt.audience,
            account=jwt.account,
            org=jwt.org,
            plan=jwt.plan,
            algorithms=tuple(jwt.algorithms),
            leeway=-(-jwt.leeway // 1_000_000),
        )

    def _lists(self) -> dict[str, ListOf]:
        found = {}
        for name, item in self.file.lists.items():
            given = [key for key in ("values", "globs", "file") if getattr(item, key) is not None]
            if len(given) != 1:
                message = (
                    "a list is values, globs or a file" if not given else f"{' and '.join(given)} exclude each other"
                )
                self.find(("lists", name), message, "split it into several lists" if given else "")
            elif item.file is not None:
                values = self._listed(name, item.file)
                self.merged["lists"] = {**self.merged["lists"], name: {"values": values}}
                found[name] = ListOf(name, frozenset(values))
            else:
                found[name] = ListOf(name, frozenset(item.values or ()), tuple(item.globs or ()))
        return found

    def _listed(self, name: str, file: str) -> list[str]:
        where = ("lists", name, "file")
        if self.listed > MAX_ALL_LISTED:
            return []
        content = self._content(where, file, "list-file")
        if content is not None:
            lines = content.splitlines()
            values = [value for value in (line.partition("#")[0].strip() for line in lines) if value]
            if len(values) > MAX_LISTED:
                self.find(where, f"{shown(file)} has more than {MAX_LISTED} entries", code="list-file")
            self.listed += len(values)
            if self.listed > MAX_ALL_LISTED:
                self.find(where, f"the files of all lists have more than {MAX_ALL_LISTED} entries", code="list-file")
            return sorted(set(values))
        return []

    def _calibrations(self, *, read: bool) -> dict[str, Calibration]:
        """By scorecard. The digest is over what is in a calibration, whatever the name of its file."""
        found, items = {}, list(self.merged.get("scorecards", ()))
        for at, card in enumerate(self.file.scorecards):
            if card.calibration is None:
                continue
            where = ("scorecards", at, "calibration")
            items[at] = {key: value for key, value in items[at].items() if key != "calibration"}
            content = self._content(where, card.calibration, "calibration") if read else None
            if content is None:
                continue
            try:
                made = found[card.id] = read_calibration(content)
            except Broken as error:
                self.find(where, f"{shown(card.calibration)}: {error.message}", error.hint, "calibration")
            else:
                items[at]["calibration"] = made.digest
        if items:
            self.merged["scorecards"] = items
        return found

    def _content(self, where: tuple[str | int, ...], file: str, code: str) -> str | None:
        """The text of a file that a section names, which is then one of the policy's; None with a finding."""
        asked = self.document.beside(where, file)
        if asked is None:
            self.find(where, f"{shown(file)} leads out of the policy's folder", code=code)
            return None
        try:
            raw = self.resolve(asked)
            if len(raw) > MAX_LIST:
                raise ValueError(f"larger than {MAX_LIST // 1_048_576} MiB")
            content = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.find(where, f"{shown(file)} is not UTF-8", code=code)
        except Exception as error:  # noqa: BLE001  # the shell's own resolver: whatever it raises is about this file
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            hint = "paths start at the folder of the file that they stand in"
            self.find(where, f"{shown(file)} can't be read: {reason}", hint, code)
        else:
            self.files[f"./{asked}" if asked == self.document.file else asked] = content
            return content
        return None
