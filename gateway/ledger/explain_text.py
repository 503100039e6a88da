"""Pure. An explanation for people: plain words, at most 100 columns, the answer first and its reasons below it."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from gateway.ledger.explanation import (
    Addend,
    Alike,
    CampaignSaid,
    CardSaid,
    Explanation,
    FamilySaid,
    LimitSaid,
    Lower,
    Near,
    RuleSaid,
    Shared,
    Silent,
)
from gateway.ledger.words import amount, plain, span, unit_words
from gateway.policy.effects import STRENGTH

__all__ = ["ASSUMED", "WIDTH", "fold", "to_text"]

WIDTH = 100
STATES = {
    "done": "enforced",
    "watched": "only watched",
    "lasts": "lasts from an earlier request",
    "lasts, watched": "lasts from an earlier request, only watched",
}
ENDS = {
    "done": "answered",
    "refused": "refused",
    "client_abort": "the client went away",
    "upstream_error": "the model server failed",
    "timeout": "timed out",
    "crash": "a defect of the gateway ended it",
}


def to_text(told: Explanation) -> str:
    """All of it, newline included."""
    lines = [f"request  {told.request}", f"time     {told.at}"]
    who = [f"plan {told.plan}"] * bool(told.plan) + [f"org {told.org}"] * bool(told.org)
    who += [f"labels {', '.join(told.labels)}"] * bool(told.labels)
    lines += fold(f"account  {told.account}{_in(who)}", 9)
    what = [f"model {told.model}"] * bool(told.model) + [told.asked] * bool(told.asked)
    lines += fold(f"asked    {told.op} {told.route}{_in(what)}", 9)
    lines += fold(f"policy   {told.policy or 'its text is not at hand'}, digest {told.digest}", 9)
    lines += fold(f"action   {told.action}{f': {told.done}' if told.done else ''}", 9)
    same = "the same" if told.verdict == told.action else "what full enforcement would have done"
    lines.append(f"verdict  {told.verdict} ({same})")
    if told.end:
        status = f", status {told.status}" if told.status else ", before any status"
        lines.append(f"end      {ENDS.get(told.end, told.end)}{status}")
    for sentence in (*told.why, *told.notes):
        lines += fold(f"- {sentence}", 2)
    lines += _rules(told) + _changes(told)
    if told.campaign is not None:
        lines += _campaign(told.campaign)
    for card in told.cards:
        lines += _card(card)
    if told.near:
        lines += ["", "Rules that nearly held"]
        for near in told.near:
            lines += _near(near)
    if told.missing:
        lines += ["", "Rules that read what nobody knows"]
        for rule, names in told.missing.items():
            lines += fold(f"  {rule}: {', '.join(names)}", 4)
    if not told.explained and told.readings:
        lines += ["", "Readings that were read"]
        lines += [f"  {name} = {amount(value)}" for name, value in sorted(told.readings.items())]
    lines += _limits(told)
    return "\n".join(line for raw in lines for line in fold(raw, 4)) + "\n"


def fold(line: str, indent: int) -> list[str]:
    """A line as one or more of at most 100 columns, the rest indented; unprintable characters are dots."""
    line = plain(line, 10_000)
    margin = len(line) - len(line.lstrip())
    if len(line) <= WIDTH:
        return [line]
    return wrap(
        line.lstrip(),
        WIDTH,
        initial_indent=" " * margin,
        subsequent_indent=" " * min(WIDTH // 2, max(margin + 2, indent)),
        break_on_hyphens=False,
    )


def _in(parts: Iterable[str]) -> str:
    text = ", ".join(parts)
    return f" ({text})" if text else ""


def _rules(told: Explanation) -> list[str]:
    lines = []
    if told.rules:
        lines += ["", "Rules that held" if any("lasts" not in rule.state for rule in told.rules) else "Rules at work"]
    for rule in told.rules:
        lines += _rule(rule)
    return lines


def _rule(rule: RuleSaid) -> list[str]:
    of = " of the answer" if rule.phase == "response" else ""
    owner = f", owner {rule.owner}" if rule.owner else ""
    lines = fold(f"  {rule.id}{of}: {rule.then or 'its text is not at hand'} [{STATES[rule.state]}{owner}]", 6)
    for term in rule.terms:
        read = ", ".join(
            value.text
            if value.name == term.text or term.text.startswith(f"{value.name} ")
            else f"{value.name} {value.text}"
            for value in term.values
        )
        said = "" if term.holds else "  [missing]" if term.holds is None else "  [does not hold]"
        lines += fold(f"      {term.text}: {read}{said}" if read else f"      {term.text}{said}", 10)
    if rule.softened:
        lines += fold(f"      softened by exception {rule.softened}", 10)
    for each in rule.exceptions:
        lines += fold(f"      {each}", 10)
    return lines


def _changes(told: Explanation) -> list[str]:
    """What would have changed the verdict, by what it would have been."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for rule in told.rules:
        for turn in rule.turns:
            groups.setdefault((turn.verdict, turn.action), {})[turn.text] = None
        if rule.excepted is not None:
            groups.setdefault((rule.excepted.verdict, rule.excepted.action), {})[rule.excepted.text] = None
    for card in told.cards:
        for each in (*card.addends, *(card.shared.addends if card.shared is not None else ())):
            if each.without is not None and each.score is not None:
                text = f"no `{each.id}`, and score.{card.id} at {amount(each.score, 'dB')}"
                groups.setdefault((each.without.verdict, each.without.action), {})[text] = None
    waits = [each.wait for each in told.limits if not each.ok]
    when = f"{span(max(waits))} later, if nothing else came" if waits else ""
    if any(each.closed for each in told.limits):
        when = "when the store is back"
    later = [f"  verdict {told.ruled[0]}", f"      {when}"] if when else []
    if not groups and not later:
        return []
    lines = ["", "What would have changed the verdict", *(later if min(waits, default=0) > 0 else [])]
    aside = ", the limits aside" if waits else ""
    for (verdict, action), texts in sorted(groups.items(), key=lambda group: -STRENGTH.get(group[0][0], 0)):
        other = f", action {action}" if action != verdict else ""
        same = ": the same, since other rules hold" if (verdict, action) == told.ruled else ""
        lines.append(f"  verdict {verdict}{other}{aside}{same}")
        for text in texts:
            lines += fold(f"      {text}", 10)
    return lines if len(lines) > 2 else []


ASSUMED = "how many owners do as much is what the policy assumes of benign owners (`benign`), not a measurement"
ASSUMED_ALL = (
    "how many owners or shared recipes do as much is what the policy assumes of benign ones (`benign`), not a"
    " measurement"
)


def _near(near: Near) -> list[str]:
    watched = "" if near.mode == "enforce" else f" [{near.mode}]"
    lines = fold(f"  {near.id}: {near.then}{watched}", 6)
    for turn in near.turns:
        lines += fold(f"      with {turn.text}: verdict {turn.verdict}", 10)
    return lines


def _campaign(told: CampaignSaid) -> list[str]:
    """What was known of the account's campaign, before any score of it."""
    lines = ["", f"Campaign {told.id}"]
    owners = f"{told.owners:,} owner{'s' * (told.owners != 1)}"
    lines += fold(f"  accounts  {told.members:,} of {owners}, as last looked at (epoch {told.epoch:,})", 12)
    lines += fold(f"  since     {told.since}, {span(round(told.age * 1_000_000))} before this request", 12)
    lines += fold(f"  linked    {told.how}", 12)
    lines += fold(f"  share     {told.member}: membership {amount(told.membership, 'dB')}", 12)
    if told.taken:
        lines += fold(f"  taken     by all members: {', '.join(told.taken)}", 12)
    for sentence in told.notes:
        lines += fold(f"  - {sentence}", 4)
    for each in told.spoken:
        if each.speaks:
            lines += fold(f"  - For its members speaks: {each.words}.", 4)
    return lines


def _card(card: CardSaid) -> list[str]:
    shared = card.shared
    side = (
        {True: ", which is its campaign's", False: ", its own", None: ""}[shared.decides] if shared is not None else ""
    )
    lines = ["", f"Scorecard {card.id}: {amount(card.score, 'dB')}{side}"]
    if shared is not None:
        lines += fold(f"  {shared.sum}", 4)
        if shared.decides is not False:
            return lines + _shared(shared, card.lower) + _own(card, shared)
    lines += _sum(card) + _lower(card.lower) + _alike(card.alike, card.addends) + _against(card)
    return lines + (["", *_shared(shared, ())] if shared is not None and shared.score is not None else [])


def _own(card: CardSaid, shared: Shared) -> list[str]:
    """The account by itself, where its campaign may be what decides."""
    if shared.total is None:
        return ["", "  The account by itself", *_sum(card)] if card.addends else []
    own = "it has no score" if card.own is None else amount(card.own, "dB")
    return ["", f"  The account by itself: {own}", *_sum(card)]


def _sum(card: CardSaid) -> list[str]:
    """The prior and the families of the account by itself."""
    lines = []
    if card.needs:
        what = "the score is its prior, and missing in rules" if card.shared is None else "it counts nothing by itself"
        lines += fold(f"  it needs {card.needs}, which does not hold: {what}", 4)
    if card.prior is None:
        return [f"  {each.db:+8.2f} dB  {each.id}" for each in card.addends]
    lines.append(f"  {card.prior:+8.2f} dB  prior")
    return lines + _families(card.families, card.addends) + _assumed(card.addends)


def _shared(shared: Shared, lower: Sequence[Lower]) -> list[str]:
    """What the campaign came to."""
    lines = [f"  The campaign: {amount(shared.score, 'dB')}" if shared.score is not None else "  The campaign"]
    if shared.prior is None:
        return lines + [f"  {each.db:+8.2f} dB  {each.id}" for each in shared.addends]
    lines.append(f"  {shared.prior:+8.2f} dB  prior of a campaign")
    lines += _families(shared.families, shared.addends) + _assumed(shared.addends)
    lines += ["  This account in it", f"  {shared.membership + 0.0:+8.2f} dB  membership"]
    for family, db in shared.speaks.items():
        lines.append(f"  {db:+8.2f} dB  family {family}, which speaks for it")
        for each in shared.speaking:
            if each.family == family:
                lines += _addend(each)
    lines += _lower(lower)
    if lower and shared.decides:
        less = "half as much of the recipe in this account's own use: 3 dB less, down to its own score"
        lines += fold(f"      {less}", 10)
    lines += _alike(shared.alike, (*shared.addends, *shared.speaking))
    argued = [each for each in shared.addends if each.db < 0]
    return lines + _argued(argued, shared.silent) if shared.decides else lines


def _families(families: Iterable[FamilySaid], addends: Iterable[Addend]) -> list[str]:
    lines: list[str] = []
    for family in families:
        how = []
        if abs(family.discounted - family.plain) > 0.01:
            how.append(f"{amount(family.plain, 'dB')} together, {amount(family.discounted, 'dB')} less what overlaps")
        if family.cut:
            how.append(f"cut at its ceiling of {amount(family.ceiling, 'dB')}")
        elif family.db > family.discounted + 0.01:
            how.append("no family counts less than that" if family.db < 0 else "lifted by a line with a higher ceiling")
        lines += fold(f"  {family.db:+8.2f} dB  family {family.id}{': ' if how else ''}{', '.join(how)}", 16)
        for addend in addends:
            if addend.family == family.id:
                lines += _addend(addend)
    return lines


def _assumed(addends: Iterable[Addend]) -> list[str]:
    words = " ".join(each.words for each in addends)
    if " shared recipes " in words:
        return fold(f"  {ASSUMED_ALL}", 4)
    return fold(f"  {ASSUMED}", 4) if " owners " in words else []


def _addend(addend: Addend) -> list[str]:
    own = f", cut from {amount(addend.uncut, 'dB')}" if addend.uncut is not None else ""
    own += f", lifted from {amount(addend.unlifted, 'dB')}" if addend.unlifted is not None else ""
    return fold(f"           {addend.db:+8.2f} dB  {addend.id}{own}: {addend.words}", 25)


def _lower(lower: Sequence[Lower]) -> list[str]:
    lines = ["", "  What would lower it"] if lower else []
    for each in lower:
        lines += fold(f"      {amount(each.score, 'dB')}, verdict {each.without.verdict}: without `{each.id}`", 10)
        lines += fold(f"          {each.behaviour}{f'; {each.fades}' if each.fades else ''}", 10)
        if each.later is not None and each.then is not None:
            later = f"{each.then.text} after it stops the score is {amount(each.later, 'dB')}"
            lines += fold(f"          {later}, verdict {each.then.verdict}, if as many other requests go on", 10)
    return lines


def _alike(alike: Sequence[Alike], addends: Iterable[Addend]) -> list[str]:
    if not alike:
        return []
    lines = ["", "  Who looks alike without guilt"]
    for each in alike:
        own = f"; {_quoted(each.speaks)} speaks for that here" if each.speaks else ""
        lines += fold(f"      {each.code} {each.name} ({_quoted(each.lines)}): {each.look_alikes}{own}", 10)
    speak = [f"`{each.id}` ({amount(each.db, 'dB')})" for each in addends if each.db < 0]
    told = f"what speaks for guiltless use: {', '.join(speak) or 'nothing that this card reads'}"
    return lines + fold(f"      {told}", 10)


def _against(card: CardSaid) -> list[str]:
    lowered = [each for each in card.addends if each.db < 0]
    return _argued(lowered, card.silent) if card.lower else []


def _argued(lowered: Sequence[Addend], silent: Sequence[Silent]) -> list[str]:
    if not (lowered or silent):
        return []
    lines = ["", "  What argued against"]
    for addend in lowered:
        lines += fold(f"    {addend.db:+8.2f} dB  {addend.id}: {addend.words}", 18)
    for each in silent:
        lines += fold(f"           0 dB  {each.id}, which could count {amount(each.least, 'dB')}: {each.words}", 18)
    return lines


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _limits(told: Explanation) -> list[str]:
    if not told.limits:
        return ["", "Limits: none was asked"] if told.action in ("block", "reject") else []
    refused = any(not each.ok and not each.shadow for each in told.limits)
    lines = ["", "Limits" + (": nothing was drawn, since one refuses" if refused else "")]
    for each in told.limits:
        lines += _limit(each, refused)
    if not refused:
        usage = told.usage
        source = {"upstream": "the model server's figures", "counted": "counted by the gateway"}.get(usage.source)
        if source is not None:
            lines += fold(f"  used: {usage.input:,} input and {usage.output:,} output tokens ({source})", 4)
    return lines


def _limit(each: LimitSaid, refused: bool) -> list[str]:
    words = unit_words(each.unit, each.drawn) if each.unit else "units"
    share = f", throttled to {amount(each.throttled, 'share')} of its rate" if each.throttled is not None else ""
    lines = []
    if each.rate:
        lines += fold(f"  {each.id}: {each.rate}; {each.most}{share}", 6)
    of = f" of {each.capacity:,}" if each.capacity else ""
    tail = f"; full again in {span(each.reset)}" if each.reset else ""
    if each.closed:
        text, tail = "refuses: the shared store is away, and `on_store_error` is `closed`", ""
        text += ", only watched" if each.shadow else ""
    elif not each.ok:
        wait = (
            "waiting never helps" if each.wait < 0 else f"passes in {span(each.wait)}" if each.wait else "no wait said"
        )
        watched = ", only watched" if each.shadow else ""
        text = f"refuses: {each.drawn:,} {words} asked, {each.left:,}{of} left, {wait}{watched}"
    else:
        drawn = "would have drawn" if refused else "drew"
        text = f"{drawn} {each.drawn:,} {words}, {each.left:,}{of} left"
        if each.actual is not None and each.actual != each.drawn:
            text += f"; came to {each.actual:,}"
    lines += fold(f"      {text}{tail}" if each.rate else f"  {each.id}: {text}{tail}", 10)
    return lines
