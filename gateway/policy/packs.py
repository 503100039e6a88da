"""Pure. `use`: a policy file and the packs that it names -> one document in which every value still knows its file.

Files are merged in the order of `use`, each after those that it uses itself, each once, and the policy's own file last.
How two files' sections become one is in overlay.py. A pack's tests stay with the pack.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.documents import SHIFT, Document, DocumentErrors, Finding, Mark, Step, parse, shown
from gateway.policy.overlay import FILE, ITEMS, NAMED, Notes, Overlay

__all__ = ["Merged", "Resolve", "merge"]

Resolve = Callable[[str], bytes]
"""The content of a file that the policy names. May raise anything; it becomes a finding where the file is named."""

MAX_FILES = 32  # the policy's own among them
MAX_NESTED = 8  # packs that use packs
MAX_BYTES = 4_194_304  # of all packs together
MAX_NAME = 500  # characters of a file's name

OWN = ("identity", "tokens")
PACK = ("gauger", "policy", "use", *NAMED, *ITEMS, "tests")
FIRST = "begin the file with `gauger: 1`"


class Merged(Document, frozen=True):
    """A document of several files. `texts` holds each by its name, in the order of their numbers, the main one first.

    Of the others the name is what the resolver was asked for (`./` before it where the main file has the same name).
    """

    texts: dict[str, str] = {}

    def value(self, path: Sequence[Step]) -> Mark:
        """The place of a value in its file."""
        return _in_file(super().value(path))

    def key(self, path: Sequence[Step]) -> Mark:
        """The place of the last key of a path in its file."""
        return _in_file(super().key(path))

    def finding(self, path: Sequence[Step], message: str, *, key: bool = False, **more: Any) -> Finding:
        """A finding in the file that the value, or its key, came from."""
        found = super().finding(path, message, key=key, **more)
        return msgspec.structs.replace(found, file=self.file_of(path, key=key))

    def file_of(self, path: Sequence[Step], *, key: bool = False) -> str:
        """The name of the file that a value, or its key, came from."""
        node = self._walk(path)[0 if key else 1]
        return list(self.texts)[(node if isinstance(node, int) else node[0]) >> FILE]

    def beside(self, path: Sequence[Step], name: str) -> str | None:
        """What the resolver is asked for a name that stands at a path; None where it leads out of the policy's folder.

        The main file may name what it likes.
        """
        file = self.file_of(path)
        return name if file == self.file else joined(file, name)


def merge(document: Document, text: bytes | str, resolve: Resolve) -> tuple[Merged, list[Finding]]:
    """The document with its packs in it and without `use`, and what is wrong with either. Never raises.

    What is part of a mistake is left out, so that it is said once.
    """
    work = _Packs(document, text, resolve)
    if not isinstance(document.data, dict) or isinstance(document.nodes, int):
        return Merged(document.file, document.data, document.nodes, document.private, work.texts), []
    work.gather(document, 0, (document.file.rpartition("/")[2],))
    data: dict[str, Any] = {key: value for key, value in document.data.items() if key != "use"}
    places: dict[str, Any] = {key: document.nodes[1][key] for key in data}  # type: ignore[call-overload]
    for section in (*NAMED, *ITEMS):
        overlay = Overlay(section, work.notes)
        for each, number in work.order:
            overlay.take(each, number)
        if overlay.place is not None:
            data[section], places[section] = overlay.result()
    merged = Merged(document.file, data, (document.nodes[0], places), document.private, work.texts)
    return merged, work.notes.findings


def joined(base: str, name: str) -> str | None:
    """A name in the file `base` as seen from the main file's folder; None where it would lead out of that."""
    parts = base.split("/")[:-1]
    if name.startswith("/") or "\\" in name or ":" in name or "\0" in name or len(name) > MAX_NAME:
        return None
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or None


def _in_file(mark: Mark) -> Mark:
    return Mark(mark.line & ((1 << SHIFT) - 1), mark.column)


class _Packs:
    """Reads what a policy uses."""

    def __init__(self, main: Document, text: bytes | str, resolve: Resolve) -> None:
        self.main = main.file
        self.resolve = resolve
        self.notes = Notes()
        self.texts = {main.file: text.decode("utf-8", "replace") if isinstance(text, bytes) else text}
        self.asked: set[str] = set()
        self.size = 0  # bytes of all packs so far
        self.order: list[tuple[Document, int]] = []  # mappings, and their numbers

    def gather(self, document: Document, number: int, chain: tuple[str, ...]) -> None:
        """Takes in a file after all that it uses. `chain`: names from the main file down to this one."""
        use = document.data.get("use", [])
        if not isinstance(use, list):
            hint = f"write it in brackets, as in `[{use}]`" if isinstance(use, str) and len(use) <= 40 else ""
            self.notes.find(document, ("use",), f"this must be a list, not {shown(use)}", hint, "type")
            use = []
        for at, item in enumerate(use):
            where = ("use", at)
            if not isinstance(item, str) or not item:
                self.notes.find(document, where, f"this must be the name of a file, not {shown(item)}", code="type")
                continue
            name = joined(chain[-1] if number else "", item)
            if name is None:
                hint = "a name is relative to the file that it stands in, as in `packs/extraction.yaml`"
                self.notes.find(document, where, f"{shown(item)} leads out of the policy's folder", hint)
            elif name in chain:
                ring = " -> ".join((*chain[chain.index(name) :], name))
                self.notes.find(document, where, f"packs use each other in a circle: {ring}", "remove one of them")
            elif name in self.asked:
                continue
            elif len(chain) > MAX_NESTED:
                self.notes.find(document, where, f"packs use packs more than {MAX_NESTED} deep", code="bound")
            elif len(self.asked) >= MAX_FILES - 1:
                self.notes.find(document, where, f"a policy is made of at most {MAX_FILES} files", code="bound")
                break
            else:
                pack = self._read(document, where, name)
                if pack is None:
                    self.notes.lost = True
                else:
                    self.gather(pack, len(self.texts) - 1, (*chain, name))
        self.order.append((document, number))

    def _read(self, user: Document, where: tuple[Step, ...], name: str) -> Document | None:
        """A pack that is a mapping, or None and a finding."""
        self.asked.add(name)
        try:
            raw = self.resolve(name)
        except Exception as error:  # noqa: BLE001  # the shell's own resolver: whatever it raises is about this file
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            hint = "a name is relative to the file that it stands in; `packs/...` may be a shipped pack"
            self.notes.find(user, where, f"{shown(name)} can't be read: {reason}", hint)
            return None
        self.size += len(raw)
        if self.size > MAX_BYTES:
            self.notes.find(user, where, f"all packs are larger than {MAX_BYTES // 1_048_576} MiB", code="bound")
            return None
        file = f"./{name}" if name == self.main else name
        try:
            pack = parse(raw, file)
        except DocumentErrors as errors:
            self.notes.findings += errors.findings
            return None
        if not isinstance(pack.data, dict):
            self.notes.find(pack, (), f"a pack is a policy file, not {shown(pack.data)}", FIRST, "shape")
            return None
        self.texts[file] = raw.decode("utf-8", "replace")
        self._head(pack)
        return pack

    def _head(self, pack: Document) -> None:
        """What a pack may hold. Of its `policy`, which names the pack, nothing holds for who uses it."""
        data = pack.data
        if "gauger" not in data:
            self.notes.find(pack, (), "`gauger` is missing", FIRST, "missing")
        elif type(data["gauger"]) is not int or data["gauger"] != 1:
            message = f"format {shown(data['gauger'])} is not known"
            self.notes.find(pack, ("gauger",), message, "this version reads format 1", "format")
        for key in data:
            if key in OWN:
                hint = "it belongs into the policy that uses the pack"
                self.notes.find(pack, (key,), f"a pack has no `{key}`", hint, key=True)
            elif key not in PACK:
                hint = self.notes.near(key, PACK) or f"known here: {', '.join(PACK)}"
                self.notes.find(pack, (key,), f"unknown key {shown(key)}", hint, "unknown-key", key=True)
