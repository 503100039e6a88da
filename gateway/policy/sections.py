"""Pure. The sections that judge: scorecards, rules, exceptions and tests, one pydantic model each."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from gateway.documents import shown
from gateway.policy.clamping import Clampable, ClampValue, ExpectedClamp
from gateway.policy.kinds import Amount, Duration, Name, Section, Share, Text, quantity, wrong
from gateway.policy.quantities import QuantityError, clock_of, decibel_of, number_of, pause_of, promise_of

__all__ = [
    "DAYS",
    "LONGEST_DELAY",
    "MAX_CARDS",
    "MAX_RULES",
    "MAX_TESTS",
    "YEARS",
    "CARD",
    "CODE",
    "DAY",
    "BlockSection",
    "EvidenceItem",
    "ExceptionItem",
    "ExpectSection",
    "RuleItem",
    "ScorecardItem",
    "SendSection",
    "TestItem",
]

MAX_RULES = 2_000
MAX_CARDS = 20
MAX_EVIDENCE = 200
MAX_TESTS = 2_000
MAX_CONDITION = 2_000  # characters
LONGEST_DELAY = 30_000_000  # µs: under the read time-outs of the vendors' clients (600 s) and of most proxies (60 s)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
CODE = r"^[a-z][a-z0-9_]{0,63}$"
YEARS = range(1971, 2200)  # in which every local time of every zone can be worked out
RHO = (0.0001, 0.9999)  # beyond, a beta distribution can't be told from a point, or from two
CARD = r"^[A-Za-z0-9][A-Za-z0-9_]*(-[A-Za-z0-9][A-Za-z0-9_]*)*$"
"""A scorecard's id is part of a name in conditions: no dots, and no hyphen that a reader could take for a minus."""

Db = Annotated[
    float,
    quantity(decibel_of),
    WithJsonSchema({"type": "string", "pattern": r"^ *[+-]?[0-9]+(\.[0-9]+)? *dB *$"}),
]
Day = Annotated[str, Field(pattern=DAY)]


def _condition(value: object) -> str:
    if not isinstance(value, str):
        hint = 'write `"true"`' if value is True else "a condition is one line of text, as in `req.n > 4`"
        raise wrong("this must be a condition", hint)
    text = value.strip()
    if not text or "\n" in text:
        raise wrong("a condition is one line" if text else "this condition is empty", "as in `account.age < 30d`")
    if len(value) > MAX_CONDITION:
        raise wrong(f"a condition has at most {MAX_CONDITION} characters", "split it into several rules")
    return value


Condition = Annotated[str, PlainValidator(_condition), WithJsonSchema({"type": "string", "maxLength": MAX_CONDITION})]


def _points(value: object) -> float | tuple[tuple[float, float], ...]:
    """A number of decibans, or a curve."""
    if isinstance(value, str | int | float):
        try:
            return decibel_of(value)
        except QuantityError as error:
            raise wrong(error.message, error.hint, error.offset) from None
    if not isinstance(value, dict) or len(value) < 2:
        raise wrong("points are a mapping of two or more", "as in `{0%: -3 dB, 50%: 0 dB, 90%: 3 dB}`")
    if len(value) > 64:
        raise wrong("at most 64 points")
    found = []
    for key, db in value.items():
        try:
            at = number_of(key)
        except QuantityError as error:
            raise wrong(error.message, error.hint) from None
        try:
            found.append((at, decibel_of(db)))
        except QuantityError as error:
            raise wrong(f"at {shown(key)}: {error.message}", error.hint) from None
    if [x for x, _ in found] != sorted({x for x, _ in found}):
        raise wrong("the points do not rise", "write them from the smallest to the largest, none twice")
    return tuple(found)


Points = Annotated[
    float | tuple[tuple[float, float], ...],
    PlainValidator(_points),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "minProperties": 2, "additionalProperties": {"type": "string"}},
            ]
        }
    ),
]


def _finish(value: object) -> int | str:
    """`at_once`, `never` or µs."""
    if value in ("at_once", "never"):
        return str(value)
    try:
        return pause_of(value)
    except QuantityError as error:
        raise wrong(error.message, "at_once, never or a duration as in `2 s`", error.offset) from None


class FamilySection(Section):
    """A kind of evidence."""

    ceiling: Db = Field(description="the most that it counts, in dB")
    correlation: Share = Field("30%", validate_default=True, description="how much of it goes together in benign use")


DB_SCHEMA: dict[str, Any] = {"type": "string", "pattern": r"^ *[+-]?[0-9]+(\.[0-9]+)? *dB *$"}
FamilyText = Annotated[
    FamilySection,
    BeforeValidator(lambda value: value if isinstance(value, dict) else {"ceiling": value}),
    WithJsonSchema(
        {
            "anyOf": [
                DB_SCHEMA,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["ceiling"],
                    "properties": {"ceiling": DB_SCHEMA, "correlation": {"type": "string"}},
                },
            ]
        }
    ),
]
Prior = Annotated[
    dict[Literal["account", "campaign"], Db],
    BeforeValidator(lambda value: value if isinstance(value, dict) else {"account": value, "campaign": value}),
    WithJsonSchema(
        {
            "anyOf": [
                DB_SCHEMA,
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"account": DB_SCHEMA, "campaign": DB_SCHEMA},
                },
            ]
        }
    ),
]


class BetaSection(Section):
    """How a share is spread over owners."""

    mean: Share = Field(description="the mean share")
    rho: Annotated[float, Field(ge=RHO[0], le=RHO[1])] = Field(
        description="how alike the requests of one owner are: 0 = all owners alike, 1 = each always or never"
    )


class EvidenceItem(Section):
    """One line of a scorecard; exactly one of rate, read and when."""

    id: Name = Field(description="unique name in its scorecard; stands in records")
    family: Name = Field(description="one of the card's families")
    rate: Text | None = Field(None, description="name of a share: its hits of its requests, against `benign`")
    benign: BetaSection | None = Field(None, description="how the share is spread over benign owners; of `rate`")
    alternative: BetaSection | None = Field(None, description="over extracting ones; default: anything is as likely")
    read: Condition | None = Field(None, description="a quantity, put on the curve of `points`")
    when: Condition | None = Field(None, description="a condition; where it holds, `points` count")
    after: Amount | None = Field(None, description="counts nothing before so many requests of the account in a week")
    points: Points | None = Field(None, description="dB: one number with `when`, a mapping of values to dB with `read`")
    ceiling: Db | None = Field(None, description="the most that this line counts; default: its family's")
    floor: Db | None = Field(None, description="the least that it counts; default -10 dB")


class ScorecardItem(Section):
    """Evidence in decibans: +10 dB = ten times likelier what the card looks for than benign use."""

    id: Annotated[str, Field(pattern=CARD, max_length=64)] = Field(
        description="unique name; conditions read it as score.NAME"
    )
    of: Annotated[list[Literal["account", "campaign"]], Field(min_length=1, max_length=2)] = Field(
        ["account"], description="what is scored"
    )
    prior: Prior = Field(description="dB before any evidence, or a mapping of account and campaign to dB")
    families: Annotated[dict[Name, FamilyText], Field(min_length=1, max_length=20)] = Field(
        description="kinds of evidence and the most that each counts"
    )
    needs: Condition | None = Field(None, description="where it doesn't hold the score is its prior, and missing")
    evidence: Annotated[list[EvidenceItem], Field(min_length=1, max_length=MAX_EVIDENCE)] = Field(
        description="the lines of the card"
    )
    promise: dict[
        Literal["tag", "clamp", "throttle", "block"],
        Annotated[
            float,
            quantity(promise_of),
            WithJsonSchema({"type": "string", "pattern": r"^ *[0-9]+(\.[0-9]+)? *% of owners/month *$"}),
        ],
    ] = Field({}, description="the most benign owners that may meet an action by this score, by chance, in a month")
    calibration: Text | None = Field(None, description="file of `gauger calibrate` that the promises rest on")


class ThrottleSection(Section):
    """Slows a caller down: by a share of a limit's rate, or by a pause before each request."""

    limit: Name | None = Field(None, description="id of the limit whose rate is scaled for this account")
    to: Share | None = Field(None, description="share of its rate, with `limit`")
    delay: Duration | None = Field(None, description="pause before the request goes on, at most 30 s")
    lasts: Duration | None = Field(None, alias="for", description="goes on for so long after the rule last held")


class BlockSection(Section):
    """Refuses the request. Never with 408 or 409: the vendors' clients would try those again at once."""

    status: Literal[400, 402, 403, 404, 429, 451, 503] = Field(403, description="HTTP status")
    code: Annotated[str, Field(pattern=CODE)] = Field(
        "policy_block", description="machine-readable word in the refusal"
    )
    lasts: Duration | None = Field(None, alias="for", description="goes on for so long after the rule last held")


class ThenSection(Section):
    """What is done where a rule holds; any of these together."""

    tag: Annotated[list[Name], Field(min_length=1, max_length=16)] | None = Field(
        None, description="words for the log and, signed, for the model server"
    )
    clamp: (
        Annotated[
            dict[Clampable, ClampValue],
            Field(min_length=1),
        ]
        | None
    ) = Field(None, description="the most that a field of the request may ask for; false switches it off")
    throttle: ThrottleSection | None = Field(None, description="slows the account down")
    block: BlockSection | None = Field(None, description="refuses")


class ActiveSection(Section):
    """When a rule is awake."""

    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)] | None = Field(
        None, description="local days; default: all"
    )
    hours: Annotated[tuple[int, int], quantity(clock_of), WithJsonSchema({"type": "string"})] | None = Field(
        None, description='local hours, as in "22:00-06:00"; they belong to the day that they begin on'
    )
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="IANA time zone; default: the policy's"
    )


class RuleItem(Section):
    """Where the condition holds, something is done. All rules run, and their effects are merged."""

    id: Name = Field(description="unique name: in records, metrics and exceptions")
    when: Condition = Field(description="the condition")
    then: ThenSection = Field(description="what is done")
    mode: Literal["draft", "shadow", "enforce"] = Field(
        "enforce", description="draft: read and tested, never run; shadow: run and recorded, nothing is done"
    )
    phase: Literal["request", "response"] = Field(
        "request", description="response: judged when the answer has ended, may only tag"
    )
    on_missing: Literal["skip", "match"] | None = Field(
        None, description="where something that the condition needs is missing; default: the policy's"
    )
    severity: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="of several blocks the highest gives status and code"
    )
    active: ActiveSection | None = Field(None, description="when the rule is awake; default: always")
    owner: Text | None = Field(None, description="who answers for it")
    since: Day | None = Field(None, description="first day in this mode, YYYY-MM-DD")
    description: Text | None = Field(None, description="why it is there")


class ExceptionItem(Section):
    """Softens what rules do, for whom its condition holds, until it expires."""

    id: Name = Field(description="unique name")
    silences: Annotated[list[Name], Field(min_length=1, max_length=MAX_RULES)] = Field(description="ids of rules")
    when: Condition = Field(description="for which requests")
    becomes: Literal["allow", "tag", "clamp", "throttle"] = Field(
        "tag", description="the strongest effect that is left of those rules"
    )
    expires: Day = Field(description="last day, YYYY-MM-DD, in the policy's time zone")
    owner: Text = Field(description="who answers for it")
    reason: Text = Field(description="why")


class SendSection(Section):
    """Requests that a test sends, against the real limits and a clock of its own."""

    times: Annotated[int, Field(ge=1, le=100_000)] = Field(1, description="how many")
    every: Annotated[int, quantity(pause_of), WithJsonSchema({"type": "string"})] = Field(
        "0 s", validate_default=True, description="pause between two"
    )
    finish: Annotated[int | str, PlainValidator(_finish), WithJsonSchema({"type": "string"})] = Field(
        "at_once", description="at_once, never, or how long an answer takes"
    )
    usage: dict[Literal["input", "output", "reasoning", "cache_read", "cache_write"], Annotated[int, Field(ge=0)]] = (
        Field({}, description="tokens that each answer uses")
    )


class FirstRefused(Section):
    """The first request that is refused."""

    at: Annotated[int, Field(ge=1)] | None = Field(None, description="which one, from 1")
    limit: Name | None = Field(None, description="by which limit")
    status: int | None = Field(None, description="HTTP status")
    code: str | None = Field(None, description="code of the refusal")
    retry_after: Duration | None = Field(None, description="at least so long to wait")


class ExpectSection(Section):
    """What must come out; whatever isn't named may be anything."""

    action: Literal["allow", "tag", "clamp", "throttle", "block", "limit"] | None = Field(
        None, description="what is done"
    )
    verdict: Literal["allow", "tag", "clamp", "throttle", "block", "limit"] | None = Field(
        None, description="what would be done under full enforcement"
    )
    rules: list[Name] | None = Field(None, description="exactly these rules hold and are enforced")
    shadow: list[Name] | None = Field(None, description="exactly these rules hold and are only watched")
    excepted: list[Name] | None = Field(None, description="exactly these rules are softened by an exception")
    missing: list[Text] | None = Field(None, description="at least these names are missing")
    tags: list[Name] | None = Field(None, description="exactly these tags")
    clamp: dict[Clampable, ExpectedClamp] | None = Field(
        None, description="at least these fields are clamped to this; null: not at all"
    )
    throttle: dict[Name, Share] | None = Field(None, description="at least these limits are scaled to this")
    status: int | None = Field(None, description="HTTP status of the block")
    score: dict[Name, Db] | None = Field(None, description="scores, to a tenth of a dB")
    allowed: Annotated[int, Field(ge=0)] | None = Field(None, description="with `send`: how many pass")
    first_refused: FirstRefused | None = Field(None, description="with `send`: the first that doesn't")


class TestItem(Section):
    """One example of what the policy does, run by `gauger test` and before each reload."""

    __test__ = False  # it is none of pytest's

    name: Text = Field(description="what it shows")
    given: dict[str, Any] = Field({}, description="what is known; a name that is not given is missing")
    at: Text | None = Field(None, description="when, as in 2026-11-01T12:00:00, in the policy's time zone")
    send: SendSection | None = Field(None, description="requests to send")
    expect: ExpectSection = Field(description="what must come out")


def day_of(text: str) -> date | None:
    """A day of the calendar in `YEARS`; None for one that isn't."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in YEARS else None
