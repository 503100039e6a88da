"""Pure. The package's own prompts: question schemas over invented facts, millions of different ones by number.

Arithmetic, code, explanations, facts out of little passages, writing, plans, comparisons, corrections. All of it was
written for this package.
"""

from gateway.simulate.matter import Schema, mix, passage

__all__ = ["CAPACITY", "SCHEMAS", "prompt"]

TEXTS = (
    # arithmetic
    "{name} {verb} {n} {goods} on {day} and {k} more on {day}. Each one costs {m} coins. How much is that in all?",
    (
        "A {job} in {place} needs {k} {unit} of sand. One cart carries {m} {unit}. How many trips does "
        "{name} have to make?"
    ),
    (
        "The train from {place} leaves at {hour} and covers {k} miles at {n} miles an hour. When does "
        "it arrive in {place}?"
    ),
    "{name} shares {k} {goods} among {m} friends in {place}, and keeps what is left. How many does {=0} keep?",
    (
        "A shop in {place} lowers the price of {goods} from {k} coins by {n} percent, then raises it by "
        "{m} percent. Is it dearer now?"
    ),
    "Two pipes fill a basin in {place} in {n} and {k} minutes. {name} opens both. How long does it take?",
    "If {m} {job}s paint {n} fences in {k} minutes, how many minutes do {m} of them need for one fence in {place}?",
    # code
    "Write a {lang} function that {act} in a list of {rows} with a {field} and a {field}. {extra}",
    (
        "My {lang} program reads {rows} from {place} and {act}, but the {field} comes out wrong. What "
        "should I check first? {extra}"
    ),
    "Given {k} {rows} with {field} and {field}, design a {lang} class that {act}. {extra}",
    (
        "Write an SQL query over the table of {rows} at {place} that finds every {field} above {k} and "
        "groups by {field}. {extra}"
    ),
    (
        "Turn this into idiomatic {lang}: loop over {n} {rows}, skip those without a {field}, then do "
        "what {act} for {name}."
    ),
    # explanation
    "Explain {topic} to {audience} {limit}; use {goods} from {place} as the example.",
    "What do {topic} and {topic} have in common? Answer for {audience} {limit}, in a {mood} tone.",
    "Why would a {job} in {place} care about {topic}? Write it {limit} for {audience}.",
    "{name}, a {job}, believes that {topic} makes {goods} heavier. Is that right? Reply {limit}.",
    (
        "Compare {topic} with {topic} for {audience}: two likenesses, {m} differences, and what {name} "
        "from {place} should remember."
    ),
    # writing
    "Write {form} in a {mood} tone about {turn} in {place}, with a {job} called {name}.",
    "Draft an email from {name} to the {law} office in {place} about {n} {goods} that arrived on {day}; sound {mood}.",
    "Give me {m} titles for {form} about {turn}, {goods} and the town of {place}; {mood}, please.",
    "Continue the story: on {day} at {hour}, {name} found {turn} behind the {goods} of the {job} in {place}.",
    # plans and advice
    "Plan {m} days in {place} for {audience} who likes {goods} and {topic}; they leave on {day} at {hour}.",
    "{name} has {k} coins a month, a {law} in {place} and wants to buy {goods}. Make a budget {limit}.",
    "How should a {job} prepare for a talk on {topic} in {place} on {day}? {name} has {n} minutes.",
    "List {m} things that can go wrong when {name} ships {k} {goods} from {place}, and how to prevent each {limit}.",
    "What should {name} in {place} ask before signing a {law} for {n} months with a {job}?",
    # logic and correction
    (
        "{name} is older than {name}, and the {job} from {place} is younger than both. On {day} one of "
        "them is {n}. Who can it be?"
    ),
    'Correct this sentence and say why: "The {job}s of {place} has {verb} {k} {goods} since {year}, isn\'t it?"',
    'Translate into {tongue}: "{name} {verb} {n} {goods} every {day} at {hour} near {place}." Keep it {mood}.',
    (
        "Put these in order and justify it: the {year} flood in {place}, the first {goods} of {name}, "
        "and the {law} of {year}."
    ),
)
READING = (
    "{passage}\n\nWhat does the text say about {place}, and what is missing to answer fully? Quote at most {m} words.",
    (
        "Read this and make a table of every number with what it counts, then add one about {goods} "
        "from {place}:\n{passage}"
    ),
    "Passage: {passage}\nQuestion: which of these facts would a {job} from {place} check first, and why?",
    "Here is a note. {passage} Rewrite it for {audience} {limit}, as {name} from {place} would.",
)
"""These stand around a passage of their own."""

SCHEMAS = tuple(Schema(text, at) for at, text in enumerate(TEXTS))
AROUND = tuple(
    (Schema(before, at), Schema(after, at + 50))
    for at, (before, _, after) in enumerate(text.partition("{passage}") for text in READING)
)
KINDS = len(SCHEMAS) + len(AROUND)
CAPACITY = min(schema.capacity for schema in SCHEMAS)
"""Prompts with numbers below this differ from each other."""


def prompt(number: int) -> str:
    """The prompt of a number, from 0."""
    kind = mix(number, 7) % KINDS
    if kind < len(SCHEMAS):
        return SCHEMAS[kind].text(number)
    before, after = AROUND[kind - len(SCHEMAS)]
    return before.text(number) + passage(number, 2 + mix(number, 8) % 3) + after.text(number)
