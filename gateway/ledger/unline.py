"""Pure. The request line read back: the two rows of the ledger, as far as the line holds them.

A line is made for people and their tools, and is less than its rows: what the draws asked (`draws`), a limit's unit and
capacity, and the recent answers of the limits are not in it. Everything that a condition reads of this request is.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec

from gateway.actions import Effects
from gateway.campaigns import Campaign
from gateway.decide import End, Facts, Outcome, Reflection, Verdict
from gateway.errors import Mistake
from gateway.identity import Caller
from gateway.ledger.line import SCHEMA
from gateway.ledger.record import Ruled, Settled
from gateway.observe import Observation
from gateway.policy.effects import STRENGTH, strongest
from gateway.policy.model import Policy
from gateway.quotas import Reading, Store
from gateway.usage import Usage

__all__ = ["rows_of"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
SECOND = 1_000_000  # µs


def rows_of(line: Mapping[str, Any], policy: Policy | None = None) -> tuple[Ruled, Settled]:
    """The rows of a parsed request line. `policy` tells which of its rules are those of answers.

    Raises Mistake where it isn't one of this schema.
    """
    if line.get("schema") != SCHEMA:
        raise Mistake(f"this is no request line of schema {SCHEMA}", hint="one line of the gateway's standard output")
    try:
        return _rows(line, policy)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, msgspec.ValidationError) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise Mistake(f"this request line can't be read: {said}") from None


def _rows(line: Mapping[str, Any], policy: Policy | None) -> tuple[Ruled, Settled]:
    now = _micros(line["ts"])
    account, request = line["account"], line["request_id"]
    age = account.get("age_s")
    caller = {name: account[name] for name in ("key", "org", "plan", "known", "source", "labels") if name in account}
    caller |= {"account": account["id"], "network": line.get("client", {}).get("network", "")}
    if age is not None:
        caller["created"] = now // SECOND - age
    fields = Observation.__struct_fields__
    seen = {name: value for part in ("req", "obs") for name, value in line.get(part, {}).items() if name in fields}
    action, rules, error = line["action"], line.get("rules", {}), line.get("error", {})
    rejected = line.get("effects", {}).get("code", "") if action == "reject" else ""
    served, campaign = line.get("served", {}), line.get("campaign", {})
    facts = Facts(
        msgspec.convert(caller, Caller),
        msgspec.convert(seen, Observation),
        kill=line["kill"],
        rejected=rejected,
        returned=int(served.get("returned", 0)),
        continued=bool(served.get("continued", False)),
        campaign=_campaign(campaign) if campaign else None,
        membership=float(campaign.get("membership_db", 0.0)),
    )
    answers = {rule.id for rule in policy.rules if rule.phase == "response"} if policy is not None else set()
    matched, shadow = rules.get("matched", ()), rules.get("shadow", ())
    effects = _effects(line.get("effects", {}))
    would = _effects(line["would"]) if "would" in line else None
    verdict = {
        "verdict": line["verdict"] if line["verdict"] in (*STRENGTH, "reject") else strongest(would or effects),
        "action": action if action in (*STRENGTH, "reject") else strongest(effects),
        "refuse": line.get("effects", {}).get("code", ""),
        "rules": [name for name in matched if name not in answers],
        "shadow": [name for name in shadow if name not in answers],
        "excepted": rules.get("excepted", {}),
        "missing": rules.get("missing", {}),
        "scores": line.get("score", {}),
        "evidence": line.get("evidence", {}),
        "campaign": campaign.get("score", {}),
        "together": campaign.get("evidence", {}),
        "readings": line.get("readings", {}),
        "input": line.get("req", {}).get("input_est", 0),
        "output": line.get("req", {}).get("output_est", 0),
        "error": error.get("judging", ""),
        "batch": line.get("batch"),
    }
    judged = msgspec.structs.replace(msgspec.convert(verdict, Verdict), effects=effects, would=would)
    reflection = Reflection(
        rules=tuple(name for name in matched if name in answers),
        shadow=tuple(name for name in shadow if name in answers),
    )
    wait = round(line.get("retry_after_s", 0) * SECOND)
    limits = tuple(_reading(each, wait) for each in line.get("limits", ()))
    end = line["end"]
    if end not in get_args(End):
        raise ValueError("its `end` is none that this version knows")
    outcome = Outcome(
        end=end,
        status=line["http"]["status"],
        upstream_status=line["http"]["upstream_status"],
        usage=msgspec.convert(line["usage"], Usage),
        limits=limits,
        settled=msgspec.convert(line.get("settle", {}), dict[str, int]),
        store=msgspec.convert(line["store"], Store),
        at=_micros(line["store_ts"]) if "store_ts" in line else 0,
        error=str(error.get("type", "")),
    )
    seq, digest = line.get("seq", {}), line["policy"]["digest"]
    ruled = Ruled(int(seq.get("ruled", 0)), now, str(request), str(digest), facts, judged)
    return ruled, Settled(int(seq.get("settled", 0)), now, str(request), caller["account"], outcome, reflection)


def _campaign(made: Mapping[str, Any]) -> Campaign:
    fields = {name: made[name] for name in ("id", "epoch", "members", "owners", "linked", "readings") if name in made}
    return msgspec.convert({**fields, "since": _micros(made["since"])}, Campaign)


def _reading(each: Mapping[str, Any], wait: int) -> Reading:
    ok = bool(each["ok"])
    reset = round(each["reset_s"] * SECOND)
    shadow = bool(each.get("shadow", False))
    known = 0 if ok or shadow else wait or -1  # of what is only watched the line says no wait
    return Reading(str(each["id"]), "", ok, int(each["cost"]), int(each["left"]), 0, reset, known, shadow)


def _effects(made: Mapping[str, Any]) -> Effects:
    clamp = {name: (each.get("from"), each.get("to")) for name, each in made.get("clamp", {}).items()}
    return Effects(
        tags=tuple(map(str, made.get("tags", ()))),
        clamp=msgspec.convert(clamp, dict[str, tuple[int | float | bool | None, int | float | bool | None]]),
        throttle=msgspec.convert(made.get("throttle", {}), dict[str, float]),
        delay=int(made.get("delay_us", 0)),
        block=int(made.get("status", 0)),
        code=str(made.get("code", "")) if made.get("status") else "",
        until=_micros(made["until"]) if "until" in made else 0,
    )


def _micros(text: str) -> int:
    """RFC 3339 in UTC, as the line writes it, to µs since the epoch."""
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // MICRO
