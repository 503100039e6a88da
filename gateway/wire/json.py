"""Pure. JSON that every reader reads alike, and textual edits that leave all other bytes as they are."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jiter
import orjson

from gateway.errors import Refusal

__all__ = ["MAX_DEPTH", "REMOVE", "edit", "parse"]

MAX_VALUES = 400_000
"""Commas and opening brackets, prose included: reading them takes a good part of a second. A megabyte of English has
some 15,000."""
MAX_DEPTH = 128  # arrays and objects within each other; CPython's reader fails at 1,000, pydantic's below that
LARGEST = 2**63 - 1  # of an integer; beyond it readers round, wrap or refuse
SMALLEST = -(2**63)
PLACE = re.compile(r" at line (\d+) column (\d+)$")
LEAVES = frozenset((str, bool, type(None)))
BLANK = re.compile(rb"[ \t\r\n]*+")
SCALAR = re.compile(rb"[^,\]}\s]++")
MARK = re.compile(rb'["{}\[\]]')


class _Remove:
    def __repr__(self) -> str:
        return "REMOVE"


REMOVE: Final = _Remove()
"""As a new value: the member goes, with its comma."""


def parse(body: bytes) -> Any:
    """The one JSON value (RFC 8259) in these bytes.

    Raises Refusal (400, `invalid_json`) for what readers read differently, besides what is no JSON: a key twice in one
    object (however it is escaped), NaN and infinities, numbers that overflow a double, integers beyond 64 bits, lone
    surrogates, any encoding but UTF-8, a byte order mark, and nesting deeper than 128.
    """
    if len(body) > MAX_VALUES and body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        detail = f"The body may hold more than {MAX_VALUES} values."
        raise Refusal("too_large", 413, "too_many_values", detail, retry=False)
    try:
        value = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        # The reader's own words may quote a key, so they go no further.
        message = str(error)
        place = PLACE.search(message)
        at = f" (byte {_offset(body, int(place[1]), int(place[2]))})" if place else ""
    else:
        _check((value,))
        return value
    if message.startswith("Detected duplicate key"):
        reason = "An object in the body has the same key twice"
    elif message.startswith("recursion limit"):
        reason = f"The body is nested deeper than {MAX_DEPTH}"
    elif message.startswith("number out of range"):
        reason = "A number in the body is out of range"
    else:
        reason = "The body is not valid JSON in UTF-8"
    raise _refusal(f"{reason}{at}.")


def edit(body: bytes, edits: Mapping[tuple[str, ...], Any]) -> bytes:
    """A valid JSON object with the named members changed and every other byte kept.

    A path names a member through nested objects. A missing member is put at the end of its object, with the objects on
    its way; what is no object on its way is replaced by one. `REMOVE` takes a member out. No edits give the same object
    back. Raises ValueError for an empty path, one path inside another, or a body that is no object.
    """
    if not edits:
        return body
    tree: dict[str, Any] = {}
    for path, value in edits.items():
        _plant(tree, path, value)
    start = _skip(body, 0)
    if body[start : start + 1] != b"{":
        raise ValueError("not a JSON object")
    changes: list[tuple[int, int, bytes]] = []
    _edit_object(body, start, tree, changes)
    pieces: list[bytes] = []
    done = 0
    for begin, end, text in changes:
        pieces += (body[done:begin], text)
        done = end
    return b"".join((*pieces, body[done:])) if changes else body


def _check(values: Iterable[Any], depth: int = 0) -> None:
    """Refuses deep nesting and numbers out of range. It calls itself `MAX_DEPTH` times at most."""
    if depth > MAX_DEPTH:
        raise _refusal(f"The body is nested deeper than {MAX_DEPTH}.")
    for value in values:
        kind = type(value)
        if kind in LEAVES:
            continue
        if kind is dict:
            _check(value.values(), depth + 1)
        elif kind is list:
            _check(value, depth + 1)
        elif kind is int:
            if not SMALLEST <= value <= LARGEST:
                raise _refusal("An integer in the body does not fit 64 bits.")
        elif value - value != 0:
            raise _refusal("A number in the body is too large for a double.")


def _offset(body: bytes, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = body.find(b"\n", start) + 1
    return max(0, start + column - 1)


def _refusal(detail: str) -> Refusal:
    return Refusal("bad_request", 400, "invalid_json", detail)


class _Node(dict[str, Any]):
    """Edits below a member, told apart from a new value that happens to be a dict."""


def _plant(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if not path:
        raise ValueError("an empty path")
    for step in path[:-1]:
        inner = tree.setdefault(step, _Node())
        if not isinstance(inner, _Node):
            raise ValueError("one path inside another")  # noqa: TRY004 - the value is at fault, not its type
        tree = inner
    if path[-1] in tree:
        raise ValueError("one path inside another")
    tree[path[-1]] = value


def _skip(body: bytes, at: int) -> int:
    match = BLANK.match(body, at)
    assert match is not None
    return match.end()


def _end(body: bytes, at: int) -> int:
    """Where the value that begins here ends."""
    first = body[at : at + 1]
    if first == b'"':
        return _string_end(body, at)
    if first not in (b"{", b"["):
        scalar = SCALAR.match(body, at)
        if scalar is None:
            raise ValueError("not valid JSON")
        return scalar.end()
    depth = 0
    while True:
        mark = MARK.search(body, at)
        if mark is None:
            raise ValueError("not valid JSON")
        if mark[0] == b'"':
            at = _string_end(body, mark.start())
            continue
        at = mark.end()
        depth += 1 if mark[0] in (b"{", b"[") else -1
        if depth == 0:
            return at


def _string_end(body: bytes, at: int) -> int:
    """Where the string that begins here ends: at the next quote with an even number of backslashes before it."""
    while True:
        end = body.find(b'"', at + 1)
        if end < 0:
            raise ValueError("not valid JSON")
        piece = body[at + 1 : end]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 0:
            return end + 1
        at = end


def _members(body: bytes, start: int) -> list[tuple[str, int, int, int]]:
    """Key, start of the key, start and end of the value, for each member of the object that begins here."""
    found = []
    at = _skip(body, start + 1)
    while body[at : at + 1] == b'"':
        end = _string_end(body, at)
        key = orjson.loads(body[at:end])
        value = _skip(body, _skip(body, end) + 1)  # past the colon
        end = _end(body, value)
        found.append((key, at, value, end))
        at = _skip(body, end)
        if body[at : at + 1] == b",":
            at = _skip(body, at + 1)
    return found


def _edit_object(body: bytes, start: int, tree: dict[str, Any], changes: list[tuple[int, int, bytes]]) -> None:
    """Appends the changes to the object that begins here, in the order of their places."""
    members = _members(body, start)
    names = {key for key, *_ in members}
    added = {key: new for key, value in tree.items() if key not in names and (new := _fresh(value)) is not REMOVE}
    text = b",".join(orjson.dumps(key) + b":" + orjson.dumps(value) for key, value in added.items())
    kept = [member for member in members if tree.get(member[0]) is not REMOVE]
    before = 0  # kept members passed so far
    gap = 0  # start of a run of members that go; 0 = none
    for key, key_start, value_start, value_end in members:
        value = tree.get(key)
        if value is REMOVE:
            gap = gap or key_start
            continue
        if gap:
            changes.append((gap, key_start, b""))
            gap = 0
        before = value_end
        if isinstance(value, _Node):
            if body[value_start : value_start + 1] == b"{":
                _edit_object(body, value_start, value, changes)
            elif (new := _fresh(value)) is not REMOVE:
                changes.append((value_start, value_end, orjson.dumps(new)))
        elif key in tree:
            changes.append((value_start, value_end, orjson.dumps(value)))
    if gap:  # the last members go, and with them the comma before them
        changes.append((before or gap, members[-1][3], b"," + text if kept and text else text))
    elif text:
        at = before or start + 1
        changes.append((at, at, b"," + text if kept else text))


def _fresh(value: Any) -> Any:
    """The value that these edits make where nothing was; REMOVE if they make nothing."""
    if not isinstance(value, _Node):
        return value
    made = {key: new for key, child in value.items() if (new := _fresh(child)) is not REMOVE}
    return made or REMOVE
