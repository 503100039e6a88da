"""Pure. The hydra: an attack campaign that asks one pool of prompts through many accounts, as its knobs say.

Prompts are dealt one after the other to whichever account asks next, so that accounts share none (but by `overlap`).
What is lost is asked again, `retries` times. An account that is refused three times running for what it is, is given
up; one that is limited three times running is given up where a successor begins, and else waits for an hour.
"""

import math
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from gateway.simulate.habits import CHAT, FAMILIES, Ask, Habit, tokens
from gateway.simulate.knobs import Hydra
from gateway.simulate.matter import mix
from gateway.simulate.people import CLIENTS, MODELS, NETWORKS, VECTORS, Account, address, client_of, own_vector
from gateway.simulate.prompts import prompt
from gateway.simulate.schedule import AWAKE, DAY, count, diurnal, lockstep, zipf
from gateway.simulate.traffic import Dice, Heard, Sent, line_of, new_account
from gateway.simulate.wording import frame, reworded

__all__ = ["Campaign"]

STRIKES = 3  # refusals in a row after which something is changed
PATIENCE = 3600.0  # s that an account waits then
MOST = 100_000  # accounts of a campaign, successors and all
OWN = 1_000_000  # prompts of the package's own set that campaigns ask
CENTRE = -1  # the number of the event of a campaign whose requests come from one place


class Head:
    """One account of the campaign."""

    __slots__ = ("account", "begins", "cover", "day", "dead", "frame", "number", "params", "plan", "strikes", "zone")

    def __init__(self, number: int, account: Account, params: dict[str, Any], cover: Habit | None, zone: float) -> None:
        self.number = number
        self.account = account
        self.begins = 0.0  # s
        self.params = params
        self.cover = cover
        self.zone = zone
        self.frame = 0
        self.strikes = 0
        self.dead = False
        self.day = 0.0  # s: the begin of the next day that has no plan
        self.plan: list[float] = []  # times of a day as people have them, the next one last


class Campaign:
    """One campaign. `prompts`: to ask those instead of the package's own; `opened` is told of each account."""

    def __init__(
        self,
        knobs: Hydra,
        dice: Dice,
        days: float,
        prompts: tuple[str, ...] = (),
        opened: Callable[[Account], object] = lambda account: None,
    ) -> None:
        self.knobs = knobs
        self.name = knobs.label
        self.pool = min(knobs.pool, len(prompts)) if prompts else knobs.pool
        self.useful = self.sent = self.lost = self.filler = self.shortened = self.given_up = 0
        self.answered: set[int] = set()
        self._dice = dice
        self._prompts = prompts
        self._opened = opened
        self._ends = days * DAY
        self._chance = chance = dice(f"campaign {self.name}")
        self._salt = chance.getrandbits(40)
        self._first = chance.randrange(max(1, OWN - self.pool))
        self._step = next(n for n in range(7919, 8929) if math.gcd(n, max(1, len(prompts))) == 1)
        self._vector = {"model": MODELS[1], **own_vector(self._salt)}
        self._client = f"{CLIENTS[8].partition('/')[0]}/0.{self._salt % 40}.{mix(self._salt) % 20}"
        self._now = 0.0
        self._heads: list[Head] = []
        self._by_name: dict[str, Head] = {}
        self._live: list[Head] = []
        self._queue: list[tuple[float, int]] = []
        self._dealt = 0
        self._again: deque[int] = deque()
        self._tries: dict[int, int] = {}
        start = knobs.start * DAY
        for _ in range(knobs.accounts):
            self._open(start)
        if knobs.schedule == "balanced":
            heappush(self._queue, (start + chance.random() * self._gap(), CENTRE))

    @property
    def accounts(self) -> int:
        """How many accounts it has opened so far."""
        return len(self._heads)

    @property
    def networks(self) -> int:
        return -(-len(self._heads) // self.knobs.per_network)

    @property
    def finished(self) -> bool:
        """Whether all its prompts were asked."""
        return self._dealt >= self.pool and not self._again

    @property
    def stranded(self) -> bool:
        """Whether all its accounts are given up, and none succeeds them."""
        return not self._live

    def when(self) -> float:
        if self.finished:
            return math.inf
        while self._queue:
            t, number = self._queue[0]
            if t >= self._ends:
                return math.inf
            if number == CENTRE:
                if not self._live:
                    return math.inf
                if any(head.begins <= t for head in self._live):
                    return t
                self._queue[0] = (min(head.begins for head in self._live), CENTRE)
                continue
            if not self._heads[number].dead:
                return t
            heappop(self._queue)
        return math.inf

    def make(self) -> Sent:
        t, number = heappop(self._queue)
        self._now = t
        if number == CENTRE:
            head = self._next(t)
            heappush(self._queue, (t + self._gap() * self._chance.uniform(0.9, 1.1), CENTRE))
        else:
            head = self._heads[number]
            heappush(self._queue, (self._following(head, t), number))
        sent = self._asked(head, t)
        self.sent += 1
        if self.knobs.rotation and head.account.requests >= self.knobs.rotation:
            self._abandon(head, t)
        return sent

    def hear(self, sent: Sent, heard: Heard) -> None:
        """Counts what was got, deals again what was lost, and gives an account up that isn't served."""
        item = sent.item
        if heard.shortened:
            self.shortened += 1
        if item >= 0 and not sent.repeats:
            if heard.answered:
                if item not in self.answered:
                    self.answered.add(item)
                    self.useful += 1
            else:
                tries = self._tries[item] = self._tries.get(item, 0) + 1
                if tries <= self.knobs.retries:
                    self._again.append(item)
                else:
                    self.lost += 1
        head = self._by_name.get(sent.line.account)
        if head is None or head.dead:
            return
        if not (heard.blocked or heard.limited):
            head.strikes = 0
            return
        head.strikes += 1
        if head.strikes >= STRIKES:
            head.strikes = 0
            if heard.blocked or self.knobs.succession:
                self._abandon(head, self._now)
            elif self.knobs.schedule != "balanced":
                self._delay(head)

    def _open(self, t: float) -> None:
        number = len(self._heads)
        if number >= MOST:
            return
        knobs, chance = self.knobs, self._dice(f"campaign {self.name} head {number}")
        network = (self._salt + number // knobs.per_network * 37) % NETWORKS  # 37 and 512 share no divisor
        account = new_account(
            chance,
            label="extraction",
            family="hydra",
            owner=self.name,
            campaign=self.name,
            client={"own": self._client, "popular": CLIENTS[0]}.get(knobs.client) or client_of(chance),
            addresses=(address(network, 1 + number % knobs.per_network),),
            created=t - knobs.age * DAY,
        )
        if knobs.params == "own":
            params = self._vector
        else:
            rank = 0 if knobs.params == "popular" else zipf(chance, len(VECTORS))
            params = {"model": MODELS[0], **VECTORS[rank]}
        cover = FAMILIES[knobs.cover_as][0](chance, chance.getrandbits(48)) if knobs.cover else None
        head = Head(number, account, params, cover, float(chance.randrange(19) - 9))
        head.begins = t
        head.frame = number if knobs.frames < 0 else number % max(1, knobs.frames)
        self._heads.append(head)
        self._live.append(head)
        self._by_name[account.name] = head
        self._opened(account)
        if knobs.schedule != "balanced":
            heappush(self._queue, (self._following(head, t), number))

    def _abandon(self, head: Head, t: float) -> None:
        head.dead = True
        self.given_up += 1
        self._live.remove(head)
        if self.knobs.succession:
            self._open(t + self._chance.expovariate(1.0) * self.knobs.delay * 3600)

    def _delay(self, head: Head) -> None:
        for at, (t, number) in enumerate(self._queue):
            if number == head.number:
                self._queue[at] = (t + PATIENCE, number)
                self._queue.sort()
                return

    # times

    def _next(self, t: float) -> Head:
        """Who takes the next one of an even stream, of those that have begun: `when` says that one has."""
        while True:
            head = self._live[self._chance.randrange(len(self._live))]
            if head.begins <= t:
                return head

    def _gap(self) -> float:
        return DAY / (self.knobs.pace * max(1, len(self._live)))

    def _following(self, head: Head, t: float) -> float:
        """When this account asks next."""
        knobs, chance = self.knobs, self._chance
        if knobs.schedule == "lockstep":
            return lockstep(t, chance.expovariate(knobs.pace * AWAKE / DAY), self._salt)
        if knobs.schedule != "human":
            return t + chance.expovariate(knobs.pace / DAY)
        while True:
            while head.plan:
                found = head.plan.pop()
                if found > t:
                    return found
            start = max(head.day, t // DAY * DAY)
            head.day = start + DAY
            found_day = diurnal(chance, count(chance, knobs.pace, 0.3), start, head.zone)
            head.plan = found_day[::-1]

    def _asked(self, head: Head, t: float) -> Sent:
        """What this account asks now: filler, what somebody asked before, or the next prompt of the pool."""
        knobs, chance = self.knobs, self._chance
        if head.cover is not None and chance.random() < knobs.cover:
            self.filler += 1
            ask = head.cover.ask(chance, chance.getrandbits(48), 0)
            return Sent(line_of(chance, head.account, t, ask), self)
        repeats = False
        if self._again:
            item = self._again.popleft()
        elif self._dealt and chance.random() < knobs.overlap:
            item, repeats = chance.randrange(self._dealt), True
        else:
            item = self._dealt
            self._dealt += 1
        most = head.params.get("max_tokens")
        out = tokens(chance, knobs.answer, 0.5, most)
        sent = Sent(line_of(chance, head.account, t, Ask(CHAT, self._body(head, item), out)), self, item, repeats)
        sent.line.useful = sent.line.status == 200 and not repeats
        return sent

    def _body(self, head: Head, item: int) -> dict[str, Any]:
        knobs = self.knobs
        text = self._prompts[(item * self._step + self._salt) % len(self._prompts)] if self._prompts else ""
        text = text or prompt(self._first + item)
        variant = self._chance.randrange(knobs.paraphrase) if knobs.paraphrase > 1 else 0
        text = reworded(text, variant)
        if not knobs.frames:
            return {**head.params, "messages": [{"role": "user", "content": text}]}
        around = frame(self._salt + head.frame, variant, knobs.wording)
        return {**head.params, "messages": around.around(text)}
