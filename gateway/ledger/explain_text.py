"""Pure. An explanation for people: plain words, at most 100 columns, the answer first and its reasons below it."""

from collections.abc import Iterable
from textwrap import wrap

from gateway.ledger.explanation import Addend, CardSaid, Explanation, LimitSaid, Near, RuleSaid
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
        for each in card.addends:
            if each.without is not None and each.score is not None:
                text = f"no `{each.id}`, and score.{card.id} at {amount(each.score, 'dB')}"
                groups.setdefault((each.without.verdict, each.without.action), {})[text] = None
    waits = [each.wait for each in told.limits if not each.ok]
    later = [f"  verdict {told.ruled[0]}", f"      {span(max(waits))} later, if nothing else came"] if waits else []
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


def _near(near: Near) -> list[str]:
    watched = "" if near.mode == "enforce" else f" [{near.mode}]"
    lines = fold(f"  {near.id}: {near.then}{watched}", 6)
    for turn in near.turns:
        lines += fold(f"      with {turn.text}: verdict {turn.verdict}", 10)
    return lines


def _card(card: CardSaid) -> list[str]:
    lines = ["", f"Scorecard {card.id}: {amount(card.score, 'dB')}"]
    if card.needs:
        lines += fold(f"  it needs {card.needs}, which does not hold: the score is its prior, and missing in rules", 4)
    if card.prior is not None:
        lines.append(f"  {card.prior:+8.2f} dB  prior")
    if card.prior is None:
        return lines + [f"  {each.db:+8.2f} dB  {each.id}" for each in card.addends]
    for family in card.families:
        how = []
        if abs(family.discounted - family.plain) > 0.01:
            how.append(f"{amount(family.plain, 'dB')} together, {amount(family.discounted, 'dB')} less what overlaps")
        if family.cut:
            how.append(f"cut at its ceiling of {amount(family.ceiling, 'dB')}")
        elif family.db > family.discounted + 0.01:
            how.append("no family counts less than that" if family.db < 0 else "lifted by a line with a higher ceiling")
        lines += fold(f"  {family.db:+8.2f} dB  family {family.id}{': ' if how else ''}{', '.join(how)}", 16)
        for addend in card.addends:
            if addend.family == family.id:
                lines += _addend(addend)
    if any(" owners " in each.words for each in card.addends):
        lines += fold(f"  {ASSUMED}", 4)
    return lines + _lower(card) + _alike(card) + _against(card)


def _addend(addend: Addend) -> list[str]:
    own = f", cut from {amount(addend.uncut, 'dB')}" if addend.uncut is not None else ""
    own += f", lifted from {amount(addend.unlifted, 'dB')}" if addend.unlifted is not None else ""
    return fold(f"           {addend.db:+8.2f} dB  {addend.id}{own}: {addend.words}", 25)


def _lower(card: CardSaid) -> list[str]:
    lines = ["", "  What would lower it"] if card.lower else []
    for each in card.lower:
        lines += fold(f"      {amount(each.score, 'dB')}, verdict {each.without.verdict}: without `{each.id}`", 10)
        lines += fold(f"          {each.behaviour}{f'; {each.fades}' if each.fades else ''}", 10)
        if each.later is not None and each.then is not None:
            later = f"{each.then.text} after it stops the score is {amount(each.later, 'dB')}"
            lines += fold(f"          {later}, verdict {each.then.verdict}, if as many other requests go on", 10)
    return lines


def _alike(card: CardSaid) -> list[str]:
    if not card.alike:
        return []
    lines = ["", "  Who looks alike without guilt"]
    for each in card.alike:
        own = f"; {_quoted(each.speaks)} speaks for that here" if each.speaks else ""
        lines += fold(f"      {each.code} {each.name} ({_quoted(each.lines)}): {each.look_alikes}{own}", 10)
    speak = [f"`{each.id}` ({amount(each.db, 'dB')})" for each in card.addends if each.db < 0]
    told = f"what speaks for guiltless use: {', '.join(speak) or 'nothing that this card reads'}"
    return lines + fold(f"      {told}", 10)


def _against(card: CardSaid) -> list[str]:
    lowered = [each for each in card.addends if each.db < 0]
    if not card.lower or not (lowered or card.silent):
        return []
    lines = ["", "  What argued against"]
    for addend in lowered:
        lines += fold(f"    {addend.db:+8.2f} dB  {addend.id}: {addend.words}", 18)
    for each in card.silent:
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
    if not each.ok:
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
