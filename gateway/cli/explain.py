"""Shell. `gauger explain`: why a request was treated as it was, and an account's story, from the ledger or a line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import orjson

from gateway.cli.sources import Source, expand, lines
from gateway.documents import shown
from gateway.errors import Mistake
from gateway.files import resolver, text_of
from gateway.ledger.chain import BARE, BODY, Header, body_of
from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from gateway.ledger.line import encode
from gateway.ledger.record import Adopted, Erased, Opened, Row, Ruled, Settled, decode
from gateway.ledger.rejudge import after, under
from gateway.ledger.story import Story, Teller
from gateway.ledger.story_text import to_text as story_text
from gateway.ledger.unline import rows_of
from gateway.policy.loader import PolicyErrors, load
from gateway.policy.model import Policy

__all__ = ["command"]

ADOPTED, OPENED, ERASED, GAP = (b'{"type":"%b"' % kind for kind in (b"adopted", b"opened", b"erased", b"gap"))
ROW, BARE_ROW = BODY.start, BARE.start  # bytes of a line before its row, and before a tombstone
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of request ids: ten characters of ms since the epoch come first
MAX_ROWS = 64  # of a file that is no ledger
KINDS = ("record", "account")


class Found(NamedTuple):
    """A request, and the policy of the time as far as the ledger has it."""

    ruled: Ruled
    settled: Settled | None
    adopted: Adopted | None


@click.command("explain")
@click.argument("what", nargs=-1, required=True, metavar="[record|account] ID | FILE")
@click.option(
    "--ledger", type=click.Path(path_type=Path), envvar="GAUGER_LEDGER", help="the ledger's folder [GAUGER_LEDGER]"
)
@click.option("--policy", metavar="FILE", help="explain by this policy [the one that the ledger says was in force]")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def command(what: tuple[str, ...], ledger: Path | None, policy: str | None, as_json: bool) -> None:
    """Why a request was refused, slowed, tagged or let through; and what an account did.

    \b
    gauger explain record ID --ledger DIR     one request; ID is in every refusal and in `x-request-id`
    gauger explain account ID --ledger DIR    an account's story
    gauger explain ID --ledger DIR            a request with this id, else an account
    gauger explain FILE                       a request line, as standard output has it, or a ledger's rows; - reads
                                              standard input

    Exit code 0: explained. 2: not found, or a file that can't be read.
    """
    kind, name = _asked(what)
    given = None if policy is None else _given(policy)
    if kind == "file":
        text = _from_file(name, ledger, given, as_json)
    else:
        if ledger is None:
            hint = f"`gauger explain {' '.join(what)} --ledger DIR`; a file with this name is not here either"
            raise Mistake("which ledger?", hint=hint)
        text = _from_ledger(kind, name, ledger, given, as_json)
    click.echo(text, nl=False)


def _asked(what: tuple[str, ...]) -> tuple[str, str]:
    """(record, account, either or file; the id or name)."""
    if len(what) == 2 and what[0] in KINDS:
        return what[0], what[1]
    if len(what) > 1:
        raise click.UsageError("one request or account at a time: `record ID`, `account ID`, ID or FILE")
    return ("file" if what[0] == "-" or Path(what[0]).is_file() else "either"), what[0]


def _from_ledger(kind: str, name: str, ledger: Path, given: Policy | None, as_json: bool) -> str:
    searched = _Ledger(ledger)
    if kind != "account":
        found = searched.record(name)
        if found is not None:
            return _told(found, given, as_json, searched)
    if kind != "record":
        story = searched.account(name, given)
        if story is not None:
            return encode(msgspec.to_builtins(story)).decode() if as_json else story_text(story)
    wanted = "record or account" if kind == "either" else kind
    hint = "`gauger verify DIR` says from when to when it reaches"
    if searched.erased:
        hint = f"{searched.erased} rows there were erased with their accounts"
    raise Mistake(f"there is no {wanted} {shown(name)}; {searched.said()} searched", place=str(ledger), hint=hint)


def _told(found: Found, given: Policy | None, as_json: bool, searched: "_Ledger | None") -> str:
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
        searched = _Ledger(ledger)
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


class _First(msgspec.Struct):
    segment: Header


class _Ledger:
    """A ledger's folder, looked through by bytes: only lines that may matter are decoded."""

    def __init__(self, folder: Path) -> None:
        self.sources = expand([str(folder)])
        self.lines = 0
        self.files = 0
        self.erased = 0

    def said(self) -> str:
        return f"{self.lines:,} lines of {self.files:,} segments"

    def record(self, request: str) -> Found | None:
        """A request's rows and its policy. Its id tells the time, so the segment of that time is looked at first."""
        at = self._segment_of(request)
        found = self._search(request, self.sources[at:]) or self._search(request, self.sources[:at])
        if found is None or found.adopted is not None:
            return found
        earlier = self.adopted(found.ruled.policy, self.sources[: at + 1])
        return found._replace(adopted=earlier or self.adopted(found.ruled.policy, self.sources[at + 1 :]))

    def account(self, account: str, given: Policy | None) -> Story | None:
        teller = Teller(account, _adopted, {given.digest: given} if given is not None else {})
        for row in self._rows(account, self.sources):
            teller.add(row)
        return teller.story()

    def before(self, ruled: Ruled) -> Iterator[Row]:
        """The rows of an account and the starts of processes, up to a request."""
        for row in self._rows(ruled.facts.caller.account, self.sources):
            yield row
            if isinstance(row, Ruled) and row.request == ruled.request:
                return

    def adopted(self, digest: str, sources: list[Source]) -> Adopted | None:
        """The row with a policy's text; the newest segments first, since a process adopts its policy when it starts."""
        needle = msgspec.json.encode(digest)
        for source in reversed(sources):
            for _, number, line in lines([source]):
                if line.startswith(ADOPTED, ROW) and needle in line:
                    row = self._decoded(source, number, line)
                    if isinstance(row, Adopted) and row.digest == digest:
                        return row
        return None

    def _search(self, request: str, sources: list[Source]) -> Found | None:
        needle = msgspec.json.encode(request)
        ruled: Ruled | None = None
        adopted: dict[str, Adopted] = {}
        for source, number, line in self._counted(sources):
            if needle in line or line.startswith(ADOPTED, ROW):
                row = self._decoded(source, number, line)
                if isinstance(row, Adopted):
                    adopted[row.digest] = row
                elif isinstance(row, Ruled) and row.request == request:
                    ruled = row
                elif isinstance(row, Settled) and row.request == request and ruled is not None:
                    return Found(ruled, row, adopted.get(ruled.policy))
            elif line.startswith(ERASED, BARE_ROW):
                self.erased += 1
        return Found(ruled, None, adopted.get(ruled.policy)) if ruled is not None else None

    def _rows(self, account: str, sources: list[Source]) -> Iterator[Row]:
        """The rows that hold an account's id, and those that change what is remembered or what judges."""
        needle = b'"account":' + msgspec.json.encode(account)
        self.lines = self.files = self.erased = 0
        for source, number, line in self._counted(sources):
            if needle in line or line.startswith((OPENED, ADOPTED, GAP), ROW) or line.startswith(ERASED, BARE_ROW):
                row = self._decoded(source, number, line)
                if row is not None:
                    self.erased += isinstance(row, Erased)
                    yield row

    def _counted(self, sources: list[Source]) -> Iterator[tuple[Source, int, bytes]]:
        for source in sources:
            number = 0
            for _, number, line in lines([source]):
                yield source, number, line
            self.files += 1
            self.lines += number

    def _decoded(self, source: Source, number: int, line: bytes) -> Row | None:
        """The row of a line; None for a half last line."""
        body = body_of(line) if line.endswith(b"\n") else None
        if body is None:
            return None
        try:
            return decode(body)
        except msgspec.DecodeError:
            hint = "`gauger verify DIR` says more"
            raise Mistake("this is no row of a ledger", place=f"{source.name}:{number}", hint=hint) from None

    def _segment_of(self, request: str) -> int:
        """The index of the last segment that was begun before a request id was made; 0 where the id tells no time."""
        if len(request) != 26 or not set(request) <= set(ALPHABET):
            return 0
        made = 0
        for letter in request[:10]:
            made = made * 32 + ALPHABET.index(letter)
        low, high = 0, len(self.sources)
        while high - low > 1:
            middle = (low + high) // 2
            if self._begun(self.sources[middle]) // 1000 <= made:
                low = middle
            else:
                high = middle
        return low

    def _begun(self, source: Source) -> int:
        """µs: the time in a segment's header; 0 where there is none."""
        for _, _, line in lines([source]):
            try:
                return msgspec.json.decode(line, type=_First).segment.now
            except (msgspec.DecodeError, UnicodeDecodeError):
                return 0
        return 0
