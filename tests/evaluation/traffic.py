"""Shell. Labelled traffic: where it lies, and its lines without what the product must not see."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.errors import Mistake

__all__ = ["DEFAULT", "Files", "Labelled", "Line", "MissingError", "find", "labels", "lines"]

DEFAULT = Path(__file__).parents[3] / "shared" / "data"
"""Beside the checkout."""
TRAFFIC = ".jsonl.gz"
ACCOUNTS = ".accounts.jsonl"
HIDDEN = ("label", "family")


class MissingError(Exception):
    """There is no such traffic; the message says what to do."""


class Files(NamedTuple):
    traffic: Path
    accounts: Path


class Labelled(msgspec.Struct, frozen=True):
    """What is known of an account."""

    account: str
    label: str
    family: str


class Line(NamedTuple):
    """A request: what the product reads of it, and what it is scored with."""

    data: bytes
    account: str
    label: str
    tokens: int  # output tokens


class _Known(msgspec.Struct):
    account: str
    label: str
    response_tokens: int | float | None = None


_KNOWN = msgspec.json.Decoder(_Known)
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.Encoder().encode
_LABELLED = msgspec.json.Decoder(Labelled)


def find(given: Path | None) -> Files:
    """The traffic of a folder (`dev.jsonl.gz`, else the only one there), or a file of it, and its accounts.

    Raises MissingError.
    """
    place = given or DEFAULT
    traffic = place if place.is_file() else _only(place, "dev", TRAFFIC)
    accounts = _only(traffic.parent, traffic.name.removesuffix(TRAFFIC), ACCOUNTS)
    return Files(traffic, accounts)


def _only(folder: Path, name: str, ending: str) -> Path:
    named = folder / f"{name}{ending}"
    found = [named] if named.is_file() else sorted(folder.glob(f"*{ending}"))
    if len(found) != 1:
        what = f"no {name}{ending}" if not found else f"no {name}{ending}, and several others,"
        raise MissingError(f"{what} in {folder}: DATA=dir names a folder with NAME{TRAFFIC} and NAME{ACCOUNTS}")
    return found[0]


def labels(path: Path) -> dict[str, Labelled]:
    """account -> what is known of it."""
    with path.open("rb") as source:
        found = [_LABELLED.decode(line) for line in source if line.strip()]
    return {each.account: each for each in found}


def lines(path: Path) -> Iterator[Line]:
    """The requests in their order. All but the labels passes byte for byte. Raises Mistake for what is no such line."""
    with gzip.open(path, "rb") as source:
        for number, line in enumerate(source, 1):
            if not line.strip():
                continue
            try:
                known, raw = _KNOWN.decode(line), _RAW.decode(line)
            except msgspec.DecodeError as error:
                raise Mistake(f"this is no labelled request: {error}", place=f"{path.name}:{number}") from None
            for name in HIDDEN:
                raw.pop(name, None)
            yield Line(_ENCODE(raw), known.account, known.label, int(known.response_tokens or 0))
