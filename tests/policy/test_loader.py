"""From a file's text to a compiled policy."""

from typing import Any

import msgspec
import pytest

from gateway.identity import IdentityRules, Jwt, Trusted
from gateway.policy.loader import PolicyErrors, load
from gateway.policy.model import Exposure, Limit, ListOf, Policy, Rate, Reserve, TokenWeights

PLANS = """
gauger: 1
identity: {plan: free, directory: accounts.yaml}
plans:
  free: {requests: 60 requests/min, output: 8k tokens/min, daily: 500k tokens/day, live: 4 requests}
  pro: {extends: free, requests: 1k requests/min}
  enterprise: {extends: pro, daily: unlimited, live: 40 requests}
limits:
  - {id: r, by: [key], count: requests, rate: plan.requests}
  - {id: o, by: [account, model], count: tokens.output, rate: plan.output, reserve: {first: 2k tokens, at_most: 25%}}
  - {id: d, by: [account], count: tokens.total, rate: plan.daily, window: calendar, retry: never, status: 403}
  - {id: l, by: [account], count: concurrent, rate: plan.live, lease: 5 min}
  - {id: g, by: [org], count: tokens.input, rate: 5M tokens/h, mode: shadow, on_store_error: closed}
"""


def nothing(name: str) -> bytes:
    raise FileNotFoundError(name)


def loaded(text: str, **files: bytes) -> Policy:
    return load(text, "a.yaml", lambda name: files[name])


def messages(text: str, resolve: Any = nothing) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load(text, "a.yaml", resolve)
    return [finding.message for finding in caught.value.findings]


def test_a_file_that_says_nothing_has_every_default() -> None:
    policy = loaded("gauger: 1")
    assert policy.files == {"a.yaml": "gauger: 1"}
    assert msgspec.structs.replace(policy, digest="", files={}) == Policy(
        id="policy", digest="", source="a.yaml", limits={"default": ()}
    )
    assert policy.limits_of(None) == policy.limits_of("any") == ()


def test_the_policy_section_is_taken_over() -> None:
    policy = loaded(
        'gauger: 1\npolicy: {id: p, version: "1.10", mode: shadow, timezone: Asia/Tokyo, on_missing: match, '
        "on_error: block, opaque: refuse, abort: charge_reserved, headers: [ietf]}\n"
        "tokens: {cache_read: 0, cache_write: 1.25, reasoning: 2, batch: 0.5, image: 1.5k}"
    )
    assert (policy.id, policy.version, policy.mode, policy.timezone) == ("p", "1.10", "shadow", "Asia/Tokyo")
    assert (policy.on_missing, policy.on_error, policy.opaque, policy.abort) == (
        "match",
        "block",
        "refuse",
        "charge_reserved",
    )
    assert policy.exposure == Exposure(dialect=False, ietf=True)
    assert policy.tokens == TokenWeights(0.0, 1.25, 2.0, 0.5, 1500)


def test_limits_are_resolved_for_every_plan() -> None:
    policy = loaded(PLANS)
    free = {limit.id: limit for limit in policy.limits_of("free")}
    assert free["r"] == Limit("r", ("key",), "requests", Rate(60, "requests", "min"), burst=10)
    assert free["o"] == Limit(
        "o",
        ("account", "model"),
        "tokens.output",
        Rate(8000, "tokens", "min"),
        burst=8000,
        reserve=Reserve("p90", 2000, 0.25),
    )
    assert free["d"] == Limit(
        "d",
        ("account",),
        "tokens.total",
        Rate(500_000, "tokens", "day"),
        burst=500_000,
        window="calendar",
        retry="never",
        status=403,
    )
    assert free["l"] == Limit("l", ("account",), "concurrent", Rate(4, "requests"), burst=4, lease=300_000_000)
    assert free["g"] == Limit(
        "g",
        ("org",),
        "tokens.input",
        Rate(5_000_000, "tokens", "h"),
        burst=5_000_000,
        shadow=True,
        on_store_error="closed",
    )


def test_a_plan_extends_another_and_unlimited_is_left_out() -> None:
    policy = loaded(PLANS)
    assert [(limit.id, limit.burst) for limit in policy.limits_of("enterprise")] == [
        ("r", 166),
        ("o", 8000),
        ("l", 40),
        ("g", 5_000_000),
    ]
    assert policy.plans["enterprise"].rates["requests"] == Rate(1000, "requests", "min")
    assert policy.plans["enterprise"].rates["daily"] is None


def test_a_caller_of_an_unknown_plan_has_the_limits_of_the_default_one() -> None:
    policy = loaded(PLANS)
    assert policy.limits_of("no-such") == policy.limits_of("free") == policy.limits_of(None)


def test_without_plans_everybody_has_the_literal_limits() -> None:
    policy = loaded("gauger: 1\nlimits: [{id: a, by: [account], count: requests, rate: 3 requests/s}]")
    assert [limit.burst for limit in policy.limits_of("whatever")] == [1]
    named = loaded("gauger: 1\nidentity: {plan: p}\nlimits: [{id: a, by: [key], count: requests, rate: 9 requests/s}]")
    assert list(named.limits) == ["p"]


def test_the_only_plan_is_the_default_one() -> None:
    assert loaded("gauger: 1\nplans: {solo: {}}").identity.plan == "solo"
    assert loaded("gauger: 1\nplans: {default: {}, pro: {}}").identity.plan == "default"


def test_identity_is_taken_over() -> None:
    policy = loaded(
        """
gauger: 1
plans: {default: {}, guest: {}}
identity:
  credential: [query-key, bearer]
  directory: d.yaml
  unknown: refuse
  anonymous: plan:guest
  trusted: [{header: X-Account, as: account}, {header: x-subject, as: mtls}]
  jwt: {jwks: "http://127.0.0.1:9/jwks", issuer: i, audience: a, org: o, plan: p, algorithms: [ES256], leeway: 1500 ms}
"""
    )
    assert policy.identity == IdentityRules(
        sources=("query-key", "bearer"),
        unknown="refuse",
        anonymous="plan:guest",
        directory="d.yaml",
        plan="default",
        trusted=(Trusted("x-account", "account"), Trusted("x-subject", "mtls")),
        jwt=Jwt("http://127.0.0.1:9/jwks", "i", "a", "sub", "o", "p", ("ES256",), 2),
    )


@pytest.mark.parametrize(
    "url", ["http://issuer.example/jwks", "http://10.0.0.1/jwks", "ftp://a/b", "jwks.json", "https://", "http://[::1"]
)
def test_a_key_set_comes_over_https(url: str) -> None:
    text = f'gauger: 1\nidentity: {{jwt: {{jwks: "{url}", issuer: i, audience: a}}}}'
    assert len(messages(text)) == 1


@pytest.mark.parametrize("url", ["https://issuer.example/jwks", "http://localhost:80/j", "http://[::1]/j"])
def test_a_key_set_may_come_over_http_from_this_machine(url: str) -> None:
    policy = loaded(f'gauger: 1\nidentity: {{jwt: {{jwks: "{url}", issuer: i, audience: a}}}}')
    assert policy.identity.jwt is not None
    assert policy.identity.jwt.jwks == url


def test_lists_are_values_patterns_or_a_file() -> None:
    policy = load(
        "gauger: 1\nlists: {a: {values: [x, y, x]}, b: {globs: [gpt-*]}, c: {file: lists/c.txt}}",
        "a.yaml",
        lambda name: b"# partners\none\n\n two # the second\n" if name == "lists/c.txt" else b"",
    )
    assert policy.lists == {
        "a": ListOf("a", frozenset({"x", "y"})),
        "b": ListOf("b", globs=("gpt-*",)),
        "c": ListOf("c", frozenset({"one", "two"})),
    }


def test_a_list_that_cannot_be_read_is_found_where_it_is_named() -> None:
    text = "gauger: 1\nlists: {c: {file: c.txt}}"
    assert messages(text, lambda name: b"\xff") == ["`c.txt` is not UTF-8"]
    assert messages(text, lambda name: b"a" * 5_000_000) == ["`c.txt` can't be read: larger than 4 MiB"]
    assert messages(text, lambda name: [][1]) == ["`c.txt` can't be read: list index out of range"]


def test_the_files_of_all_lists_are_bounded_together() -> None:
    lists = ", ".join(f"l{at}: {{file: f{at}}}" for at in range(6))
    asked: list[str] = []

    def resolve(name: str) -> bytes:
        asked.append(name)
        return b"\n".join(b"%d" % at for at in range(150_000))

    assert messages(f"gauger: 1\nlists: {{{lists}}}", resolve) == [
        "the files of all lists have more than 400000 entries"
    ]
    assert asked == ["f0", "f1", "f2"]


def test_the_digest_is_of_what_the_file_says_and_not_of_how() -> None:
    one = loaded("gauger: 1\npolicy: {id: a, mode: shadow} # a comment\n")
    two = loaded("policy:\n  mode: shadow\n  id: a\ngauger: 1\n")
    other = loaded("gauger: 1\npolicy: {id: a, mode: enforce}\n")
    assert one.digest == two.digest != other.digest
    assert len(one.digest) == 12
    assert set(one.digest) <= set("0123456789abcdef")


def test_the_digest_changes_with_a_lists_file() -> None:
    text = "gauger: 1\nlists: {c: {file: f}}"
    assert loaded(text, f=b"one").digest != loaded(text, f=b"two").digest
    assert loaded(text, f=b"one\ntwo").digest == loaded(text, f=b"two\n# x\none\n").digest


def test_all_findings_come_at_once_and_in_order() -> None:
    text = """
gauger: 1
policy: {timezone: Mars/Base}
plans: {default: {requests: 60 requests/min}}
limits:
  - {id: a, by: [key], count: requests, rate: plan.rquests}
  - {id: a, by: [key, key], count: tokens.input, rate: plan.requests, lease: 1 s}
"""
    assert messages(text) == [
        "there is no time zone `Mars/Base`",
        "this is a rate of requests, and the limit `a` counts tokens.input",
        "no plan has a rate `rquests`",
        "the id `a` is here twice; the first is at 6:10",
        "a dimension is named twice",
        "`lease` means nothing with tokens.input",
    ]


@pytest.mark.parametrize("zone", ["America", "../UTC", "/etc/localtime", "utc+1", "Europe/Berlin ", "\\0"])
def test_a_time_zone_is_one_that_exists(zone: str) -> None:
    assert len(messages(f'gauger: 1\npolicy: {{timezone: "{zone}"}}')) == 1


def test_the_error_says_every_place_in_its_text() -> None:
    with pytest.raises(PolicyErrors) as caught:
        load("gauger: 1\npolcy: {}\nlimts: []\n", "a.yaml", nothing)
    assert str(caught.value).splitlines() == [
        "a.yaml:2:1: error: unknown key `polcy` (did you mean `policy`?)",
        "a.yaml:3:1: error: unknown key `limts` (did you mean `limits`?)",
    ]


def test_a_rate_inherited_by_many_plans_is_found_once() -> None:
    text = "gauger: 1\nplans: {default: {r: 1 tokens/s}, b: {extends: default}, c: {extends: b}}\n"
    text += "limits: [{id: a, by: [key], count: requests, rate: plan.r}]"
    assert messages(text) == ["this is a rate of tokens, and the limit `a` counts requests"]
