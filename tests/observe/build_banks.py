"""Shell. Makes `gateway/banks.bin` anew from local copies of the banks, and prints the lines of `gateway.banks.BANKS`.

    python -m tests.observe.build_banks FOLDER [OUT]

FOLDER has for each bank of `FIELDS` a file that is named by the bank's id, as its publisher gives it out: `id.json`,
`id.jsonl`, `id.jsonl.gz`, `id.csv`, or a folder `id/` of several. Where the publisher has one file an item, FOLDER
has one JSON list of them. Their text stays there: the repository holds none of it. The lines replace those of `BANKS`:
the module loads only with the file that they describe. A bank whose licence forbids commercial use has no place here
(Alpaca's, WizardLM's), nor has one of everyday messages to a shop or a bank: customers write those.

What is stored of an item: its pieces, except those that `stock` knows, those with fewer than five words and those that
are by half something else than words (code, formulas: other people write them too).
"""

import csv
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.banks import BANKS, FILE, Bank, key
from gateway.observe.text import normal, pieces

FIELDS = {
    "gsm8k-test": ("question",),
    "math-500": ("problem",),
    "olympiad-bench": ("problem",),
    "aqua": ("question",),
    "svamp": ("Body", "Question"),
    "bbh": ("input",),
    "human-eval": ("prompt",),
    "mbpp": ("text",),
    "truthful-qa": ("Question",),
    "mt-bench": ("turns",),
    "vicuna-bench": ("turns",),
    "arena-hard": ("turns.content",),
    "self-instruct-user": ("instruction", "instances.input"),
    "self-instruct-seed": ("instruction", "instances.input"),
    "gsm8k-train": ("question",),
    "math-train": ("problem",),
}
"""Bank -> where the text of an item is; in the order of the file."""

COMMON = 3  # items that may share a piece; what more of them say is a phrase
WORDS = 5
WORD = re.compile(rb"[a-z\x80-\xff]{2,}")

FRAMES = frozenset(
    {
        "below is an instruction that describes a task",
        "let's work this out in a step by step way to be sure we have the right answer",
    }
)
"""Pieces of public prompt templates that some item quotes: whoever uses the template would hit."""


def rows(path: Path) -> list[Any]:
    """What a file lists."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    if path.suffix == ".json":
        value = json.loads(text)
        return value if isinstance(value, list) else next(part for part in value.values() if isinstance(part, list))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def texts(value: Any, names: Sequence[str]) -> Iterator[str]:
    """The strings at a place of a row, of every element where there is a list."""
    if isinstance(value, list):
        for part in value:
            yield from texts(part, names)
    elif names:
        yield from texts(value[names[0]], names[1:])
    else:
        yield value


def items(folder: Path, bank: str) -> list[str]:
    """A bank's items, each with all its text. FileNotFoundError if the folder hasn't got it."""
    paths = sorted([*folder.glob(f"{bank}.*"), *folder.glob(f"{bank}/*")])
    if not paths:
        raise FileNotFoundError(f"{folder} has no {bank}")
    return [
        "\n".join(text for field in FIELDS[bank] for text in texts(row, field.split(".")))
        for path in paths
        for row in rows(path)
    ]


def stock(piece: bytes) -> bool:
    """Whether other people write this too."""
    words = WORD.findall(piece)
    return len(words) < WORDS or 2 * sum(map(len, words)) + 2 * len(words) < len(piece)


def hashes(banks: Mapping[str, Sequence[str]]) -> dict[str, list[bytes]]:
    """Bank -> its hashes, sorted, in the order given. A hash of several banks is the first one's."""
    often: Counter[bytes] = Counter()
    own: dict[str, set[bytes]] = {}
    known = {key(frame.encode()) for frame in FRAMES} | {b""}
    for bank, texts_of in banks.items():
        own[bank] = set()
        for text in texts_of:
            found = {key(piece) for piece in pieces(normal(text)) if not stock(piece)} - known
            often.update(found)
            own[bank] |= found
    taken: set[bytes] = set()
    kept: dict[str, list[bytes]] = {}
    for bank, found in own.items():
        kept[bank] = sorted(one for one in found - taken if often[one] <= COMMON)
        taken |= found
    return kept


def build(folder: Path) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The file, and of each bank the number of items and of hashes."""
    banks = {bank: items(folder, bank) for bank in FIELDS}
    kept = hashes(banks)
    data = b"".join(one for found in kept.values() for one in found)
    return data, {bank: (len(banks[bank]), len(found)) for bank, found in kept.items()}


def main(folder: str, out: str = str(FILE)) -> None:
    data, counts = build(Path(folder))
    Path(out).write_bytes(data)
    known = {bank.id: bank for bank in BANKS}
    for bank, (many, hashed) in counts.items():
        old = known.get(bank, Bank(bank, "test", 0, 0, "?", "?"))
        print(f'    Bank("{bank}", "{old.kind}", {many}, {hashed}, "{old.source}", "{old.licence}"),')


if __name__ == "__main__":
    main(*sys.argv[1:])
