"""Pure. Data -> `File`: pydantic's errors become findings, at the place in the file and in the language's own words."""

import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gateway.documents import Document, Finding, did_you_mean, shown
from gateway.policy.file import MAX_NAMES, MAX_RATES, File
from gateway.policy.places import Places
from gateway.policy.sections import CARD, CODE, DAY

__all__ = ["shape"]

MISSING_HINTS = {
    "when": "the condition, as in `when: score.extraction >= 10 dB`",
    "then": "what is done, as in `then: {tag: [watch]}`",
    "prior": "dB before any evidence, as in `prior: -30 dB`",
    "families": "as in `families: {params: 20 dB}`",
    "evidence": "as in `evidence: [{id: a, family: params, rate: logprobs_share, benign: {mean: 3%, rho: 0.1}}]`",
    "silences": "the rules that it softens, as in `silences: [stop]`",
    "expires": "an exception ends: `expires: 2026-12-31`",
    "owner": "who answers for it",
    "reason": "why it is there",
    "expect": "what must come out, as in `expect: {action: allow}`",
    "name": "what the test shows",
    "family": "one of the card's families",
    "ceiling": "the most that it counts, as in `ceiling: 10 dB`",
    "floor": "the least that it counts, as in `floor: 0 dB`",
    "mean": "as in `mean: 3%`",
    "rho": "how alike the requests of one owner are, as in `rho: 0.1`",
    "gauger": "begin the file with `gauger: 1`",
    "id": "a name of your choice, as in `id: acct-output`",
    "by": "as in `by: [account]`",
    "count": "requests, tokens.input, tokens.output, tokens.total or concurrent",
    "rate": "plan.NAME, or a quantity such as `60 requests/min`",
}
WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
LATER_KEYS = {"required": "limits apply where all their dimensions are present"}
EXAMPLES = {
    "when": "as in `when: account.age < 30d`",
    "then": "as in `then: {tag: [watch]}`",
    "block": "as in `block: {code: unusual_use}`",
    "throttle": "as in `throttle: {delay: 2 s}`",
    "clamp": "as in `clamp: {n: 1}`",
    "active": "as in `active: {days: [mon]}`",
    "rules": "write each as an item: `- {id: …, when: …, then: …}`",
    "scorecards": "write each as an item: `- {id: …}`",
    "exceptions": "write each as an item: `- {id: …}`",
    "tests": "write each as an item: `- {name: …, expect: …}`",
    "evidence": "write each as an item: `- {id: …}`",
    "benign": "as in `benign: {mean: 3%, rho: 0.1}`",
    "alternative": "as in `alternative: {mean: 50%, rho: 0.3}`",
    "since": "as in 2026-11-01",
    "expires": "as in 2026-12-31",
    "given": "as in `given: {req.n: 4}`",
    "expect": "as in `expect: {action: allow}`",
    "send": "as in `send: {times: 21}`",
}
SECTIONS: dict[tuple[Any, ...], str] = {
    ("plans",): "as in `plans: {free: {requests: 60 requests/min}}`",
    ("limits",): "write each as an item: `- {id: …, by: [account], count: requests, rate: …}`",
    ("lists",): "as in `lists: {partners: {values: [acct_1]}}`",
}
JUDGING = ("rules", "scorecards", "exceptions", "tests")
NAMED = ("can't be a name", "letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit")
PATTERNS = {
    DAY: ("is no day", "as in 2026-12-31"),
    CODE: ("can't be a code", "small letters, digits and `_`, as in `unusual_use`"),
    CARD: ("can't be a scorecard's name", "letters, digits, `_` and single `-`: conditions read it as score.NAME"),
}
MEANT = {  # words of other products -> ours, where ours is one of those that may stand there
    **dict.fromkeys(("monitor", "observe", "log", "audit", "watch", "report", "dry-run", "dryrun"), "shadow"),
    **dict.fromkeys(("on", "active", "enforced", "enforcing", "live"), "enforce"),
    **dict.fromkeys(("off", "disabled", "inactive", "none"), "draft"),
    **dict.fromkeys(("hourly", "daily", "weekly", "monthly", "fixed", "day", "month"), "calendar"),
    **dict.fromkeys(("sliding", "gcra", "token-bucket"), "rolling"),
    **dict.fromkeys(("max_output", "max_completion_tokens", "maxOutputTokens"), "max_tokens"),
    **dict.fromkeys(("deny", "denied", "reject", "refuse", "refused"), "block"),
    **{f"{sort}_tokens": f"tokens.{sort}" for sort in ("input", "output", "total")},
    "tokens": "tokens.total",
    "concurrency": "concurrent",
    "request": "requests",
}
WITHIN = {  # keys that were written one level too high -> where they stand
    **{word: f"it stands under `then`: `then: {{{word}: …}}`" for word in ("tag", "clamp", "throttle", "block")},
    **dict.fromkeys(("for", "limit", "to", "delay"), "it stands in `throttle: {…}`, and `for` in `block: {…}` too"),
    **dict.fromkeys(("status", "code"), "it stands in `block: {…}`"),
    **dict.fromkeys(("enabled", "disabled"), "`mode: draft` is never run, `mode: shadow` only watched"),
}
EXTENDS = ("extend", "inherit", "inherits", "base", "parent", "from")
QUOTED = re.compile(r"'([^']*)'|(\d+)")
PERCENT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?%")
MAX_ERRORS = 1_000


def shape(document: Document) -> tuple[File | None, list[Finding]]:
    """The file's sections, or what is wrong with them."""
    data = document.data
    if not isinstance(data, dict):
        kind = "is empty" if data is None else "is no mapping"
        return None, [document.finding((), f"the file {kind}", hint=MISSING_HINTS["gauger"], code="shape")]
    plans = data.get("plans")
    items = [plan for plan in plans.values() if isinstance(plan, dict)] if isinstance(plans, dict) else []
    names = {name for plan in items for name in plan if name != "extends"}
    if len(names) > MAX_NAMES or sum(map(len, items)) > MAX_RATES:
        message = f"the plans have more than {MAX_NAMES} names of rates, or more than {MAX_RATES} rates"
        return None, [document.finding(("plans",), message, code="bound", key=True)]
    try:
        return File.model_validate(data), []
    except ValidationError as error:
        places = Places(document)
        found = [_finding(places, each) for each in error.errors(include_url=False)[:MAX_ERRORS]]
        return None, list(dict.fromkeys(found))  # what stands for several values is wrong once


def _finding(places: Places, error: Mapping[str, Any]) -> Finding:
    document, path, kind, value = places.document, error["loc"], error["type"], error["input"]
    context = error.get("ctx", {})
    if kind == "gauger":
        if path[0] == "plans" and len(path) > 2 and (meant := _rate_slip(str(path[2]), value)):
            return document.finding(path[:3], *meant[:1], hint=meant[1], code="value", key=True)
        offset = places.offset(path, context["offset"])
        return document.finding(path, context["message"], hint=context["hint"], code="value", offset=offset)
    if kind == "missing":
        return document.finding(
            path[:-1], f"`{path[-1]}` is missing", hint=MISSING_HINTS.get(path[-1], ""), code="missing"
        )
    if kind == "extra_forbidden":
        return _unknown(document, path)
    if kind == "string_pattern_mismatch":
        what, hint = PATTERNS.get(context["pattern"], NAMED)
        return document.finding(path, f"{shown(value)} {what}", hint=hint, code="name", key=path[-1] == "[key]")
    if kind == "literal_error":
        known = [word or number for word, number in QUOTED.findall(context["expected"])]
        if path == ("gauger",):
            hint = "this version reads format 1"
            return document.finding(path, f"format {shown(value)} is not known", hint=hint, code="format")
        one = f"not {known[0]}" if len(known) == 1 else f"not one of {', '.join(known)}"
        near = did_you_mean(value, known)
        if isinstance(value, str) and MEANT.get(value) in known:
            near = f"did you mean `{MEANT[value]}`?"
        return document.finding(path, f"{shown(value)} is {one}", hint=near, code="value", key=path[-1] == "[key]")
    if kind in WANTED:
        hint = _example(path) or _write(kind, value)
        return document.finding(path, f"this must be {WANTED[kind]}, not {shown(value)}", hint=hint, code="type")
    return document.finding(path, _bound(kind, context, error["msg"]), code="bound")


def _unknown(document: Document, path: tuple[Any, ...]) -> Finding:
    word = str(path[-1])
    if word in LATER_KEYS:
        message = f"`{word}` is not supported by this version yet"
        return document.finding(path, message, hint=LATER_KEYS[word], code="later", key=True)
    known = _keys(path[:-1])
    head, colon, rest = word.partition(":")
    if colon and head in known:
        hint = f"put a space after the colon: `{head}: {rest[:40]}`"
    elif path == ("accounts",):
        hint = (
            "accounts have a file of their own, checked along with the policy that names it: `identity: {directory: …}`"
        )
    elif len(path) == 3 and path[0] == "rules" and word in WITHIN:
        hint = WITHIN[word]
    elif path[-2:-1] == ("then",) and MEANT.get(word) in known:
        hint = f"did you mean `{MEANT[word]}`?"
    else:
        hint = did_you_mean(word, known) or f"known here: {', '.join(known)}"
    return document.finding(path, f"unknown key {shown(word)}", hint=hint, code="unknown-key", key=True)


def _bound(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in ("too_long", "string_too_long"):
        return f"this is too long: at most {context['max_length']}"
    if kind in ("too_short", "string_too_short"):
        return "this is empty"
    if kind == "greater_than_equal":
        return f"this must be at least {context['ge']:g}"
    if kind == "less_than_equal":
        return f"this must be at most {context['le']:g}"
    return message[:1].lower() + message[1:]


def _example(path: tuple[Any, ...]) -> str:
    """What stands at a key of the sections that judge, and at a list's name."""
    if len(path) == 2 and path[0] == "lists":
        return "as in `{values: [a, b]}`, `{globs: [a-*]}` or `{file: names.txt}`"
    if path in SECTIONS or path[-1:] == ("reserve",):
        return SECTIONS.get(path, "as in `reserve: {first: 1k tokens}`")
    return EXAMPLES.get(path[-1], "") if path[:1] and path[0] in JUDGING and "expect" not in path[:-1] else ""


def _write(kind: str, value: object) -> str:
    """How the same would be right, where that can be said."""
    if kind == "string_type" and isinstance(value, int | float):
        return "put quotes around it"
    if kind == "list_type" and isinstance(value, str) and len(value) <= 40:
        return f"write it in brackets, as in `[{value}]`"
    if kind == "float_type" and isinstance(value, str) and PERCENT.fullmatch(value):
        return f"write `{float(value[:-1]) / 100:g}`"
    return ""


def _rate_slip(key: str, value: object) -> tuple[str, str] | None:
    """Message and hint for what is no rate because it was meant as something else."""
    if key != "extends" and isinstance(value, str) and (key in EXTENDS or did_you_mean(key, ("extends",))):
        return f"{shown(value)} is no rate of the plan", "did you mean `extends`?"
    if value is None and key[:1].isdigit():
        return "a comma ends a value between braces", "write the number without a comma, as in `8000` or `8k`"
    return None


def _keys(path: tuple[Any, ...]) -> list[str]:
    """The keys that are known at a path of the file."""
    kind: Any = File
    for step in path:
        kind = _plain(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            named = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
            kind = named.get(step)
        else:
            kind = get_args(kind)[-1] if get_args(kind) else None
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []


def _plain(kind: Any) -> Any:
    """Without `Annotated[...]` and `... | None`."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = get_args(kind)[0]
    return kind
