"""Pure. A campaign's story for people: plain words, at most 100 columns, what is evidence and what isn't told apart."""

from gateway.ledger.campaign_story import CampaignStory, Look, Strike
from gateway.ledger.explain_text import ASSUMED_ALL, fold
from gateway.ledger.story_text import RARE, SHOWN, counted_text, path_text
from gateway.ledger.words import amount, plain, unit_words

__all__ = ["to_text"]


def to_text(story: CampaignStory) -> str:
    """The story for people, at most 100 columns."""
    last = story.looks[-1]
    lines = fold(f"campaign {story.id}", 9)
    lines += fold(f"accounts {_of(last)} when last looked at; {story.accounts:,} met in these records", 9)
    lines += fold(f"since    {story.since}, when its recipe was first seen", 9)
    lines += fold(f"judged   as a campaign from {story.first} to {story.last}", 9)
    lines += fold(f"linked   {story.how}", 9)
    open_ = f", {story.unfinished:,} without an end" if story.unfinished else ""
    tokens = f"{story.input:,} input and {story.output:,} output tokens"
    lines += fold(f"requests {story.requests:,} of accounts that were members then{open_}; {tokens}", 9)
    lines += fold(f"actions  {counted_text(story.actions)}", 9)
    lines += fold(f"taken    by all members, last: {', '.join(last.taken) or 'nothing is known'}", 9)
    lines += fold(f"policies {', '.join(story.policies)}", 9)
    for sentence in story.notes:
        lines += fold(f"- {sentence}", 2)
    for count, text in (
        (story.starts, "starts of the gateway in between: what it remembered began anew"),
        (story.gaps, "gaps, in which rows could not be written"),
        (story.erased, "rows of erased accounts were passed over"),
        (story.further, "requests of further accounts, which are not listed"),
    ):
        lines += [f"- {count:,} {text}"] * bool(count)
    lines += _firsts(story) + _growth(story) + _scores(story) + _rules(story)
    lines += ["", "What its own readings say"] + [line for each in story.readings for line in fold(f"  {each}", 6)]
    for title, does in (("What speaks for its members", True), ("What could speak for them, and doesn't here", False)):
        told = [line for each in story.spoken if each.speaks is does for line in fold(f"  {each.words}", 6)]
        lines += ["", title, *(told or ["  nothing that is read of a campaign"])]
    lines += ["", "Who looks alike without guilt"]
    for name, look_alikes in story.alike.items():
        lines += fold(f"  {name}: {look_alikes}", 6)
    lines += _members(story)
    return "".join(f"{plain(line, 10_000)}\n" for raw in lines for line in fold(raw, 4))


def _of(look: Look) -> str:
    return f"{look.members:,} of {look.owners:,} owner{'s' * (look.owners != 1)}"


def _firsts(story: CampaignStory) -> list[str]:
    lines = ["", "First of each strength, on any member"] if story.firsts else []
    for each in story.firsts:
        watched = "" if each.done else ", only watched"
        asked = f"{each.requests_before:,} {unit_words('requests', each.requests_before)}"
        before = f"{asked} and {each.output_before:,} output tokens as members before it"
        after = f"{each.requests_after:,} and {each.output_after:,} from it on"
        lines += fold(f"  {each.at}  {each.action}{watched} ({each.request}, {each.account}): {before}, {after}", 6)
        lines += fold(f"      {_exposed(each, story.looks[-1])}", 10)
    return lines


def _exposed(strike: Strike, last: Look) -> str:
    """What all members had taken by then, and by the end of the records."""
    told = []
    for name, what, places in (("answers_taken", "answers of the last week", 0), ("recipe_units", "recipe units", 2)):
        before, after = getattr(strike.look, name), getattr(last, name)
        if before is not None and after is not None:
            told.append(f"{amount(round(before, places))} {what}, {amount(round(after, places))} at the end")
    return f"taken by all members until then: {'; '.join(told) or 'not known'}"


def _growth(story: CampaignStory) -> list[str]:
    """Its snapshots as a table: a few of many, the first and the last among them."""
    looks = story.looks
    every = max(1, -(-(len(looks) - 1) // (SHOWN - 1))) if len(looks) > 1 else 1
    shown = [look for at, look in enumerate(looks) if not at % every or look is looks[-1]]
    cards = sorted({card for look in looks for card in look.scores})[:3]
    head = ("looked at", "accounts", "owners", "answers", "recipe units", *(f"{card} dB" for card in cards))
    rows = [head]
    for look in shown:
        taken = [f"{look.answers_taken:,.0f}" if look.answers_taken is not None else ""]
        taken += [f"{look.recipe_units:,.2f}" if look.recipe_units is not None else ""]
        scores = [f"{look.scores[card]:,.2f}" if card in look.scores else "none" for card in cards]
        rows.append((look.at[:19] + "Z", f"{look.members:,}", f"{look.owners:,}", *taken, *scores))
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    lines = ["", "How it grew"]
    for row in rows:
        cells = [
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


def _scores(story: CampaignStory) -> list[str]:
    lines: list[str] = []
    for card, (db, at) in story.highest.items():
        last = amount(story.scores[card], "dB") if card in story.scores else "none"
        lines += ["", f"Scorecard {card}, of all members as one: {last} last, highest {amount(db, 'dB')} at {at}"]
        steps = [step for step in story.path if step.card == card]
        lines += path_text(steps, story.more_crossings, own=False)
        for title, peaks in (("raised most by", story.peaks), ("argued against by", story.against)):
            own = [each for each in peaks if each.card == card][:SHOWN]
            lines += [f"  {title}"] * bool(own)
            for each in own:
                words = f": {each.words}" if each.words else ""
                lines += fold(f"    {each.db:+8.2f} dB  {each.line}, in {each.request}{words}", 16)
        if any(each.card == card and RARE.search(each.words) for each in story.peaks):
            lines += fold(f"  {ASSUMED_ALL}", 4)
    if not story.highest:
        lines += ["", "No scorecard counts of it: none scores campaigns, or it has too few owners or requests"]
    return lines


def _rules(story: CampaignStory) -> list[str]:
    lines = ["", "Rules at work on members"] if story.rules else []
    for each in story.rules:
        lines += fold(
            f"  {each.rule}: {each.requests:,} requests, first {each.first} ({each.request}, {each.account})", 6
        )
    return lines


def _members(story: CampaignStory) -> list[str]:
    lines = ["", "Accounts, the busiest first"]
    for each in story.members[:SHOWN]:
        org = f" (org {each.org})" if each.org else ""
        told = f"{each.requests:,} requests, {each.output:,} output tokens, {each.first[:19]}Z to {each.last[:19]}Z"
        actions = counted_text(each.actions)
        lines += fold(f"  {each.account}{org}: {told}; {actions}; membership {amount(each.membership, 'dB')}", 6)
    left = len(story.members) - SHOWN
    return lines + [f"  and {left:,} more: --json has them"] * (left > 0)
