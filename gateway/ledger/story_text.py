"""Pure. An account's story for people: plain words, at most 100 columns."""

import re
from collections.abc import Sequence

from gateway.catalogue import CARDS
from gateway.ledger.campaign_words import NOT_A_PERSON
from gateway.ledger.explain_text import ASSUMED, ASSUMED_ALL, fold
from gateway.ledger.story import ACTIONS, MAX_DAYS, Story
from gateway.ledger.story_path import Step
from gateway.ledger.words import amount, plain, unit_words

__all__ = ["RARE", "SHOWN", "counted_text", "path_text", "to_text"]

RARE = re.compile(" (owners|shared recipes) ")
SHOWN = 12  # of a list
FEW = 5  # addends of a step


def to_text(story: Story) -> str:
    """The story for people, at most 100 columns."""
    who = [f"plan {story.plan}"] * bool(story.plan) + [f"org {story.org}"] * bool(story.org)
    who += [f"labels {', '.join(story.labels)}"] * bool(story.labels)
    who += [f"{count} {word}{'s' * (count != 1)}" for word, count in (("key", story.keys), ("network", story.networks))]
    lines = fold(f"account  {story.account} ({', '.join(who)})", 9)
    lines += [f"first    {story.first}", f"last     {story.last}"]
    open_ = f", {story.unfinished:,} without an end" if story.unfinished else ""
    lines += [f"requests {story.requests:,}{open_}; {story.input:,} input and {story.output:,} output tokens"]
    lines += fold(f"models   {counted_text(story.models)}", 9)
    lines += fold(f"actions  {counted_text(story.actions)}", 9)
    lines += fold(f"policies {', '.join(story.policies)}", 9)
    for count, text in (
        (story.starts, "starts of the gateway in between: what it remembered began anew"),
        (story.gaps, "gaps, in which rows could not be written"),
        (story.erased, "rows of erased accounts were passed over"),
    ):
        lines += [f"- {count:,} {text}"] * bool(count)
    lines += _exposure(story) + _campaigns(story) + _firsts(story) + _days(story)
    for card, (db, at) in story.highest.items():
        lines += ["", f"Scorecard {card}: {amount(story.scores[card], 'dB')} last, highest {amount(db, 'dB')} at {at}"]
        lines += path_text([step for step in story.path if step.card == card], story.more_crossings)
        for title, peaks in (("raised most by", story.peaks), ("argued against by", story.against)):
            own = [each for each in peaks if each.card == card][:SHOWN]
            lines += [f"  {title}"] * bool(own)
            for each in own:
                words = f": {each.words}" if each.words else ""
                of = " of its campaign" if each.campaign else ""
                lines += fold(f"    {each.db:+8.2f} dB  {each.line}{of}, in {each.request}{words}", 16)
        if any(each.card == card and RARE.search(each.words) for each in story.peaks):
            lines += fold(f"  {ASSUMED_ALL if any(each.campaign for each in story.peaks) else ASSUMED}", 4)
    if story.rules:
        lines += ["", *fold(f"Rules at work: {counted_text(story.rules)}", 4)]
    for shift in story.shifts[-SHOWN:]:
        change = [f"{', '.join(shift.begin)} began"] * bool(shift.begin)
        change += [f"{', '.join(shift.end)} ended"] * bool(shift.end)
        scores = ", ".join(f"{card} {amount(db, 'dB')}" for card, db in shift.scores.items())
        lines += fold(f"  {shift.at}  {'; '.join(change)}{f' at {scores}' if scores else ''} ({shift.request})", 6)
    left = len(story.shifts) - SHOWN + story.more_shifts
    if story.more_shifts:
        lines.append(f"  the first {len(story.shifts)} changes were kept, {story.more_shifts:,} came after")
    elif left > 0:
        lines.append(f"  and {left:,} earlier changes: --json has them")
    return "".join(f"{plain(line, 10_000)}\n" for line in lines)


def _exposure(story: Story) -> list[str]:
    """What it has taken, by the readings of the last record that has them."""
    if not story.exposure:
        return []
    words = {gauge.name: gauge.words for card in CARDS.values() for gauge in card.readings}
    told = [f"{words.get(name, name)}: {amount(value)} ({name})" for name, value in story.exposure.items()]
    return fold(f"exposure {'; '.join(told)}", 9)


def _campaigns(story: Story) -> list[str]:
    """The campaigns that it was a member of, and what they came to."""
    lines: list[str] = []
    for each in story.campaigns:
        when = f"in {each.requests:,} of its {story.requests:,} requests, {each.first} to {each.last}"
        lines += ["", *fold(f"Campaign {each.id}: {when}", 4)]
        owners = f"{each.members:,} accounts of {each.owners:,} owners, its recipe first seen {each.since}"
        lines += fold(f"  {owners}", 4)
        lines += fold(f"  linked: {each.how}", 4)
        lines += fold(f"  {each.member}: membership {amount(each.membership, 'dB')}", 4)
        lines += fold(f"  taken by all members: {', '.join(each.taken)}", 4) if each.taken else []
        for card, db in each.scores.items():
            lines.append(f"  its score {card}: {amount(db, 'dB')} last, highest {amount(each.highest[card], 'dB')}")
        lines.append(f"  gauger explain campaign {each.id} tells of it as a whole")
    lines += fold(f"  - {NOT_A_PERSON}", 4) if lines else []
    return lines + [f"  and {story.more_campaigned:,} requests with further ones"] * bool(story.more_campaigned)


def _firsts(story: Story) -> list[str]:
    lines = ["", "First of each strength"] if story.firsts else []
    for each in story.firsts:
        watched = "" if each.done else ", only watched"
        asked = f"{each.requests_before:,} {unit_words('requests', each.requests_before)}"
        before = f"{asked} and {each.output_before:,} output tokens before it"
        after = f"{each.requests_after:,} and {each.output_after:,} from it on"
        lines += fold(f"  {each.at}  {each.action}{watched} ({each.request}): {before}, {after}", 6)
    return lines


def path_text(steps: Sequence[Step], more: int, *, own: bool = True) -> list[str]:
    """The moments of a score, the first and last few of many. `own`: of an account's, else of a campaign's."""
    shown = [*steps[:SHOWN], *steps[max(SHOWN, len(steps) - SHOWN) :]]
    lines = (
        ["  its path" + ("" if own else ", as of a member with no other use and for whom nothing speaks")]
        if steps
        else []
    )
    for at, step in enumerate(shown):
        if at == SHOWN and len(steps) > len(shown):
            lines.append(f"    and {len(steps) - len(shown):,} more in between: --json has them")
        lines += _step(step, own=own)
    return lines + [f"    {more:,} later crossings were not kept"] * bool(more)


def _step(step: Step, *, own: bool) -> list[str]:
    said: list[str] = [word for word in step.what if word in ("first", "highest", "last")]
    verb = "reaches" if "reached" in step.what else "leaves"
    said += [f"{verb} {', '.join(step.crossed)} ({', '.join(step.rules)})"] * bool(step.crossed)
    side = {True: ", its campaign's", False: "", None: ", its own or its campaign's"}[step.shared]
    score = f"{amount(step.score, 'dB')}{side}" if own else amount(step.score, "dB")
    lines = fold(f"    {step.at}  {score}: {'; '.join(said)} (in {step.request})", 6)
    if {"reached", "highest"} & set(step.what):
        for each in step.addends[:FEW]:
            sentence = f"{each.words}: " if each.words else ""
            of = ", of all members" if each.campaign and own else ""
            lines += fold(f"        {sentence}{each.db:+.1f} dB ({each.line}{of})", 12)
        left = len(step.addends) - FEW
        lines += [f"        and {left} weaker"] * (left > 0)
    return lines


def counted_text(table: dict[str, int]) -> str:
    """`allow 3, tag 2`, the first few of many."""
    shown = [f"{name} {count:,}" for name, count in list(table.items())[:SHOWN]]
    return ", ".join(shown + [f"{len(table) - SHOWN} more"] * (len(table) > SHOWN)) or "none"


def _days(story: Story) -> list[str]:
    used = [name for name in ACTIONS if name in story.actions]
    if not used or len(story.days) < 2:
        return []
    lines = ["", "day       " + "".join(f"{name:>10}" for name in used)]
    days = list(story.days.items())
    for day, counts in days[-SHOWN * 3 :]:
        lines.append(day + "".join(f"{counts.get(name, 0):>10,}" for name in used))
    lines += [f"and {len(days) - SHOWN * 3} earlier days: --json has them"] * (len(days) > SHOWN * 3)
    return lines + [f"days after the first {MAX_DAYS} are only counted above"] * (len(days) >= MAX_DAYS)
