"""Pure. The counts as a picture: lines of at most so many columns, at most so many of them."""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from gateway.demo.plan import HYDRA, Plan
from gateway.demo.tally import Found, Mark, State, Tally

__all__ = ["LEAST", "Scene", "moment", "picture", "since"]

LEAST = (40, 8)
"""Columns and lines below which a picture says too little to be drawn."""
WHOLE = 24  # lines of a picture with a row for each group
LOW, HIGH = -40.0, 20.0  # dB: the ends of the score's bar
STYLES = {"": "", "bold": "1", "faint": "2", "good": "32", "tag": "35", "slow": "31", "refused": "1;31"}
"""SGR codes that are read on dark and on light: no yellow, no white, no blue."""
CELLS: dict[State, tuple[str, str]] = {
    "": (".", "faint"),
    "allow": ("o", "good"),
    "tag": ("t", "tag"),
    "clamp": ("c", "slow"),
    "throttle": ("T", "slow"),
    "limit": ("x", "refused"),
    "block": ("X", "refused"),
}
NAMES = {
    "": "silent",
    "allow": "allowed",
    "tag": "tagged",
    "clamp": "clamped",
    "throttle": "throttled",
    "limit": "over its limit",
    "block": "blocked",
}

Part = tuple[str, str]
"""A text and its style."""


class Scene(msgspec.Struct, frozen=True):
    """All that a picture shows. `day`: the first one of the gateway's clock, as in a line's `ts`."""

    plan: Plan
    tally: Tally
    day: str
    passed: float = 0.0  # seconds of the gateway's clock
    url: str = ""
    left_out: int = 0  # benign requests, since the machine was too slow for them


def picture(scene: Scene, width: int, height: int, *, colour: bool) -> list[str]:
    """The lines from the top, each of at most `width` columns, at most `height` of them."""
    whole = height >= WHOLE
    lines = [*_title(scene, width), *_groups(scene, whole=whole), *_hydra(scene, width), *_campaign(scene, width)]
    if not whole:
        lines = [line for line in lines if line]
    return [_drawn(line, width, colour=colour) for line in lines[:height]]


def moment(passed: float) -> str:
    """`day 2 09:12`, of seconds of the gateway's clock."""
    minutes = int(passed // 60)
    return f"day {minutes // 1440 + 1} {minutes // 60 % 24:02}:{minutes % 60:02}"


def since(ts: str, day: str) -> str:
    """`day 2 09:12`, of a line's `ts`."""
    days = (date.fromisoformat(ts[:10]) - date.fromisoformat(day[:10])).days
    return f"day {days + 1} {ts[11:16]}"


def _title(scene: Scene, width: int) -> list[list[Part]]:
    plan, tally = scene.plan, scene.tally
    others = sum(count.accounts for name, count in tally.groups.items() if name != HYDRA)
    left = f"Gauger: a hydra of {plan.heads} among {others} accounts"
    pace = plan.rate / 3600
    right = f"clock: 1 s = {pace:.3g} h   {moment(scene.passed)}"
    room = width - len(left) - len(right)
    title: list[Part] = [(left, "bold"), (" " * max(2, room), ""), (right, "bold")]
    if room < 2:
        title = [(right, "bold"), ("  ", ""), (left, "bold")]
    late = f", {scene.left_out:,} left out to keep time" if scene.left_out else ""
    doing = f"{tally.lines:,} requests over {scene.url}{late}"
    return [title, [(doing, "faint")], []]


def _groups(scene: Scene, *, whole: bool) -> list[list[Part]]:
    """A row for each group, or one for all of them."""
    tally = scene.tally
    head = f"{'':24}{'accounts':>9}{'asked':>9}{'served':>9}{'refused':>9}{'tagged':>9}{'acted on':>10}"
    lines: list[list[Part]] = [[(head, "faint")]]
    rows = [(name, count) for name, count in tally.groups.items() if name != HYDRA] if whole else []
    for name, count in [*rows, ("all customers", tally.benign())]:
        numbers = f"{count.accounts:>9,}{count.asked:>9,}{count.served:>9,}{count.refused:>9,}"
        acted = len(count.acted)
        style = "bold" if name == "all customers" else ""
        lines.append(
            [
                (f"{name:24}{numbers}", style),
                (f"{len(count.tagged):>9,}", "tag" if count.tagged else style),
                (f"{acted:>10,}", "refused" if acted else "good"),
            ]
        )
    for each in tally.others[:1]:
        score = "no score" if each.score is None else f"{each.score:+.1f} dB"
        low = all(each.score is None or each.score < mark.db for mark in tally.marks)
        said = f"{each.members} accounts of `{each.group}` are linked too: {score}{', left alone' if low else ''}"
        lines.append([(said, "faint")])
    if not tally.others:
        lines.append([])
    return lines


def _hydra(scene: Scene, width: int) -> list[list[Part]]:
    """The heads, a cell each, and what the cells mean."""
    tally, plan = scene.tally, scene.plan
    count = tally.groups.get(HYDRA)
    if count is None:
        return []
    title = f"the hydra: {count.accounts} accounts, one pool of {plan.pool:,} prompts"
    lines: list[list[Part]] = [[(title, "bold"), (f"   asked {count.asked:,}  served {count.served:,}", "")]]
    cells = [CELLS[state] for state in tally.heads.values()]
    row = max(1, min(20, (width - 2) // 3))
    lines += [
        [("  ", ""), *[(f"{sign}  ", style) for sign, style in cells[at : at + row]]]
        for at in range(0, len(cells), row)
    ]
    legend: list[Part] = [("  ", "")]
    for state, number in tally.states().items():
        if state in ("", "allow", "tag", "throttle", "limit") or number:
            sign, style = CELLS[state]
            legend += [(sign, style), (f" {NAMES[state]} {number}   ", "faint")]
    return [*lines, legend]


def _campaign(scene: Scene, width: int) -> list[list[Part]]:
    """What the gateway found of it, and what it had taken by then."""
    tally, plan = scene.tally, scene.plan
    found = tally.hydra
    if found is None:
        begun = scene.passed >= plan.begins * 3600
        told = "  not linked yet" if begun else f"  it begins on {moment(plan.begins * 3600)}"
        return [[(told, "faint")]]
    first = f"{found.id}: {found.members} accounts linked, found on {since(found.at, scene.day)}"
    lines: list[list[Part]] = [[(first, "bold")], *_score(scene, found, width), _share(scene)]
    return lines


def _score(scene: Scene, found: Found, width: int) -> list[list[Part]]:
    tally = scene.tally
    if found.score is None:
        return [[("  too few owners for a score", "faint")]]
    words = " ".join(_mark(mark) for mark in tally.marks)
    size = max(10, min(60, width - 12 - len(words)))
    over = [mark for mark in tally.marks if found.score >= mark.db and not mark.watched]
    style = "good" if not over else "tag" if over[-1].word == "tag" else "slow"
    bar: list[Part] = [
        (f"  {found.score:+.1f} dB ".rjust(11), style),
        *_bar(found.score, [mark.db for mark in tally.marks], size, style),
        (f" {words}", "faint"),
    ]
    addends = tally.addends(found)
    sums = f"  = {' '.join(f'{addend.db:+.1f} {addend.name}' for addend in addends)}"
    return [bar, [(sums, ""), (_named([line for each in addends for line in each.lines], width - len(sums)), "faint")]]


def _mark(mark: Mark) -> str:
    said = f"{mark.word} {mark.db:+g}"
    return f"({said})" if mark.watched else said


def _named(names: Iterable[str], room: int) -> str:
    """As many of the names as there is room for."""
    said = ""
    for name in names:
        more = f"{said}, {name}" if said else f"  ({name}"
        if len(more) >= room:
            break
        said = more
    return f"{said})" if said else ""


def _bar(score: float, marks: Sequence[float], size: int, style: str) -> list[Part]:
    """The score on a line, with a stroke at each threshold."""
    full = _at(score, size)
    strokes = {min(size - 1, _at(mark, size)) for mark in marks}
    return [("|", "") if at in strokes else ("=", style) if at < full else ("-", "faint") for at in range(size)]


def _at(db: float, size: int) -> int:
    return max(0, min(size, round((db - LOW) / (HIGH - LOW) * size)))


def _share(scene: Scene) -> list[Part]:
    """Of its pool, what was served before it was noticed, before it was slowed, and until now."""
    tally, pool = scene.tally, scene.plan.pool
    said = [
        f"{tally.firsts[action][1] / pool:.1%} at the first {word}"
        for action, word in (("tag", "tag"), ("throttle", "throttle"), ("limit", "refusal"))
        if action in tally.firsts
    ]
    for at in range(1, len(said)):
        said[at] = said[at].replace("at the first ", "")
    before = f"{', '.join(said)}; " if said else ""
    return [(f"  of its pool: {before}", ""), (f"{tally.groups[HYDRA].served / pool:.1%} now", "bold")]


def _drawn(parts: Iterable[Part], width: int, *, colour: bool) -> str:
    """The parts as one line, cut to the width; styles end where it does."""
    made: list[Part] = []
    left = width
    for text, style in parts:
        part = text[:left]
        left -= len(part)
        if made and made[-1][1] == style:
            made[-1] = (made[-1][0] + part, style)
        else:
            made.append((part, style))
    if not colour:
        return "".join(text for text, _ in made).rstrip()
    return "".join(
        f"\x1b[{STYLES[style]}m{text}\x1b[0m" if STYLES[style] and text.strip() else text for text, style in made
    )
