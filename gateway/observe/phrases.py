"""Pure. The wording of a prompt -> marks: what kind of product it asks for, as far as its own words say.

What each mark is evidence of, and the recipes that have to say it:

`elicits`: the model's reasoning itself is wanted, whole and written down. It is what a student model is trained on
(Distilling Step-by-Step, Orca, STaR, s1, OpenThoughts, open-r1, Sky-T1, R1's own template), and the thing that
providers name as stolen: Google's threat report of February 2026 calls it reasoning trace coercion, Anthropic's names
step-by-step reasons behind a finished answer. `reasons` is its weak form: "step by step" is also said by teachers and
evaluations.

`generates`: training material is wanted. Self-Instruct and Alpaca (instructions from seeds), Evol-Instruct (rewriting
to harder ones), Persona Hub, OSS-Instruct (problems from snippets), Cosmopedia, Humpback and LongForm (the instruction
to an answer), MetaMath (the same question again), UltraChat, CAMEL and Baize (the model plays the user), Magpie (an
empty user's turn), question-answer pairs from documents, tool use in dialogues. `invents` is its weak form: some new
questions, problems or messages, as quiz apps, teachers and testers want them too.

`prefers`: answers to one prompt are held against each other, which is what a reward model or DPO is trained on:
LLM-as-a-judge in pairs, UltraFeedback, Constitutional AI, PairRM. `grades`: one answer is rated or checked.

How. Three thousand entries (`lexicon`) are looked for in one pass. A phrase says its mark alone. A verb of making looks
at the rest of its sentence for what is made, and for a number or a word like "diverse" before it. Some nouns look
around themselves. Some marks need parts from all over the text. What stands in a question ("how do i", "what is") or is
denied ("do not reveal") says no strong mark. Cost, 2 KB of English: 5 us without a match, 10 to 15 with some, 40 where
every sentence has several.

Who looks alike without guilt: evaluations and guardrails (`prefers`, `grades`), makers of synthetic data with a
contract, agents whose system prompt speaks of a chain of thought, tutors, test-data writers. So a mark is a feature
with a rate per account, never a verdict. What evading costs: a paraphrase, written once, per recipe and language; none
for recipes that say nothing, like bare problems sent to a model that shows its reasoning by itself (s1). The words are
public: what is hard to hide is that the recipe's one frame comes back ten thousand times, and other signals count that.

Strong marks, measured on public prompts: none of 1,281 prompts of people (InstructionWild), 2 of 500 (Arena-Hard), 1 of
3,215 task prompts (T0), under 4 % of 1,273 system prompts of published assistants, most of which do ask for a chain of
thought. That is the kind end: words that were wrong there were dropped. Of paraphrases that were written without
looking at the lexicon, half to three quarters are seen; of the published recipes' own wording nearly all.
"""

from collections.abc import Collection, Iterable
from functools import reduce
from operator import or_
from typing import NamedTuple

from gateway.observe.lexicon import LANGUAGES
from gateway.observe.seek import Seek, closed, goes_on

__all__ = ["MARKS", "marks"]

MARKS = ("elicits", "reasons", "generates", "invents", "prefers", "grades")
ELICITS, REASONS, GENERATES, INVENTS, PREFERS, GRADES = (1 << at for at in range(len(MARKS)))
OF = dict(zip(MARKS, (ELICITS, REASONS, GENERATES, INVENTS, PREFERS, GRADES), strict=True))
NAMES = tuple(tuple(name for name in MARKS if bits & OF[name]) for bits in range(1 << len(MARKS)))
STRONG = ELICITS | GENERATES | PREFERS

# Parts that say nothing alone, and a bit for each class of words: one of them stands there.
ONE, SET, TASKS, TRAINS, AGAIN, SHOWN, FULL, WISH, DIGIT = (1 << at for at in range(len(MARKS), len(MARKS) + 9))
CLASSES = tuple(sorted({name for _, _, words in LANGUAGES for name in words}))
AT = {name: at for at, name in enumerate(CLASSES)}
SEEN = {name: 1 << at for at, name in enumerate(CLASSES, len(MARKS) + 9)}

Wishes = tuple[tuple[int, int], ...]
"""(bits that must all stand, what that says) of each."""


def all_of(*names: str) -> int:
    """The bits of these classes."""
    return either(SEEN[name] for name in names)


def either(masks: Iterable[int]) -> int:
    """The bits of any of these masks."""
    return reduce(or_, masks, 0)


# A word of this class -> how many bytes before and after it are looked at, whether no further than its sentence, the
# classes that must have no word there, and what the words there say.
NOT = all_of("denied")
AROUND: dict[str, tuple[int, int, bool, int, Wishes]] = {
    "reasoning": (
        *(80, 90, True, NOT | all_of("others")),
        (
            *((all_of("show"), SHOWN), (all_of("yours"), SHOWN)),
            *((all_of("show", "fullness"), ELICITS), (all_of("no skipping"), ELICITS)),
        ),
    ),
    "thought": (20, 0, True, NOT, ((all_of("whole"), FULL),)),
    "solution": (40, 0, True, NOT, ((all_of("lengthy"), ELICITS),)),
    "behind": (0, 45, True, NOT, ((all_of("answer"), ELICITS),)),
    "before": (130, 160, False, NOT, ((all_of("mull", "at length"), ELICITS),)),
    "each step": (150, 120, False, NOT, ((all_of("mull"), ELICITS),)),
    "exhaustively": (70, 60, True, NOT, ((all_of("ponder"), ELICITS),)),
    "wander": (160, 160, False, NOT, ((all_of("ponder"), ELICITS),)),
    "make before": (  # where the verb comes last
        *(150, 0, True, 0),
        (
            *((all_of("item"), ONE), (all_of("item", "fresh"), INVENTS), (all_of("item") | DIGIT, INVENTS)),
            *((all_of("data"), SET),),
        ),
    ),
    "persona": (140, 160, False, 0, ((all_of("posed", "invent"), TASKS),)),
    "would ask": (140, 0, True, 0, ((all_of("posed", "invent", "demanding"), TASKS),)),
    "inspired": (140, 220, False, 0, ((all_of("posed", "invent"), TASKS),)),
    "harder": (180, 80, False, 0, ((all_of("rewrite", "evolvable"), GENERATES),)),
    "guess": (0, 50, True, NOT, ((all_of("the asking"), TASKS),)),
    "produced": (60, 0, True, 0, ((all_of("the asking"), TASKS),)),
    "variants": (0, 45, True, 0, ((all_of("the asking"), TASKS),)),
    "given answer": (60, 90, False, 0, ((all_of("the asking", "invent"), TASKS),)),
    "yields": (80, 0, True, 0, ((all_of("posed"), GENERATES),)),
    "train": (0, 50, True, NOT, ((all_of("model"), TRAINS),)),
    "answers": (80, 80, False, 0, ((all_of("choose", "two"), PREFERS),)),
    "assistant answer": (70, 70, False, 0, ((all_of("improve"), PREFERS),)),
    "chosen": (60, 200, False, 0, ((all_of("rejected", "answer"), PREFERS),)),
    "rate": (0, 60, True, NOT, ((all_of("answer"), GRADES),)),
}
# What is made -> how many bytes after the verb at most, in one sentence, and what the words between them say.
MADE: dict[str, tuple[int, Wishes]] = {
    "item": (90, ((0, ONE), (all_of("fresh"), INVENTS), (DIGIT, INVENTS), (all_of("synthetic"), SET))),
    "task": (90, ((all_of("diverse"), TASKS),)),
    "asked": (90, ((all_of("fresh"), TASKS), (DIGIT, TASKS))),
    "wish": (30, ((0, WISH),)),
    "data": (120, ((0, SET),)),
}
# (bits that must all stand, bits of which none may, what that says), in order
WHOLE: tuple[tuple[int, int, int], ...] = (
    (TASKS, all_of("art", "search", "market"), GENERATES),
    (SET, all_of("cards"), GENERATES),
    (ONE | TRAINS, all_of("code"), GENERATES),
    (ONE | all_of("for training"), all_of("code"), GENERATES),
    (ONE | all_of("to a model"), 0, GENERATES),
    (WISH | all_of("by tool"), all_of("code"), GENERATES),
    (ONE | all_of("solved"), 0, INVENTS),
    (ONE | all_of("solved", "played"), 0, GENERATES),
    (ONE | all_of("jsonl"), all_of("code"), GENERATES),
    (ONE | all_of("key instruction", "key output", "key input"), all_of("code"), GENERATES),
    (all_of("seed", "make"), 0, GENERATES),
    (all_of("rephrase"), all_of("search"), GENERATES),
    (all_of("helpfulness", "honesty", "truthfulness", "following"), 0, PREFERS),
    (all_of("first", "second", "compare"), 0, PREFERS),
    (AGAIN | all_of("compare"), 0, PREFERS),
    (SHOWN | FULL, 0, ELICITS),
    (all_of("boxed", "mull"), 0, REASONS),
)
# Words that stand in every text, and are looked for only where these say that they matter.
LATE, CALLS = all_of("compare", "mull"), all_of("second", "boxed") | AGAIN

# A prompt that ends with a user's header asks a chat model for what a user would say (Magpie).
HEADERS = (
    *(b"<|im_start|>user", b"<|start_header_id|>user<|end_header_id|>", b"<|start_header_id|>user", b"<|user|>"),
    *(b"<start_of_turn>user", b"[inst]", b"\nhuman:", b"\nuser:", b"### instruction:", b"<|begin_of_text|>"),
)

ASKED = 45  # bytes: so near before a wish, "how do i" makes a question about it, and "do not" its contrary
NOWHERE = -1 << 20
HOW, MAKE, NUMBERED = AT["how"], AT["make"], AT["numbered"]
HEEDS = frozenset(AT[name] for name in ("make", "rephrase", *AROUND) if name not in ("answers", "assistant answer"))
ENDS = (b". ", b"? ", b"  ", "。".encode())


def _near(bits: int) -> Seek:
    """The search for words of these classes; each says the bit of its class."""
    found: dict[str, int] = {}
    for _, _, words in LANGUAGES:
        for name, entries in words.items():
            for entry in entries if bits & SEEN[name] else ():
                found[entry] = found.get(entry, 0) | SEEN[name]
    return Seek({entry: (said, ()) for entry, said in found.items()})


def _classed(names: Collection[str], alone: bool) -> Seek:
    """The search for words of these classes, which are told one by one, and for what says a mark alone."""
    found: dict[str, tuple[int, tuple[int, ...]]] = {}
    for _, phrases, words in LANGUAGES:
        for mark, entries in phrases.items() if alone else ():
            for entry in entries:
                found[entry] = (found.get(entry, (0, ()))[0] | OF[mark], ())
        for name, entries in words.items():
            for entry in entries if name in names else ():
                said, classes = found.get(entry, (0, ()))
                found[entry] = (said, classes if AT[name] in classes else (*classes, AT[name]))
    return Seek(found)


class Window(NamedTuple):
    """What is looked at around a word."""

    before: int
    after: int
    sentence: bool
    unless: int
    wishes: Wishes
    words: Seek


BITS = tuple(SEEN[name] for name in CLASSES)
WINDOWS = tuple(
    Window(*AROUND[name], _near(either(need for need, _ in AROUND[name][4]) | AROUND[name][3]))
    if name in AROUND
    else None
    for name in CLASSES
)
BETWEEN = either(need for _, wishes in MADE.values() for need, _ in wishes)
OBJECTS = _classed({name for name in CLASSES if name in MADE or SEEN[name] & BETWEEN}, alone=False)
SPANS = tuple(MADE.get(name, (-1, ())) for name in CLASSES)
FARTHEST = max(span for span, _ in MADE.values())
PARTS = either(need | unless for need, unless, _ in WHOLE) & ~LATE
FIRST = _classed({name for name in CLASSES if name in (*AROUND, "how", "numbered") or SEEN[name] & PARTS}, alone=True)
LAST, DENIALS = _near(LATE), _near(NOT)


def marks(text: bytes) -> tuple[str, ...]:
    """The marks of a text in normal form, in the order of `MARKS`. Any bytes will do; the time is linear."""
    data = b" " + text.replace(b"\n", b" ") + b"   "
    wide = not data.isascii()
    if wide:
        data = data.replace(b"\xe2\x80\x99", b"'")  # the typographer's apostrophe
    hits = (FIRST.wide if wide else FIRST.plain)(data, True)
    bits = _read(data, hits, wide) if hits else 0
    if text.rstrip().endswith(HEADERS):
        bits |= GENERATES
    return NAMES[bits & (len(NAMES) - 1)]


def _read(data: bytes, hits: list[tuple[int, int, int]], wide: bool) -> int:
    bits, how = 0, NOWHERE
    for at, start, end in hits:
        said, classes, first, last = FIRST.rows[at]
        if (first and goes_on(data, start - 1)) or (last and not closed(data, end)):
            continue
        if said & STRONG and (_asked(data, how, start) or DENIALS.said(data[max(start - ASKED, 0) : start], wide)):
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
                bits |= _made(data[end : end + FARTHEST], wide)
            elif (window := WINDOWS[name]) is not None:
                bits |= _around(window, data, start, end, wide)
    if bits & CALLS:
        bits |= LAST.said(data, wide)
    for need, unless, says in WHOLE:
        if bits & need == need and not bits & unless:
            bits |= says
    return bits


def _made(rest: bytes, wide: bool) -> int:
    """What the objects say that stand behind a verb of making, of which this is the rest of its line."""
    for mark in ENDS:
        rest = rest.partition(mark)[0]
    rest = b" " + rest + b"   "
    digit, seen, bits = rest.find(b"0"), 0, 0
    for at, start, end in (OBJECTS.wide if wide else OBJECTS.plain)(rest, True):
        _, classes, first, last = OBJECTS.rows[at]
        if (first and goes_on(rest, start - 1)) or (last and not closed(rest, end)):
            continue
        for name in classes:
            span, wishes = SPANS[name]
            if start <= span:
                between = seen | DIGIT if 0 <= digit < start else seen
                for need, says in wishes:
                    if between & need == need:
                        bits |= says
            seen |= BITS[name]
    return bits


def _around(window: Window, data: bytes, start: int, end: int, wide: bool) -> int:
    """What the words around this one say."""
    before, after, sentence, unless, wishes, words = window
    left, right = data[max(start - before, 0) : start], data[end : end + after]
    if sentence:
        for mark in ENDS:
            left, right = left.rpartition(mark)[2], right.partition(mark)[0]
    near = left + data[start:end] + right
    seen, bits = words.said(near, wide), 0
    if b"0" in near:
        seen |= DIGIT
    if not seen & unless:
        for need, says in wishes:
            if seen & need == need:
                bits |= says
    return bits


def _asked(data: bytes, how: int, start: int) -> bool:
    """Whether the words from `start` on stand in a question about them."""
    return start - how <= ASKED and not any(data.find(mark, how, start) >= 0 for mark in ENDS)
