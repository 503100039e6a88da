"""The lines of a batch add up to one observation: counts, the commonest frame, a sample of what is asked."""

import orjson
import pytest

from gateway.observe import Fold, Observation, Prints
from gateway.observe.features import MAX_ASKS, MAX_PIECES, Features, features
from gateway.observe.fold import RARE, WHOLE
from gateway.observe.wire import form_of, from_wire
from gateway.protocols import Call

PRINTS = Prints(b"k")


def line(prompt: str, **fields: object) -> Call:
    body = {"model": "m", **fields}
    return Call(op="chat", model="m", body=body, text=(prompt,), asked=(prompt,), messages=1)


def folded(lines: list[Call]) -> Features:
    fold = Fold(PRINTS)
    for each in lines:
        fold.add((each,))
    return fold.features()


def name(number: int) -> str:
    """A word for each number; the normal form makes all figures alike."""
    return "".join(chr(97 + int(digit)) for digit in str(number))


def of(prompt: str) -> Features:
    return features(line(prompt), PRINTS)


def test_nothing_adds_up_to_nothing() -> None:
    assert folded([]) == Features()


def test_counts_add_up_and_what_is_asked_is_kept_once() -> None:
    found = folded([line("Why is it so?"), line("Who was it?"), line("why is it so?"), line("")])
    assert found.marks == {"one_shot": 3, "empty": 1}
    assert found.fresh == 13 + 11 + 13
    assert found.asks == tuple(sorted({*of("why is it so?").asks, *of("Who was it?").asks, *of("").asks}))
    assert found.distinct == 3


def test_the_commonest_frame_and_parameters_are_kept() -> None:
    lines = [line(f"Translate this text: {name(at)} now", temperature=0) for at in range(7)]
    lines += [line(f"{name(at)} is what I ask of you", temperature=1) for at in range(3)]
    found = folded(lines)
    assert found.head == of("Translate this text: whatever").head
    assert found.params == features(line("", temperature=0), PRINTS).params
    assert found.system == 0


def test_of_many_asks_the_lowest_are_kept_and_tell_how_many_there_are() -> None:
    """k - 1 over the k-th lowest of evenly spread numbers: a standard error of 1 / sqrt(14) = 27 %."""
    asked = [f"The question of {name(at)} is asked here" for at in range(WHOLE)]
    found = folded([line(each) for each in asked])
    each = sorted(of(prompt).asks[0] for prompt in asked)
    assert found.asks == tuple(each[:MAX_ASKS])
    assert found.distinct == pytest.approx(WHOLE, rel=3 * 0.27)
    assert found.pieces == tuple(sorted(of(prompt).pieces[0] for prompt in asked)[:MAX_PIECES])


def test_up_to_sixteen_different_asks_are_counted_exactly() -> None:
    found = folded([line(f"The question of {name(at % 15)} is asked here") for at in range(200)])
    assert found.distinct == 15


def test_after_the_first_lines_one_in_eight_is_looked_at_and_counts_for_as_many() -> None:
    lines = [line(f"The question of {name(at)} is asked here") for at in range(4096)]
    picked = sum(PRINTS.picks(each.asked, RARE) for each in lines[WHOLE:])
    assert picked == pytest.approx((4096 - WHOLE) / RARE, rel=0.25)
    assert folded(lines).marks == {"one_shot": WHOLE + RARE * picked}
    other = Fold(Prints(b"other"))
    for each in lines:
        other.add((each,))
    assert other.features().marks != {"one_shot": WHOLE + RARE * picked}  # which ones, the key says


def test_a_mark_never_counts_more_lines_than_there_are() -> None:
    same = line("The same question is asked, and is asked again")
    found = folded([same] * (WHOLE + 100))
    assert found.marks == {"one_shot": WHOLE + 100 if PRINTS.picks(same.asked, RARE) else WHOLE}


def test_a_call_of_several_prompts_is_one_line() -> None:
    fold = Fold(PRINTS)
    prompts = ("What is it?", "Who is it?")
    fold.add((Call(op="text_completion", model="m", body={}, text=prompts, asked=prompts, prompts=2, n=2),))
    assert (fold.lines, fold.features().marks) == (1, {"one_shot": 1})
    assert fold.features().distinct == 2


def upload(bodies: list[dict[str, object]]) -> Observation:
    lines = [{"custom_id": "c", "method": "POST", "url": "/v1/chat/completions", "body": body} for body in bodies]
    text = "".join(orjson.dumps(each).decode() + "\n" for each in lines)
    content_type, form = form_of("batch", "b.jsonl", "application/jsonl", text)
    wire = from_wire("POST", "/v1/files", [(b"content-type", content_type)], form, PRINTS)
    assert wire.folded is not None
    return wire.folded


def test_an_upload_is_observed_as_the_sum_of_its_lines() -> None:
    bodies: list[dict[str, object]] = [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Why {name(at)}?"}],
            "max_tokens": 100 + at,
            "user": "u",
            "logit_bias": {str(at): 1},
        }
        for at in range(5)
    ]
    seen = upload(bodies)
    assert (seen.op, seen.lines, seen.n, seen.messages, seen.max_tokens) == ("batch", 5, 5, 10, 102)
    assert (seen.distinct, len(seen.asks), seen.bias) == (5, 5, tuple(sorted(PRINTS.of(b"%d" % at) for at in range(5))))
    assert seen.marks == {"biased": 5, "bounded": 5, "instructed": 5, "named": 5, "one_shot": 5}
    assert seen.system == features(Call(op="chat", model="m", body={}, system=("be brief.",)), PRINTS).system
    assert seen.user == features(Call(op="chat", model="m", body={}, user="u"), PRINTS).user


def test_a_batch_in_one_body_is_the_same_sum() -> None:
    lines = [
        {"custom_id": "c", "params": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}}
        for text in ("Why is it so?", "Who was it?", "why is it so?")
    ]
    body = orjson.dumps({"requests": lines})
    seen = from_wire("POST", "/v1/messages/batches", [(b"content-type", b"application/json")], body, PRINTS).seen
    assert (seen.op, seen.lines, seen.distinct, seen.marks) == ("batch", 3, 2, {"bounded": 3, "one_shot": 3})
    assert seen.asks == tuple(sorted({*of("Why is it so?").asks, *of("Who was it?").asks}))
