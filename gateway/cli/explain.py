"""Shell. `gauger explain`: why a request was treated as it was, what an account did, and a campaign, from records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from gateway.cli.searching import Found, Searched
from gateway.cli.sources import expand, lines
from gateway.documents import shown
from gateway.errors import Mistake
from gateway.files import resolver, text_of
from gateway.ledger.campaign_story import Campaigned
from gateway.ledger.campaign_text import to_text as campaign_text
from gateway.ledger.chain import body_of
from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from gateway.ledger.line import SCHEMA, encode
from gateway.ledger.record import Adopted, Opened, Row, Ruled, Settled, decode
from gateway.ledger.rejudge import after, under
from gateway.ledger.story import Teller
from gateway.ledger.story_text import to_text as story_text
from gateway.ledger.unline import rows_of
from gateway.policy.loader import PolicyErrors, load
from gateway.policy.model import Policy

__all__ = ["command"]

MAX_ROWS = 64  # of a file that is no ledger
KINDS = ("record", "account", "campaign")


@click.command("explain")
@click.argument("what", nargs=-1, required=True, metavar="[record|account|campaign] ID [LOG] | FILE")
@click.option(
    "--ledger", type=click.Path(path_type=Path), envvar="GAUGER_LEDGER", help="the ledger's folder [GAUGER_LEDGER]"
)
@click.option("--policy", metavar="FILE", help="explain by this policy [the one that the ledger says was in force]")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def command(what: tuple[str, ...], ledger: Path | None, policy: str | None, as_json: bool) -> None:
    """Why a request was refused, slowed, tagged or let through; what an account did; and what a campaign came to.

    \b
    gauger explain record ID --ledger DIR     one request; ID is in every refusal and in `x-request-id`
    gauger explain account ID --ledger DIR    an account's story
    gauger explain campaign ID --ledger DIR   accounts that follow one recipe, as one: who, since when, how linked,
                                              what they took, what speaks for them
    gauger explain ID --ledger DIR            a request with this id, else an account, else a campaign
    gauger explain account ID LOG             an account's or campaign's story from request lines; - reads standard
                                              input, --ledger or --policy gives the policy's words
    gauger explain FILE                       a request line, as standard output has it, or a ledger's rows; - reads
                                              standard input

    Exit code 0: explained. 2: not found, or a file that can't be read.
    """
    kind, name, log = _asked(what)
    given = None if policy is None else _given(policy)
    if kind == "file":
        text = _from_file(name, ledger, given, as_json)
    elif log:
        text = _from_log(kind, name, log, ledger, given, as_json)
    else:
        if ledger is None:
            hint = f"`gauger explain {' '.join(what)} --ledger DIR`; a file with this name is not here either"
            raise Mistake("which ledger?", hint=hint)
        text = _from_ledger(kind, name, ledger, given, as_json)
    click.echo(text, nl=False)


def _asked(what: tuple[str, ...]) -> tuple[str, str, str]:
    """(record, account, campaign, either or file; the id or name; a log to take it from)."""
    if len(what) == 3 and what[0] in KINDS[1:]:
        return what
    if len(what) == 2 and what[0] in KINDS:
        return what[0], what[1], ""
    if len(what) > 1:
        raise click.UsageError("one at a time: `record ID`, `account ID`, `campaign ID`, ID or FILE")
    return ("file" if what[0] == "-" or Path(what[0]).is_file() else "either"), what[0], ""


def _from_ledger(kind: str, name: str, ledger: Path, given: Policy | None, as_json: bool) -> str:
    searched = Searched(ledger)
    if kind in ("record", "either"):
        found = searched.record(name)
        if found is not None:
            return _told(found, given, as_json, searched)
    for each in KINDS[1:]:
        if kind in (each, "either"):
            teller = _teller(each, name, given)
            rows = (
                searched.campaign(name, teller.waits_for) if isinstance(teller, Campaigned) else searched.account(name)
            )
            for row in rows:
                teller.add(row)
            text = _story(teller, as_json)
            if text:
                return text
    wanted = "record, account or campaign" if kind == "either" else kind
    hint = "`gauger verify DIR` says from when to when it reaches"
    if searched.erased:
        hint = f"{searched.erased} rows there were erased with their accounts"
    raise Mistake(f"there is no {wanted} {shown(name)}; {searched.said()} searched", place=str(ledger), hint=hint)


def _teller(kind: str, name: str, given: Policy | None) -> Teller | Campaigned:
    known = {given.digest: given} if given is not None else {}
    return Campaigned(name, _adopted, known) if kind == "campaign" else Teller(name, _adopted, known)


def _story(teller: Teller | Campaigned, as_json: bool) -> str:
    """The story as it is printed; "" where there is none."""
    if isinstance(teller, Campaigned):
        whole = teller.story()
        if whole is None:
            return ""
        return encode(msgspec.to_builtins(whole)).decode() if as_json else campaign_text(whole)
    story = teller.story()
    if story is None:
        return ""
    return encode(msgspec.to_builtins(story)).decode() if as_json else story_text(story)


def _from_log(kind: str, name: str, log: str, ledger: Path | None, given: Policy | None, as_json: bool) -> str:
    """A story from request lines, in their order. Other events of the log are passed over."""
    teller = _teller(kind, name, given)
    searched = Searched(ledger) if ledger is not None else None
    policies: dict[str, Policy | None] = {given.digest: given} if given is not None else {}
    read = 0
    for _, _, raw in lines(expand([log])):
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(line, dict) or line.get("schema") != SCHEMA:
            continue
        read += 1
        of = line.get(kind)
        if not isinstance(of, dict) or of.get("id") != name:
            continue
        digest = rows_of(line)[0].policy
        if digest not in policies and len(policies) < MAX_ROWS:
            row = searched.adopted(digest, searched.sources) if searched is not None else None
            policies[digest] = _adopted(row) if row is not None else None
            if row is not None:
                teller.add(row)
        for each in rows_of(line, policies.get(digest)):
            teller.add(each)
    text = _story(teller, as_json)
    if not text:
        hint = "a log holds an account's campaign only in lines that were judged with it"
        raise Mistake(f"there is no {kind} {shown(name)} in {read:,} request lines", place=log, hint=hint)
    return text


def _told(found: Found, given: Policy | None, as_json: bool, searched: Searched | None) -> str:
    """The explanation of a request, by the policy that was asked for or by its own."""
    ruled = found.ruled
    notes: list[str] = []
    policy = given
    if given is None:
        policy, notes = _policy_of(found)
    elif given.digest != ruled.policy:
        old = found.ruled.verdict
        if searched is not None:
            rows = searched.before(ruled)
            ruled = after(given, rows, ruled)
            how = "after all that the ledger holds of this account; another policy's limits are not worked out"
        else:
            ruled = under(given, ruled)
            how = "from this record alone, so readings that it doesn't hold are missing"
        notes = [
            f"A what-if: it was judged by policy {found.ruled.policy} (verdict {old.verdict}, action {old.action}), and"
            f" is judged here by {given.digest} {how}. Limits, usage and end are those of the record."
        ]
    made = explain(ruled, found.settled, policy, notes)
    return encode(msgspec.to_builtins(made)).decode() if as_json else to_text(made)


def _policy_of(found: Found) -> tuple[Policy | None, list[str]]:
    """The policy that a ledger's row carries, or why there is none."""
    digest = found.ruled.policy
    only = "What follows is what the record itself holds. `--policy FILE` explains it by a file."
    if found.adopted is None:
        return None, [f"The text of policy {shown(digest)} is not at hand. {only}"]
    policy = _adopted(found.adopted)
    if policy is None:
        return None, [f"The text of policy {shown(digest)} can't be read by this version of Gauger. {only}"]
    if policy.digest != digest:
        return policy, [f"This version of Gauger reads the policy's text otherwise: its digest is {policy.digest} now."]
    return policy, []


def _adopted(row: Adopted) -> Policy | None:
    """The policy of a ledger's row; None where this version can't read its text."""
    try:
        return load(row.files[row.source], row.source, _Files(row.files))
    except (KeyError, PolicyErrors):
        return None


class _Files:
    """What the loader asks for the files of an Adopted row."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def __call__(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(2, "it is not in the ledger", name)
        return self.files[name].encode("utf-8", "surrogatepass")


def _given(name: str) -> Policy:
    """The policy of `--policy`. Raises PolicyErrors, a Mistake with every finding."""
    source, content, folder = text_of(name)
    return load(content, source, resolver(folder))


def _from_file(name: str, ledger: Path | None, given: Policy | None, as_json: bool) -> str:
    """A request line, or a request's rows."""
    ruled: Ruled | None = None
    settled: Settled | None = None
    adopted: dict[str, Adopted] = {}
    line: dict[str, Any] | None = None
    count = 0
    for source, number, raw in lines(expand([name])):
        if not raw.strip():
            continue
        place = f"{source.name}:{number}"
        row = _row(raw, place)
        if row is None:
            line, count = _parsed(raw, place), count + 1
        elif isinstance(row, Ruled):
            ruled, count = row, count + 1
        elif isinstance(row, Settled):
            settled = row
        elif isinstance(row, Adopted) and len(adopted) < MAX_ROWS:
            adopted[row.digest] = row
        if count > 1:
            hint = "`gauger explain record ID --ledger DIR` picks one; of a log, `grep ID LOG | gauger explain -`"
            raise Mistake("this file holds several requests", place=place, hint=hint)
    if line is not None:
        ruled, settled = rows_of(line)
    if ruled is None:
        raise Mistake("there is no request in it", place=name, hint="a line of the gateway's standard output, or rows")
    if settled is not None and settled.request != ruled.request:
        settled = None
    found = Found(ruled, settled, adopted.get(ruled.policy))
    if ledger is not None and found.adopted is None:
        searched = Searched(ledger)
        found = found._replace(adopted=searched.adopted(ruled.policy, searched.sources))
    if line is not None:
        policy = given if given is not None else _policy_of(found)[0]
        if policy is not None and policy.digest == ruled.policy:
            found = Found(*rows_of(line, policy), found.adopted)
    return _told(found, given, as_json, None)


def _row(raw: bytes, place: str) -> Row | None:
    """A ledger's row with or without its chain; None for anything else. A header or footer is no request line."""
    body = raw
    if raw.startswith(b'{"h":"'):
        body = body_of(raw if raw.endswith(b"\n") else raw + b"\n") or b""
    elif not raw.lstrip().startswith(b'{"type":"'):
        return None
    if not body:
        return Opened(0, 0, "")
    try:
        return decode(body)
    except msgspec.DecodeError as error:
        raise Mistake(f"this is no row of a ledger: {error}", place=place) from None


def _parsed(raw: bytes, place: str) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Mistake(f"this is no JSON: {error}", place=place, hint="one request line, in one line") from None
    if not isinstance(found, dict):
        raise Mistake("this is no request line", place=place, hint="a line of the gateway's standard output")
    return found
