"""Pure. Why a YAML parser gave up, in the words of who wrote the file: the place, what is wrong, and what to do.

A parser says where it could not go on; the slip is often earlier, or of another kind: a text that begins with quotes
and goes on after them, a bracket too many, a `#` that made the rest of a line a comment.
"""

import re
from typing import NamedTuple

import yaml

__all__ = ["Unreadable", "unreadable"]

WORDS = (  # what either parser says -> what we say
    ("mapping values are not allowed", "a `:` is not expected here", "quote the text, or look at the indentation"),
    ("could not find expected ':'", "a key without `:`", ""),
    ("',' or '}'", "a `,` or the closing `}` is missing", "or quote a text with a comma, bracket or `: ` in it"),
    ("',' or ']'", "a `,` or the closing `]` is missing", ""),
    ("cannot start any token", "a value can't begin with this character", "put quotes around the value"),
    ("alphabetic or numeric", "aliases are not supported", "put quotes around a text that begins with `*` or `&`"),
    ("expected key|<block end>|'-' indicator", "this does not fit the lines above", "look at the indentation"),
    ("node content", "a value is missing, or a bracket that closes", ""),
    ("end of stream", "a text in quotes that does not end", "close the quotes"),
    ("escape", "unknown escape after `\\`", "single quotes take everything as it is"),
)
MISFIT = WORDS[6][1]
CONDITION = re.compile(r"(?:^|[{,\s])(?:when|read|needs): (?:(?!, *\w+:).)*$")
WHOLE = "put quotes around the whole condition, as in when: '\"evaluator\" in account.labels'"
COMMENT = re.compile(r"\s#")


class Unreadable(NamedTuple):
    """`line` and `column` count from 1. An empty `message`: the parser's words have no translation."""

    line: int
    column: int
    message: str
    hint: str


def unreadable(error: yaml.MarkedYAMLError, lines: list[str]) -> Unreadable:
    """Where and why a file of these lines can't be read."""
    problem = error.problem or error.context or ""
    began = error.context_mark
    mark = (began if "end of stream" in problem else None) or error.problem_mark or began
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    if line > len(lines):  # the end of the file, as one of the parsers counts it
        line, column = len(lines), len(lines[-1]) + 1
    message, hint = next((said for words, *said in WORDS if re.search(words, problem)), ("", ""))
    before, here = lines[line - 1][: column - 1], lines[line - 1][column - 1 : column]
    if message == MISFIT and before.strip():
        if here in ("}", "]"):
            return Unreadable(line, column, f"there is a `{here}` too many", "remove it, or open it before")
        closed = before.rstrip()[-1]
        hint = f"is there a `{closed}` too many?" if here == "," and closed in "}]" else _quote(before)
        return Unreadable(line, column, "the value has ended before this", hint)
    if "',' or '" in problem and began is not None:
        if here in ("}", "]") and before.strip():
            return Unreadable(line, column, f"a `{here}` is not expected here", "look for the bracket that it closes")
        if began.line + 1 < line:
            bracket = lines[began.line][began.column : began.column + 1]
            hint = f"the `{bracket}` at {began.line + 1}:{began.column + 1} is still open"
            if any(COMMENT.search(each) for each in lines[began.line : line - 1]):
                hint += "; ` #` begins a comment: put quotes around a text with it"
        elif CONDITION.search(before[began.column :]):
            hint = WHOLE
    return Unreadable(line, column, message, hint)


def _quote(before: str) -> str:
    return WHOLE if CONDITION.search(before) else "put quotes around the whole value, single ones if it has double ones"
