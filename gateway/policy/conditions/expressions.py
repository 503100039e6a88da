"""Pure. The condition language: text -> syntax tree, and back to its canonical text.

condition := and ("or" and)*          and  := not ("and" not)*         not := "not" not | test
test  := sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum | ["not"] "in" sum | "is" ["not"] "missing"]    no chains
sum   := product (("+" | "-") product)*      product := unary (("*" | "/") unary)*      unary := "-" unary | atom
atom  := number | text | "true" | "false" | name | "[" constants "]" | function "(" … ")" | "(" condition ")"

A Pratt parser: one loop and a table of binding powers (V. Pratt, Top down operator precedence, 1973). What a tree may
mean is the type checker's business (`typecheck.py`); what it is made of stands in `syntax.py`.
"""

from collections.abc import Sequence
from typing import NoReturn, cast

from gateway.documents import did_you_mean, shown
from gateway.policy.conditions.lexer import ExpressionError, Token, tokens
from gateway.policy.conditions.syntax import (
    NOT,
    POWERS,
    PRODUCT,
    SUM,
    TEST,
    And,
    Arithmetic,
    Bool,
    Call,
    Compare,
    Comparison,
    In,
    Items,
    Listed,
    Missing,
    Negate,
    Node,
    Not,
    Number,
    Operation,
    Or,
    Ref,
    Text,
    children,
    lists_in,
    names_in,
    show,
    top_terms,
    walk,
)

__all__ = [
    "FUNCTIONS",
    "And",
    "Arithmetic",
    "Bool",
    "Call",
    "Compare",
    "ExpressionError",
    "In",
    "Items",
    "Listed",
    "Missing",
    "Negate",
    "Node",
    "Not",
    "Number",
    "Or",
    "Ref",
    "Text",
    "children",
    "conjunction",
    "lists_in",
    "names_in",
    "parse",
    "show",
    "top_terms",
    "walk",
]

ASKED = {  # signs of other languages -> ours
    **dict.fromkeys(("contains", "has", "includes"), '`"…" in NAME`, as in `"evaluator" in account.labels`'),
    **dict.fromkeys(("like", "matches", "glob"), '`matches_glob(NAME, "gpt-*")`'),
    **dict.fromkeys(("startswith", "starts_with"), '`starts_with(NAME, "gpt-")`'),
    **dict.fromkeys(("endswith", "ends_with"), '`ends_with(NAME, "-mini")`'),
}

MAX_DEPTH = 50  # of nesting
MAX_NODES = 400

FUNCTIONS = {  # name -> number of arguments
    "starts_with": 2,
    "ends_with": 2,
    "matches_glob": 2,
    "count": 1,
    "any_in": 2,
}
OTHER_WORDS = {
    "len": "did you mean `count`?",
    "size": "did you mean `count`?",
    "matches": "did you mean `matches_glob`?",
    "regex": "did you mean `matches_glob`? there are no regular expressions",
    "contains": "write `\"text\" in name`, or `matches_glob(name, '*text*')`",
    "startswith": "did you mean `starts_with`?",
    "endswith": "did you mean `ends_with`?",
}


def parse(text: str) -> Node:
    """The tree of a condition or quantity. Raises ExpressionError."""
    return _Parser(tokens(text)).whole()


def conjunction(nodes: Sequence[Node]) -> Node:
    """All of some conditions, at least one, as one condition."""
    terms = tuple(term for node in nodes for term in top_terms(node))
    return terms[0] if len(terms) == 1 else And(terms, terms[0].at)


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.index = 0
        self.depth = 0  # of calls
        self.nested = 0  # of brackets and of what stands before its operand

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        self.index += 1
        return self.tokens[self.index - 1]

    def peek(self, text: str) -> bool:
        token = self.token
        return token.kind in ("sign", "keyword") and token.text == text

    def ended(self) -> bool:
        return self.token.kind == "end"

    def whole(self) -> Node:
        if self.ended():
            _fail("this condition is empty", "as in `account.age < 30d`", self.token)
        node = self.expression(0)
        if not self.ended():
            self.unexpected()
        nodes = list(walk(node))
        deep = next((each for each, depth in nodes if depth > MAX_DEPTH), None)
        if deep is not None:
            raise ExpressionError(f"this is nested deeper than {MAX_DEPTH}", "split it into several rules", deep.at)
        if len(nodes) > MAX_NODES:
            hint = "split it into several rules, or use a list"
            raise ExpressionError(f"this has more than {MAX_NODES} parts", hint, nodes[MAX_NODES][0].at)
        return node

    def expression(self, power: int) -> Node:
        """The longest expression from here whose signs all bind tighter than `power`."""
        self.depth += 1
        if self.depth > 2 * MAX_DEPTH:  # a tree within bounds needs no more: one for a node, one for its brackets
            _fail(f"this is nested deeper than {MAX_DEPTH}", "split it into several rules", self.token)
        left = self.prefix(power)
        while (binds := self.binds()) > power:
            left = self.infix(left, binds)
        self.depth -= 1
        return left

    def inner(self, power: int) -> Node:
        """An expression inside brackets, or after `not` or a minus."""
        self.nested += 1
        if self.nested > MAX_DEPTH:
            _fail(f"this is nested deeper than {MAX_DEPTH}", "split it into several rules", self.token)
        node = self.expression(power)
        self.nested -= 1
        return node

    def binds(self) -> int:
        return POWERS.get(self.token.text, 0) if self.token.kind in ("sign", "keyword") else 0

    def prefix(self, power: int) -> Node:
        token = self.take()
        at = token.at
        if token.kind == "number":
            return Number(cast(int | float, token.value), token.unit, at)
        if token.kind == "text":
            return Text(str(token.value), at)
        if token.kind == "name":
            return self.call(token) if self.peek("(") else _named(token)
        if token.text in ("true", "false") and token.kind == "keyword":
            return Bool(token.text == "true", at)
        if token.text == "not" and token.kind == "keyword":
            if power > NOT:
                _fail("`not` can't stand here", "put parentheses around `not …`", token)
            return Not(self.inner(NOT - 1), at)
        if token.text == "-":
            return _minus(self.inner(PRODUCT), at)
        if token.text == "(":
            inside = self.inner(0)
            self.expect(")", token)
            return inside
        if token.text == "[":
            return self.items(token)
        self.index -= 1
        raise self.absent()

    def infix(self, left: Node, binds: int) -> Node:
        token = self.take()
        op = token.text
        if binds == TEST:
            node = self.test(left, token)
            if self.binds() == TEST:
                middle = node.right if isinstance(node, Compare | In) else None
                self.chained(node, middle)
            return node
        right = self.expression(binds)
        if op == "and":
            return And((*_terms(And, left), *_terms(And, right)), left.at)
        if op == "or":
            return Or((*_terms(Or, left), *_terms(Or, right)), left.at)
        return Arithmetic(cast(Operation, op), left, right, left.at)

    def test(self, left: Node, token: Token) -> Node:
        if token.text == "is":
            negated = self.peek("not")
            if negated:
                self.take()
            word = self.take()
            if word.text != "missing":
                _fail("after `is` comes `missing` or `not missing`", "to compare, write `==`", word)
            return Missing(left, negated, left.at)
        if token.text == "not":
            if not self.peek("in"):
                _fail("`not` is not expected here", "`not in`, or `and not`", token)
            self.take()
        if token.text in ("in", "not"):
            return In(left, self.expression(TEST), token.text == "not", left.at)
        return Compare(cast(Comparison, token.text), left, self.expression(TEST), left.at)

    def chained(self, node: Node, middle: Node | None) -> NoReturn:
        token = self.token
        hint = "join the two with `and`"
        if middle is not None and token.text not in ("in", "not", "is"):
            first, again = show(node), show(middle)
            if len(first) + len(again) <= 80:
                hint = f"write `{first} and {again} {token.text} …`"
        _fail("comparisons can't be chained", hint, token)

    def call(self, token: Token) -> Node:
        opened = self.take()
        wanted = FUNCTIONS.get(token.text)
        if wanted is None:
            hint = OTHER_WORDS.get(token.text.lower()) or did_you_mean(token.text, FUNCTIONS)
            hint = hint or f"the functions are {', '.join(FUNCTIONS)}"
            _fail(f"no function is called {shown(token.text)}", hint, token)
        args: list[Node] = []
        while not self.peek(")"):
            args.append(self.inner(0))
            if not self.peek(","):
                break
            self.take()
        self.expect(")", opened)
        if len(args) != wanted:
            number = "one argument" if wanted == 1 else "two arguments"
            _fail(f"`{token.text}` takes {number}, not {len(args)}", _example(token.text), token)
        return Call(token.text, tuple(args), token.at)

    def items(self, token: Token) -> Node:
        items: list[Number | Text | Bool] = []
        while not self.peek("]"):
            start = self.token
            item = self.inner(SUM)
            if not isinstance(item, Number | Text | Bool):
                _fail("a list holds only constants", "numbers, texts in quotes, true or false", start)
            items.append(item)
            if not self.peek(","):
                break
            self.take()
        self.expect("]", token)
        if not items:
            _fail("this list is empty", "nothing can be in it", token)
        return Items(tuple(items), token.at)

    def expect(self, text: str, opened: Token) -> None:
        if self.token.kind == "end":
            _fail(f"a `{text}` is missing for this `{opened.text}`", "", opened)
        if not self.peek(text):
            self.unexpected()
        self.take()

    def absent(self) -> ExpressionError:
        """Where a value should stand there is something else."""
        token = self.token
        if token.kind == "end":
            return ExpressionError("a value is missing at the end", "a name, a number or a text", token.at)
        hint = "a name, a number or a text should stand here"
        if token.text == "+":
            hint = "a number has no `+`"
        elif token.text in ("and", "or"):
            hint = f"something is missing before `{token.text}`"
        return ExpressionError(f"{shown(token.text)} is not expected here", hint, token.at)

    def unexpected(self) -> NoReturn:
        """After a complete value there is something that does not join it."""
        token = self.token
        before = self.tokens[self.index - 1]
        hint = "join two conditions with `and` or `or`"
        if token.kind == "name" and token.text.lower() in ASKED:
            hint = f"write {ASKED[token.text.lower()]}"
        elif token.kind == "name" and token.text.lower() in POWERS:
            hint = f"write `{token.text.lower()}`"
        elif token.text == ")":
            hint = "no `(` is open"
        elif token.text == "," and before.kind == "number":
            hint = "a number has no comma: 1000, or 1k"
        elif token.text == "," or token.text == "]":
            hint = "only lists and functions have commas and brackets"
        elif token.text == "(" or token.text == "[":
            hint = "functions are named right before `(`" if token.text == "(" else "write `in` before a list"
        elif token.kind == "number" and before.kind == "name":
            hint = "compare with <, <=, >, >=, == or !="
        _fail(f"{shown(token.text)} is not expected here", hint, token)


def _named(token: Token) -> Node:
    if token.text.startswith("lists."):
        return Listed(token.text.removeprefix("lists."), token.at)
    return Ref(token.text, token.at)


def _minus(node: Node, at: int) -> Node:
    return Number(-node.value, node.unit, at) if isinstance(node, Number) else Negate(node, at)


def _terms(kind: type[And] | type[Or], node: Node) -> tuple[Node, ...]:
    return node.terms if isinstance(node, And | Or) and isinstance(node, kind) else (node,)


def _example(function: str) -> str:
    examples = {
        "starts_with": 'as in `starts_with(req.model, "gpt-")`',
        "ends_with": 'as in `ends_with(req.model, "-preview")`',
        "matches_glob": 'as in `matches_glob(req.model, "gpt-*")`',
        "count": "as in `count(account.tags)`",
        "any_in": 'as in `any_in(account.tags, ["lab", "evaluator"])`',
    }
    return examples[function]


def _fail(message: str, hint: str, token: Token) -> NoReturn:
    raise ExpressionError(message, hint, token.at)
