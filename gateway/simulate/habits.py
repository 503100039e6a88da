"""Pure. Benign families: what a kind of customer asks, when, with which frame, parameters and lengths of answers.

A habit plans a day as light entries (time, seed, step), and makes a request's body of one when its time has come, so
that a population costs no more memory than its plans. Texts follow from the habit's number: accounts of one owner that
share a product share the number.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.simulate.matter import SLOTS, Schema, listed, mix, one, passage
from gateway.simulate.people import vector_of
from gateway.simulate.prompts import prompt
from gateway.simulate.schedule import Chance, bursts, count, diurnal, people, ticks, zipf
from gateway.simulate.wording import PUBLIC, Frame, instructions, public

__all__ = ["CHAT", "FAMILIES", "Ask", "Entry", "Habit", "benchmark", "everyday"]

CHAT = "/v1/chat/completions"
BENCHMARKS = 1_000_000  # number of the first prompt of public test sets; campaigns ask those below
EVERYDAY = 1_200_000  # of those that people ask
SIDE = 2_400_000
SETS = 6
PICKED = Schema("{rows} {field} {goods} {place}")
TALK = tuple(
    Schema(text, at + 900)
    for at, text in enumerate(
        (
            "hi, my {goods} from order {k} did not arrive on {day}",
            "can i change the {field} of booking {k} in {place}?",
            "what time does the desk in {place} open on {day}",
            "the {goods} i bought in {place} are broken, who pays for that",
            "where do I find my {law} number {k}",
            "is there a {job} near {place} who {verb} {goods}",
            "i was charged {n} twice for the {law}, please check",
            "do you have {goods} with a different {field}",
        )
    )
)
FOLLOW = listed(
    "why?|thanks!|and on Sunday?|can you say that shorter|that didn't work|"
    "what does the second part mean|ok and then?|is that certain|give me an example|"
    "no I meant the other one|how much is that|please as a list"
)

Entry = tuple[float, int, int]
"""When (s from the begin), of which conversation or item, and its how-many-th request."""


class Ask(NamedTuple):
    """A request without who and when. `out`: tokens that its answer has."""

    path: str
    body: dict[str, Any]
    out: int


def everyday(number: int) -> str:
    """A question as people have them; no campaign's pool has it."""
    n = mix(number)
    return TALK[n % len(TALK)].text(n >> 8) if n & 0x300 == 0 else prompt(EVERYDAY + n % SIDE)


def benchmark(which: int, item: int) -> str:
    """An item of a public test set."""
    return prompt(BENCHMARKS + which % SETS * 20_000 + item)


def tokens(chance: Chance, mean: float, spread: float = 0.5, most: int | None = None) -> int:
    made = max(1, int(mean * chance.lognormvariate(0.0, spread)))
    return made if most is None else min(made, most)


class Habit:
    """The plain kind: single questions through the day, with a frame. Others change its parts."""

    family = "hobbyist"
    shape = "people"
    daily = (9.0, 0.9)  # requests a day: median over owners, spread (log)
    length = 350.0  # tokens of an answer, median
    turns: tuple[int, ...] = (1,)  # of a conversation

    def __init__(self, chance: Chance, number: int) -> None:
        self.number = number
        self.zone = float(chance.randrange(19) - 9)
        self.mean = min(900.0, self.daily[0] * chance.lognormvariate(0.0, self.daily[1]))
        self.params = vector_of(chance)
        self.frame = Frame()
        self.born(chance)

    def born(self, chance: Chance) -> None:
        """What an owner decides once."""

    def times(self, chance: Chance, start: float) -> list[float]:
        n = count(chance, self.mean * people(start, self.shape, self.zone) / (sum(self.turns) / len(self.turns)))
        return diurnal(chance, n, start, self.zone, self.shape)

    def day(self, chance: Chance, start: float) -> list[Entry]:
        """The requests of the day from `start` on; some may come after midnight."""
        found: list[Entry] = []
        for t in self.times(chance, start):
            seed = chance.getrandbits(48)
            for step in range(self.turns[seed % len(self.turns)]):
                found.append((t, seed, step))
                t += 12.0 + chance.expovariate(1 / 45)
        return found

    def said(self, seed: int, step: int) -> str:
        return everyday(seed) if not step else one(FOLLOW, seed, step)

    def ask(self, chance: Chance, seed: int, step: int) -> Ask:
        """The request of a plan's entry."""
        messages = self.frame.around(self.said(seed, 0))
        if step:
            messages += [
                part
                for at in range(max(1, step - 3), step + 1)
                for part in (
                    {"role": "assistant", "content": passage(mix(seed, at), 3)},
                    {"role": "user", "content": self.said(seed, at)},
                )
            ]
        most = self.params.get("max_tokens")
        return Ask(CHAT, {**self.params, "messages": messages}, tokens(chance, self.length, 0.6, most))


class ChatApp(Habit):
    family, daily, length = "chat_app", (45.0, 1.0), 260.0
    turns: tuple[int, ...] = (1, 1, 2, 3, 5)

    def born(self, chance: Chance) -> None:
        self.frame = Frame(instructions(self.number))
        self.users = 5 + chance.randrange(300)
        self.named = chance.random() < 0.6

    def ask(self, chance: Chance, seed: int, step: int) -> Ask:
        made = super().ask(chance, seed, step)
        if self.named:
            made.body["user"] = f"u{mix(self.number, seed % self.users) % 10**8}"
        return made


class SupportBot(ChatApp):
    family, daily, length, turns = "support_bot", (40.0, 1.0), 90.0, (1, 2, 3)

    def said(self, seed: int, step: int) -> str:
        if step:
            return one(FOLLOW, seed, step)
        asked = TALK[seed % len(TALK)].text(seed >> 8)
        article = passage(mix(self.number, seed % 40), 4)
        return f"Help article:\n{article}\n\nCustomer: {asked}"


class Rag(Habit):
    family, shape, daily, length = "rag", "office", (40.0, 0.9), 110.0

    def born(self, chance: Chance) -> None:
        self.frame = Frame(
            f"{one(SLOTS['name'], self.number)} answers from the context only. {instructions(self.number)}"
        )
        self.documents = 20 + chance.randrange(100)
        self.params["temperature"] = 0

    def said(self, seed: int, step: int) -> str:
        found = (f"[{at + 1}] {passage(mix(self.number, mix(seed, at) % self.documents), 4)}" for at in range(2))
        return "Context:\n" + "\n\n".join(found) + f"\n\nQuestion: {everyday(seed)}"


class Cron(Habit):
    family, daily, length = "summarise_cron", (60.0, 0.8), 90.0

    def born(self, chance: Chance) -> None:
        self.period = (900.0, 3600.0, 3600.0, 21_600.0, 86_400.0)[chance.randrange(5)]
        self.offset = chance.uniform(0.0, 86_400.0)
        lead = ("Summarise for {0} in three points", "{0}: two sentences on this text", "A digest for the {0} list")
        self.frame = Frame("", one(lead, self.number).format(one(SLOTS["place"], self.number, 1)) + ":\n\n", "")
        self.params["max_tokens"] = 300

    def times(self, chance: Chance, start: float) -> list[float]:
        return ticks(chance, count(chance, self.mean, 0.1), start, self.period, self.offset)

    def said(self, seed: int, step: int) -> str:
        return passage(seed, 5 + seed % 6)


class Batch(Habit):
    family, shape, daily, length = "batch_classify", "office", (90.0, 1.0), 4.0

    def born(self, chance: Chance) -> None:
        names = sorted({PICKED.text(mix(self.number, at)).split()[at % 2] for at in range(4 + chance.randrange(5))})
        labels = ", ".join(names)
        lead = (
            f"Classify the message into one of: {labels}.\nMessage: ",
            f"Labels: {labels}\nWhich label fits this text best? Reply with the label alone.\n\n",
            f"Is the text below about {labels}? Give JSON.\nText: ",
        )
        self.frame = Frame("", one(lead, self.number), "\nLabel:")
        self.params |= {"temperature": 0, "max_tokens": (3, 5, 16, 40)[chance.randrange(4)]}
        if chance.random() < 0.3:
            self.params |= {"logprobs": True, "top_logprobs": 5}
        self.rate = (0.5, 2.0, 8.0)[chance.randrange(3)]
        self.every = 1 + chance.randrange(4)  # days between two runs

    def times(self, chance: Chance, start: float) -> list[float]:
        if (int(start // 86_400) + self.number) % self.every:
            return []
        return bursts(
            chance, count(chance, self.mean * self.every), start, 1 + chance.randrange(3), self.rate, self.zone
        )

    def said(self, seed: int, step: int) -> str:
        return TALK[seed % len(TALK)].text(seed >> 8)


class Translation(Habit):
    family, shape, daily = "translation", "office", (40.0, 1.0)

    def born(self, chance: Chance) -> None:
        tongue, house = one(SLOTS["tongue"], self.number), instructions(self.number).partition(". ")[2]
        self.frame = Frame(f"Translate the user's text into {tongue}. Keep names and numbers. {house}")
        self.params["temperature"] = 0.2
        self.length = 80.0

    def said(self, seed: int, step: int) -> str:
        return passage(seed, 2 + seed % 5)


class CodingAgent(Habit):
    family, shape, daily, length = "coding_agent", "office", (45.0, 0.9), 150.0
    turns = (3, 5, 8, 11)

    def born(self, chance: Chance) -> None:
        kind = self.number % 5
        self.frame = Frame(f"You are a coding agent, build {kind}. Think, then call one tool. Stop when tests pass.")
        names = (("run", "Run a command"), ("read", "Read a file"), ("edit", "Apply a patch"))
        form = {"type": "object", "properties": {"arg": {"type": "string"}}, "required": ["arg"]}
        self.params["tools"] = [
            {"type": "function", "function": {"name": name, "description": what, "parameters": form}}
            for name, what in names
        ]
        self.params["temperature"] = 0.1

    def ask(self, chance: Chance, seed: int, step: int) -> Ask:
        messages: list[dict[str, Any]] = [*self.frame.around("Task: " + everyday(seed))]
        for at in range(max(0, step - 5), step):
            n = mix(seed, at)
            call = {"name": ("run", "read", "edit")[n % 3], "arguments": f'{{"arg": "{one(SLOTS["field"], n)}.py"}}'}
            messages += [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": f"c{n % 10**9}", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": f"c{n % 10**9}", "content": passage(n, 4)},
            ]
        return Ask(CHAT, {**self.params, "messages": messages}, tokens(chance, self.length))


class Student(Habit):
    family, shape, daily, length, turns = "student", "evening", (14.0, 0.7), 350.0, (1, 1, 2, 3)

    def born(self, chance: Chance) -> None:
        lead = ("", "explain: ", "help with this one please\n", "I am stuck on this: ")
        self.frame = Frame("", lead[chance.randrange(4)], "")


class Evaluation(Habit):
    """Sweeps a public test set, from its begin, several times: full overlap with whoever does the same."""

    family, daily = "eval_harness", (110.0, 0.7)

    def born(self, chance: Chance) -> None:
        self.which = zipf(chance, SETS)
        self.aloud = chance.random() < 0.5
        tail = "\nLet's think step by step." if self.aloud else "\nAnswer:"
        self.frame = Frame("", "Question: ", tail)
        self.params |= {"temperature": 0, "max_tokens": 512 if self.aloud else 32}
        if chance.random() < 0.3:
            self.params |= {"logprobs": True, "top_logprobs": 5}
        self.length = 220.0 if self.aloud else 4.0
        self.every = 1 + chance.randrange(3)

    def day(self, chance: Chance, start: float) -> list[Entry]:
        if (int(start // 86_400) + self.number) % self.every:
            return []
        n = count(chance, self.mean * self.every, 0.1)
        times = bursts(chance, n, start, 1, (0.4, 1.0, 4.0)[chance.randrange(3)], self.zone)
        return [(t, at, 0) for at, t in enumerate(times)]

    def said(self, seed: int, step: int) -> str:
        return benchmark(self.which, seed)


class Writing(Habit):
    family, shape, daily, length = "content_writing", "office", (30.0, 0.8), 420.0

    def born(self, chance: Chance) -> None:
        self.frame = Frame(
            f"Write copy for {one(SLOTS['place'], self.number)}. Tone: {one(SLOTS['mood'], self.number, 1)}."
        )
        self.params["temperature"] = 0.8

    def times(self, chance: Chance, start: float) -> list[float]:
        return bursts(chance, count(chance, self.mean), start, 1 + chance.randrange(4), 0.05, self.zone)

    def said(self, seed: int, step: int) -> str:
        goods, field = one(SLOTS["goods"], seed), one(SLOTS["field"], seed, 1)
        return f"Product: {goods}, keyword {field}. Facts: {passage(seed, 1)} Write 80 words and a title."


class Embeddings(Habit):
    family, shape, daily = "embeddings", "office", (45.0, 1.0)

    def born(self, chance: Chance) -> None:
        self.model = ("text-embedding-3-small", "text-embedding-3-large")[chance.randrange(2)]
        self.several = (1, 1, 4, 12)[chance.randrange(4)]

    def times(self, chance: Chance, start: float) -> list[float]:
        return bursts(chance, count(chance, self.mean), start, 1 + chance.randrange(4), 1.0, self.zone)

    def ask(self, chance: Chance, seed: int, step: int) -> Ask:
        texts = [passage(mix(seed, at), 3) for at in range(self.several)]
        return Ask("/v1/embeddings", {"model": self.model, "input": texts if len(texts) > 1 else texts[0]}, 0)


class Framework(Habit):
    """A user of an open-source framework, whose frame many owners share who have nothing to do with each other."""

    family, daily, length = "framework", (35.0, 0.9), 200.0

    def born(self, chance: Chance) -> None:
        self.frame = public(zipf(chance, PUBLIC))

    def said(self, seed: int, step: int) -> str:
        if self.number % 2:
            return everyday(seed)
        return passage(mix(self.number, seed % 60), 3) + f"\n{everyday(seed)}"


FAMILIES: dict[str, tuple[Callable[[Chance, int], Habit], float]] = {
    kind.family: (kind, share)
    for kind, share in (
        (ChatApp, 11.0),
        (SupportBot, 9.0),
        (Rag, 9.0),
        (Cron, 7.0),
        (Batch, 8.0),
        (Translation, 6.0),
        (CodingAgent, 8.0),
        (Habit, 12.0),
        (Student, 6.0),
        (Evaluation, 6.0),
        (Writing, 5.0),
        (Embeddings, 5.0),
        (Framework, 14.0),
    )
}
"""Family -> how to make one of an owner, and its share of the owners."""
