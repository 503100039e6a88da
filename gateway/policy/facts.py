"""Pure. What conditions may read: for each name its entry, and where its value comes from.

Adding a name = adding one row. What a policy doesn't read is never worked out.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from gateway.campaigns import Campaign, readings
from gateway.campaigns.pool import POOLED
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.policy.names import Name, Unit, names_markdown
from gateway.quotas import Reading
from gateway.signals import Slab
from gateway.usage import Usage

__all__ = [
    "FACETS",
    "FACTS",
    "SHARES",
    "Getter",
    "Inputs",
    "OfSlab",
    "getter_of",
    "limit_names",
    "reference",
    "score_names",
]

SECOND = 1_000_000  # µs


class Inputs(NamedTuple):
    """All that a value can come from. The last three are known when the answer has ended."""

    caller: Caller
    seen: Observation
    plan: str
    now: int  # µs
    first: int  # µs: when the gateway first saw the account; now, if never before
    slab: Slab
    limits: tuple[Reading, ...] = ()  # what the limits last answered
    input: int = 0  # tokens expected of the prompt
    output: int = 0  # tokens expected of the answer
    usage: Usage = Usage()
    status: int = 0
    end: str = ""
    campaign: Campaign | None = None  # as it was last looked at; None = the account is in none


Getter = Callable[[Inputs], Any]
Row = tuple[Name, Getter]


def _account() -> dict[str, Row]:
    return {
        "account.id": (
            Name("text", "id of the account", source="identity", privacy="account"),
            lambda i: i.caller.account,
        ),
        "account.org": (
            Name("text", "its organisation", missing=True, source="accounts file", privacy="account"),
            lambda i: i.caller.org,
        ),
        "account.plan": (Name("text", "the plan that holds for it", source="identity"), lambda i: i.plan),
        "account.labels": (Name("texts", "its labels", source="accounts file"), lambda i: i.caller.labels),
        "account.age": (
            Name("number", "time since it was created", "duration", missing=True, source="accounts file"),
            lambda i: None if i.caller.created is None else max(0, i.now // SECOND - i.caller.created),
        ),
        "account.tenure": (
            Name("number", "time since this gateway first saw it", "duration", level="reading", source="state"),
            lambda i: (i.now - i.first) / SECOND,
        ),
        "account.known": (
            Name("bool", "found in the accounts file, a verified token or a trusted header", source="identity"),
            lambda i: i.caller.known,
        ),
        "account.source": (
            Name("text", "how it was identified: key, jwt, header, mtls, none", source="identity"),
            lambda i: i.caller.source,
        ),
    }


def _request() -> dict[str, Row]:
    return {
        "req.route": (Name("text", "the path's template"), lambda i: i.seen.route),
        "req.op": (
            Name(
                "text",
                "chat, text_completion, generate_content, embeddings, count_tokens, batch, upload, realtime, opaque",
            ),
            lambda i: i.seen.op,
        ),
        "req.dialect": (Name("text", "the dialect of the wire"), lambda i: i.seen.dialect),
        "req.model": (Name("text", "the model asked for", missing=True), lambda i: i.seen.model),
        "req.stream": (Name("bool", "the answer is streamed"), lambda i: i.seen.stream),
        "req.background": (Name("bool", "the answer is made after this one has ended"), lambda i: i.seen.background),
        "req.n": (Name("number", "choices asked for, over all prompts"), lambda i: i.seen.n),
        "req.prompts": (Name("number", "prompts that are answered apart"), lambda i: i.seen.prompts),
        "req.max_tokens": (
            Name("number", "declared output ceiling of a choice", "tokens", missing=True),
            lambda i: i.seen.max_tokens,
        ),
        "req.messages": (Name("number", "messages"), lambda i: i.seen.messages),
        "req.tools": (Name("number", "tool definitions"), lambda i: i.seen.tools),
        "req.images": (Name("number", "images"), lambda i: i.seen.images),
        "req.audio": (Name("number", "pieces of audio"), lambda i: i.seen.audio),
        "req.temperature": (Name("number", "temperature asked for", missing=True), lambda i: i.seen.temperature),
        "req.top_p": (Name("number", "top_p asked for", missing=True), lambda i: i.seen.top_p),
        "req.logprobs": (Name("bool", "log-probabilities are asked for"), lambda i: i.seen.logprobs is not None),
        "req.top_logprobs": (
            Name("number", "alternatives a token, where log-probabilities are asked for", missing=True),
            lambda i: i.seen.logprobs,
        ),
        "req.bytes": (Name("number", "size of the body; 0 where it streams through", "bytes"), lambda i: i.seen.bytes),
        "req.chars": (Name("number", "characters that the model reads"), lambda i: i.seen.chars),
        "req.ascii": (Name("bool", "all of that text is ASCII"), lambda i: i.seen.ascii),
        "req.lines": (Name("number", "calls in a batch; 0 where it is none", "requests"), lambda i: i.seen.lines),
        "req.input_est": (Name("number", "tokens expected of the prompt", "tokens"), lambda i: i.input),
        "req.output_est": (Name("number", "tokens expected of the answer", "tokens"), lambda i: i.output),
    }


FACETS = (".hits", ".of")
"""What a share is made of, as names of their own."""

SHARES = (
    *(name for name, read in PANEL.readings.items() if read.hits is not None),
    *(f"campaign.{name}" for name in readings.NAMES if f"{name}.hits" in readings.NAMES),
)
"""Names of the readings that are shares: `rate:` in a scorecard takes one of them."""


def _signals() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for name, read in PANEL.readings.items():
        found[name] = (_name(read.doc, read.unit, missing=read.missing), _reading(read.get))
        if read.hits is not None and read.of is not None:
            found[f"{name}.hits"] = (_name("how many of them did", "requests"), _reading(read.hits))
            found[f"{name}.of"] = (_name("the requests that it is a share of", "requests"), _reading(read.of))
    return found


def _name(doc: str, unit: Unit, *, missing: bool = False) -> Name:
    return Name("number", doc, unit, missing, level="reading", source="state", privacy="behaviour")


class OfSlab:
    """Where a reading comes from: the account's signals."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[Slab], float | None]) -> None:
        self.read = read

    def __call__(self, inputs: Inputs) -> float | None:
        return self.read(inputs.slab)


def _reading(get: Callable[[Slab], float | None]) -> Getter:
    return OfSlab(get)


def _campaign() -> dict[str, Row]:
    found: dict[str, Row] = {
        "campaign.id": (
            Name("text", "the campaign that the account is a member of", missing=True, source="campaigns"),
            lambda i: i.campaign.id if i.campaign is not None else None,
        )
    }
    for name, known in readings.NAMES.items():
        entry = Name("number", known.doc, known.unit, True, source="campaigns", privacy="behaviour")
        found[f"campaign.{name}"] = (entry, _of_campaign(name))
    return found


def _of_campaign(name: str) -> Getter:
    return lambda i: readings.read(i.campaign, name, i.now)


def _response() -> dict[str, Row]:
    def name(doc: str, unit: Unit = "tokens") -> Name:
        return Name("number", doc, unit, phase="response", source="answer")

    return {
        "resp.status": (name("HTTP status as the client saw it; 0 where no answer began", ""), lambda i: i.status),
        "resp.end": (
            Name(
                "text", "done, refused, client_abort, upstream_error, timeout, crash", phase="response", source="answer"
            ),
            lambda i: i.end,
        ),
        "resp.input_tokens": (name("tokens read"), lambda i: i.usage.input),
        "resp.output_tokens": (name("tokens written"), lambda i: i.usage.output),
        "resp.reasoning_tokens": (name("of those, reasoning"), lambda i: i.usage.reasoning),
        "resp.cached_tokens": (name("of those read, from a cache"), lambda i: i.usage.cache_read),
    }


FACTS: dict[str, Row] = _account() | _request() | _signals() | _campaign() | _response()
"""Every name that any policy may read. Scores and limits come with the policy that has them."""


def limit_names(limits: Iterable[str]) -> dict[str, Row]:
    """`limit.ID.used` for each limit of a policy."""
    entry = Name(
        "number",
        "how much of the limit was in use when it last answered",
        "share",
        True,
        level="reading",
        source="limits",
    )
    return {f"limit.{limit}.used": (entry, _used(limit)) for limit in limits}


def _used(limit: str) -> Getter:
    def get(i: Inputs) -> float | None:
        for reading in i.limits:
            if reading.limit == limit and reading.capacity:
                return 1 - reading.left / reading.capacity
        return None

    return get


def score_names(cards: Iterable[str]) -> dict[str, Name]:
    """`score.ID` and its facets for each scorecard of a policy."""
    found: dict[str, Name] = {}
    for card in cards:
        found[f"score.{card}"] = Name(
            "number", "the score; missing below what the card needs", "dB", True, level="score", source="scorecard"
        )
        found[f"score.{card}.families"] = Name(
            "number", "families with at least 5 dB", "", True, level="score", source="scorecard"
        )
        found[f"score.{card}.corroborated"] = Name(
            "bool",
            "two families have at least 5 dB, one of them content, params or campaign",
            missing=True,
            level="score",
            source="scorecard",
        )
        found[f"score.{card}.campaign"] = Name(
            "number", "the score of the account's campaign by itself", "dB", True, level="score", source="scorecard"
        )
    return found


def getter_of(name: str, rows: Mapping[str, Row]) -> Getter:
    """Where a value comes from. Raises KeyError for a name that isn't there."""
    return rows[name][1]


def _is_pooled(name: str) -> bool:
    known = readings.NAMES.get(name.removeprefix("campaign."))
    return name.startswith("campaign.") and known is not None and known.pooled


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def reference() -> str:
    """The table of all names, as `policies/README.md` carries it."""
    names = {name: row[0] for name, row in FACTS.items() if not _is_pooled(name)}
    names["campaign.NAME"] = Name(
        "number", f"of all members together: {_listed(sorted(POOLED))}", missing=True, source="campaigns"
    )
    names |= {name: row[0] for name, row in limit_names(["ID"]).items()} | score_names(["ID"])
    return names_markdown(names)
