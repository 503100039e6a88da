"""Pure. One section of several files -> one: items told apart by `id`, plans and lists by name, and what changes them.

`replaces: true` puts a whole new object in the place of the one that a file before gave. `set` gives single values:
its keys lead through mappings by their keys and through lists by the `id` of their items, as in
`evidence.logprobs.ceiling`. A changed value has the place of the word that changed it.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import msgspec

from gateway.documents import MAX_FINDINGS, SHIFT, Document, Finding, Node, Step, did_you_mean, shown

__all__ = ["FILE", "ITEMS", "NAMED", "Notes", "Overlay", "changeable", "moved"]

ITEMS = ("limits", "scorecards", "rules", "exceptions")
NAMED = ("plans", "lists")
FILE = 2 * SHIFT
"""A place is packed as file << FILE | line << SHIFT | column."""

MAX_KEY = 300  # characters of a dotted key
MAX_ITEMS = 1_000  # of a list that a dotted key leads through
MAX_SET = 1_000  # values that one section of one file sets


def _first(value: object) -> tuple[str, ...]:
    """The way to the first single value of a mapping."""
    way: list[str] = []
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        way.append(str(key))
    return tuple(way)


class Notes:
    """Findings as they come."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.lost = False  # a file that could not be read: what it brings is not missed a second time

    def find(
        self, document: Document, path: tuple[Step, ...], message: str, hint: str = "", code: str = "pack", **more: Any
    ) -> None:
        self.findings.append(document.finding(path, message, hint=hint, code=code, **more))

    def near(self, word: object, known: Iterable[object]) -> str:
        """A suggestion, unless so much is wrong already that it won't be shown."""
        if len(self.findings) > MAX_FINDINGS:
            return ""
        return did_you_mean(word, (each for each in islice(known, MAX_ITEMS) if isinstance(each, str)))


class Overlay:
    """A section as it stands after the files that `take` was called with, in their order."""

    def __init__(self, section: str, notes: Notes) -> None:
        self.section = section
        self.notes = notes
        self.entries: dict[object, _Entry] = {}
        self.place: Any = None  # places of the section's key and of its value, in the last file that has it
        self.odd: Any = None  # a value of the wrong type, as it stands in a file

    def take(self, document: Document, number: int) -> None:
        """Lays the section of one more file on top. `number`: the file's, for the places of its values."""
        data = document.data.get(self.section)
        if self.odd is not None or self.section not in document.data:
            return
        nodes: Any = document.nodes
        key, node = nodes[1][self.section]
        self.place = (moved(key, number), moved(node, number))
        if isinstance(data, list if self.section in ITEMS else dict):
            _Layer(self, document, number).take(data, node[1])
        else:
            self.odd = (data,)

    def result(self) -> tuple[Any, Any]:
        """Data, and places with that of the key. A value of the wrong type is left to the check of shapes."""
        key, node = self.place
        if self.odd is not None:
            return self.odd[0], (key, node)
        entries = self.entries
        if self.section in ITEMS:
            return [each.data for each in entries.values()], (key, (node[0], [each.node for each in entries.values()]))
        places = {name: (each.key, each.node) for name, each in entries.items()}
        return {name: each.data for name, each in entries.items()}, (key, (node[0], places))


class _Entry(msgspec.Struct):
    """An item, or a named object."""

    data: Any
    node: Any
    key: int  # the place of its name
    at: str  # the same for people: file:line:column


class _Layer:
    """One section of one file, on its way into the entries of the files before it."""

    def __init__(self, overlay: Overlay, document: Document, number: int) -> None:
        self.notes = overlay.notes
        self.section = overlay.section
        self.entries = overlay.entries
        self.document = document
        self.number = number
        self.word = self.section[:-1]
        self.values = 0  # that were set
        self.seen: dict[str, tuple[tuple[Step, ...], bool]] = {}  # name -> its path here, and whether it is a change

    def take(self, data: Any, nodes: Any) -> None:
        if self.section in ITEMS:
            for at, (item, node) in enumerate(zip(data, nodes, strict=True)):
                name = item.get("id") if isinstance(item, dict) else None
                self._one((self.section, at), name if isinstance(name, str) else None, item, node, 0)
        else:
            for name, item in data.items():
                key, node = nodes[name]
                self._one((self.section, name), name, item, node, key)

    def find(self, path: tuple[Step, ...], message: str, hint: str = "", code: str = "pack", **more: Any) -> None:
        self.notes.find(self.document, path, message, hint, code, **more)

    def _one(self, path: tuple[Step, ...], name: str | None, item: Any, node: Any, key: int) -> None:
        change = isinstance(item, dict) and ("set" in item or "replaces" in item)
        if name is None:
            if change:
                self.find(path, "`id` is missing: what does this change?", code="missing")
            else:
                self._put(path, path, item, node, key)
            return
        twice, before = name in self.seen, self.entries.get(name)
        if twice and (change or self.seen[name][1]):
            first = self.document.key(self.seen[name][0])
            message = f"the {self.word} {shown(name)} is here twice; the first is at {first.line}:{first.column}"
            self.find(path, message, "write once what it should be", key=True)
            return
        self.seen[name] = (path, change)
        if change and before is None and self.notes.lost:
            return
        if change and before is None:
            hint = self.notes.near(name, self.entries) or "only what a pack brings can be changed"
            where = (*path, "id") if self.section in ITEMS else path
            self.find(where, f"there is no {self.word} {shown(name)} to change", hint, key=self.section in NAMED)
        elif change and "set" in item:
            self._set(path, name, item)
        elif change:
            self._replace(path, name, item, node, key)
        elif twice:  # the section's own check says so
            self._put(path, path, item, node, key)
        elif before is not None:
            message = f"the {self.word} {shown(name)} is also at {before.at}"
            hint = "`replaces: true` takes its place, `set: {...}` changes single values of it"
            where = (*path, "id") if self.section in ITEMS else path
            self.find(where, message, hint, key=self.section in NAMED)
        else:
            self._put(name, path, item, node, key)

    def _put(self, name: object, path: tuple[Step, ...], item: Any, node: Any, key: int) -> None:
        here = self.document.finding(path, "", key=True)
        at = f"{here.file}:{here.line}:{here.column}"
        name = name if isinstance(name, str) else (self.number, name)
        self.entries[name] = _Entry(item, moved(node, self.number), key | self.number << FILE, at)

    def _replace(self, path: tuple[Step, ...], name: str, item: dict[str, Any], node: Any, key: int) -> None:
        if item["replaces"] is not True:
            hint = "leave it out where nothing is replaced"
            self.find((*path, "replaces"), f"this must be true, not {shown(item['replaces'])}", hint, "value")
            return
        places = {word: place for word, place in node[1].items() if word != "replaces"}
        self._put(name, path, {word: item[word] for word in places}, (node[0], places), key)

    def _set(self, path: tuple[Step, ...], name: str, item: dict[str, Any]) -> None:
        for word in item:
            if word != "set" and (word != "id" or self.section in NAMED):
                hint = "put it into `set`, or give the whole with `replaces: true` and without `set`"
                self.find((*path, word), f"{shown(word)} can't stand beside `set`", hint, key=True)
        given = item["set"]
        if not isinstance(given, dict):
            hint = "as in `set: {mode: shadow}`"
            self.find((*path, "set"), f"this must be a mapping, not {shown(given)}", hint, "type")
            return
        if not given:
            self.find((*path, "set"), "this is empty", code="bound")
        self.values += len(given)
        if self.values > MAX_SET:
            self.find((*path, "set"), f"one file sets more than {MAX_SET} values here", code="bound")
            return
        places: Any = self.document._walk((*path, "set"))[1]
        for dotted, value in given.items():
            where = (*path, "set", dotted)
            if isinstance(value, dict | list):
                hint = "`replaces: true` gives the whole anew"
                if isinstance(value, dict) and value:
                    hint = f"write each value apart, as in `{'.'.join((dotted, *_first(value)))}: …`, or " + hint
                self.find(where, f"`set` takes one value, not {shown(value)}", hint)
            elif len(dotted) > MAX_KEY:
                self.find(where, f"this is too long: at most {MAX_KEY}", code="bound", key=True)
            else:
                key_at, value_at = places[1][dotted]
                entry = self.entries[name]
                place = (moved(key_at, self.number), moved(value_at, self.number))
                self._value(where, entry.data, entry.node, dotted, value, place)

    def _value(self, where: tuple[Step, ...], data: Any, node: Any, rest: str, value: Any, place: Any) -> None:
        """Sets one value. Keys may have dots in them, so the longest that is there is taken first."""
        item = self.section in ITEMS  # whether `data` is one, and its `id` its name
        walked = ""
        while True:
            children = _children(data, node[1]) if isinstance(data, dict | list) else None
            if children is None:
                self.find(
                    where, f"`{walked}` is {shown(data) if data is None else 'one value'} and has no keys", key=True
                )
                return
            if rest in children or (isinstance(data, dict) and "." not in rest):
                break
            step = next((rest[:at] for at in _dots(rest) if rest[:at] in children), None)
            if step is None:
                lost = rest.partition(".")[0]
                hint = self.notes.near(lost, children) or (
                    f"it has {', '.join(list(children)[:10])}" if children else ""
                )
                at = f"`{walked}` has" if walked else "it has"
                kind = "key" if isinstance(data, dict) else "item"
                self.find(where, f"{at} no {kind} {shown(lost)}", hint, key=True, offset=len(walked) + bool(walked))
                return
            item = isinstance(data, list)
            data, node = children[step]
            walked = f"{walked}.{step}" if walked else step
            rest = rest[len(step) + 1 :]
        old = children[rest][0] if rest in children else None
        if isinstance(old, dict | list):
            inner = next((key for key in old if key != "id"), "") if isinstance(old, dict) else ""
            hint = f"name a value in it, as in `{where[-1]}.{inner}`" if inner else ""
            self.find(where, f"this is {shown(old)}, and `set` changes single values", hint, key=True)
        elif item and rest == "id":
            self.find(where, "an id can't be changed", "other files know it by that name", key=True)
        else:
            data[rest] = value
            node[1][rest] = place


def moved(node: Any, number: int) -> Any:
    """A place, or a node with all below it, as one of the file of that number."""
    if isinstance(node, int):
        return node | number << FILE
    if number == 0:
        return node
    at, children = node
    if isinstance(children, list):
        return at | number << FILE, [moved(child, number) for child in children]
    return at | number << FILE, {
        key: (key_at | number << FILE, moved(child, number)) for key, (key_at, child) in children.items()
    }


def changeable(schema: dict[str, Any]) -> dict[str, Any]:
    """A policy file's JSON Schema, with `replaces` and `set` where an item or a named object may have them."""
    kinds, sections = dict(schema["$defs"]), dict(schema["properties"])
    one = {"type": ["string", "number", "boolean", "null"]}
    known = {
        "id": {"type": "string"},
        "set": {"type": "object", "minProperties": 1, "additionalProperties": one, "description": "new values by key"},
    }
    replaces = {"const": True, "description": "takes the place of the object of that name in a pack"}
    for word, wanted in (("ChangeOfItem", ["id", "set"]), ("ChangeOfNamed", ["set"])):
        properties = {key: known[key] for key in wanted}
        kinds[word] = {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}

    def either(whole: dict[str, Any], word: str) -> dict[str, Any]:
        kind = whole["$ref"].rpartition("/")[2]
        kinds[kind] = {**kinds[kind], "properties": {**kinds[kind]["properties"], "replaces": replaces}}
        return {"if": {"required": ["set"]}, "then": {"$ref": f"#/$defs/{word}"}, "else": whole}

    for name in ITEMS:
        sections[name] = {**sections[name], "items": either(sections[name]["items"], "ChangeOfItem")}
    for name in NAMED:
        ((pattern, whole),) = sections[name]["patternProperties"].items()
        sections[name] = {**sections[name], "patternProperties": {pattern: either(whole, "ChangeOfNamed")}}
    return {**schema, "$defs": kinds, "properties": sections}


def _children(data: Any, nodes: Any) -> dict[str, tuple[Any, Node]]:
    """What a dotted key may go on with: keys of a mapping, ids of a list's items."""
    if isinstance(data, dict):
        return {key: (data[key], nodes[key][1]) for key in data}
    return {
        each["id"]: (each, node)
        for each, node in islice(zip(data, nodes, strict=True), MAX_ITEMS)
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    }


def _dots(text: str) -> list[int]:
    """Where the dots are, from the right."""
    return [at for at in range(len(text) - 1, -1, -1) if text[at] == "."]
