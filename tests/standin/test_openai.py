"""OpenAI's own client understands every answer."""

import base64
import struct
from typing import Any

import openai as sdk
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionToolParam
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall
from pydantic import BaseModel

HI: Any = [{"role": "user", "content": "What moves the river?"}]
USE: Any = [{"role": "user", "content": "Please use a tool for the weather."}]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Lima"]}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "days"],
}
TOOL: ChatCompletionToolParam = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}


class Step(BaseModel):
    title: str
    minutes: int
    after: "Step | None"


class Plan(BaseModel):
    name: str
    steps: list[Step]
    done: bool


async def test_a_chat_is_answered_and_its_tokens_add_up(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="m", messages=HI)
    assert answer.model == "m"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 30 <= answer.usage.completion_tokens <= 50
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_a_stream_says_what_the_whole_answer_counts(openai: AsyncOpenAI) -> None:
    stream = await openai.chat.completions.create(
        model="standin-tokens-7", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(texts) == 7
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 7
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_a_stream_that_was_not_asked_for_usage_tells_none(openai: AsyncOpenAI) -> None:
    stream = await openai.chat.completions.create(model="m", messages=HI, stream=True)
    assert [chunk.usage async for chunk in stream if chunk.usage is not None] == []


async def test_a_limit_cuts_the_answer(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="m", messages=HI, max_completion_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


async def test_a_stop_sequence_ends_the_answer(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="m", messages=HI, stop=["."])
    assert "." not in (answer.choices[0].message.content or ".")
    assert answer.choices[0].finish_reason == "stop"


async def test_several_choices_differ_and_are_all_counted(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="standin-tokens-20", messages=HI, n=3)
    assert len({choice.message.content for choice in answer.choices}) == 3
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 60


async def test_logprobs_cover_each_token(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="standin-tokens-9", messages=HI, logprobs=True, top_logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(each.token for each in logprobs.content) == answer.choices[0].message.content
    assert all(len(each.top_logprobs) == 2 and each.logprob < 0 for each in logprobs.content)
    stream = await openai.chat.completions.create(model="standin-tokens-9", messages=HI, logprobs=True, stream=True)
    streamed = [chunk.choices[0].logprobs async for chunk in stream]
    assert sum(len(each.content or ()) for each in streamed if each is not None) == 9


async def test_a_word_makes_the_model_call_a_tool(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="m", messages=USE, tools=[TOOL])
    calls = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert calls is not None
    assert calls[0].type == "function"
    arguments = orjson.loads(calls[0].function.arguments)
    assert arguments["city"] in ("Oslo", "Lima")
    assert arguments["days"] >= 3
    again: Any = [
        *USE,
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "rain"},
    ]
    after = await openai.chat.completions.create(model="m", messages=again, tools=[TOOL])
    assert after.choices[0].message.content


async def test_a_tool_is_called_when_forced_and_not_when_forbidden(openai: AsyncOpenAI) -> None:
    forced = await openai.chat.completions.create(
        model="m", messages=HI, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}
    )
    assert forced.choices[0].message.tool_calls
    never = await openai.chat.completions.create(model="m", messages=USE, tools=[TOOL], tool_choice="none")
    assert never.choices[0].message.tool_calls is None


async def test_a_streamed_tool_call_is_put_together(openai: AsyncOpenAI) -> None:
    async with openai.chat.completions.stream(model="m", messages=USE, tools=[TOOL]) as stream:
        answer = await stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert orjson.loads(calls[0].function.arguments)["days"] >= 3


async def test_structured_output_fits_its_schema(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.parse(model="m", messages=HI, response_format=Plan)
    plan = answer.choices[0].message.parsed
    assert isinstance(plan, Plan)
    assert plan.steps
    with pytest.raises(sdk.LengthFinishReasonError):
        await openai.chat.completions.parse(model="m", messages=HI, response_format=Plan, max_tokens=3)


async def test_json_mode_answers_an_object(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="m", messages=HI, response_format={"type": "json_object"})
    assert isinstance(orjson.loads(answer.choices[0].message.content or ""), dict)


async def test_text_completions_answer_each_prompt(openai: AsyncOpenAI) -> None:
    answer = await openai.completions.create(model="standin-tokens-8", prompt=["one", "two"], n=2, logprobs=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 32
    assert answer.choices[0].logprobs is not None
    assert answer.choices[0].logprobs.tokens is not None
    assert "".join(answer.choices[0].logprobs.tokens) == answer.choices[0].text
    stream = await openai.completions.create(model="standin-tokens-8", prompt="one", stream=True)
    chunks = [chunk async for chunk in stream]
    assert len(chunks) == 8
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_response_is_answered_whole(openai: AsyncOpenAI) -> None:
    answer = await openai.responses.create(model="m", input="Hello", instructions="Be brief.")
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    cut = await openai.responses.create(model="m", input="Hello", max_output_tokens=3)
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"


async def test_a_streamed_response_tells_its_events_in_order(openai: AsyncOpenAI) -> None:
    stream = await openai.responses.create(model="standin-tokens-3", input="Hello", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events if event.type != "error"] == list(range(11))


async def test_the_response_helpers_put_streams_and_schemas_together(openai: AsyncOpenAI) -> None:
    async with openai.responses.stream(model="m", input="Hello", text_format=Plan) as stream:
        answer = await stream.get_final_response()
    assert isinstance(answer.output_parsed, Plan)
    parsed = await openai.responses.parse(model="m", input="Hello", text_format=Plan)
    assert isinstance(parsed.output_parsed, Plan)


async def test_a_response_calls_a_tool(openai: AsyncOpenAI) -> None:
    tool: FunctionToolParam = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    whole = await openai.responses.create(model="m", input="Use the tool.", tools=[tool])
    assert isinstance(whole.output[0], ResponseFunctionToolCall)
    async with openai.responses.stream(model="m", input="Use the tool.", tools=[tool]) as stream:
        streamed = await stream.get_final_response()
    assert isinstance(streamed.output[0], ResponseFunctionToolCall)
    assert orjson.loads(streamed.output[0].arguments)["days"] >= 3


async def test_embeddings_are_the_same_as_floats_and_as_base64(openai: AsyncOpenAI) -> None:
    packed = await openai.embeddings.create(model="m", input=["one", "two"], dimensions=64)  # the client asks base64
    plain = await openai.embeddings.create(model="m", input=["one", "two"], dimensions=64, encoding_format="float")
    assert [each.embedding for each in packed.data] == [each.embedding for each in plain.data]
    assert packed.data[0].embedding != packed.data[1].embedding
    assert abs(sum(each * each for each in plain.data[0].embedding) - 1) < 1e-5
    raw = await openai.embeddings.create(model="m", input="one", dimensions=64, encoding_format="base64")
    given: Any = raw.data[0].embedding
    assert list(struct.unpack("<64f", base64.b64decode(given))) == plain.data[0].embedding


async def test_embeddings_count_words_and_token_numbers(openai: AsyncOpenAI) -> None:
    words = await openai.embeddings.create(model="m", input="one two three")
    assert words.usage.prompt_tokens == words.usage.total_tokens == 3
    assert len(words.data[0].embedding) == 1536
    numbers = await openai.embeddings.create(model="m", input=[[1, 2], [3, 4, 5]])
    assert numbers.usage.prompt_tokens == 5


async def test_models_are_listed_and_found(openai: AsyncOpenAI) -> None:
    names = [each.id async for each in openai.models.list()]
    assert "standin-1" in names
    assert (await openai.models.retrieve("anything")).id == "anything"
    with pytest.raises(sdk.NotFoundError):
        await openai.models.retrieve("missing-model")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({"model": "missing-model", "messages": HI}, sdk.NotFoundError),
        ({"model": "standin-429", "messages": HI}, sdk.RateLimitError),
        ({"model": "standin-500", "messages": HI}, sdk.InternalServerError),
        ({"model": "m", "messages": []}, sdk.BadRequestError),
        ({"model": "m", "messages": HI, "max_tokens": 0}, sdk.BadRequestError),
        ({"model": "m", "messages": HI, "n": 1000}, sdk.BadRequestError),
        ({"model": "m", "messages": HI, "extra_headers": {"authorization": "Bearer bad-key"}}, sdk.AuthenticationError),
    ],
)
async def test_errors_are_the_clients_own(openai: AsyncOpenAI, call: Any, error: type[sdk.APIStatusError]) -> None:
    with pytest.raises(error) as raised:
        await openai.chat.completions.create(**call)
    assert raised.value.request_id
    assert raised.value.type
    if error is sdk.RateLimitError:
        assert raised.value.response.headers["retry-after"] == "1"


async def test_a_stored_response_is_not_there(openai: AsyncOpenAI) -> None:
    with pytest.raises(sdk.NotFoundError):
        await openai.responses.retrieve("resp_1")
