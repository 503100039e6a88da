"""Pure. Two policies, packs and lists resolved -> what differs, by section and id. Order and comments don't count.

Items are told apart by `id`, or by `name` where they have none, other mappings in lists by their place; lists of plain
values are compared by what they hold.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from gateway.documents import shown
from gateway.policy.overlay import NAMED

__all__ = ["Change", "Difference", "as_text", "compare"]

Kind = Literal["added", "removed", "changed"]
Flat = dict[tuple[str, ...], Any]

SHOWN = 20  # values that people are shown of one list
LONGEST = 500  # characters of a text that people are shown whole: conditions are to be read
SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "changed": "~"}
ABSENT: Any = object()


class Difference(msgspec.Struct, frozen=True):
    """One value: `path` is dotted, a list's values have the list's. The side that has none is None."""

    path: str
    kind: Kind
    old: Any = None
    new: Any = None


class Change(msgspec.Struct, frozen=True):
    """An item, a named object or a whole section (`id` is empty) that differs, and every value of it that does."""

    section: str
    id: str
    kind: Kind
    fields: tuple[Difference, ...]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """What differs between the data of two policies (`Loaded.data`), in the order of the new one."""
    changes = []
    for section in _both(new, old):
        before, after = _objects(section, old), _objects(section, new)
        for name in _both(after, before):
            kind: Kind = "added" if name not in before else "removed" if name not in after else "changed"
            fields = tuple(_differences(_flat((), before.get(name, {})), _flat((), after.get(name, {}))))
            if fields or kind != "changed":
                changes.append(Change(section, name, kind, fields))
    return changes


def as_text(changes: list[Change]) -> str:
    """For people: a line an object, and below it a line a value."""
    lines = []
    for change in changes:
        lines.append(f"{SIGNS[change.kind]} {change.section}{f' {change.id}' if change.id else ''}")
        counts: Counter[tuple[str, Kind]] = Counter()
        for field in change.fields:
            counts[field.path, field.kind] += 1
            if counts[field.path, field.kind] <= SHOWN:
                lines.append(f"    {SIGNS[field.kind]} {field.path}: {_line(field)}")
        lines += [
            f"    {SIGNS[kind]} {path}: {count - SHOWN} more" for (path, kind), count in counts.items() if count > SHOWN
        ]
    return "".join(f"{line}\n" for line in lines)


def _line(field: Difference) -> str:
    if field.kind == "changed":
        return f"{_shown(field.old)} -> {_shown(field.new)}"
    return _shown(field.new if field.kind == "added" else field.old)


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and len(value) <= LONGEST and value.isprintable():
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)[:LONGEST]
    return '""' if value == "" else shown(value).strip("`")


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [*first, *(each for each in second if each not in first)]


def _objects(section: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A section's objects by name. Sections of plain keys are one object without a name."""
    value = data.get(section, ABSENT)
    if value is ABSENT:
        return {}
    if isinstance(value, list):
        return _named(value)
    return dict(value) if section in NAMED and isinstance(value, dict) else {"": value}


def _named(items: list[Any]) -> dict[str, Any]:
    """Items by id, by name or, where that doesn't tell them apart, by place."""
    for key in ("id", "name"):
        if all(isinstance(item, dict) and isinstance(item.get(key), str) for item in items):
            found = {item[key]: {word: value for word, value in item.items() if word != key} for item in items}
            if len(found) == len(items):
                return found
    return {str(at): item for at, item in enumerate(items)}


def _flat(path: tuple[str, ...], value: Any) -> Flat:
    """Every value by its path; a list of plain values is one."""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        value = _named(value)
    if not isinstance(value, dict) or (not value and path):
        return {path: value}
    found: Flat = {}
    for key, child in value.items():
        found.update(_flat((*path, key), child))
    return found


def _differences(old: Flat, new: Flat) -> Iterator[Difference]:
    for path in [*new, *(each for each in old if each not in new)]:
        before, after, dotted = old.get(path, ABSENT), new.get(path, ABSENT), ".".join(path)
        if isinstance(before, list) and isinstance(after, list):
            yield from _held(dotted, before, after)
        elif before is ABSENT:
            yield from _held(dotted, [], after) if after and isinstance(after, list) else [_added(dotted, after)]
        elif after is ABSENT:
            yield from _held(dotted, before, []) if before and isinstance(before, list) else [_removed(dotted, before)]
        elif _key(before) != _key(after):
            yield Difference(dotted, "changed", before, after)


def _held(path: str, old: list[Any], new: list[Any]) -> Iterator[Difference]:
    """What one list holds more often than the other."""
    before, after = Counter(map(_key, old)), Counter(map(_key, new))
    yield from (_added(path, json.loads(key)) for key in (after - before).elements())
    yield from (_removed(path, json.loads(key)) for key in (before - after).elements())


def _key(value: Any) -> str:
    """Tells `1`, `true` and `1.0` apart, which Python takes for the same."""
    return json.dumps(value, sort_keys=True)


def _added(path: str, value: Any) -> Difference:
    return Difference(path, "added", new=value)


def _removed(path: str, value: Any) -> Difference:
    return Difference(path, "removed", old=value)
