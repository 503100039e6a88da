"""Pure. The wording of a prompt -> marks: what kind of product it asks for, as far as its own words say.

DOC
"""

from collections.abc import Callable, Iterable

from ahocorasick_rs import BytesAhoCorasick, Implementation

from gateway.observe.lexicon import LANGUAGES

__all__ = ["MARKS", "marks"]

MARKS = ("elicits", "reasons", "generates", "invents", "prefers", "grades")
ELICITS, REASONS, GENERATES, INVENTS, PREFERS, GRADES = (1 << at for at in range(len(MARKS)))
OF = dict(zip(MARKS, (ELICITS, REASONS, GENERATES, INVENTS, PREFERS, GRADES), strict=True))
NAMES = tuple(tuple(name for name in MARKS if bits & OF[name]) for bits in range(1 << len(MARKS)))
STRONG = ELICITS | GENERATES | PREFERS

# Parts that say nothing alone, and a bit for each class of words: one of them stands somewhere.
ONE, SET, TASKS, TRAINS, AGAIN = (1 << at for at in range(len(MARKS), len(MARKS) + 5))
CLASSES = tuple(sorted({name for _, _, words in LANGUAGES for name in words}))
AT = {name: at for at, name in enumerate(CLASSES)}
SEEN = {name: 1 << at for at, name in enumerate((*CLASSES, "a digit"), len(MARKS) + 5)}


def all_of(*names: str) -> int:
    """The bits of these classes."""
    return sum(SEEN[name] for name in names)


# A word of this class -> how many bytes before and after it are looked at, whether no further than its sentence, and
# (classes that must all have a word there, what that says).
AROUND: dict[str, tuple[int, int, bool, tuple[tuple[int, int], ...]]] = {
    "reasoning": (80, 0, True, ((all_of("show", "whole"), ELICITS), (all_of("no skipping"), ELICITS))),
    "solution": (40, 0, True, ((all_of("lengthy"), ELICITS),)),
    "behind": (0, 45, True, ((all_of("answer"), ELICITS),)),
    "before": (130, 160, False, ((all_of("mull", "at length"), ELICITS),)),
    "each step": (40, 120, False, ((all_of("check", "mull"), ELICITS),)),
    "exhaustively": (70, 60, True, ((all_of("ponder"), ELICITS),)),
    "wander": (160, 160, False, ((all_of("ponder"), ELICITS),)),
    "persona": (140, 160, False, ((all_of("posed", "invent"), TASKS),)),
    "inspired": (140, 220, False, ((all_of("posed", "invent"), TASKS),)),
    "harder": (180, 80, False, ((all_of("rewrite", "evolvable"), GENERATES),)),
    "guess": (0, 50, True, ((all_of("the asking"), TASKS),)),
    "yields": (80, 0, True, ((all_of("posed"), GENERATES),)),
    "train": (0, 50, True, ((all_of("model"), TRAINS),)),
    "answers": (80, 80, True, ((all_of("choose", "two"), PREFERS),)),
    "assistant answer": (70, 70, False, ((all_of("improve"), PREFERS),)),
    "chosen": (60, 200, False, ((all_of("rejected", "answer"), PREFERS),)),
    "rate": (0, 60, True, ((all_of("answer"), GRADES),)),
}
# An object of a verb of making in its sentence -> how many bytes after it at most, and (classes that must have a word
# between them, what that says).
MADE: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "item": (90, ((0, ONE), (all_of("fresh"), INVENTS), (all_of("a digit"), INVENTS))),
    "task": (90, ((all_of("diverse"), TASKS),)),
    "asked": (90, ((all_of("fresh"), TASKS), (all_of("a digit"), TASKS))),
    "data": (120, ((0, SET),)),
}
# (bits that must all stand, bits of which none may, what it says), in order
WHOLE: tuple[tuple[int, int, int], ...] = (
    (TASKS, SEEN["art"] | SEEN["search"] | SEEN["market"], GENERATES),
    (SET, SEEN["cards"], GENERATES),
    (ONE | TRAINS, SEEN["code"], GENERATES),
    (ONE | SEEN["jsonl"], SEEN["code"], GENERATES),
    (ONE | all_of("key instruction", "key output", "key input"), SEEN["code"], GENERATES),
    (all_of("seed", "make"), 0, GENERATES),
    (SEEN["rephrase"], SEEN["search"], GENERATES),
    (all_of("helpfulness", "honesty", "truthfulness", "following"), 0, PREFERS),
    (all_of("first", "second", "compare"), 0, PREFERS),
    (AGAIN | SEEN["compare"], 0, PREFERS),
    (SEEN["boxed"] | REASONS, 0, ELICITS),
    (all_of("boxed", "mull"), 0, ELICITS),
)
RARE = SEEN["second"] | AGAIN | SEEN["boxed"]  # where these stand, words of windows are looked for everywhere

# A prompt that ends with a user's header asks a chat model for what a user would say (Magpie).
HEADERS = (
    *(b"<|im_start|>user", b"<|start_header_id|>user<|end_header_id|>", b"<|start_header_id|>user", b"<|user|>"),
    *(b"<start_of_turn>user", b"[inst]", b"\nhuman:", b"\nuser:", b"### instruction:", b"<|begin_of_text|>"),
)

ASKED = 45  # bytes: so near before a wish, "how do i" and "what is" make a question about it
NOWHERE = -1 << 20
DIGIT, DENIED = SEEN["a digit"], SEEN["denied"]
HOW, MAKE, NUMBERED = AT["how"], AT["make"], AT["numbered"]
HEEDS = frozenset(AT[name] for name in ("make", "rephrase", *AROUND) if name not in ("answers", "assistant answer"))
ENDS = (b". ", b"? ", b"! ", b"  ", "。".encode())

WORD, LEAD, QUOTE = 1, 2, 3
KIND = bytes(WORD if chr(at).isalnum() or at == 0x5F else QUOTE if at == 0x27 else 0 for at in range(0x80)) + bytes(
    [LEAD] * 0x80
)
"""Byte -> whether a word may go on with it. LEAD: of a character beyond ASCII, so look at all of it."""

Row = tuple[int, tuple[int, ...], bool, bool]
"""What an entry says alone, its classes, whether a word must begin where it does, and end."""
Find = Callable[[bytes, bool], list[tuple[int, int, int]]]


def _joined(data: bytes, at: int) -> bool:
    """Whether the character beyond ASCII that the byte at this place belongs to is a letter of a script with blanks."""
    for lead in data[at : max(at - 4, 0) or None : -1]:
        if lead & 0xC0 != 0x80:
            return 0xC3 <= lead <= 0xDF or lead == 0xE1
    return False


def _compiled(entries: Iterable[tuple[str, int, int]]) -> tuple[Find, Find, list[Row]]:
    """(entry, what it says alone, its class or -1) -> searches for ASCII text and for any, and what its rows mean."""
    said: dict[str, int] = {}
    classes: dict[str, list[int]] = {}
    for entry, mark, name in entries:
        said[entry] = said.get(entry, 0) | mark
        if name >= 0 and name not in classes.setdefault(entry, []):
            classes[entry].append(name)
    found: list[tuple[bytes, Row]] = []
    for entry, mark in said.items():
        core = entry.removesuffix("*").encode()
        first = KIND[core[0]] == WORD or _joined(core, 0)
        last = not entry.endswith("*") and (KIND[core[-1]] == WORD or _joined(core, len(core) - 1))
        found.append((core, (mark, tuple(classes.get(entry, ())), first, last)))
    found.sort(key=lambda one: not one[0].isascii())  # the numbers of what is ASCII are the same in both
    cores = [core for core, _ in found]
    plain = BytesAhoCorasick([core for core in cores if core.isascii()], implementation=Implementation.DFA)
    wide = BytesAhoCorasick(cores, implementation=Implementation.ContiguousNFA)
    return plain.find_matches_as_indexes, wide.find_matches_as_indexes, [row for _, row in found]


WORDS = [(entry, 0, AT[name]) for _, _, words in LANGUAGES for name, entries in words.items() for entry in entries]
NEEDS = (
    *(need for _, _, _, rules in AROUND.values() for need, _ in rules),
    *(need for _, rules in MADE.values() for need, _ in rules),
)
NEARBY = {AT["compare"], AT["denied"], *(AT[name] for name in MADE)} | {
    at for name, at in AT.items() if any(SEEN[name] & need for need in NEEDS)
}
FIND, FIND_WIDE, ROWS = _compiled(
    [
        *((entry, OF[mark], -1) for _, said, _ in LANGUAGES for mark, entries in said.items() for entry in entries),
        *(word for word in WORDS if word[2] not in NEARBY or CLASSES[word[2]] in AROUND),
    ]
)
NEAR, NEAR_WIDE, NEAR_ROWS = _compiled(word for word in WORDS if word[2] in NEARBY)

BITS = tuple(SEEN[name] for name in CLASSES)
WINDOWS = tuple(AROUND.get(name) for name in CLASSES)
OBJECTS = tuple(MADE.get(name, (-1, ())) for name in CLASSES)
FARTHEST = max(span for span, _ in MADE.values())


def marks(text: bytes) -> tuple[str, ...]:
    """The marks of a text in normal form, in the order of `MARKS`. Any bytes will do; one pass, nothing is kept."""
    data = b" " + text.replace(b"\n", b" ") + b"   "
    if data.isascii():
        hits, near = FIND(data, True), NEAR
    else:
        data = data.replace(b"\xe2\x80\x99", b"'")  # the typographer's apostrophe
        hits, near = FIND_WIDE(data, True), NEAR_WIDE
    bits = _read(data, hits, near) if hits else 0
    if text.rstrip().endswith(HEADERS):
        bits |= GENERATES
    return NAMES[bits & (len(NAMES) - 1)]


def _read(data: bytes, hits: list[tuple[int, int, int]], near: Find) -> int:
    bits, how = 0, NOWHERE
    for at, start, end in hits:
        said, classes, first, last = ROWS[at]
        if first and (kind := KIND[data[start - 1]]) and _before(data, kind, start):
            continue
        if last and KIND[data[end]] and not _closed(data, end):
            continue
        if said:
            if said & STRONG and (
                _asked(data, how, start) or _words(data, max(start - ASKED, 0), start, near) & DENIED
            ):
                said &= ~STRONG
            bits |= said
        for name in classes:
            if name == HOW:
                how = end
                continue
            if name in HEEDS and _asked(data, how, start):
                continue
            if name == NUMBERED and bits & BITS[name]:
                bits |= AGAIN
            bits |= BITS[name]
            if name == MAKE:
                bits |= _made(data, end, near)
            elif (window := WINDOWS[name]) is not None:
                before, after, sentence, rules = window
                low, high = max(start - before, 0), end + after
                if sentence:
                    low, high = _sentence(data, low, start, end, high)
                seen = _words(data, low, high, near)
                for need, says in rules:
                    if seen & need == need and not seen & DENIED:
                        bits |= says
    if bits & RARE:
        bits |= _words(data, 0, len(data), near)
    for need, unless, says in WHOLE:
        if bits & need == need and not bits & unless:
            bits |= says
    return bits


def _made(data: bytes, start: int, near: Find) -> int:
    """What the objects say that stand after a verb of making."""
    data = data[start : _sentence(data, start, start, start, start + FARTHEST)[1]] + b"   "
    digit, seen, bits = data.find(b"0"), 0, 0
    for at, start, end in near(data, True):
        _, classes, first, last = NEAR_ROWS[at]
        if first and start and (kind := KIND[data[start - 1]]) and _before(data, kind, start):
            continue
        if last and KIND[data[end]] and not _closed(data, end):
            continue
        for name in classes:
            span, wishes = OBJECTS[name]
            if start <= span:
                among = seen | DIGIT if 0 <= digit < start else seen
                for need, says in wishes:
                    if among & need == need:
                        bits |= says
            seen |= BITS[name]
    return bits


def _words(data: bytes, low: int, high: int, near: Find) -> int:
    """The classes that have a word between these places."""
    data = b" " + data[low:high] + b"   "
    bits = 0
    for at, start, end in near(data, True):
        _, classes, first, last = NEAR_ROWS[at]
        if first and (kind := KIND[data[start - 1]]) and _before(data, kind, start):
            continue
        if last and KIND[data[end]] and not _closed(data, end):
            continue
        for name in classes:
            bits |= BITS[name]
    return bits


def _before(data: bytes, kind: int, start: int) -> bool:
    """Whether a word goes on over `start`, before which a byte of this kind stands."""
    return kind == WORD or (kind == LEAD and _joined(data, start - 1))


def _closed(data: bytes, end: int) -> bool:
    """Whether a word ends here, or with one more s. A genitive is another word: "act as the user's lawyer"."""
    if data[end] == 0x73:
        end += 1
    kind = KIND[data[end]]
    return not kind or (kind == QUOTE and data[end + 1] != 0x73) or (kind == LEAD and not _joined(data, end))


def _asked(data: bytes, how: int, start: int) -> bool:
    """Whether the words from `start` on stand in a question about them."""
    return start - how <= ASKED and _one_sentence(data, how, start)


def _one_sentence(data: bytes, start: int, end: int) -> bool:
    return not any(data.find(mark, start, end) >= 0 for mark in ENDS)


def _sentence(data: bytes, low: int, start: int, end: int, high: int) -> tuple[int, int]:
    """These bounds, drawn in to the sentence that the word from `start` to `end` stands in."""
    for mark in ENDS:
        low = max(low, data.rfind(mark, low, start) + 1)
        if (at := data.find(mark, end, high)) >= 0:
            high = at
    return low, high
