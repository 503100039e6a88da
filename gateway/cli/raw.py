"""Shell. Raw traffic, line by line, through the gateway's own steps: observed, judged, drawn and settled.

The clock is the traffic's: a request is judged at its `t`, and settles at `t + latency_ms` from a heap; what settles at
the same instant settles first, then the lines come in their order. A `t` before the last one counts as the last one.
"""

import heapq
import json
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from gateway.accounts import Directory
from gateway.campaigns.tables import Campaigns
from gateway.decide import Facts, Outcome, Verdict
from gateway.errors import Mistake, Refusal
from gateway.identity import HEADER_OF, Caller, fit_name, identify, key_digest, network_of
from gateway.ledger.record import Row, Ruled, Settled
from gateway.ledger.replay import Judged
from gateway.ledger.steps import NOBODY, Steps, action_of, instead, refused, score_of, word_of
from gateway.observe import VERSION, Observation, Prints, safe_name
from gateway.observe.wire import Wire, form_of, from_wire, pieces_of, usage_of
from gateway.pepper import Pepper
from gateway.policy.model import Policy
from gateway.quotas import Drawn
from gateway.stores.served import Served
from gateway.telemetry.ids import Ulids

__all__ = ["PUBLIC_PEPPER", "Player"]

PUBLIC_PEPPER = Pepper(blake2b(b"public", digest_size=32, person=b"gauger-replay").digest())
"""Known to everybody: the same traffic gives the same hashes everywhere, and they hide nothing."""

LATEST = 1e11  # s; a `t` beyond it was not in seconds
LONGEST = 86_400_000  # ms of latency that are believed
MAX_CALLERS = 10_000  # that are remembered
MAX_CLAIMS = 10_000  # batches whose file is remembered
CREDENTIALS = frozenset(HEADER_OF.values())
UNREAD = "invalid_line"
UNNAMED = "upload-"
"""How an upload's file is called whose id the log does not have; a batch of an unknown file takes the oldest."""


class _File(msgspec.Struct):
    text: str
    filename: str = "file"
    content_type: str = "application/octet-stream"


class _Upload(msgspec.Struct):
    purpose: str
    file: _File


class _Line(msgspec.Struct):
    """One request as the log has it; what stands beside these fields is not looked at."""

    t: float
    path: str
    method: str = "POST"
    body: msgspec.Raw = msgspec.Raw(b"null")
    id: str | int | None = None
    account: str | None = None
    key: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    headers: dict[str, str] | None = None
    status: int | None = None
    response_usage: Any = None
    response_tokens: int | float | None = None
    response_id: str | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")
    response_text: Any = None
    latency_ms: float | None = None


class _Pending(NamedTuple):
    """A request that waits for its end. `when` in µs, then the order of the lines."""

    when: int
    number: int
    ruled: Ruled
    drawn: Drawn
    outcome: Outcome
    logged: Outcome  # the end that the log knows, where this gateway would have refused
    pieces: tuple[int, ...] = ()  # that the answer is remembered by


_DECODER = msgspec.json.Decoder(_Line)
_UPLOADS = msgspec.json.Decoder(_Upload)
_ENCODER = msgspec.json.Encoder()
NOTHING = Verdict()
UNUSED = Outcome("done").usage  # the default itself, which a row leaves out
UNSEEN = Wire(Observation(VERSION, op="rejected"), UNREAD, 400, nameless=True)


def _no_number(word: str) -> None:
    raise ValueError(word)  # NaN and its like are no JSON


def _is_object(data: bytes) -> bool:
    """Whether it is a JSON object all the same: half a surrogate pair, which any caller can send, stops no replay."""
    try:
        return isinstance(json.loads(data, parse_int=str, parse_constant=_no_number), dict)
    except (ValueError, RecursionError):
        return False


class Player:
    """Plays the lines in. `record` takes the ledger's rows, `ended` each request at its end.

    `bad` counts the lines that could not be read as a request, `first_bad` names the first of them.
    """

    def __init__(
        self,
        policy: Policy,
        directory: Directory,
        pepper: Pepper,
        steps: Steps,
        *,
        served: Served | None = None,
        campaigns: Campaigns | None = None,
        kill: bool = False,
        seq: int = 0,
        record: Callable[[Row], object] | None = None,
        ended: Callable[[Judged], object] | None = None,
    ) -> None:
        self.now = self.requests = self.bad = 0  # µs, of the last line
        self.first_bad = ""
        self._policy = policy
        self._directory = directory
        self._pepper = pepper
        self._prints = Prints(pepper.current)
        self._steps = steps
        self._served = Served() if served is None else served
        self.campaigns = Campaigns(steps.row_of) if campaigns is None else campaigns
        self._kill = kill
        self._seq = seq
        self._record = record
        self._ended = ended
        self._waiting: list[_Pending] = []
        self._prior = max((card.prior.get("account", 0.0) for card in policy.scorecards), default=0.0)
        self._claims: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._callers: dict[tuple[str, str | None], Caller] = {}
        self._ids = Ulids(lambda: max(0, self.now), self._entropy)

    def play(self, data: bytes, place: str) -> bytes:
        """Judges the request in a line: its decision, as a line of JSON. Raises Mistake for what is no JSON object."""
        self.requests += 1
        line = self._line(data, place)
        if line is None:
            return self._reject(data)
        self.advance(round(line.t * 1_000_000))
        wire, caller = self._observe(line)
        facts, verdict, drawn, ruled = self._judge(caller, wire)
        logged = outcome = self._outcome(line, wire)
        end = refused(self._policy, facts, verdict, drawn)
        if end is not None or drawn is None:
            drawn = drawn or Drawn(False, self.now)
            self._settle(_Pending(self.now, 0, ruled, drawn, self._refusal(end, wire), logged))
        else:
            latency = min(max(line.latency_ms or 0.0, 0.0), LONGEST)
            usage = instead(outcome.usage, facts, NOTHING, verdict)
            outcome = msgspec.structs.replace(outcome, usage=usage, limits=drawn.readings)
            when = self.now + round(latency * 1000)
            pieces = self._pieces(line) if 200 <= outcome.upstream_status < 300 else ()
            heapq.heappush(self._waiting, _Pending(when, self.requests, ruled, drawn, outcome, logged, pieces))
        return self._decision(line.t, line.account or caller.account, line.id, verdict, drawn)

    def begin(self, data: bytes) -> int:
        """The time in µs that the first line sets the clock to; 0 where it has none."""
        line = self._read(data)[0]
        self.now = max(0, round(line.t * 1_000_000)) if line is not None else 0
        return self.now

    def finish(self) -> None:
        """Settles what is still under way, each at its time."""
        while self._waiting:
            self._settle_next()

    def advance(self, now: int) -> None:
        """Time goes on: what ends by now settles, each at its own time."""
        self.now = now = max(now, self.now)
        while self._waiting and self._waiting[0].when <= now:
            self._settle_next()
        self._steps.keep(now)

    def _line(self, data: bytes, place: str) -> _Line | None:
        """The line's fields; None where they can't be read as a request's. Raises Mistake for no JSON object."""
        line, why = self._read(data)
        if line is None:
            if not why:
                raise Mistake("this line is no JSON object", place=place, hint="one request a line, as a JSON object")
            self.bad += 1
            self.first_bad = self.first_bad or f"{place}: {why}"
        return line

    @staticmethod
    def _read(data: bytes) -> tuple[_Line | None, str]:
        """The fields, or what is wrong with them; nothing is said where the line is no JSON object."""
        try:
            line = _DECODER.decode(data)
        except msgspec.ValidationError as error:
            return None, str(error) if data.lstrip()[:1] == b"{" else ""
        except msgspec.DecodeError as error:
            return None, f"JSON that cannot be read: {error}" if _is_object(data) else ""
        except UnicodeDecodeError:
            return None, "it is not UTF-8"
        except RecursionError:
            return None, "it is nested too deeply"
        return (line, "") if abs(line.t) <= LATEST else (None, "`t` is not in seconds")

    def _reject(self, data: bytes) -> bytes:
        """The decision on a line that is no request: refused, as the gateway refuses what it can't read."""
        _, verdict, drawn, ruled = self._judge(NOBODY, UNSEEN)
        end = self._refusal(None, UNSEEN)
        self._settle(_Pending(self.now, 0, ruled, Drawn(False, self.now), end, end))
        try:
            found = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = {}
        t, account, name = found.get("t"), found.get("account"), found.get("id")
        return self._decision(
            t if isinstance(t, int | float) else self.now / 1e6,
            account if isinstance(account, str) else NOBODY.account,
            name if isinstance(name, str | int) else None,
            verdict,
            drawn,
        )

    def _observe(self, line: _Line) -> tuple[Wire, Caller]:
        """Rungs 2 to 4, in the gateway's order: the head, who asks, then the body."""
        headers = [(name.lower().encode(), value.encode()) for name, value in (line.headers or {}).items()]
        names = {name for name, _ in headers}
        if line.user_agent is not None and b"user-agent" not in names:
            headers.append((b"user-agent", line.user_agent.encode()))
        body, content_type = bytes(line.body), b"application/json"
        if body == b"null":
            body = b""
        elif line.method == "POST" and b'"file"' in body and b'"purpose"' in body:
            try:
                upload = _UPLOADS.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError):  # it only looks like one
                upload = None
            if upload is not None:
                file = upload.file
                content_type, body = form_of(upload.purpose, file.filename, file.content_type, file.text)
                headers = [pair for pair in headers if pair[0] != b"content-type"]
                names.discard(b"content-type")
        if body and b"content-type" not in names:
            headers.append((b"content-type", content_type))
        wire = from_wire(line.method, line.path, headers, body, self._prints)
        if wire.nameless:
            return wire, NOBODY
        try:
            caller = self._caller(line, headers)
        except Refusal as refusal:
            return Wire(Observation(VERSION, op="rejected"), refusal.code, refusal.status, nameless=True), NOBODY
        if wire.seen.file is not None:
            wire = self._claimed(wire, caller.account)
        return wire, caller

    def _caller(self, line: _Line, headers: list[tuple[bytes, bytes]]) -> Caller:
        """Who asks: the line's account, as if a trusted header had named it; else whom the credential names."""
        name = line.account
        if name is None:
            rules, pepper = self._policy.identity, self._pepper
            shown = any(header in CREDENTIALS for header, _ in headers)
            if line.key and not shown:
                headers = [*headers, (b"authorization", b"Bearer " + line.key.encode())]
            _, _, query = line.path.partition("?")
            return identify(headers, query.encode(), line.client_ip, rules, self._directory, pepper)
        if line.key:  # keys are not remembered
            return self._named(name, line.key, line.client_ip)
        caller = self._callers.get((name, line.client_ip))
        if caller is None:
            if len(self._callers) >= MAX_CALLERS:
                self._callers.clear()
            caller = self._callers[name, line.client_ip] = self._named(name, None, line.client_ip)
        return caller

    def _named(self, name: str, key: str | None, client_ip: str | None) -> Caller:
        """The account of this name. Raises Refusal for what is no name."""
        rules, pepper = self._policy.identity, self._pepper
        if not fit_name(name):
            raise Refusal(
                "unauthenticated", 401, "invalid_identity_header", "The account has characters that no id has."
            )
        digest = key_digest(pepper.current, key)[:16] if key else ""
        network = network_of(pepper.current, client_ip) if client_ip else ""
        entry = self._directory.by_account(name)
        if entry is None:
            return Caller(name, digest, plan=rules.plan, known=True, source="header", network=network)
        plan = entry.plan or rules.plan
        return Caller(entry.account, digest, entry.org, plan, entry.labels, entry.created, True, "header", network)

    def _claimed(self, wire: Wire, account: str) -> Wire:
        """A batch of a file whose upload is in the log under no id: the oldest such upload of the account."""
        files, named = self._steps.accounts.get(account).files, wire.seen.file or ""
        if named in files:
            return wire
        claim = (account, named)
        found = self._claims.get(claim)
        if found is None:
            taken = {name for (owner, _), name in self._claims.items() if owner == account}
            found = next((name for name in files if name.startswith(UNNAMED) and name not in taken), None)
            if found is None:
                return wire
            self._claims[claim] = found
            if len(self._claims) > MAX_CLAIMS:
                self._claims.popitem(last=False)
        return msgspec.structs.replace(wire, seen=msgspec.structs.replace(wire.seen, file=found))

    def _judge(self, caller: Caller, wire: Wire) -> tuple[Facts, Verdict, Drawn | None, Ruled]:
        now, policy, steps, seen = self.now, self._policy, self._steps, wire.seen
        work = seen if seen.file is None else steps.accounts.get(caller.account).files.get(seen.file, seen)
        heard = self._served.look(work, now)
        linked = self.campaigns.meet(caller, seen)
        facts = Facts(caller, seen, steps.known(caller.account), self._kill, wire.refused, *heard, *linked)
        verdict = steps.judge(policy, facts, now)
        self._seq += 1
        ruled = Ruled(self._seq, now, self._ids.next(), policy.digest, facts, verdict)
        if self._record is not None:
            self._record(ruled)
        return facts, verdict, steps.draw(ruled.request, verdict, now), ruled

    def _outcome(self, line: _Line, wire: Wire) -> Outcome:
        """How the request ended, as far as the log knows: with the model server's own answer."""
        status = 200 if line.status is None else line.status
        if not 100 <= status <= 599:
            return Outcome(end="upstream_error", error="unknown_status")
        made = line.response_tokens
        usage = usage_of(line.response_usage, int(made) if made is not None else None)
        ok = 200 <= status < 300
        file = None
        if ok and wire.folded is not None:
            file = safe_name(line.response_id) or f"{UNNAMED}{self.requests}"
        folded = wire.folded if file is not None else None
        if status >= 400:
            usage = UNUSED
        return Outcome("done", status, status, usage, pending=wire.seen.background, file=file, folded=folded)

    def _pieces(self, line: _Line) -> tuple[int, ...]:
        return pieces_of(line.method, line.path, bytes(line.response), line.response_text, self._prints)

    def _refusal(self, end: Outcome | None, wire: Wire) -> Outcome:
        if wire.refused or end is None:
            return Outcome(end="refused", status=wire.status, error=wire.refused)
        return end

    def _settle_next(self) -> None:
        found = heapq.heappop(self._waiting)
        self._steps.keep(found.when)
        self._settle(found)

    def _settle(self, found: _Pending) -> None:
        ruled, outcome, policy = found.ruled, found.outcome, self._policy
        facts, verdict = ruled.facts, ruled.verdict
        settled, reflection = self._steps.settle(policy, ruled.request, facts, verdict, outcome, found.when)
        self._served.add(found.pieces, found.when, facts.seen.pieces)
        if 200 <= outcome.upstream_status < 300 and facts.caller is not NOBODY and not facts.rejected:
            self.campaigns.saw(facts.caller, verdict.batch or facts.seen, found.when)
        if settled:
            outcome = msgspec.structs.replace(outcome, settled=settled)
        self._seq += 1
        row = Settled(self._seq, found.when, ruled.request, facts.caller.account, outcome, reflection)
        if self._record is not None:
            self._record(row)
        if self._ended is not None:  # before there was a gateway, everything passed
            bare = Ruled(ruled.seq, ruled.now, ruled.request, "", facts, NOTHING)
            end = Settled(row.seq, row.now, row.request, row.account, found.logged)
            self._ended(Judged(bare, end, verdict, found.drawn.readings, reflection, other=True))

    def _decision(self, t: float, account: str, name: str | int | None, verdict: Verdict, drawn: Drawn | None) -> bytes:
        readings = drawn.readings if drawn is not None else ()
        made: dict[str, object] = {"t": t, "account": account}
        if name is not None:
            made["id"] = name
        made["verdict"] = word_of(verdict, readings)
        made["action"] = action_of(verdict, readings)
        made["score"] = score_of(verdict, self._prior)
        made["rules"] = verdict.rules
        if verdict.shadow:
            made["shadow"] = verdict.shadow
        if verdict.effects.tags:
            made["tags"] = verdict.effects.tags
        spent = [each.limit for each in readings if not each.ok and not each.shadow]
        if spent:
            made["limits"] = spent
        if verdict.refuse:
            made["code"] = verdict.refuse
        return _ENCODER.encode(made) + b"\n"

    def _entropy(self, size: int) -> bytes:
        """Ids are of the traffic's clock and count: the same traffic gives the same ids."""
        return blake2b(b"%d" % self.requests, digest_size=size).digest()
