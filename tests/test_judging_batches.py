"""A batch is judged by what its file holds; the rules of an answer know what was expected of it."""

import msgspec

from gateway.decide import AccountState, Facts, Outcome, Verdict, settle
from gateway.observe import Observation
from gateway.policy.model import Policy
from gateway.usage import Usage
from tests.test_judging import CALLER, CHAT, NOW, policy, say

UPLOADED = Observation(
    dialect="openai_chat",
    op="batch",
    route="/v1/files",
    model="big",
    n=40,
    lines=40,
    chars=4000,
    max_tokens=300,
    bytes=9,
)
HANDED_IN = Observation(dialect="openai_chat", op="batch", route="/v1/batches", bytes=120, file="file-1")


def with_file(p: Policy) -> AccountState:
    done = Outcome("done", 200, 200, file="file-1", folded=UPLOADED)
    upload = Facts(CALLER, Observation(op="upload", route="/v1/files"))
    return settle(p, AccountState(), upload, Verdict(), done, NOW)[0]


def test_a_batch_is_judged_on_what_its_file_holds() -> None:
    p = policy(
        "  - {id: many, when: req.lines == 40 and req.n == 40 and req.model == 'big', then: {tag: [many]}}\n"
        "  - {id: long, when: req.max_tokens >= 300, then: {block: {status: 403}}, mode: shadow}\n"
        "  - {id: here, when: req.route == '/v1/batches' and req.op == 'batch', then: {tag: [here]}}\n"
        "  - {id: size, when: req.bytes == 120, then: {tag: [size]}}\n"
    )
    _, verdict = say(p, HANDED_IN, state=with_file(p))
    assert (verdict.rules, verdict.shadow) == (("here", "many", "size"), ("long",))
    assert verdict.batch == msgspec.structs.replace(UPLOADED, route="/v1/batches", bytes=120, file="file-1")
    _, unknown = say(p, HANDED_IN)
    assert (unknown.rules, unknown.shadow, unknown.batch) == (("here", "size"), (), None)


def test_a_batch_that_was_taken_counts_in_the_readings_as_it_was_charged() -> None:
    p = policy("  - {id: r, when: day.output_tokens > 1, then: {tag: [t]}}")
    state, verdict = say(p, HANDED_IN, state=with_file(p))
    facts = Facts(CALLER, HANDED_IN)
    taken, _ = settle(p, state, facts, verdict, Outcome("done", 200, 200), NOW)
    assert say(p, state=taken)[1].readings == {"day.output_tokens": 12_000.0} == {"day.output_tokens": verdict.owed}
    for status in (0, 400, 503):
        lost, _ = settle(p, state, facts, verdict, Outcome("done", status, status), NOW)
        assert say(p, state=lost)[1].readings == {"day.output_tokens": 0.0}


def test_the_rules_of_an_answer_know_what_was_expected_and_what_a_file_held() -> None:
    p = policy(
        "  - {id: longer, phase: response, when: resp.output_tokens > req.output_est, then: {tag: [longer]}}\n"
        "  - {id: asked, phase: response, when: req.input_est > 50, then: {tag: [asked]}}\n"
        "  - {id: lines, phase: response, when: req.lines == 40, then: {tag: [lines]}}\n"
    )
    state, verdict = say(p)
    for output, tags in ((999, ("asked",)), (1001, ("asked", "longer"))):
        done = Outcome("done", 200, 200, Usage(9, output, source="upstream"))
        assert settle(p, state, Facts(CALLER, CHAT), verdict, done, NOW)[1].tags == tags
    state, verdict = say(p, HANDED_IN, state=with_file(p))
    assert settle(p, state, Facts(CALLER, HANDED_IN), verdict, Outcome("done", 200, 200), NOW)[1].tags == (
        "asked",
        "lines",
    )
