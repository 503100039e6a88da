"""Anthropic's own client understands every answer."""

from typing import Any

import anthropic as sdk
import pytest
from anthropic import AsyncAnthropic

HI: Any = [{"role": "user", "content": "What moves the river?"}]
USE: Any = [{"role": "user", "content": [{"type": "text", "text": "Use the tool."}]}]
TOOL: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def test_a_message_is_answered(anthropic: AsyncAnthropic) -> None:
    answer = await anthropic.messages.create(model="m", max_tokens=100, messages=HI, system="Be brief.")
    assert answer.stop_reason == "end_turn"
    assert answer.content[0].type == "text"
    assert 30 <= answer.usage.output_tokens <= 50
    assert answer._request_id


async def test_counted_tokens_are_those_that_a_message_uses(anthropic: AsyncAnthropic) -> None:
    counted = await anthropic.messages.count_tokens(model="m", messages=HI, system="Be brief.", tools=[TOOL])
    answer = await anthropic.messages.create(model="m", max_tokens=9, messages=HI, system="Be brief.", tools=[TOOL])
    assert answer.usage.input_tokens == counted.input_tokens > 0


async def test_what_is_marked_is_read_from_the_cache(anthropic: AsyncAnthropic) -> None:
    system: Any = [{"type": "text", "text": "one two three four", "cache_control": {"type": "ephemeral"}}]
    answer = await anthropic.messages.create(model="m", max_tokens=9, messages=HI, system=system)
    plain = await anthropic.messages.create(model="m", max_tokens=9, messages=HI)
    assert answer.usage.cache_read_input_tokens == 4
    assert answer.usage.input_tokens == plain.usage.input_tokens


async def test_a_limit_and_a_stop_sequence_end_an_answer(anthropic: AsyncAnthropic) -> None:
    cut = await anthropic.messages.create(model="m", max_tokens=5, messages=HI)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 5)
    stopped = await anthropic.messages.create(model="m", max_tokens=99, messages=HI, stop_sequences=["."])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", ".")


async def test_a_stream_tells_its_events_in_order(anthropic: AsyncAnthropic) -> None:
    stream = await anthropic.messages.create(model="standin-tokens-3", max_tokens=9, messages=HI, stream=True)
    kinds = [event.type async for event in stream]
    deltas = ["content_block_delta"] * 3
    assert [kind for kind in kinds if str(kind) != "ping"] == [
        "message_start",
        "content_block_start",
        *deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_the_stream_helper_puts_the_message_together(anthropic: AsyncAnthropic) -> None:
    async with anthropic.messages.stream(model="standin-tokens-25", max_tokens=99, messages=HI) as stream:
        text = "".join([each async for each in stream.text_stream])
        answer = await stream.get_final_message()
    assert answer.content[0].type == "text"
    assert answer.content[0].text == text
    assert answer.usage.output_tokens == 25
    assert answer.usage.input_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_is_used(anthropic: AsyncAnthropic, streamed: bool) -> None:
    if streamed:
        async with anthropic.messages.stream(model="m", max_tokens=99, messages=USE, tools=[TOOL]) as stream:
            answer: Any = await stream.get_final_message()
    else:
        answer = await anthropic.messages.create(model="m", max_tokens=99, messages=USE, tools=[TOOL])
    assert answer.stop_reason == "tool_use"
    block = answer.content[0]
    assert block.type == "tool_use"
    assert list(block.input) == ["city"]
    result = [{"type": "tool_result", "tool_use_id": block.id, "content": "rain from the tool"}]
    again: Any = [*USE, {"role": "assistant", "content": [block.model_dump()]}, {"role": "user", "content": result}]
    after = await anthropic.messages.create(model="m", max_tokens=99, messages=again, tools=[TOOL])
    assert after.stop_reason == "end_turn"


async def test_structured_output_is_json(anthropic: AsyncAnthropic) -> None:
    form: Any = {"format": {"type": "json_schema", "schema": TOOL["input_schema"]}}
    answer = await anthropic.messages.create(model="m", max_tokens=99, messages=HI, output_config=form)
    assert answer.content[0].type == "text"
    assert answer.content[0].text.startswith('{"city":')


async def test_a_batch_of_messages_ends_with_a_result_each(anthropic: AsyncAnthropic) -> None:
    good: Any = {"model": "m", "max_tokens": 9, "messages": HI}
    bad: Any = {**good, "model": "missing-model"}
    batch = await anthropic.messages.batches.create(
        requests=[{"custom_id": "a", "params": good}, {"custom_id": "b", "params": bad}]
    )
    assert batch.processing_status == "ended"
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (1, 1)
    results = [each async for each in await anthropic.messages.batches.results(batch.id)]
    assert [(each.custom_id, each.result.type) for each in results] == [("a", "succeeded"), ("b", "errored")]
    assert results[1].result.type == "errored"
    assert results[1].result.error.error.type == "not_found_error"
    assert (await anthropic.messages.batches.retrieve(batch.id)) == batch
    assert (await anthropic.messages.batches.cancel(batch.id)) == batch
    assert [each.id async for each in anthropic.messages.batches.list()] == [batch.id]
    assert (await anthropic.messages.batches.delete(batch.id)).id == batch.id
    with pytest.raises(sdk.NotFoundError):
        await anthropic.messages.batches.retrieve(batch.id)


async def test_models_are_listed_in_the_shape_that_the_version_header_asks_for(anthropic: AsyncAnthropic) -> None:
    names = [each.display_name async for each in anthropic.models.list()]
    assert "standin-1" in names
    assert (await anthropic.models.retrieve("anything")).created_at.year >= 2023


@pytest.mark.parametrize(
    ("call", "error", "kind"),
    [
        ({"model": "missing-model"}, sdk.NotFoundError, "not_found_error"),
        ({"model": "standin-429"}, sdk.RateLimitError, "rate_limit_error"),
        ({"model": "standin-500"}, sdk.InternalServerError, "api_error"),
        ({"messages": []}, sdk.BadRequestError, "invalid_request_error"),
    ],
)
async def test_errors_are_the_clients_own(
    anthropic: AsyncAnthropic, call: Any, error: type[sdk.APIStatusError], kind: str
) -> None:
    with pytest.raises(error) as raised:
        await anthropic.messages.create(**{"model": "m", "max_tokens": 9, "messages": HI, **call})
    assert raised.value.request_id
    body: Any = raised.value.body
    assert body["error"]["type"] == kind


async def test_a_wrong_key_is_refused(anthropic: AsyncAnthropic) -> None:
    with pytest.raises(sdk.AuthenticationError):
        await anthropic.with_options(api_key="bad-key").messages.create(model="m", max_tokens=9, messages=HI)
