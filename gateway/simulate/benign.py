"""Pure. The benign population, and the controls: look-alikes of a campaign that must stay innocent."""

from collections.abc import Callable, Iterator
from itertools import accumulate

from gateway.simulate.habits import FAMILIES, Ask, ChatApp, Entry, Habit, SupportBot, everyday
from gateway.simulate.matter import SLOTS, mix, one, passage
from gateway.simulate.people import MODELS, NETWORKS, Account, address, age_of, client_of, own_vector
from gateway.simulate.schedule import DAY, Chance, count
from gateway.simulate.traffic import Dice, Resident, new_account
from gateway.simulate.wording import Frame, starter

__all__ = ["CONTROLS", "population"]

SEVERAL = 0.1  # share of owners with more than one account
LATER = 1_000  # steps from here on belong to the second habit


def population(dice: Dice, owners: int, days: float) -> Iterator[Resident]:
    """So many benign owners, of all families in proportion; the first ones are the same however many there are."""
    kinds = list(FAMILIES.values())
    sums = list(accumulate(share for _, share in kinds))
    for at in range(owners):
        chance = dice(f"owner {at}")
        pick = chance.random() * sums[-1]
        make = next(kind for (kind, _), upto in zip(kinds, sums, strict=True) if pick < upto)
        several = chance.random() < SEVERAL
        size = 2 + chance.randrange(4) if several else 1
        number = chance.getrandbits(48)
        age = age_of(chance) * DAY
        client, network = client_of(chance), chance.randrange(NETWORKS)
        begins = chance.uniform(0.0, days * DAY / 2) if age < 5 * DAY else 0.0
        for which in range(size):
            own = dice(f"owner {at} account {which}")
            habit = make(dice(f"owner {at} habit"), number)
            habit.mean *= own.uniform(0.4, 1.0) if several else 1.0
            account = new_account(
                own,
                label="benign",
                family=habit.family,
                owner=f"owner-{at}",
                client=client,
                addresses=_addresses(own, network if several or own.random() < 0.7 else own.randrange(NETWORKS)),
                created=begins - age * (own.uniform(0.3, 1.0) if several else 1.0),
                org=f"org-{at}" if several else None,
            )
            yield Resident(account, habit, own, begins, days)


def _addresses(chance: Chance, network: int) -> tuple[str, ...]:
    hosts = (1, 1, 1, 2, 3, 6)[chance.randrange(6)]
    return tuple(address(network, chance.randrange(254)) for _ in range(hosts))


class Adopter(Habit):
    """What somebody does who takes a template over: matter of his own in everybody's frame."""

    family, daily, length, turns = "viral", (35.0, 0.5), 240.0, (1, 1, 2)

    def said(self, seed: int, step: int) -> str:
        if step:
            return super().said(seed, step)
        rows, place = one(SLOTS["rows"], self.number), one(SLOTS["place"], self.number, 1)
        return f"{rows} of {place}: {passage(seed, 2)} {everyday(seed)}"


class Adopted(Habit):
    """An old habit until the day when the template comes, and from then on mostly the template."""

    def __init__(self, before: Habit, after: Habit, at: float, share: float) -> None:
        self.before, self.after, self.at, self.share = before, after, at, share
        self.family = after.family
        self.mean = after.mean

    def day(self, chance: Chance, start: float) -> list[Entry]:
        old = self.before.day(chance, start)
        if start + DAY <= self.at:
            return old
        kept = [entry for entry in old if entry[0] < self.at or chance.random() >= self.share]
        new = self.after.day(chance, start)
        return kept + [(t, seed, step + LATER) for t, seed, step in new if t >= self.at]

    def ask(self, chance: Chance, seed: int, step: int) -> Ask:
        return self.after.ask(chance, seed, step - LATER) if step >= LATER else self.before.ask(chance, seed, step)


def viral(dice: Dice, days: float, owners: int = 50) -> Iterator[Resident]:
    """Unrelated owners, old and new, who all take over one new public template within a few days."""
    frame = starter(mix(dice("viral").getrandbits(40)))
    kinds = [make for make, _ in FAMILIES.values()]
    for at in range(owners):
        chance = dice(f"viral {at}")
        number = chance.getrandbits(48)
        adopts = chance.uniform(0.0, min(3.0, days * 0.6)) * DAY
        new = chance.random() < 0.4  # some came because of it
        after = Adopter(chance, number)
        after.frame = frame
        before = kinds[chance.randrange(len(kinds))](chance, number)
        habit: Habit = after if new else Adopted(before, after, adopts, chance.uniform(0.3, 0.9))
        age = chance.uniform(0.0, 2.0) if new else max(30.0, age_of(chance))
        yield Resident(
            _control(chance, "viral", f"viral-owner-{at}", age, begins=adopts if new else 0.0),
            habit,
            chance,
            adopts if new else 0.0,
            days,
        )


class Project(SupportBot):
    """A project of a large company: its instructions for all, documents of its own."""

    family, shape, daily = "enterprise", "office", (30.0, 0.7)


def enterprise(dice: Dice, days: float, accounts: int = 80, org: str | None = "enterprise") -> Iterator[Resident]:
    """Project accounts of one company, which share instructions, client and parameters; without `org`, unclaimed."""
    name = "enterprise" if org else "enterprise unclaimed"  # dice of their own: both may be in one world
    shared = dice(name)
    frame = ChatApp(shared, shared.getrandbits(48)).frame
    params = {"model": MODELS[1], **own_vector(shared.getrandbits(48))}
    client, network, zone = client_of(shared), shared.randrange(NETWORKS), float(shared.randrange(12) - 6)
    for at in range(accounts):
        chance = dice(f"{name} {at}")
        habit = Project(chance, chance.getrandbits(48))
        habit.frame, habit.params, habit.zone = frame, dict(params), zone
        account = _control(chance, "enterprise", "enterprise", chance.uniform(5, 700), network, client, org=org)
        yield Resident(account, habit, chance, 0.0, days)


class Pupil(Habit):
    """A participant of a course: the course's template and its exercises, in the evenings and in class."""

    family, shape, daily, length, turns = "course", "evening", (22.0, 0.4), 300.0, (1, 1, 2)
    exercises: tuple[str, ...] = ()
    lesson = 0.0  # s after midnight at which the class begins

    def day(self, chance: Chance, start: float) -> list[Entry]:
        found = super().day(chance, start)
        if int(start // DAY) % 7 < 5:  # an hour in class, where all do the same exercise
            for at in range(count(chance, 5.0)):
                found.append((start + self.lesson + chance.uniform(0, 3600), int(start // DAY) * 8 + at, 0))
        return found

    def said(self, seed: int, step: int) -> str:
        return self.exercises[seed % len(self.exercises)] if not step else super().said(seed, step)


def course(dice: Dice, days: float, students: int = 30) -> Iterator[Resident]:
    """New accounts of a class: one starter template, the same exercises."""
    shared = dice("course")
    number = shared.getrandbits(40)
    frame, zone = starter(number), float(shared.randrange(12) - 6)
    exercises = tuple(everyday(mix(number, at)) for at in range(60))
    for at in range(students):
        chance = dice(f"course {at}")
        habit = Pupil(chance, chance.getrandbits(48))
        habit.frame, habit.zone, habit.exercises = frame, zone, exercises
        habit.lesson = (18.0 - zone) % 24 * 3600
        if chance.random() < 0.7:  # as in the starter's own code
            habit.params = {"model": MODELS[0], "temperature": 0.7}
        begins = chance.uniform(0.0, min(1.0, days / 3)) * DAY
        account = _control(chance, "course", f"student-{at}", chance.uniform(0, 3), begins=begins)
        yield Resident(account, habit, chance, begins, days)


class Branch(SupportBot):
    """A small owner's bot made with a vendor's product."""

    family, daily = "franchise", (30.0, 0.6)


def franchise(dice: Dice, days: float, owners: int = 40) -> Iterator[Resident]:
    """Bots of one vendor's product at small owners, each with data and customers of its own."""
    shared = dice("franchise")
    words = starter(shared.getrandbits(40)).system
    params, client = {"model": MODELS[0], **own_vector(shared.getrandbits(48))}, client_of(shared)
    for at in range(owners):
        chance = dice(f"franchise {at}")
        habit = Branch(chance, chance.getrandbits(48))
        habit.frame = Frame(f"{words}\n{habit.frame.system}")
        habit.params = dict(params)
        account = _control(chance, "franchise", f"branch-{at}", max(10.0, age_of(chance)), client=client)
        yield Resident(account, habit, chance, 0.0, days)


def _control(
    chance: Chance,
    family: str,
    owner: str,
    age: float,
    network: int | None = None,
    client: str = "",
    *,
    org: str | None = None,
    begins: float = 0.0,
) -> Account:
    """An account of a control; `age` in days when it begins."""
    return new_account(
        chance,
        label="benign",
        family=family,
        owner=owner,
        client=client or client_of(chance),
        addresses=_addresses(chance, chance.randrange(NETWORKS) if network is None else network),
        created=begins - age * DAY,
        org=org,
    )


CONTROLS: dict[str, Callable[[Dice, float], Iterator[Resident]]] = {
    "viral": viral,
    "enterprise": enterprise,
    "enterprise-unclaimed": lambda dice, days: enterprise(dice, days, org=None),
    "course": course,
    "franchise": franchise,
}
"""Controls by name."""
