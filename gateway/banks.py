"""Shell. Which public question bank a text comes from. `banks.bin`, next to this module, is read once, at import.

An evaluation sweeps a bank's *test* split; a harvest sweeps a *train* split or a generator's *seed* tasks. `BANKS` says
which of them a bank is, with its source and licence. The file holds no text: of each sentence or line of an item
(`observe/text.py`, normal form) a BLAKE2b hash of 40 bits, without a key, because what it tells is public: who has the
bank can make the file (`tests/observe/build_banks.py` does). Only the bank's id enters an Observation.

Looked up. Of a text's pieces of at least `LEAST` bytes the first and the last `SIDE`, each without the label before it
("question: …") and the marks around it; the last one that hits names the bank. Last, because a question comes after its
frame and its worked examples: behind five of gsm8k-train, items of the 16 banks are named right in 89 %, by a vote of
the pieces in 20 %. Alone it is 90 % (bbh 64 %, truthful-qa 71 %, math 85 %, others more), and less than 0.1 % are named
wrong: measured on at most 400 items a bank.

Not seen. A paraphrase; another number of digits (the normal form makes every digit 0, so 12 may become 34 but not 345);
an item that is wrapped within its own line without a colon; formulas and code alone; an item's every sentence shorter
than 40 bytes. Whoever writes a test item's sentence behind each of his prompts is taken for an evaluator: a bank is a
hint of what a sweep is for, never an excuse by itself.

Chance. A sentence that is in no bank hits with probability `hashes / 2**40`: 5e-8, so at most 4e-7 a request.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["BANKS", "FILE", "LEAST", "WIDTH", "Bank", "bank_of", "key", "read"]

LEAST = 40  # bytes: a shorter sentence may be anybody's
SIDE = 3  # pieces looked up at each end of a text
WIDTH = 5  # bytes of a hash
EDGES = b" .?!,;:()\"'"
FILE = Path(__file__).with_name("banks.bin")


class Bank(NamedTuple):
    """A public set of questions, and its part of the file."""

    id: str
    kind: Literal["test", "seed", "train"]
    items: int
    hashes: int
    source: str  # where its publisher keeps it, at GitHub
    licence: str


BANKS: tuple[Bank, ...] = (
    Bank("gsm8k-test", "test", 1319, 3584, "openai/grade-school-math", "MIT"),
    Bank("math-500", "test", 500, 729, "openai/prm800k", "MIT"),
    Bank("olympiad-bench", "test", 675, 1443, "OpenBMB/OlympiadBench", "MIT"),
    Bank("aqua", "test", 508, 1079, "google-deepmind/AQuA", "Apache-2.0"),
    Bank("svamp", "test", 1000, 1202, "arkilpatel/SVAMP", "MIT"),
    Bank("bbh", "test", 6511, 7039, "suzgunmirac/BIG-Bench-Hard", "MIT"),
    Bank("human-eval", "test", 164, 563, "openai/human-eval", "MIT"),
    Bank("mbpp", "test", 964, 953, "google-research/google-research", "CC-BY-4.0"),
    Bank("truthful-qa", "test", 817, 581, "sylinrl/TruthfulQA", "Apache-2.0"),
    Bank("mt-bench", "test", 80, 294, "lm-sys/FastChat", "Apache-2.0"),
    Bank("vicuna-bench", "test", 80, 80, "lm-sys/FastChat", "Apache-2.0"),
    Bank("arena-hard", "test", 500, 1637, "lm-sys/arena-hard-auto", "Apache-2.0"),
    Bank("self-instruct-user", "test", 252, 621, "yizhongw/self-instruct", "Apache-2.0"),
    Bank("self-instruct-seed", "seed", 175, 378, "yizhongw/self-instruct", "Apache-2.0"),
    Bank("gsm8k-train", "train", 7473, 19808, "openai/grade-school-math", "MIT"),
    Bank("math-train", "train", 7474, 11208, "hendrycks/math", "MIT"),
)
"""In the order of the file. A sentence of several banks counts for the first of them: test splits go before all train
splits."""


def key(piece: bytes) -> bytes:
    """The hash that a piece is stored and looked up by; empty if what is left of it is too short."""
    if b":" in piece:  # one byte is found at once
        label = piece.rfind(b": ", 0, len(piece) - LEAST)
        if label >= 0:
            piece = piece[label + 2 :]
    piece = piece.strip(EDGES)
    return blake2b(piece).digest()[:WIDTH] if len(piece) >= LEAST else b""


def read(data: bytes, banks: Iterable[Bank]) -> dict[bytes, str]:
    """Hash -> bank. ValueError if the file hasn't the length that the banks add up to."""
    found: dict[bytes, str] = {}
    start = 0
    for bank in banks:
        end = start + bank.hashes * WIDTH
        found.update(dict.fromkeys([data[at : at + WIDTH] for at in range(start, end, WIDTH)], bank.id))
        start = end
    if start != len(data):
        raise ValueError(f"banks.bin has {len(data)} bytes, and its banks {start}")
    return found


HASHES = read(FILE.read_bytes(), BANKS)


def bank_of(pieces: Sequence[bytes], hashes: Mapping[bytes, str] = HASHES) -> str:
    """The id of the bank that a text's pieces, in its order, come from; empty if from none."""
    first: list[bytes] = []
    at, left = len(pieces), SIDE
    while at and left:
        at -= 1
        piece = pieces[at]
        if len(piece) >= LEAST:
            bank = hashes.get(key(piece))
            if bank is not None:
                return bank
            left -= 1
    for piece in pieces[:at]:
        if len(piece) >= LEAST:
            first.append(piece)
            if len(first) == SIDE:
                break
    for piece in reversed(first):
        bank = hashes.get(key(piece))
        if bank is not None:
            return bank
    return ""
