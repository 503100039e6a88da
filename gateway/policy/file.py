"""Pure. What may stand in a policy file: one pydantic model a section, and the JSON Schema that editors read."""

import json
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from gateway.policy.kinds import (
    RATE,
    Amount,
    Duration,
    Mode,
    Name,
    RateText,
    Section,
    Share,
    Text,
    Tokens,
    Weight,
    quantity,
    text_of,
    wrong,
)
from gateway.policy.model import Rate
from gateway.policy.overlay import changeable
from gateway.policy.quantities import QuantityError, amount_of, rate_of
from gateway.policy.sections import (
    MAX_CARDS,
    MAX_RULES,
    MAX_TESTS,
    ExceptionItem,
    RuleItem,
    ScorecardItem,
    TestItem,
)

__all__ = ["File", "IdentitySection", "LimitItem", "ListItem", "schema", "schema_text"]

MAX_USED = 31  # packs
MAX_PLANS = 500
MAX_LIMITS = 100  # every request meets all those of its plan
MAX_NAMES = 100  # of rates, over all plans
MAX_RATES = 10_000  # that are written, over all plans
MAX_LISTS = 1_000
MAX_ENTRIES = 20_000  # of a list that stands in the file

ALIKE = {  # dimensions of limits under other names
    "account": ("user", "customer", "client", "accounts", "account_id", "account.id"),
    "key": ("api_key", "api-key", "apikey", "keys", "token"),
    "org": ("organisation", "organization", "team", "tenant", "account.org"),
    "model": ("models", "req.model"),
}
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""JSON Web Algorithms that verify with a public key (RFC 7518, RFC 8037)."""


def _plan_rate(value: object) -> object:
    """`plan.NAME` stays text; anything else is a quantity."""
    if isinstance(value, str) and value.startswith("plan."):
        return value
    rate = rate_of(value)
    if rate is None:
        raise QuantityError("an unlimited limit limits nothing", "remove the limit, or take the rate from the plan")
    return rate


def _stranger(value: object) -> str:
    """`own`, `refuse` or `plan:NAME`."""
    if isinstance(value, dict) and list(value) == ["plan"]:
        raise wrong("this must be one word", f"write `plan:{value['plan']}`, without a space")
    text = text_of(value, "own, refuse or plan:NAME")
    if text not in ("own", "refuse") and not (text.startswith("plan:") and len(text) > 5):
        hint = "write `refuse`" if text in ("reject", "deny", "block") else f"a plan is written `plan:{text[:40]}`"
        raise wrong(f"`{text[:40]}` is not one of own, refuse, plan:NAME", hint)
    return text


def _jwks(value: object) -> str:
    text = text_of(value, "the https URL of the key set")
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        loopback = host == "localhost" or (bool(host) and host[0] in "0123456789:" and ip_address(host).is_loopback)
    except ValueError:
        raise wrong("this is no URL", "as in https://issuer.example/.well-known/jwks.json") from None
    if parts.scheme == "https" and host:
        return text
    if parts.scheme == "http" and loopback:
        return text
    if parts.scheme == "http":
        raise wrong("keys fetched over plain http could be anybody's", "use https; http is for loopback only")
    raise wrong("this is no https URL", "as in https://issuer.example/.well-known/jwks.json")


def _algorithm(value: object) -> str:
    text = text_of(value)
    if text in ASYMMETRIC:
        return text
    if text.lower() == "none":
        raise wrong("`none` would let everybody sign", "as in RS256 or ES256")
    if text.upper().startswith("HS"):
        raise wrong("with HS* whoever can verify a token can make one", "as in RS256 or ES256")
    raise wrong(f"`{text[:40]}` is no algorithm that is known here", f"known are {', '.join(ASYMMETRIC)}")


def _dimension(value: object) -> str:
    text = text_of(value)
    if text not in ("key", "account", "org", "campaign", "model"):
        hint = next((f"did you mean `{ours}`?" for ours, words in ALIKE.items() if text.lower() in words), "")
        raise wrong(f"`{text[:40]}` is not one of key, account, org, campaign, model", hint)
    return text


def _image(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000:
        return value
    if isinstance(value, str):
        plain = value if "token" in value else f"{value} tokens"
        return amount_of(plain, "tokens").amount
    raise QuantityError("this must be a number of tokens, at most 1M", "as in `1k`")


LimitRate = Annotated[
    Rate | str,
    quantity(_plan_rate),
    WithJsonSchema({"type": "string", "anyOf": [{"pattern": r"^plan\."}, {"pattern": RATE}]}),
]
Stranger = Annotated[
    str,
    PlainValidator(_stranger),
    WithJsonSchema({"type": "string", "anyOf": [{"enum": ["own", "refuse"]}, {"pattern": "^plan:."}]}),
]


class PolicySection(Section):
    """Names the policy and says how it behaves as a whole."""

    id: Name = Field("policy", description="name of the policy in every record")
    version: Annotated[str, Field(max_length=64)] = Field("", description="your own version of the file; text")
    mode: Mode = Field("enforce", description="shadow: everything is decided and recorded, nothing is refused")
    timezone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        "UTC", description="IANA time zone of calendar windows"
    )
    on_missing: Literal["skip", "match"] = Field("skip", description="what a condition on a missing reading does")
    on_error: Literal["allow", "block"] = Field("allow", description="what a defect of the judge does to a request")
    opaque: Literal["allow", "refuse"] = Field("allow", description="paths that no dialect reads")
    abort: Literal["charge_seen", "charge_reserved"] = Field(
        "charge_seen", description="what a caller who hangs up pays for: the tokens seen so far, or the reservation"
    )
    headers: list[Literal["dialect", "ietf"]] = Field(
        ["dialect"], max_length=2, description="limit headers on answers: the vendor's own, RateLimit of the IETF draft"
    )


class TrustedItem(Section):
    """A header that is believed from a trusted proxy."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")] = Field(description="name of the header")
    kind: Literal["account", "mtls"] = Field(
        alias="as", description="account: holds an account id; mtls: the subject of a client certificate"
    )


class JwtSection(Section):
    """Bearer tokens that are verified against a key set."""

    jwks: Annotated[str, PlainValidator(_jwks), WithJsonSchema({"type": "string", "format": "uri"})] = Field(
        description="https URL of the key set"
    )
    issuer: Text = Field(description="what `iss` must be")
    audience: Text = Field(description="what `aud` must hold")
    account: Text = Field("sub", description="claim that names the account")
    org: Text | None = Field(None, description="claim that names the organisation")
    plan: Text | None = Field(None, description="claim that names the plan")
    algorithms: Annotated[
        list[Annotated[str, PlainValidator(_algorithm), WithJsonSchema({"type": "string", "enum": list(ASYMMETRIC)})]],
        Field(min_length=1, max_length=len(ASYMMETRIC)),
    ] = Field(["RS256", "ES256"], description="signatures that are accepted")
    leeway: Duration = Field("60 s", validate_default=True, description="how far the clocks may differ, at most 10 min")


class IdentitySection(Section):
    """Who a caller is."""

    credential: Annotated[
        list[Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "query-key"]], Field(max_length=5)
    ] = Field(
        ["bearer", "x-api-key", "api-key", "x-goog-api-key", "query-key"], description="where an API key may stand"
    )
    directory: Text | None = Field(None, description="accounts file, relative to this file")
    unknown: Stranger = Field("own", description="keys that the accounts file lacks: own, refuse or plan:NAME")
    anonymous: Stranger = Field("own", description="requests without a key: own (a network), refuse or plan:NAME")
    plan: Name | None = Field(None, description="plan of accounts that name none")
    trusted: Annotated[list[TrustedItem], Field(max_length=16)] = Field(
        [], description="headers that a trusted proxy sets"
    )
    jwt: JwtSection | None = Field(None, description="bearer tokens of an issuer")


class PlanItem(Section):
    """Rates by name, for limits to refer to as `plan.NAME`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, RateText]

    extends: Name | None = Field(None, description="plan whose rates hold where this one gives none")


class TokensSection(Section):
    """What one token of each sort counts towards token limits."""

    cache_read: Weight = Field(1.0, description="weight of input read from a cache")
    cache_write: Weight = Field(1.0, description="weight of input written to a cache")
    reasoning: Weight = Field(1.0, description="weight of reasoning in the output")
    batch: Weight = Field(1.0, description="weight of whatever comes in a batch")
    image: Annotated[
        int,
        quantity(_image),
        WithJsonSchema({"type": ["integer", "string"], "pattern": r"^[0-9.]+ *[kM]?( *tokens)?$"}),
    ] = Field(1000, description="estimated tokens of an image, before the answer says")


class ReserveSection(Section):
    """How many output tokens are reserved before the answer is known."""

    guess: Literal["p90", "declared"] = Field(
        "p90", description="p90 of the account's recent answers, or the declared ceiling"
    )
    first: Tokens = Field("1k tokens", validate_default=True, description="for an account's first twenty answers")
    at_most: Share = Field("50%", validate_default=True, description="share of the limit's own capacity")


class LimitItem(Section):
    """One limit: what is counted, for whom, and how much."""

    id: Name = Field(description="unique name: in records, headers and metrics")
    by: Annotated[
        list[
            Annotated[
                str,
                PlainValidator(_dimension),
                WithJsonSchema({"type": "string", "enum": ["key", "account", "org", "campaign", "model"]}),
            ]
        ],
        Field(min_length=1, max_length=4),
    ] = Field(description="each combination of these has a count of its own")
    count: Literal["requests", "tokens.input", "tokens.output", "tokens.total", "concurrent"] = Field(
        description="what is counted"
    )
    rate: LimitRate = Field(description="plan.NAME, or a quantity")
    burst: Amount | None = Field(None, description="how much may come at one instant; rolling limits only")
    window: Literal["rolling", "calendar"] = Field(
        "rolling", description="calendar: a quota of an hour, day, week, month"
    )
    reserve: ReserveSection | None = Field(None, description="of tokens.output and tokens.total")
    lease: Duration | None = Field(None, description="after this a forgotten request frees its slot; concurrent only")
    mode: Mode = Field("enforce", description="shadow: counted and recorded, never refused")
    retry: Literal["after", "never"] = Field("after", description="never: the caller's SDK is asked not to try again")
    status: Literal[402, 403, 429, 503] = Field(429, description="HTTP status of the refusal")
    on_store_error: Literal["local", "open", "closed"] = Field(
        "local", description="when a shared store is down: count locally, let pass, or refuse"
    )


class ListItem(Section):
    """A named list; exactly one of its three forms."""

    values: Annotated[list[Text], Field(max_length=MAX_ENTRIES, fail_fast=True)] | None = Field(
        None, description="exact values"
    )
    globs: Annotated[list[Text], Field(max_length=MAX_ENTRIES, fail_fast=True)] | None = Field(
        None, description="patterns with *"
    )
    file: Text | None = Field(None, description="text file, one value a line; # begins a comment")


class File(Section):
    """A policy file of format 1."""

    gauger: Literal[1] = Field(description="format of this file")
    use: Annotated[list[Text], Field(max_length=MAX_USED)] = Field([], description="packs that this file builds on")
    policy: PolicySection = Field(
        default_factory=lambda: PolicySection.model_validate({}), description="the policy as a whole"
    )
    identity: IdentitySection = Field(
        default_factory=lambda: IdentitySection.model_validate({}), description="who a caller is"
    )
    plans: Annotated[dict[Name, PlanItem], Field(max_length=MAX_PLANS)] = Field({}, description="rates by plan")
    tokens: TokensSection = Field(
        default_factory=lambda: TokensSection.model_validate({}), description="weights of tokens"
    )
    limits: Annotated[list[LimitItem], Field(max_length=MAX_LIMITS)] = Field([], description="the limits")
    lists: Annotated[dict[Name, ListItem], Field(max_length=MAX_LISTS)] = Field({}, description="named lists")
    scorecards: Annotated[list[ScorecardItem], Field(max_length=MAX_CARDS)] = Field([], description="the scores")
    rules: Annotated[list[RuleItem], Field(max_length=MAX_RULES)] = Field([], description="the rules")
    exceptions: Annotated[list[ExceptionItem], Field(max_length=MAX_RULES)] = Field([], description="the exceptions")
    tests: Annotated[list[TestItem], Field(max_length=MAX_TESTS)] = Field([], description="examples of what it does")


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a policy file."""
    made = File.model_json_schema(by_alias=True)
    plain: dict[str, Any] = changeable(_without_titles(made))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gauger policy, format 1",
        **plain,
    }


def schema_text() -> str:
    """The schema as `gateway/policy/schema.json` holds it."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


def _without_titles(node: Any, *, names: bool = False) -> Any:
    """Without pydantic's titles, which repeat the keys. `names`: the node's keys are names, not words of the schema."""
    if isinstance(node, dict):
        return {
            key: _without_titles(child, names=key in ("properties", "$defs") and not names)
            for key, child in node.items()
            if names or key != "title"
        }
    return [_without_titles(child) for child in node] if isinstance(node, list) else node
