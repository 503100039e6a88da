"""Who asks: one key, one account, in whatever spelling; and nobody becomes somebody else by writing a header."""

from ipaddress import ip_network
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.identity import (
    Caller,
    IdentityRules,
    Trusted,
    credential,
    fit_name,
    identify,
    key_digest,
    network_of,
    untrusted_headers,
)

PEPPER = bytes(range(32))
FORMER = bytes(range(32, 64))
TRUSTED = (ip_network("10.0.0.0/8"),)
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80)
ALL = IdentityRules().sources


class Peppers(NamedTuple):
    current: bytes = PEPPER
    former: bytes | None = None


class Account(NamedTuple):
    account: str
    org: str | None = None
    plan: str | None = None
    labels: tuple[str, ...] = ()
    created: int | None = None


class Accounts:
    def __init__(self, keys: dict[str, Account] | None = None, subjects: dict[str, Account] | None = None) -> None:
        self.keys = keys or {}
        self.subjects = subjects or {}

    def by_digest(self, digest: str) -> Account | None:
        return self.keys.get(digest)

    def by_account(self, account: str) -> Account | None:
        return next((entry for entry in self.keys.values() if entry.account == account), None)

    def by_subject(self, subject: str) -> Account | None:
        return self.subjects.get(subject)


ACME = Account("acme", "org-1", "gold", ("evaluator",), 1_700_000_000)


def who(
    *headers: tuple[str, str],
    query: bytes = b"",
    peer: str | None = "203.0.113.9",
    rules: IdentityRules | None = None,
    accounts: Accounts | None = None,
    peppers: Peppers | None = None,
    claims: dict[str, str] | None = None,
) -> Caller:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return identify(raw, query, peer, rules or IdentityRules(), accounts, peppers or Peppers(), claims, TRUSTED)


def refused(
    *headers: tuple[str, str], query: bytes = b"", rules: IdentityRules | None = None, peer: str = ""
) -> Refusal:
    with pytest.raises(Refusal) as caught:
        who(*headers, query=query, rules=rules, peer=peer or "203.0.113.9")
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", "Bearer sk-1"),
        ("authorization", "bearer sk-1"),
        ("authorization", "BEARER    sk-1"),
        ("authorization", " Bearer sk-1\t"),
        ("x-api-key", "sk-1"),
        ("x-api-key", "\tsk-1 "),
        ("api-key", "sk-1"),
        ("x-goog-api-key", "sk-1"),
    ],
)
def test_every_spelling_of_a_key_is_one_account(header: tuple[str, str]) -> None:
    digest = key_digest(PEPPER, "sk-1")
    caller = who(header)
    assert caller.account == f"key-{digest[:16]}"
    assert (caller.key, caller.source, caller.plan, caller.known) == (digest[:16], "key", "default", False)


@pytest.mark.parametrize(
    "query", [b"key=sk-1", b"a=b&key=sk-1", b"%6bey=sk-1&alt=sse", b"k%65%79=s%6B-1", b"$key=sk-1"]
)
def test_a_key_in_the_query_is_read_as_a_server_decodes_it(query: bytes) -> None:
    assert who(query=query) == who(("x-api-key", "sk-1"))


@pytest.mark.parametrize("query", [b"monkey=sk-1", b"keys=sk-1", b"key", b"key=", b"a=key=sk-1", b"Key=sk-1"])
def test_other_words_in_the_query_are_no_key(query: bytes) -> None:
    assert who(query=query).source == "none"


@pytest.mark.parametrize(
    "value",
    ["sk-1", "Bearer\tsk-1", "Bearer a,\xe9", "Basic dXNlcjpwYXNz", "Bearer: sk-1", "Token sk-1"],
)
def test_an_authorization_that_servers_read_differently_is_refused(value: str) -> None:
    refusal = refused(("authorization", value))
    assert refusal.status == 401
    assert "sk-1" not in str(refusal)


def test_what_follows_a_blank_makes_no_other_caller_of_a_key() -> None:
    plain = who(("authorization", "Bearer sk-1"))
    assert who(("authorization", "Bearer sk-1 x")) == plain
    assert who(("authorization", "Bearer sk-1 y")) == plain
    assert who(("authorization", "Bearer sk-2 x")).account != plain.account


def test_an_operator_who_needs_another_scheme_leaves_bearer_out() -> None:
    rules = IdentityRules(sources=("x-api-key",))
    assert who(("authorization", "Basic dXNlcjpwYXNz"), rules=rules).source == "none"
    assert who(("authorization", "Bearer sk-1"), ("x-api-key", "sk-2"), rules=rules) == who(("x-api-key", "sk-2"))


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", ""])
def test_an_empty_key_is_no_key(value: str) -> None:
    assert who(("authorization", value), ("x-api-key", "")).source == "none"


def test_two_different_keys_are_refused_and_the_same_twice_is_one() -> None:
    assert refused(("authorization", "Bearer sk-1"), ("x-api-key", "sk-2")).code == "ambiguous_credentials"
    assert refused(("x-api-key", "sk-1"), ("x-api-key", "sk-2")).code == "ambiguous_credentials"
    assert refused(("x-api-key", "sk-1"), query=b"key=sk-2").code == "ambiguous_credentials"
    assert refused(query=b"key=sk-1&k%65y=sk-2").code == "ambiguous_credentials"
    assert who(("authorization", "Bearer sk-1"), ("x-api-key", "sk-1")) == who(("x-api-key", "sk-1"))


def test_a_credential_over_16_kib_is_refused() -> None:
    assert refused(("x-api-key", "k" * 16_385)).status == 431
    assert refused(query=b"key=" + b"k" * 16_384).status == 431
    assert who(("x-api-key", "k" * 16_384)).source == "key"


@pytest.mark.parametrize("query", [b"key=sk+1", b"key=sk%201", b"key=%00", b"key=%C3%A9"])
def test_a_query_key_with_what_no_key_has_is_refused(query: bytes) -> None:
    assert refused(query=query).code == "invalid_api_key"


@given(st.sets(KEYS, min_size=2, max_size=2))
def test_distinct_keys_are_distinct_accounts(keys: set[str]) -> None:
    first, second = (who(("x-api-key", key)) for key in keys)
    assert first.account != second.account
    assert first.key != second.key


@given(KEYS, st.sampled_from(["Bearer", "bearer", "bEARER"]), st.integers(1, 5), st.text(" \t", max_size=3))
def test_a_variant_of_a_key_is_its_account(key: str, scheme: str, spaces: int, around: str) -> None:
    assert who(("authorization", f"{around}{scheme}{' ' * spaces}{key}{around}")) == who(("x-api-key", key))


@given(
    st.lists(st.tuples(st.sampled_from(["authorization", "x-api-key", "api-key"]), st.binary(max_size=40)), max_size=3)
)
def test_any_header_gives_one_clean_key_or_a_refusal(headers: list[tuple[str, bytes]]) -> None:
    status, found = 0, None
    try:
        found = credential([(name.encode(), value) for name, value in headers], b"", ALL)
    except Refusal as refusal:
        status = refusal.status
    assert status in (0, 401)
    assert found is None or (found and found.isascii() and not any(byte <= 0x20 or byte == 0x7F for byte in found))


@given(KEYS.filter(lambda key: len(key) >= 8))
def test_a_caller_does_not_hold_the_key(key: str) -> None:
    assert key not in repr(who(("authorization", f"Bearer {key}")))


def test_a_key_of_the_accounts_file_gives_its_account() -> None:
    accounts = Accounts({key_digest(PEPPER, "sk-acme"): ACME})
    caller = who(("x-api-key", "sk-acme"), accounts=accounts)
    assert caller == Caller(
        "acme", key_digest(PEPPER, "sk-acme")[:16], "org-1", "gold", ("evaluator",), 1_700_000_000, True, "key",
        caller.network,
    )  # fmt: skip


def test_a_key_hashed_with_the_former_pepper_is_still_found() -> None:
    accounts = Accounts({key_digest(FORMER, "sk-acme"): ACME})
    assert who(("x-api-key", "sk-acme"), accounts=accounts).account.startswith("key-")
    caller = who(("x-api-key", "sk-acme"), accounts=accounts, peppers=Peppers(PEPPER, FORMER))
    assert (caller.account, caller.key) == ("acme", key_digest(PEPPER, "sk-acme")[:16])


def test_an_account_without_a_plan_has_the_default_one() -> None:
    accounts = Accounts({key_digest(PEPPER, "sk-a"): Account("a")})
    assert who(("x-api-key", "sk-a"), accounts=accounts, rules=IdentityRules(plan="free")).plan == "free"


def test_unknown_keys_are_their_own_account_or_get_a_plan_or_are_refused() -> None:
    key = ("x-api-key", "sk-new")
    assert who(key, rules=IdentityRules(plan="free")).plan == "free"
    assert who(key, rules=IdentityRules(unknown="plan:guest")).plan == "guest"
    refusal = refused(key, rules=IdentityRules(unknown="refuse"))
    assert (refusal.status, refusal.code) == (401, "invalid_api_key")


def test_callers_without_a_key_share_their_networks_account() -> None:
    first, near, far = who(peer="203.0.113.9"), who(peer="203.0.113.200"), who(peer="203.0.114.9")
    assert first == near != far
    assert first.account == f"net-{first.network}"
    assert first.key == ""
    assert who(peer=None).account == "net-unknown"
    assert who(rules=IdentityRules(anonymous="plan:guest")).plan == "guest"
    assert refused(rules=IdentityRules(anonymous="refuse")).code == "missing_api_key"


def test_a_network_is_a_24_or_a_48_and_its_name_needs_the_pepper() -> None:
    assert network_of(PEPPER, "2001:db8:1::1") == network_of(PEPPER, "2001:db8:1:ffff::2")
    assert network_of(PEPPER, "2001:db8:1::1") != network_of(PEPPER, "2001:db8:2::1")
    assert network_of(PEPPER, "::ffff:203.0.113.1") == network_of(PEPPER, "203.0.113.2")
    assert network_of(PEPPER, "203.0.113.1") != network_of(FORMER, "203.0.113.1")
    assert network_of(PEPPER, "203.0.113.1", 1) != network_of(PEPPER, "203.0.113.1", 2)
    assert network_of(PEPPER, "testclient") == ""


def test_hashes_are_keyed() -> None:
    assert len(key_digest(PEPPER, "sk-1")) == 32
    assert key_digest(PEPPER, "sk-1") == key_digest(PEPPER, b"sk-1") != key_digest(FORMER, "sk-1")
    with pytest.raises(ValueError, match="empty pepper"):
        key_digest(b"", "sk-1")


ACCOUNT_HEADER = IdentityRules(trusted=(Trusted("x-account", "account"),))
MTLS = IdentityRules(trusted=(Trusted("x-client-subject", "mtls"), Trusted("x-forwarded-client-cert", "mtls")))


def test_an_account_header_counts_from_a_trusted_proxy_only() -> None:
    named = who(("x-account", "acme"), peer="10.0.0.1", rules=ACCOUNT_HEADER)
    assert (named.account, named.source, named.known) == ("acme", "header", True)
    assert who(("x-account", "acme"), peer="203.0.113.9", rules=ACCOUNT_HEADER).source == "none"
    assert who(("x-account", "acme"), peer=None, rules=ACCOUNT_HEADER).source == "none"


def test_a_vouched_account_has_a_key_of_its_own_whatever_key_it_shows() -> None:
    one = who(("x-account", "acme"), ("x-api-key", "made-up-1"), peer="10.0.0.1", rules=ACCOUNT_HEADER)
    two = who(("x-account", "acme"), ("x-api-key", "made-up-2"), peer="10.0.0.1", rules=ACCOUNT_HEADER)
    assert one == two
    assert one.key


def test_an_account_header_is_looked_up_in_the_accounts_file() -> None:
    accounts = Accounts({"-": ACME})
    caller = who(("x-account", "acme"), peer="10.0.0.1", rules=ACCOUNT_HEADER, accounts=accounts)
    assert (caller.org, caller.plan, caller.source) == ("org-1", "gold", "header")


@pytest.mark.parametrize("value", ["a b", "x" * 129, "key-0123456789abcdef", "net-unknown", "\xff", "<script>"])
def test_an_account_header_that_names_nobody_is_refused(value: str) -> None:
    assert refused(("x-account", value), peer="10.0.0.1", rules=ACCOUNT_HEADER).status == 401


def test_an_identity_header_that_a_client_added_to_is_refused() -> None:
    assert refused(("x-account", "victim"), ("x-account", "me"), peer="10.0.0.1", rules=ACCOUNT_HEADER).status == 401


def test_identity_headers_of_strangers_are_named_for_removal() -> None:
    assert untrusted_headers(MTLS, "203.0.113.9", TRUSTED) == {b"x-client-subject", b"x-forwarded-client-cert"}
    assert untrusted_headers(MTLS, None, TRUSTED) == untrusted_headers(MTLS, "10.1.1.1", ())
    assert untrusted_headers(MTLS, "10.1.1.1", TRUSTED) == frozenset()
    assert untrusted_headers(IdentityRules(), "203.0.113.9", TRUSTED) == frozenset()


def test_a_certificates_subject_is_an_account() -> None:
    accounts = Accounts(subjects={"CN=svc,O=Acme": ACME})
    subject = ("x-client-subject", "CN=svc,O=Acme")
    envoy = ("x-forwarded-client-cert", 'By=spiffe://x/gw;Hash=ab;Subject="CN=svc,O=Acme";URI=spiffe://x/svc')
    assert who(subject, peer="10.0.0.1", rules=MTLS, accounts=accounts).account == "acme"
    assert who(envoy, peer="10.0.0.1", rules=MTLS, accounts=accounts).account == "acme"
    own = who(subject, peer="10.0.0.1", rules=MTLS)
    assert own == who(envoy, peer="10.0.0.1", rules=MTLS)
    assert own.account.startswith("mtls-")
    assert (own.source, own.known) == ("mtls", True)
    assert who(("x-client-subject", ""), ("x-api-key", "sk-1"), peer="10.0.0.1", rules=MTLS).source == "key"


def test_a_certificate_header_that_cannot_be_read_is_refused() -> None:
    assert refused(("x-forwarded-client-cert", "By=x;Hash=ab"), peer="10.0.0.1", rules=MTLS).status == 401


def test_the_client_behind_a_proxy_has_its_own_network() -> None:
    caller = who(("x-forwarded-for", "6.6.6.6, 198.51.100.7"), peer="10.0.0.1")
    assert caller.network == network_of(PEPPER, "198.51.100.7")
    assert who(("x-forwarded-for", "6.6.6.6"), peer="203.0.113.9").network == network_of(PEPPER, "203.0.113.9")


def test_a_verified_tokens_claims_win_over_the_accounts_file() -> None:
    accounts = Accounts({"-": ACME})
    plain = who(claims={"account": "acme"}, accounts=accounts)
    assert (plain.account, plain.org, plain.plan, plain.source) == ("acme", "org-1", "gold", "jwt")
    told = who(claims={"account": "acme", "org": "org-2", "plan": "free"}, accounts=accounts)
    assert (told.org, told.plan, told.labels, told.key) == ("org-2", "free", ("evaluator",), plain.key)
    new = who(claims={"account": "auth0|123"}, rules=IdentityRules(plan="basic"))
    assert (new.account, new.plan, new.known) == ("auth0|123", "basic", True)


@pytest.mark.parametrize("account", ["key-0123456789abcdef", "mtls-0123456789abcdef", "", "a b"])
def test_a_token_cannot_name_an_account_that_the_gateway_makes(account: str) -> None:
    with pytest.raises(Refusal, match="401"):
        who(claims={"account": account})


def test_names_from_outside_are_plain() -> None:
    assert fit_name("auth0|5f7c8ec7")
    assert not any(map(fit_name, ["", "a b", "a\n", "é", "x" * 129, None, 7]))
