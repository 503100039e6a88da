"""Pure. The wording of a prompt -> marks: what kind of product it asks for, as far as its own words say."""

from ahocorasick_rs import BytesAhoCorasick, Implementation

from gateway.observe.lexicon import LANGUAGES

__all__ = ["MARKS", "marks"]

MARKS = ("elicits", "reasons", "generates", "invents", "prefers", "grades")

ELICITS, REASONS, GENERATES, INVENTS, PREFERS, GRADES = (1 << at for at in range(len(MARKS)))
OF = dict(zip(MARKS, (ELICITS, REASONS, GENERATES, INVENTS, PREFERS, GRADES), strict=True))
NAMES = tuple(tuple(name for name in MARKS if bits & OF[name]) for bits in range(1 << len(MARKS)))
STRONG = ELICITS | GENERATES | PREFERS

# Parts that say nothing alone. A class of words has a bit too, which says that one of them stands somewhere.
ONE, TASKS, SET, TRAINS, TWO, PICKED = (1 << at for at in range(len(MARKS), len(MARKS) + 6))
CLASSES = tuple(sorted({name for _, _, words in LANGUAGES for name in words}))
AT = {name: at for at, name in enumerate(CLASSES)}
SEEN = {name: 1 << at for at, name in enumerate(CLASSES, len(MARKS) + 6)}

# (class before, class after, bytes between their beginnings at most, what must stand between, what it says).
# Between: a class; "0" lets a digit do; nothing. Up to `SENTENCE` bytes both must stand in one sentence.
PAIRS: tuple[tuple[str, str, int, str, int], ...] = (
    ("make", "item", 90, "fresh 0", INVENTS),
    ("make", "item", 60, "", ONE),
    ("make", "task", 90, "diverse", TASKS),
    ("make", "task instruction", 90, "fresh 0", TASKS),
    ("make", "data", 120, "", SET),
    ("train", "model", 50, "", TRAINS),
    ("make", "seed", 200, "", GENERATES),
    ("seed", "make", 400, "", GENERATES),
    ("show", "reasoning", 80, "all of it", ELICITS),
    ("lengthy", "solution", 40, "", ELICITS),
    ("behind", "answer", 45, "", ELICITS),
    ("no skipping", "reasoning", 40, "", ELICITS),
    ("numbered", "numbered", 6000, "", TWO),
    ("chosen", "rejected", 300, "", PICKED),
    ("rate", "answer", 60, "", GRADES),
    ("improve", "assistant answer", 60, "", PREFERS),
)
SENTENCE = 120

# (classes in any order, bytes that hold them all, what it says)
NEAR: tuple[tuple[tuple[str, ...], int, int], ...] = (
    (("before", "at length", "mull"), 160, ELICITS),
    (("check", "each step", "solve"), 160, ELICITS),
    (("rewrite", "harder", "task"), 200, GENERATES),
)

# (bits that must all stand, bits of which none may, what it says), in order
WHOLE: tuple[tuple[int, int, int], ...] = (
    (SEEN["boxed"] | REASONS, 0, ELICITS),
    (SEEN["boxed"] | SEEN["solve"], 0, ELICITS),
    (TASKS, SEEN["art"], GENERATES),
    (SET, SEEN["cards"], GENERATES),
    (ONE | TRAINS, 0, GENERATES),
    (ONE | SEEN["persona"], SEEN["market"], GENERATES),
    (ONE | SEEN["jsonl"], 0, GENERATES),
    (ONE | SEEN["key instruction"] | SEEN["key output"] | SEEN["key input"], 0, GENERATES),
    (SEEN["rephrase"], SEEN["search"], GENERATES),
    (SEEN["first"] | SEEN["second"] | SEEN["compare"], 0, PREFERS),
    (TWO | SEEN["compare"], 0, PREFERS),
    (PICKED | SEEN["answer"], 0, PREFERS),
    (SEEN["helpfulness"] | SEEN["honesty"] | SEEN["truthfulness"] | SEEN["following"], 0, PREFERS),
)

# A prompt that ends with a user's header asks a chat model for what a user would say (Magpie).
HEADERS = (
    b"<|im_start|>user",
    b"<|start_header_id|>user<|end_header_id|>",
    b"<|start_header_id|>user",
    b"<start_of_turn>user",
    b"<|user|>",
    b"[inst]",
    b"\nhuman:",
    b"\nuser:",
    b"### instruction:",
    b"<|begin_of_text|>",
)

ASKED = 45  # bytes: so near before a wish, "how do i" and "what is" make a question about it
HOW, NOBODY = AT["how"], -1 << 20  # a place before any text
HEEDS = frozenset({AT["make"], AT["train"], AT["show"], AT["task instruction"]})
ENDS = (b". ", b"? ", b"! ", b"  ", "。".encode())

OPEN, LETTER, LEAD = 0, 1, 2
KIND = bytes(LETTER if chr(at).isalnum() or at == 95 else OPEN if at < 128 else LEAD for at in range(128)) + bytes(
    [LEAD] * 128
)
"""Byte -> whether it goes on with a word. LEAD: of a character that is not ASCII, so look at all of it."""


def _joined(data: bytes, at: int) -> bool:
    """Whether the character beyond ASCII that the byte at this place belongs to is a letter of a script with blanks."""
    for lead in data[at : max(at - 4, 0) or None : -1]:
        if lead & 0xC0 != 0x80:
            return 0xC3 <= lead <= 0xDF or lead == 0xE1
    return False


def _table() -> tuple[list[bytes], list[tuple[int, tuple[int, ...], bool, bool]]]:
    said: dict[str, int] = {}
    classes: dict[str, list[int]] = {}
    for _, phrases, words in LANGUAGES:
        for mark, entries in phrases.items():
            for entry in entries:
                said[entry] = said.get(entry, 0) | OF[mark]
        for name, entries in words.items():
            for entry in entries:
                if AT[name] not in classes.setdefault(entry, []):
                    classes[entry].append(AT[name])
    found = []
    for entry in dict.fromkeys((*said, *classes)):
        core = entry.removesuffix("*").encode()
        first = KIND[core[0]] == LETTER or _joined(core, 0)
        last = core.decode() == entry and (KIND[core[-1]] == LETTER or _joined(core, len(core) - 1))
        found.append((core, (said.get(entry, 0), tuple(classes.get(entry, ())), first, last)))
    found.sort(key=lambda one: not one[0].isascii())
    return [core for core, _ in found], [row for _, row in found]


PATTERNS, ROWS = _table()
PLAIN = sum(pattern.isascii() for pattern in PATTERNS)  # these come first
FIND = BytesAhoCorasick(PATTERNS[:PLAIN], implementation=Implementation.DFA).find_matches_as_indexes
FIND_WIDE = BytesAhoCorasick(PATTERNS, implementation=Implementation.ContiguousNFA).find_matches_as_indexes

AFTER: list[list[tuple[int, int, int, bool, int]]] = [[] for _ in CLASSES]
for _before, _after, _span, _between, _says in PAIRS:
    _name = _between.removesuffix(" 0")
    AFTER[AT[_after]].append(
        (AT[_before], _span, AT[_name] if _name else -1, _between.endswith(" 0"), _says),
    )
TOGETHER: list[list[tuple[tuple[int, ...], int, int]]] = [[] for _ in CLASSES]
for _names, _span, _says in NEAR:
    for _name in _names:
        TOGETHER[AT[_name]].append((tuple(AT[other] for other in _names if other != _name), _span, _says))
BITS = tuple(SEEN[name] for name in CLASSES)


def marks(text: bytes) -> tuple[str, ...]:
    """The marks of a text in normal form, in the order of `MARKS`. Any bytes will do; one pass, nothing is kept."""
    data = b" " + text.replace(b"\n", b" ") + b"   "
    if data.isascii():
        hits = FIND(data, True)
    else:
        data = data.replace(b"\xe2\x80\x99", b"'")  # the typographer's apostrophe
        hits = FIND_WIDE(data, True)
    bits = _read(data, hits) if hits else 0
    if text.rstrip().endswith(HEADERS):
        bits |= GENERATES
    return NAMES[bits & (len(NAMES) - 1)]


def _read(data: bytes, hits: list[tuple[int, int, int]]) -> int:
    bits, how, last = 0, NOBODY, [NOBODY] * len(CLASSES)
    for at, start, end in hits:
        said, classes, first, ends = ROWS[at]
        if first and (kind := KIND[data[start - 1]]) and (kind == LETTER or _joined(data, start - 1)):
            continue
        if ends and not _closed(data, end):
            continue
        if said:
            bits |= said & ~STRONG if said & STRONG and _asked(data, how, start) else said
        for name in classes:
            if name == HOW:
                how = end
                continue
            if name in HEEDS and _asked(data, how, start):
                continue
            bits |= BITS[name]
            for before, span, between, digit, says in AFTER[name]:
                origin = last[before]
                if (
                    start - origin <= span
                    and (between < 0 or last[between] > origin or (digit and data.find(b"0", origin, start) > 0))
                    and (span > SENTENCE or _one_sentence(data, origin, start))
                ):
                    bits |= says
            last[name] = start
            for others, span, says in TOGETHER[name]:
                if all(start - last[other] <= span for other in others):
                    bits |= says
    for need, unless, says in WHOLE:
        if bits & need == need and not bits & unless:
            bits |= says
    return bits


def _closed(data: bytes, end: int) -> bool:
    """Whether a word ends here, or with one more s. A genitive is another word: "act as the user's lawyer"."""
    byte = data[end]
    if byte == 0x73:
        end += 1
        byte = data[end]
    if byte == 0x27:
        return data[end + 1] != 0x73
    kind = KIND[byte]
    return not kind or (kind == LEAD and not _joined(data, end))


def _asked(data: bytes, how: int, start: int) -> bool:
    """Whether the words from `start` on stand in a question about them."""
    return start - how <= ASKED and _one_sentence(data, how, start)


def _one_sentence(data: bytes, start: int, end: int) -> bool:
    return not any(data.find(mark, start, end) >= 0 for mark in ENDS)
