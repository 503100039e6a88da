"""P1 to P4: parameters, logits, logit biases and duplicates, with numbers that can be worked out on paper."""

from collections.abc import Iterable

import pytest

from gateway.observe import Observation
from gateway.signals.duplicate_factor import DuplicateFactor
from gateway.signals.logit_access import LogitAccess
from gateway.signals.logit_bias_probe import LogitBiasProbe
from gateway.signals.parameter_constancy import ParameterConstancy
from tests.signals.traces import BUSY, FAILED, Account, alone, ask, batch, mark, print_of

HALF_LIFE = 0.6931472 * 7 * 86_400  # s


def at_once(account: Account, seen: Iterable[Observation]) -> Account:
    """All in one moment, so that nothing decays."""
    for each in seen:
        account.asked(each)
    return account


# --- P1, constancy of parameters


def constancy() -> Account:
    return Account(alone(ParameterConstancy()))


def given(*kinds: str) -> list[Observation]:
    return [ask(n, params=print_of(kind)) for n, kind in enumerate(kinds)]


def test_the_commonest_parameters_are_counted_as_misra_and_gries_do() -> None:
    account = at_once(constancy(), given(*"aaaaaabbb"))
    assert account.hits("params_share") == (6, 9)
    at_once(account, given("c"))  # takes one from each, and is gone itself
    assert account.hits("params_share") == (5, 10)
    at_once(account, given("c", "c", "c"))  # takes b's last two, and has one left
    assert account.hits("params_share") == (3, 13)
    at_once(account, given("c", "c", "c"))
    assert account.hits("params_share") == (4, 16)


def test_one_program_has_the_same_parameters_and_a_resold_key_has_not() -> None:
    program, key = constancy(), constancy()
    for n in range(100):
        program.turn(ask(n))
        key.turn(ask(n, params=print_of("program", n % 10)))
    assert program.value("params_share") == pytest.approx(1.0)
    assert key.value("params_share") < 0.15


def test_a_batch_counts_for_its_lines_and_its_commonest_parameters() -> None:
    account = at_once(constancy(), [batch(0, 60, params=print_of("a")), *given("b", "b")])
    assert account.hits("params_share") == (60, 62)


def test_four_spelled_out_defaults_are_many() -> None:
    account = at_once(constancy(), [ask(1, spelled=3), ask(2, spelled=4), ask(3, spelled=11), batch(4, 7, spelled=5)])
    assert account.hits("defaults_share") == (9, 10)


# --- P2, access to logits


def access() -> Account:
    return Account(alone(LogitAccess()))


def test_each_kind_of_access_is_a_share_of_its_own() -> None:
    kinds = [("logprobs",), ("logprobs", "wide"), ("logprobs", "wide", "tiny"), ("greedy", "tiny")]
    account = at_once(access(), [ask(n, marks=marks) for n, marks in enumerate(kinds)])
    found = {name: account.value(name) for name in account.panel.readings}
    shares = {"logprobs_share": 0.75, "wide_share": 0.5, "distribution_share": 0.25, "soft_target_share": 0.25}
    assert found == {**shares, "greedy_share": 0.25}


def test_whoever_takes_the_distribution_is_told_from_whoever_reads_a_labels_probability() -> None:
    thief, classifier = access(), access()
    for n in range(50):
        thief.turn(ask(n, marks=("one_shot", "logprobs", "wide", "tiny")))
        classifier.turn(ask(n, marks=("one_shot", "logprobs", "tiny", "greedy")))
    assert thief.value("distribution_share") == pytest.approx(1.0)
    assert classifier.value("logprobs_share") == pytest.approx(1.0)
    assert (classifier.value("distribution_share"), classifier.value("wide_share")) == (0, 0)


def test_of_a_batch_at_most_as_many_lines_want_the_distribution_as_have_both_marks() -> None:
    account = at_once(access(), [batch(0, 40, marks={"logprobs": 35, "wide": 30, "tiny": 10})])
    assert account.hits("distribution_share") == (10, 40)
    assert account.hits("soft_target_share") == (20, 40)


def test_whoever_distils_takes_the_soft_targets_of_whole_answers() -> None:
    student, page = access(), access()
    for n in range(50):
        student.turn(ask(n, marks=("one_shot", "logprobs", "wide")))
        page.turn(ask(n, marks=("one_shot", "logprobs")))  # one alternative, or five: how sure it was of each word
    assert student.value("soft_target_share") == pytest.approx(1.0)
    assert page.value("logprobs_share") == pytest.approx(1.0)
    assert (student.value("distribution_share"), page.value("soft_target_share")) == (0, 0)


def test_embeddings_have_no_logits() -> None:
    assert at_once(access(), [ask(0, op="embeddings", marks=("wide", "tiny"))]).read("distribution_share") is None


# --- P3, probing with logit biases


def probe() -> Account:
    return Account(alone(LogitBiasProbe()))


def biased(*tokens: int) -> Observation:
    return mark(ask(bias=tuple(sorted(tokens))), biased=1)


def test_one_banned_token_is_new_once() -> None:
    account = at_once(probe(), [biased(50256)] * 300)
    assert account.hits("novel_bias_share") == (1, 300)
    assert account.value("biased_tokens") == pytest.approx(1.0, rel=1e-3)  # -1024 ln(1 - 1/1024)


def test_a_moderators_list_is_new_once() -> None:
    account = at_once(probe(), [biased(*range(1000, 1064))] * 300)
    assert account.hits("novel_bias_share") == (1, 300)
    assert account.value("biased_tokens") == pytest.approx(64, rel=0.08)


def test_a_walk_through_the_vocabulary_is_new_at_every_step() -> None:
    account = at_once(probe(), [biased(token) for token in range(400)])
    assert account.value("novel_bias_share") == pytest.approx(1.0, abs=0.05)
    assert account.value("biased_tokens") == pytest.approx(400, rel=0.08)


def test_a_walk_among_decoys_is_seen() -> None:
    account = at_once(probe(), [biased(*range(63), 10_000 + step) for step in range(400)])
    assert account.value("novel_bias_share") == pytest.approx(1.0, abs=0.1)


def test_a_slow_and_long_walk_stays_visible() -> None:
    account = probe()
    for token in range(6000):
        account.turn(biased(token), then=3000)
    assert account.value("novel_bias_share") > 0.6
    assert 2000 <= account.value("biased_tokens") <= 6600


def test_many_fixed_lists_come_to_rest() -> None:
    account = probe()
    lists = [biased(*range(60 * tenant, 60 * tenant + 60)) for tenant in range(50)]
    for _ in range(20):
        at_once(account, lists)
    rest = account.hits("novel_bias_share")[0]
    at_once(account, lists * 20)
    assert account.hits("novel_bias_share")[0] == rest < 200
    assert account.value("biased_tokens") == pytest.approx(3000, rel=0.1)


def test_of_a_batch_no_line_is_new_without_a_token_of_its_own() -> None:
    lines = batch(0, 40, marks={"biased": 40}, bias=tuple(range(16)))
    account = at_once(probe(), [lines])
    assert account.hits("novel_bias_share") == (16, 40)
    at_once(account, [lines])
    assert account.hits("novel_bias_share") == (16, 80)


def test_who_biases_nothing_reads_zero() -> None:
    account = at_once(probe(), [ask(n) for n in range(5)])
    assert account.hits("novel_bias_share") == (0, 5)
    assert account.value("biased_tokens") == 0


# --- P4, duplicate factor


def duplicates() -> Account:
    return Account(alone(DuplicateFactor()))


def test_what_is_asked_again_at_once_counts() -> None:
    account = at_once(duplicates(), [ask("x"), ask("x"), ask("y"), ask("x"), ask("y")])
    assert account.hits("resample_share") == (3, 5)


def test_four_requests_a_prompt_are_told_from_retries_and_from_an_evaluation() -> None:
    sampler, client, harness, chat = duplicates(), duplicates(), duplicates(), duplicates()
    for n in range(40):
        for attempt in range(4):
            sampler.turn(ask(n))
            client.turn(ask(n), FAILED if attempt % 2 else BUSY)
            harness.turn(ask(n, marks=("one_shot", "greedy")))
            chat.turn(ask("continue", marks=("continues",), said=print_of(n, attempt)))
    assert sampler.value("resample_share") == pytest.approx(0.75, abs=0.001)
    assert [one.value("resample_share") for one in (client, harness, chat)] == [0, 0, 0]
    assert sampler.value("answers_per_ask") == pytest.approx(4, rel=0.02)


def test_an_ask_is_remembered_for_ten_minutes_and_over_seven_others() -> None:
    account = duplicates()
    for wait, again in ((599, 1), (602, 1), (300, 2)):
        account.asked(ask("x"))
        account.wait(wait).asked(ask("x"))
        assert account.hits("resample_share")[0] == pytest.approx(again, abs=0.02)
        account.wait(3600)
    at_once(account, [ask("x"), *(ask(n) for n in range(7)), ask("x")])
    assert account.hits("resample_share")[0] == pytest.approx(3, abs=0.06)
    at_once(account, [*(ask(n) for n in range(10, 18)), ask("x")])
    assert account.hits("resample_share")[0] == pytest.approx(3, abs=0.06)


def test_lines_of_a_batch_that_ask_the_same_are_duplicates_where_they_are_not_greedy() -> None:
    account = at_once(duplicates(), [batch(0, 40, distinct=10)])
    assert account.hits("resample_share") == (30, 40)
    at_once(account, [batch(50, 40, distinct=10, marks={"greedy": 35})])
    assert account.hits("resample_share") == (35, 80)
    assert account.value("answers_per_ask") == pytest.approx(4)


def test_choices_are_counted_by_question() -> None:
    account = at_once(duplicates(), [ask(n, n=4) for n in range(10)])
    assert (account.value("choices_share"), account.value("answers_per_ask")) == (1, 4)
    prompts = at_once(duplicates(), [ask(0, n=40, prompts=20)])
    assert prompts.value("answers_per_ask") == 2


def test_what_no_vendor_takes_counts_as_the_most_that_one_does() -> None:
    assert at_once(duplicates(), [ask(0, n=10**12)]).value("answers_per_ask") == 128


def test_who_asks_one_thing_for_ever_has_a_thousand_answers_of_it() -> None:
    assert at_once(duplicates(), [ask("ping")] * 1500).value("answers_per_ask") == pytest.approx(1000)


# --- all of them


@pytest.mark.parametrize(
    ("account", "name", "seen"),
    [
        (constancy(), "params_share", ask()),
        (constancy(), "defaults_share", ask(spelled=9)),
        (access(), "distribution_share", ask(marks=("logprobs", "wide", "tiny"))),
        (access(), "soft_target_share", ask(marks=("logprobs", "wide"))),
        (probe(), "novel_bias_share", biased(7)),
        (duplicates(), "choices_share", ask(n=2)),
        (duplicates(), "resample_share", batch(0, 2, distinct=1)),
    ],
)
def test_half_of_the_hits_is_left_after_a_half_life(account: Account, name: str, seen: Observation) -> None:
    account.asked(seen)
    account.wait(HALF_LIFE)
    hits, of = account.hits(name)
    assert hits == pytest.approx(0.5, rel=1e-4)
    assert hits / of == pytest.approx(1.0 if seen.lines == 0 else 0.5)
