"""The accounts file: who a key belongs to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.accounts import AccountsErrors, Directory, Entry, check_accounts, load_accounts
from gateway.documents import render
from gateway.identity import Caller, IdentityRules, identify, key_digest

K1, K2, K3 = "0" * 31 + "1", "12345678901234567890123456789012", "1234567890123456789012345678e012"
FILE = f"""
accounts:
  - id: acct_1
    org: acme
    plan: free
    created: 2026-01-31
    labels: [evaluator, tier-2]
    use: nightly evaluation
    keys: [{K1}, {K2}]
    subjects: ["CN=one,O=Acme"]
  - {{id: 42, keys: [{K3}]}}
"""


def messages(text: str, plans: tuple[str, ...] = ()) -> list[str]:
    return [f"{finding.line}:{finding.column} {finding.message}" for finding in check_accounts(text, "a.yaml", plans)]


def test_an_account_is_found_by_key_id_and_subject() -> None:
    directory = load_accounts(FILE, "a.yaml", ("free",))
    entry = Entry("acct_1", "acme", "free", ("evaluator", "tier-2"), 1_769_817_600, "nightly evaluation")
    assert directory.by_digest(K1) == directory.by_digest(K2) == entry
    assert directory.by_account("acct_1") == directory.by_subject("CN=one,O=Acme") == entry
    assert directory.by_digest("f" * 32) is directory.by_account("acme") is directory.by_subject("") is None
    assert len(directory) == 2
    assert directory.warnings == ()


def test_digests_and_ids_that_look_like_numbers_stay_text() -> None:
    directory = load_accounts(FILE, "a.yaml")
    assert directory.by_digest(K3) == directory.by_account("42") == Entry("42")


class Pepper:
    current = b"p"
    former = None


def test_identity_finds_the_account_of_a_key() -> None:
    digest = key_digest(b"p", "sk-one")
    directory = load_accounts(f"accounts: [{{id: acct_1, org: o, labels: [l], keys: [{digest}]}}]", "a.yaml")
    caller = identify([(b"authorization", b"Bearer sk-one")], b"", None, IdentityRules(), directory, Pepper())
    assert caller == Caller("acct_1", digest[:16], "o", "default", ("l",), None, True, "key")


def test_a_file_without_accounts_is_an_empty_directory() -> None:
    assert load_accounts("accounts: []", "a.yaml") == load_accounts("accounts:", "a.yaml") == Directory.empty()
    assert len(Directory.empty()) == 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "1:1 `accounts` is missing"),
        ("[]", "1:1 `accounts` is missing"),
        ("accounts: 3", "1:11 this must be a list"),
        ("accounts: [3]", "1:12 an account must be a mapping"),
        ("accounts: [{}]", "1:12 `id` is missing"),
        ("accounts: [{id: a}]\nkeys: []", "2:1 unknown key"),
        ("accounts: [{id: a, key: []}]", "1:20 unknown key"),
        ("accounts: [{id: [a]}]", "1:17 an account's id can't be this"),
        ("accounts: [{id: 'a b'}]", "1:17 an account's id can't be this"),
        ("accounts: [{id: key-0123456789abcdef}]", "1:17 this id is the gateway's own"),
        ("accounts: [{id: a, org: {}}]", "1:25 an org can't be this"),
        ("accounts: [{id: a, plan: ''}]", "1:26 a plan can't be this"),
        ("accounts: [{id: a, created: 31.1.2026}]", "1:29 this is no day"),
        ("accounts: [{id: a, created: 2026-02-30}]", "1:29 this is no day"),
        ("accounts: [{id: a, labels: x}]", "1:28 this must be a list"),
        ("accounts: [{id: a, labels: [x, {}]}]", "1:32 this must be text"),
        ("accounts: [{id: a, labels: ['x y']}]", "1:29 this can't be a label"),
        (f"accounts: [{{id: a, use: {'u' * 501}}}]", "1:25 `use` must be a text of at most 500 characters"),
        ("accounts: [{id: a, subjects: ['']}]", "1:31 a subject has 1 to 1024 characters"),
        ("accounts: [{id: a, keys: [abc]}]", "1:27 a digest has 32 lower-case hex digits, this has 3"),
        (f"accounts: [{{id: a, keys: [{'A' * 32}]}}]", "1:27 a digest has 32 lower-case hex digits, this has 32"),
        (f"accounts: [{{id: a, keys: [{'a' * 64}]}}]", "1:27 a digest has 32 lower-case hex digits, this has 64"),
        ("accounts: [{id: a}, {id: a}]", "1:26 this id is here twice; the first is at 1:17"),
        (
            f"accounts:\n- {{id: a, keys: [{K1}]}}\n- {{id: b, keys: [{K1}]}}",
            "3:18 this key is here twice; the first is at 2:18",
        ),
        (
            "accounts: [{id: a, subjects: [x]}, {id: b, subjects: [x]}]",
            "1:55 this subject is here twice; the first is at 1:31",
        ),
        ("accounts: [{id: a}]\naccounts: []", "2:1 this key is here twice; the first is at 1:1"),
    ],
)
def test_what_is_wrong_is_found_in_its_place(text: str, message: str) -> None:
    assert messages(text) == [message]
    with pytest.raises(AccountsErrors):
        load_accounts(text, "a.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "accounts:\n  - {id: a, keys: [sk-live-SECRET]}\n",
        "accounts:\n  - {id: sk-live-SECRET}\n",
        "accounts:\n  - {id: a, sk-live-SECRET: 1}\n",
        "accounts:\n  - {id: a, keys: [!sk-live-SECRET x]}\n",
        "accounts:\n  - {id: a, plan: sk-live-SECRET}\n",
        "accounts:\n  - sk-live-SECRET\n",
        "sk-live-SECRET: 1\n",
        "accounts: [sk-live-SECRET\n",
        "%SECRET x\n---\naccounts: []",
    ],
)
def test_a_key_in_clear_is_refused_and_never_shown(text: str) -> None:
    findings = check_accounts(text, "a.yaml")
    assert findings != []
    for finding in findings:
        assert "SECRET" not in render(finding, text)
    with pytest.raises(AccountsErrors) as caught:
        load_accounts(text, "a.yaml")
    assert "SECRET" not in str(caught.value)


def test_a_key_in_clear_has_a_hint() -> None:
    (finding,) = check_accounts("accounts: [{id: a, keys: [sk-live-1]}]", "a.yaml")
    assert finding.code == "secret"
    assert "gauger keys hash" in finding.hint


def test_an_unknown_plan_is_a_warning_where_the_plans_are_known() -> None:
    text = "accounts: [{id: a, plan: fre}]"
    directory = load_accounts(text, "a.yaml", ("free", "pro"))
    assert [(finding.severity, finding.hint) for finding in directory.warnings] == [("warning", "did you mean `free`?")]
    assert directory.by_account("a") == Entry("a", plan="fre")
    assert load_accounts(text, "a.yaml").warnings == ()


def test_the_digest_is_of_the_accounts_and_not_of_their_order() -> None:
    one = load_accounts("accounts: [{id: a, org: o}, {id: b}]", "a.yaml").digest
    assert one == load_accounts("# moved\naccounts:\n- id: b\n- {org: o, id: a}\n", "b.yaml").digest
    assert one != load_accounts("accounts: [{id: a, org: p}, {id: b}]", "a.yaml").digest
    assert len(one) == 12


def test_a_directory_does_not_print_its_keys() -> None:
    directory = load_accounts(FILE, "a.yaml")
    assert repr(directory) == f"Directory(2 accounts, 3 keys, {directory.digest})"


def test_thousands_of_accounts_and_as_many_mistakes_are_read() -> None:
    right = "accounts:\n" + "".join(f"- {{id: a{n}, keys: [{n:032x}]}}\n" for n in range(5_000))
    assert len(load_accounts(right, "a.yaml")) == 5_000
    wrong = "accounts:\n" + "- {id: a, keys: [x]}\n" * 5_000
    assert len(check_accounts(wrong, "a.yaml")) == 101


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: "accounts: " + text)))
def test_any_bytes_give_findings_or_a_directory(text: bytes | str) -> None:
    for finding in check_accounts(text, "a.yaml", ("free",)):
        assert finding.line >= 1
        assert finding.private


def test_an_account_has_at_most_a_hundred_keys() -> None:
    def keys(count: int) -> str:
        return f"accounts: [{{id: a, keys: [{', '.join(f'{n:032x}' for n in range(count))}]}}]"

    assert len(load_accounts(keys(100), "a.yaml").digests) == 100
    assert messages(keys(101)) == ["1:26 more than 100 entries"]
