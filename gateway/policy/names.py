"""Pure. Every name that a condition may hold: its kind, unit, phase, and what it says of a person.

One table: the type checker, the did-you-mean, the reference in `policies/README.md` and the editor's schema read it.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from gateway.signals import Unit

__all__ = ["Kind", "Name", "Unit", "names_markdown"]

Kind = Literal["number", "text", "bool", "texts"]


class Name(NamedTuple):
    """What a condition may read."""

    kind: Kind
    doc: str
    unit: Unit = ""
    missing: bool = False  # whether there may be nothing known
    phase: Literal["request", "response"] = "request"  # response: known when the answer has ended
    level: Literal["fact", "reading", "score"] = "fact"  # of this request; of the past; of a scorecard
    source: str = "request"
    privacy: Literal["none", "account", "behaviour"] = "none"  # names a customer; tells what one does


def names_markdown(names: Mapping[str, Name] | Iterable[tuple[str, Name]]) -> str:
    """The table of names as Markdown."""
    rows = ["| name | kind | what |", "|---|---|---|"]
    for name, entry in dict(names).items():
        kind = entry.unit or ("number" if entry.kind == "number" else entry.kind)
        absent = "; may be missing" if entry.missing else ""
        rows.append(f"| `{name}` | {kind} | {entry.doc}{absent} |")
    return "\n".join(rows) + "\n"
