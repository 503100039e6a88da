"""Pure. What a syntax tree may mean: kinds, units, phases and known names, checked before anything runs.

Units: `+`, `-` and comparisons want the same unit on both sides; "" and share mix. X * plain = X, X / X = plain,
X / Y of two counts = plain, and no other product or quotient of two units exists. A plain constant fits "", share,
requests, tokens and bytes; a percentage fits share and "".
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from gateway.documents import did_you_mean
from gateway.policy.conditions.expressions import (
    And,
    Arithmetic,
    Bool,
    Call,
    Compare,
    ExpressionError,
    In,
    Items,
    Listed,
    Missing,
    Negate,
    Node,
    Not,
    Number,
    Or,
    Ref,
    Text,
    show,
    walk,
)
from gateway.policy.conditions.globs import MAX_GLOB
from gateway.policy.model import ListOf
from gateway.policy.names import Name, Unit

__all__ = ["check", "never_missing"]

COUNTED = ("requests", "tokens", "bytes")
PLAIN = ("any", "", "share")
EXAMPLES = {"duration": "30d", "dB": "30 dB"}
PROMPT = ("prompt", "messages", "message", "content", "text", "body", "input", "system")
VERBS = {"+": "add", "-": "subtract"}


class Type(NamedTuple):
    """The kind of a node; of a number its unit, "any" where only constants say so: it fits all but durations and dB."""

    kind: Literal["number", "text", "bool", "texts"]
    unit: Unit | Literal["any"] = ""


NUMBER, TEXT, BOOL, TEXTS = Type("number"), Type("text"), Type("bool"), Type("texts")
ARTICLES = {"text": "a text", "bool": "a condition", "texts": "several texts"}
NUMBERS = {
    "any": "a number",
    "": "a number",
    "share": "a share",
    "requests": "a number of requests",
    "tokens": "a number of tokens",
    "bytes": "a number of bytes",
    "duration": "a duration",
    "dB": "a number of dB",
}


def check(
    node: Node,
    names: Mapping[str, Name],
    lists: Mapping[str, ListOf],
    *,
    want: Literal["bool", "number"] = "bool",
    unit: Unit | None = None,
    phase: Literal["request", "response"] = "request",
    scores: bool = True,
) -> None:
    """Raises ExpressionError at the first thing that makes no sense. `unit` is the wanted number's; None = any."""
    found = _Checker(names, lists, phase, scores).type_of(node)
    if want == "bool":
        if found.kind != "bool":
            raise ExpressionError(f"this is {_words(found)}, not a condition", _as_condition(node, found), node.at)
        return
    if found.kind != "number":
        raise ExpressionError(f"this is {_words(found)}, not a number", "as in `hour.requests / 60`", node.at)
    if unit is not None and _common(found.unit, unit) is None:
        message = f"this is {_words(found)}, where {NUMBERS[unit]} is wanted"
        raise ExpressionError(message, _unit_hint(node, found, unit), node.at)


def never_missing(node: Node, names: Mapping[str, Name]) -> tuple[Missing, ...]:
    """The tests with `is missing` of names that are always known. They are allowed; a lint may say so."""
    tests = [each for each, _ in walk(node) if isinstance(each, Missing)]
    return tuple(test for test in tests if isinstance(test.of, Ref) and not names[test.of.name].missing)


class _Checker:
    def __init__(self, names: Mapping[str, Name], lists: Mapping[str, ListOf], phase: str, scores: bool) -> None:
        self.names = names
        self.lists = lists
        self.phase = phase
        self.scores = scores

    def type_of(self, node: Node) -> Type:
        match node:
            case Number():
                return Type("number", node.unit or "any")
            case Text():
                return TEXT
            case Bool():
                return BOOL
            case Ref():
                return self.name(node)
            case Listed() | Items():
                what = f"`lists.{node.name}`" if isinstance(node, Listed) else "a list"
                raise ExpressionError(f"{what} stands only after `in`, or as second argument of `any_in`", "", node.at)
            case Negate():
                return self.number(node.of)
            case Arithmetic():
                return self.arithmetic(node)
            case Compare():
                return self.compare(node)
            case In():
                return self.membership(node)
            case Missing():
                self.type_of(node.of)
                return BOOL
            case Call():
                return self.call(node)
            case Not():
                self.condition(node.of)
                return BOOL
            case And() | Or():
                for term in node.terms:
                    self.condition(term)
                return BOOL

    def condition(self, node: Node) -> None:
        found = self.type_of(node)
        if found.kind != "bool":
            raise ExpressionError(f"this is {_words(found)}, not a condition", _as_condition(node, found), node.at)

    def number(self, node: Node) -> Type:
        found = self.type_of(node)
        if found.kind != "number":
            hint = "count them: `count(…)`" if found.kind == "texts" else ""
            raise ExpressionError(f"this is {_words(found)}, not a number", hint, node.at)
        return found

    def name(self, node: Ref) -> Type:
        entry = self.names.get(node.name)
        if entry is None:
            raise ExpressionError(f"unknown name `{node.name}`", self.nearest(node.name), node.at)
        if entry.phase == "response" and self.phase == "request":
            message = f"`{node.name}` is known only when the answer has ended"
            raise ExpressionError(message, "add `phase: response`", node.at)
        if entry.level == "score" and not self.scores:
            message = f"`{node.name}` is not known yet when this is read"
            raise ExpressionError(message, "what scores are made of reads no scores", node.at)
        return Type(entry.kind, entry.unit if entry.kind == "number" else "")

    def nearest(self, name: str) -> str:
        if name in ("null", "None", "nil", "missing", "undefined", "NULL"):
            return "write `is missing`"
        if name.lower() in ("true", "false", "and", "or", "not", "in", "is"):
            return f"write `{name.lower()}`"
        pieces = name.split("-")
        for cut in range(1, len(pieces)):
            before, after = "-".join(pieces[:cut]), "-".join(pieces[cut:])
            if before in self.names:
                return f"put spaces around `-`: `{before} - {after}`"
        last = name.rpartition(".")[2]
        if last in self.lists and name in (last, f"list.{last}"):
            return f"did you mean `lists.{last}`?"
        if name.partition(".")[0] in PROMPT:
            return "conditions never read what a prompt says"
        if near := did_you_mean(name, self.names):
            return near
        beside = [known for known in self.names if known.startswith(name.split(".")[0] + ".")]
        if beside:
            return f"known here: {', '.join(beside[:5])}{', …' if len(beside) > 5 else ''}"
        return "a text stands in quotes" if "." not in name else ""

    def compare(self, node: Compare) -> Type:
        left, right = self.type_of(node.left), self.type_of(node.right)
        if "texts" in (left.kind, right.kind):
            side = node.left if left.kind == "texts" else node.right
            hint = f'write `"…" in {show(side)}`' if isinstance(side, Ref) else ""
            raise ExpressionError("several texts can't be compared", hint, side.at)
        if left.kind != right.kind:
            raise ExpressionError(f"cannot compare {_words(left)} with {_words(right)}", "", node.right.at)
        if left.kind == "number":
            if _common(left.unit, right.unit) is None:
                raise _differ("compare", "with", node.left, left, node.right, right)
        elif node.op not in ("==", "!="):
            hint = "only numbers are smaller or larger: write `==` or `!=`"
            raise ExpressionError(f"{_words(left)} has no order", hint, node.left.at)
        return BOOL

    def arithmetic(self, node: Arithmetic) -> Type:
        left, right = self.number(node.left), self.number(node.right)
        if node.op in "+-":
            unit = _common(left.unit, right.unit)
            if unit is None:
                raise _differ(VERBS[node.op], "and", node.left, left, node.right, right)
            return Type("number", unit)
        if node.op == "*":
            if right.unit in PLAIN:
                return Type("number", _product(left.unit, right.unit))
            if left.unit in PLAIN:
                return right
            message = f"cannot multiply {_words(left)} by {_words(right)}"
            raise ExpressionError(message, "one of the two must be a plain number", node.right.at)
        if right.unit in PLAIN:
            return Type("number", _product(left.unit, right.unit))
        counts = left.unit in (*COUNTED, "any", "") and right.unit in COUNTED
        if counts or left.unit == right.unit:
            return NUMBER
        hint = f"divide by a plain number, as in `{show(node.right)} / 1d`" if right.unit == "duration" else ""
        raise ExpressionError(f"cannot divide {_words(left)} by {_words(right)}", hint, node.right.at)

    def membership(self, node: In) -> Type:
        left = self.type_of(node.left)
        if left.kind == "texts":
            raise ExpressionError("several texts can't be in something", "write `any_in(…, …)`", node.left.at)
        if isinstance(node.right, Items):
            self.items(node.right, node.left, left)
            return BOOL
        if isinstance(node.right, Listed):
            self.listed(node.right)
        else:
            right = self.type_of(node.right)
            if right.kind != "texts":
                message = f"nothing can be in {_words(right)}"
                raise ExpressionError(message, "after `in` comes a list, or a name of several texts", node.right.at)
        if left.kind != "text":
            raise ExpressionError(f"{_words(left)} can't be in a list of texts", "", node.left.at)
        return BOOL

    def items(self, node: Items, beside: Node, left: Type) -> None:
        for item in node.items:
            found = self.type_of(item)
            if found.kind != left.kind:
                raise ExpressionError(f"{_words(left)} can't be {_words(found)}", "", item.at)
            if found.kind == "number" and _common(left.unit, found.unit) is None:
                raise _differ("compare", "with", beside, left, item, found)

    def listed(self, node: Listed) -> None:
        if node.name not in self.lists:
            known = ", ".join(sorted(self.lists)[:5])
            hint = did_you_mean(node.name, self.lists) or (f"the lists are {known}" if known else "add it to `lists:`")
            raise ExpressionError(f"no list is called `{node.name}`", hint, node.at)

    def call(self, node: Call) -> Type:
        first = node.args[0]
        wanted = TEXTS if node.function in ("count", "any_in") else TEXT
        found = self.type_of(first)
        if found != wanted:
            message = f"`{node.function}` wants {_words(wanted)} first, not {_words(found)}"
            if node.function == "count":
                message = f"`count` wants {_words(wanted)}, not {_words(found)}"
            hint = "for one text write `… in …`" if node.function == "any_in" and found == TEXT else ""
            raise ExpressionError(message, hint, first.at)
        if node.function == "count":
            return NUMBER
        second = node.args[1]
        if node.function != "any_in":
            if not isinstance(second, Text):
                raise ExpressionError(f"`{node.function}` wants a text in quotes second", "", second.at)
            if node.function == "matches_glob" and len(second.value) > MAX_GLOB:
                raise ExpressionError(f"a pattern has at most {MAX_GLOB} characters", "", second.at)
        elif isinstance(second, Items):
            self.items(second, first, TEXT)
        elif isinstance(second, Listed):
            self.listed(second)
        elif self.type_of(second) != TEXTS:
            message = f"`any_in` wants a list second, not {_words(self.type_of(second))}"
            raise ExpressionError(message, 'as in `["a", "b"]`', second.at)
        return BOOL


def _common(left: str, right: str) -> Unit | Literal["any"] | None:
    """The unit of a sum of two numbers, or None where they can't be compared."""
    if left == right:
        return _unit(left)
    if {left, right} == {"", "share"}:
        return ""
    for one, other in ((left, right), (right, left)):
        if one == "any" and other not in EXAMPLES:
            return _unit(other)
    return None


def _product(left: str, right: str) -> Unit | Literal["any"]:
    """The unit of a number times, or divided by, a plain one."""
    if left == "any":
        return _unit(right)
    return "" if left == "share" and right == "" else _unit(left)


def _unit(word: str) -> Unit | Literal["any"]:
    units: dict[str, Unit | Literal["any"]] = {
        "any": "any",
        "": "",
        "share": "share",
        "requests": "requests",
        "tokens": "tokens",
        "bytes": "bytes",
        "duration": "duration",
        "dB": "dB",
    }
    return units[word]


def _words(found: Type) -> str:
    return NUMBERS[found.unit] if found.kind == "number" else ARTICLES[found.kind]


def _differ(verb: str, joint: str, left: Node, one: Type, right: Node, other: Type) -> ExpressionError:
    """Two numbers whose units don't fit. The place is the one that a unit would mend."""
    hint, at = "", right.at
    for node, mine, theirs in ((right, other, one), (left, one, other)):
        if mine.unit == "any" and theirs.unit in EXAMPLES:
            hint, at = _unit_hint(node, mine, theirs.unit), node.at
    return ExpressionError(f"cannot {verb} {_words(one)} {joint} {_words(other)}", hint, at)


def _unit_hint(node: Node, found: Type, unit: str) -> str:
    if found.unit != "any" or unit not in EXAMPLES:
        return ""
    example = EXAMPLES[unit]
    if isinstance(node, Number) and abs(node.value) < 1000:  # larger ones are seldom meant in days
        example = f"{node.value:g}{' dB' if unit == 'dB' else 'd'}"
    return f"give it a unit, e.g. `{example}`"


def _as_condition(node: Node, found: Type) -> str:
    text = show(node)
    if len(text) > 40:
        return "compare it with something"
    if found.kind == "number":
        unit = found.unit if found.unit in EXAMPLES else ""
        return f"compare it, e.g. `{text} > {EXAMPLES.get(unit, '10%' if found.unit == 'share' else '1')}`"
    return f'compare it, e.g. `{text} == "…"`' if found.kind == "text" else f'e.g. `"…" in {text}`'
