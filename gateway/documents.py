"""Pure. YAML text -> plain data that knows its place: a line and a column for every key and value.

The language is the core schema of YAML 1.2 without what two readers could understand differently: no tags, anchors,
aliases, merge keys, directives or tabs, no key twice, one document. `on`, `NO`, `12:30:00` and `2026-01-01` are text.
Any bytes give data or located findings. The text is taken apart event by event, with a stack of our own, so that depth
and size are bounded before anything is built.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Literal, Union
from unicodedata import east_asian_width

import msgspec
import yaml

from gateway.errors import Mistake
from gateway.unreadable import unreadable

__all__ = [
    "Document",
    "DocumentErrors",
    "Finding",
    "Mark",
    "Step",
    "did_you_mean",
    "in_order",
    "parse",
    "render",
    "shown",
]

MAX_BYTES = 1_048_576
MAX_DEPTH = 40
MAX_VALUES = 100_000  # keys and values
MAX_FINDINGS = 100  # shown of one file
MAX_NUMBER = 40  # characters
WIDTH = 120  # columns of a source line that are shown
SHIFT = 26  # a place is packed as line << SHIFT | column, which holds any file of up to 64 MiB

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

BREAK = re.compile("\r\n?")
STRANGE = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML 1.2 doesn't print, a tab, the line breaks of YAML 1.1, and the marks that reorder what a reader sees."""

NUMBER = re.compile(
    r"(?P<int>[-+]?[0-9]+)|0o(?P<oct>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<endless>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
Node = Union[int, tuple[int, dict[str, tuple[int, "Node"]]], tuple[int, list["Node"]]]  # noqa: UP007
"""A packed place, and for a container the nodes of its children (a mapping's with the place of their key)."""

Step = str | int


class Mark(msgspec.Struct, frozen=True, gc=False, order=True):
    """A place in a file; both count from 1, columns in characters."""

    line: int
    column: int


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing that is wrong with a file, where, and what to do. `code` is a stable word for machines."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    code: str = "error"
    private: bool = False  # the line may hold a secret: it is not shown

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint}"


class DocumentErrors(Mistake):
    """All that is wrong with a file. The message has one line a finding."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = in_order(findings)
        super().__init__("\n".join(map(str, self.findings)))


class Document(msgspec.Struct, frozen=True):
    """A parsed file: `data` is made of dict, list, str, int, float, bool and None."""

    file: str
    data: Any
    nodes: Node
    private: bool = False

    def value(self, path: Sequence[Step]) -> Mark:
        """The place of a value. Steps that lead nowhere (tags of a union, defaults) are skipped."""
        return _mark(self._walk(path)[1])

    def key(self, path: Sequence[Step]) -> Mark:
        """The place of the last key of a path; of an item, the item's. Steps that lead nowhere are skipped."""
        return _mark(self._walk(path)[0])

    def finding(
        self,
        path: Sequence[Step],
        message: str,
        *,
        hint: str = "",
        code: str = "error",
        key: bool = False,
        severity: Literal["error", "warning"] = "error",
        offset: int = 0,
    ) -> Finding:
        """A finding at a path's value, or at its key; `offset` moves it to the right."""
        at = self.key(path) if key else self.value(path)
        return Finding(self.file, at.line, at.column + offset, message, hint, severity, code, self.private)

    def _walk(self, path: Sequence[Step]) -> tuple[Node, Node]:
        key: Node = self.nodes
        node: Node = self.nodes
        for step in path:
            children = None if isinstance(node, int) else node[1]
            if isinstance(children, dict) and isinstance(step, str) and step in children:
                key, node = children[step]
            elif isinstance(children, list) and isinstance(step, int) and 0 <= step < len(children):
                key = node = children[step]
        return key, node


def parse(
    text: bytes | str, file: str, *, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES, private: bool = False
) -> Document:
    """The data of a YAML file. Raises DocumentErrors.

    `private`: nothing of the file may be shown in a finding, and every value that isn't empty is text, since a digest
    such as `12e45` is no number.
    """
    reader = _Reader(file, private)
    data, node = reader.read(reader.decode(text, max_bytes), max_values)
    if reader.findings:
        raise DocumentErrors(reader.findings)
    return Document(file, data, node, private)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`did you mean x?` for the known word that is nearest, or an empty text."""
    if not isinstance(word, str) or not 0 < len(word) <= 64:
        return ""
    folded = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean `{folded[near[0]]}`?" if near else ""


def shown(value: object) -> str:
    """A value for a message: one line, printable, at most 40 characters."""
    if value is None or isinstance(value, dict | list):
        return "nothing" if value is None else f"a {'mapping' if isinstance(value, dict) else 'list'}"
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    text = "".join(letter if letter.isprintable() else "·" for letter in text[:41])
    return f"`{text[:39]}…`" if len(text) > 40 else f"`{text}`"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By place; after the first hundred only how many more there are."""
    every = sorted(findings, key=lambda each: (each.file, each.line, each.column, each.message))
    if len(every) <= MAX_FINDINGS:
        return every
    at = every[MAX_FINDINGS]
    rest = Finding(at.file, at.line, at.column, f"{len(every) - MAX_FINDINGS} more findings", code="more")
    return [*every[:MAX_FINDINGS], rest]


def render(finding: Finding, source: str) -> str:
    """A finding as people read it: place and message, the source line with a caret under it, the hint."""
    kind = "error" if finding.severity == "error" else f"warning ({finding.code})"
    lines = [f"{finding.file}:{finding.line}:{finding.column}: {kind}: {finding.message}"]
    text = BREAK.sub("\n", source.removeprefix("\ufeff")).split("\n")
    if not finding.private and 0 < finding.line <= len(text) and text[finding.line - 1].strip():
        line, at = text[finding.line - 1], finding.column - 1
        first = max(0, at - WIDTH * 2 // 3) if len(line) > WIDTH else 0
        cells = "".join(letter if letter.isprintable() else "·" for letter in line[first : first + WIDTH])
        before = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in cells[: at - first])
        number = str(finding.line)
        lines.append(f"  {number} | {cells}")
        lines.append(f"  {' ' * len(number)} | {' ' * before}^")
    if finding.hint:
        lines.append(f"  hint: {finding.hint}")
    return "\n".join(lines)


def _mark(node: Node) -> Mark:
    packed = node if isinstance(node, int) else node[0]
    return Mark(packed >> SHIFT, packed & ((1 << SHIFT) - 1))


STAR = "put quotes around a text that begins with `*`, or write the value again"
DROPPED = object()
"""Stands for a key that was refused: its value is read and forgotten."""


class _Open:
    """A mapping or list whose end has not come. `key` is None where a mapping waits for its next key."""

    __slots__ = ("at", "data", "key", "key_at", "nodes")

    def __init__(self, data: Any, at: int) -> None:
        self.data = data
        self.nodes: Any = {} if isinstance(data, dict) else []
        self.at = at
        self.key: object = None
        self.key_at = 0

    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.data, dict)

    def add(self, value: Any, node: Node) -> None:
        if isinstance(self.data, list):
            self.data.append(value)
            self.nodes.append(node)
        elif self.key is None:  # a mapping or a list where a key should be
            self.key = DROPPED
        else:
            if self.key is not DROPPED:
                self.data[self.key] = value
                self.nodes[self.key] = (self.key_at, node)
            self.key = None


class _Reader:
    def __init__(self, file: str, private: bool) -> None:
        self.file = file
        self.private = private
        self.findings: list[Finding] = []

    def find(self, line: int, column: int, message: str, code: str, hint: str = "") -> None:
        self.findings.append(Finding(self.file, line, column, message, hint, "error", code, self.private))
        if len(self.findings) > MAX_FINDINGS:
            raise DocumentErrors(self.findings)

    def at(self, event: Any, message: str, code: str, hint: str = "") -> None:
        mark = event.start_mark
        self.find(mark.line + 1, mark.column + 1, message, code, hint)

    def stop(self, line: int, column: int, message: str, code: str, hint: str = "") -> DocumentErrors:
        self.find(line, column, message, code, hint)
        return DocumentErrors(self.findings)

    def decode(self, text: bytes | str, max_bytes: int) -> str:
        """Text with `\\n` as its only line break and nothing in it that can't be seen."""
        try:
            raw = text.encode("utf-8") if isinstance(text, str) else text
            if len(raw) > max_bytes:
                raise self.stop(1, 1, f"the file is larger than {max_bytes // 1024} KiB", "yaml-size")
            plain = raw.decode("utf-8")
        except UnicodeEncodeError as error:
            raise self._bad(error.object[: error.start], "a lone surrogate", "yaml-encoding") from None
        except UnicodeDecodeError as error:
            before = raw[: error.start].decode("utf-8", "replace")
            raise self._bad(before, "this byte is not UTF-8", "yaml-encoding", "save the file as UTF-8") from None
        plain = BREAK.sub("\n", plain.removeprefix("\ufeff"))
        strange = STRANGE.search(plain)
        if strange is not None:
            letter, before = strange.group(), plain[: strange.start()]
            if letter == "\t":
                raise self._bad(before, "a tab", "yaml-tab", 'use spaces; in a text write "\\t"')
            raise self._bad(before, f"the character U+{ord(letter):04X} can't be seen", "yaml-character", "remove it")
        return plain

    def _bad(self, before: str, message: str, code: str, hint: str = "") -> DocumentErrors:
        *above, last = BREAK.sub("\n", before.removeprefix("\ufeff")).split("\n")
        return self.stop(len(above) + 1, len(last) + 1, message, code, hint)

    def read(self, text: str, max_values: int) -> tuple[Any, Node]:
        """Data and its places. Findings that needn't stop are collected."""
        root = _Open([], 1 << SHIFT | 1)
        stack = [root]
        values = documents = 0
        try:
            event: Any
            for event in yaml.parse(text, Loader=LOADER):
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self._scalar(stack[-1], event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self._container(stack, event)
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    done = stack.pop()
                    stack[-1].add(done.data, (done.at, done.nodes))
                    continue
                elif kind is yaml.AliasEvent:
                    self.at(event, "aliases are not supported", "yaml-alias", STAR)
                    stack[-1].add(None, _place(event))
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        self.at(event, "a second document begins", "yaml-documents", "one file holds one document")
                        break
                    if event.version not in (None, (1, 2)) or event.tags:
                        self.find(1, 1, "directives are not supported", "yaml-directive", "remove the line with `%`")
                values += 1
                if values > max_values:
                    mark = event.start_mark
                    raise self.stop(mark.line + 1, mark.column + 1, f"more than {max_values} values", "yaml-size")
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error, text.split("\n")) from None
        except yaml.YAMLError:
            raise self.stop(1, 1, "this is not YAML", "yaml-syntax") from None
        return (root.data[0], root.nodes[0]) if root.data else (None, root.at)

    def _syntax(self, error: yaml.MarkedYAMLError, lines: list[str]) -> DocumentErrors:
        line, column, message, hint = unreadable(error, lines)
        said = "this is not YAML" if self.private else shown(error.problem or error.context or "")[1:-1]
        return self.stop(line, column, message or said, "yaml-syntax", hint)

    def _container(self, stack: list[_Open], event: Any) -> None:
        self._plain(event)
        if stack[-1].wants_key():
            self.at(event, "a key must be text", "yaml-key")
        if len(stack) > MAX_DEPTH:
            mark = event.start_mark
            raise self.stop(mark.line + 1, mark.column + 1, f"nested more than {MAX_DEPTH} deep", "yaml-depth")
        stack.append(_Open({} if type(event) is yaml.MappingStartEvent else [], _place(event)))

    def _plain(self, event: Any) -> None:
        if event.tag is not None:
            self.at(event, "tags are not supported", "yaml-tag", "remove the word that begins with `!`, or quote it")
        if event.anchor is not None:
            self.at(event, "anchors are not supported", "yaml-anchor", "remove the word that begins with `&`")

    def _scalar(self, top: _Open, event: Any) -> None:
        if event.tag is not None or event.anchor is not None:
            self._plain(event)
        text = event.value
        value = self._resolved(event, text) if event.implicit[0] else text
        if not top.wants_key():
            top.add(value, _place(event))
            return
        top.key, top.key_at = DROPPED, _place(event)
        value = text if type(value) in (int, float) else value  # the values of a curve, as they are written
        if not isinstance(value, str):
            self.at(event, "a key must be text", "yaml-key", "" if self.private else f'write "{text[:40]}"')
        elif value == "<<" and event.implicit[0]:
            self.at(event, "merge keys are not supported", "yaml-merge", "a plan can say `extends`")
        elif value in top.data:
            first = _mark(top.nodes[value][0])
            what = f"{'this key' if self.private else f'the key {shown(value)}'} is here twice; the first is at"
            self.at(event, f"{what} {first.line}:{first.column}", "yaml-duplicate", "remove one of them")
        else:
            top.key = value

    def _resolved(self, event: Any, text: str) -> Any:
        """A plain scalar by the core schema of YAML 1.2 (section 10.3.2)."""
        if text in CONSTANTS and (CONSTANTS[text] is None or not self.private):
            return CONSTANTS[text]
        number = NUMBER.fullmatch(text) if text[0] in "0123456789+-." and not self.private else None
        if number is None:
            return text
        if len(text) > MAX_NUMBER or number["endless"]:
            self.at(event, "this number is not one that can be used", "yaml-number", "put quotes around a text")
            return 0
        if number["float"]:
            value = float(text)
            if value in (float("inf"), float("-inf")):
                self.at(event, "this number is too large", "yaml-number")
                return 0
            return value
        if number["int"]:
            return int(text)
        return int(number["oct"], 8) if number["oct"] else int(number["hex"], 16)


def _place(event: Any) -> int:
    mark: Mark = event.start_mark  # counts from 0
    return (mark.line + 1) << SHIFT | (mark.column + 1)
