"""Pure. The counts as words: a line now and then where nothing can be drawn, and what stands there at the end."""

from collections.abc import Sequence
from textwrap import wrap

from gateway.demo.frame import WHOLE, Scene, moment, picture, since
from gateway.demo.plan import HYDRA
from gateway.demo.tally import STATES
from gateway.ledger.explain_text import WIDTH

__all__ = ["brief", "missed", "progress", "summary"]

HALF = 0.5  # of the heads: so many must be linked, and so many slowed, for a hydra that was recognised
TOLD = ("request", "Campaign ", "Scorecard ")
"""How the parts of an explanation begin that are shown; its command shows the others."""
PART = 12  # lines of each


def progress(scene: Scene) -> str:
    """One line: where it stands."""
    tally = scene.tally
    benign, hydra, found = tally.benign(), tally.groups[HYDRA], tally.hydra
    states = tally.states()
    heads = ", ".join(f"{states[state]} {state}" for state in STATES if state and states[state]) or "silent"
    score = "" if found is None or found.score is None else f" at {found.score:+.1f} dB"
    linked = "not linked" if found is None else f"{found.members} linked as {found.id}{score}"
    others = f"{benign.asked:,} asked, {benign.served:,} served, {len(benign.acted)} acted on"
    return (
        f"{moment(scene.passed)}  customers: {others}"
        f" | hydra: {hydra.asked:,} asked, {hydra.served:,} served; heads: {heads}; {linked}"
    )


def missed(scene: Scene) -> list[str]:
    """What should have happened and didn't, a sentence each; none = all went as it should."""
    tally, heads = scene.tally, len(scene.tally.heads)
    found, benign = tally.hydra, tally.benign()
    linked = len(found.of[HYDRA]) if found is not None else 0
    said = []
    if linked < HALF * heads:
        said.append(f"the hydra was not recognised: {linked} of its {heads} accounts were linked")
    if tally.slowed() < HALF * heads:
        said.append(f"the hydra was not slowed: {tally.slowed()} of its {heads} accounts were throttled")
    if benign.acted:
        groups = [f"{len(count.acted)} of `{name}`" for name, count in tally.groups.items() if count.acted]
        whom = ", ".join(group for group in groups if not group.endswith(f"`{HYDRA}`"))
        said.append(f"customers were acted on: {whom} ({', '.join(sorted(benign.acted)[:5])})")
    return said


def summary(scene: Scene, told: str, commands: Sequence[str], width: int, *, colour: bool) -> str:
    """The last picture, why one head was slowed, what came of it, and how to look further."""
    rule = "-" * width
    lines = picture(scene, width, WHOLE, colour=colour)
    if told:
        head = "Why one of its accounts was slowed, in the words of `gauger explain`:"
        lines += [rule, *_folded(head, width), "", *brief(told, width)]
    lines += [rule, *[line for each in _facts(scene) for line in _folded(each, width, "  ")]]
    if commands:
        lines += [rule, "To look further:", *[f"  {each}" for each in commands]]
    return "".join(f"{line}\n" for line in lines)


def brief(told: str, width: int) -> list[str]:
    """An explanation's main parts, each cut to its first lines, none wider than `width`."""
    parts = [part.strip("\n").split("\n") for part in told.split("\n\n")]
    shown = [part for part in parts if part[0].startswith(TOLD)] or parts[:1]
    lines: list[str] = []
    for part in shown:
        lines += [""] * bool(lines)
        whole = _unfolded(part) if width < WIDTH else [(line, 4) for line in part]
        for line, more in whole[:PART]:
            lines += _folded(line, width, " " * more)
        if len(whole) > PART:
            lines.append("    ...")
    return lines


def _unfolded(lines: Sequence[str]) -> list[tuple[str, int]]:
    """Lines that were folded at the explanation's own width, whole again, and how much further in each went on.

    A line goes on in the next one where that is further in, and its first word had no room any more.
    """
    made: list[tuple[str, int]] = []
    last = ""
    for line in lines:
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        deeper = _margin(line) - _margin(made[-1][0]) if made else 0
        if word and deeper > 0 and len(last) + 1 + len(word) > WIDTH:
            made[-1] = (f"{made[-1][0]} {line.strip()}", deeper)
        else:
            made.append((line, 4))
        last = line
    return made


def _facts(scene: Scene) -> list[str]:
    tally, plan = scene.tally, scene.plan
    benign, hydra, found = tally.benign(), tally.groups[HYDRA], tally.hydra
    bad = missed(scene)
    said = ["As it should be." if not bad else "Not as it should be:"]
    said += [f"! {each}" for each in bad]
    said.append(
        f"- {benign.accounts} customers' accounts asked {benign.asked:,} times: {benign.served:,} served,"
        f" {len(benign.tagged)} accounts tagged, {len(benign.acted)} acted on."
    )
    firsts = [
        f"{words} on {since(tally.firsts[action][0], scene.day)}, when {tally.firsts[action][1] / plan.pool:.1%} of the"
        " pool was served"
        for action, words in (("tag", "tagged"), ("throttle", "throttled"), ("limit", "refused"))
        if action in tally.firsts
    ]
    now = f"{hydra.served:,} of {plan.pool:,} prompts served in the end ({hydra.served / plan.pool:.1%})"
    linked = f"{len(found.of[HYDRA])} of its accounts linked as {found.id}" if found is not None else "not linked"
    said.append(f"- The hydra: {linked}; {'; '.join([*(f'first {each}' for each in firsts), now])}.")
    failed = benign.failed + hydra.failed
    said += [f"- {failed:,} requests failed at the gateway or behind it."] * bool(failed)
    said += [f"- {scene.left_out:,} benign requests were left out to keep time with the clock."] * bool(scene.left_out)
    said.append(
        f"- Real: the gateway, its pack, its model, {tally.lines:,} requests over sockets. Simulated: who asked."
    )
    said.append(f"- The gateway's clock ran {plan.rate:,.0f} times as fast as yours: 1 s was {plan.rate / 3600:.3g} h.")
    return said


def _folded(line: str, width: int, more: str = "    ") -> list[str]:
    """A line as one or more, the later ones further in by `more`."""
    if len(line) <= width:
        return [line]
    margin = " " * min(_margin(line), width // 2)
    rest = f"{margin}{more}"[: width // 2]
    return wrap(line.strip(), width, initial_indent=margin, subsequent_indent=rest, break_on_hyphens=False)


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())
