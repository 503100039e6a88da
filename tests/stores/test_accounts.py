"""What lasts of rules, in a table that made-up keys can't fill."""

from collections.abc import Callable

import msgspec
import pytest

from gateway.decide import AccountState, Facts, Verdict, judge
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.stores.accounts import MemoryAccounts
from tests.rig import policy_of

NOW = 1_795_487_400_000_000
MINUTE = 60_000_000
POLICY = policy_of("gauger: 1\nrules: [{id: stop, when: req.n > 1, then: {block: {for: 1h}}}]\n")
Ask = Callable[[str, int, int], Verdict]


@pytest.fixture
def accounts() -> MemoryAccounts:
    return MemoryAccounts(capacity=2, probation=2, sanctioned=3)


@pytest.fixture
def ask(accounts: MemoryAccounts) -> Ask:
    def asked(account: str, n: int, now: int) -> Verdict:
        facts = Facts(Caller(account), Observation(dialect="openai_chat", op="chat", n=n))
        return accounts.update(account, lambda state: judge(POLICY, state, facts, now))

    return asked


def accept(accounts: MemoryAccounts, account: str) -> None:
    def proven(state: AccountState) -> tuple[AccountState, None]:
        return msgspec.structs.replace(state, proven=True), None

    accounts.update(account, proven)


def test_made_up_keys_that_are_blocked_push_out_each_other_and_nobody_else(accounts: MemoryAccounts, ask: Ask) -> None:
    accept(accounts, "thief")
    assert ask("thief", 2, NOW).action == "block"
    for at in range(50):
        assert ask(f"made-up-{at}", 2, NOW).action == "block"
    assert (accounts.sanctioned, accounts.evicted_sanctions) == (3, 48)
    assert ask("thief", 1, NOW + MINUTE).action == "block"


def test_an_account_that_was_proven_once_stays_among_the_proven(accounts: MemoryAccounts, ask: Ask) -> None:
    accept(accounts, "thief")
    ask("thief", 2, NOW)
    for at in range(2):
        accept(accounts, f"honest-{at}")
    assert not accounts.get("thief").proven  # all but its block is forgotten
    assert ask("thief", 2, NOW + MINUTE).action == "block"
    for at in range(50):
        ask(f"made-up-{at}", 2, NOW + MINUTE)
    assert ask("thief", 1, NOW + 2 * MINUTE).action == "block"


def test_what_lasts_of_an_account_goes_along_when_the_model_server_accepts_it(
    accounts: MemoryAccounts, ask: Ask
) -> None:
    ask("late", 2, NOW)
    accept(accounts, "late")
    for at in range(50):
        ask(f"made-up-{at}", 2, NOW)
    assert accounts.sanctioned == 3
    assert ask("late", 1, NOW + MINUTE).action == "block"
    assert ask("late", 1, NOW + 60 * MINUTE).action == "allow"
    assert accounts.sanctioned == 2


def test_of_too_many_proven_accounts_the_one_changed_longest_ago_goes(accounts: MemoryAccounts, ask: Ask) -> None:
    for at in range(4):
        accept(accounts, f"a{at}")
        ask(f"a{at}", 2, NOW)
    assert (accounts.sanctioned, accounts.evicted_sanctions) == (3, 1)
    assert ask("a0", 1, NOW + MINUTE).action == "allow"
    assert ask("a3", 1, NOW + MINUTE).action == "block"
