"""Pure. Where a character of a value stands in its file: quotes and escapes take room that the value doesn't show."""

import re
from collections.abc import Sequence

from gateway.documents import Document, Step
from gateway.policy.packs import Merged

__all__ = ["Places"]

BREAK = re.compile("\r\n?|\n")
DOUBLED = re.compile("''|.")
ESCAPED = re.compile(r"\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\.|.")


class Places:
    """Looks into the text of a document's files; each is taken apart once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._lines: dict[str, list[str]] = {}

    def offset(self, path: Sequence[Step], offset: int) -> int:
        """Columns from where a value begins to its character `offset`; 0 where that is on another line, or unknown."""
        document = self.document
        if not offset or not isinstance(document, Merged):
            return offset
        file = document.file_of(path)
        if file not in self._lines:
            self._lines[file] = BREAK.split(document.texts[file].removeprefix("\ufeff"))
        lines, mark = self._lines[file], document.value(path)
        if not 0 < mark.line <= len(lines):
            return 0
        rest = lines[mark.line - 1][mark.column - 1 :]
        moved = offset
        if rest[:1] in ("'", '"'):
            pieces = (DOUBLED if rest[0] == "'" else ESCAPED).findall(rest[1:])
            moved = 1 + sum(map(len, pieces[:offset]))
        elif rest[:1] in ("|", ">"):
            return 0
        return moved if moved <= len(rest) else 0
