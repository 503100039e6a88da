"""OpenAI's official client, sync and async, directly and through the gateway: every call, byte for byte."""

import io
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.conformance.sdk import Pair, serving

MODEL = "gpt-4o-mini"
ASK: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Answer in one line."},
    {"role": "user", "content": "What is a gauger? Ünïcödé 🥃 \u2028 too."},
]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "weigh",
            "description": "Weighs a cask.",
            "parameters": {
                "type": "object",
                "properties": {"cask": {"type": "string"}, "full": {"type": "boolean"}},
                "required": ["cask", "full"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
]
LINE = (
    b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", '
    b'"body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}}\n'
)
FORM = {"content-type": "multipart/form-data; boundary=the-same-both-times"}


class Cask(BaseModel):
    """What the model is asked to fill in."""

    name: str
    litres: int
    tags: list[str]


@pytest.fixture(scope="module")
def openai_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with serving(tmp_path_factory.mktemp("openai")) as pair:
        yield pair


def chat(client: OpenAI) -> Any:
    return client.chat.completions.create(model=MODEL, messages=ASK, temperature=0.5, n=2, logprobs=True)


def chat_streamed(client: OpenAI) -> Any:
    return list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True))


def chat_streamed_with_usage(client: OpenAI) -> Any:
    options: Any = {"include_usage": True}
    return list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True, stream_options=options))


def chat_streamed_slowly_and_long(client: OpenAI) -> Any:
    return list(client.chat.completions.create(model="standin-slow-1-tokens-150", messages=ASK, stream=True))


def chat_large(client: OpenAI) -> Any:
    return client.chat.completions.create(model="standin-tokens-60000", messages=ASK)


def chat_with_a_large_prompt(client: OpenAI) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "weigh " * 150_000}])


def chat_stream_helper(client: OpenAI) -> Any:
    with client.chat.completions.stream(model=MODEL, messages=ASK) as stream:
        events = [event.type for event in stream]
        return events, stream.get_final_completion()


def tools(client: OpenAI) -> Any:
    return client.chat.completions.create(model=MODEL, messages=ASK, tools=TOOLS, tool_choice="required")


def tools_streamed(client: OpenAI) -> Any:
    return list(
        client.chat.completions.create(model=MODEL, messages=ASK, tools=TOOLS, tool_choice="required", stream=True)
    )


def tools_answered(client: OpenAI) -> Any:
    call = client.chat.completions.create(model=MODEL, messages=ASK, tools=TOOLS, tool_choice="required")
    message = call.choices[0].message
    assert message.tool_calls
    turns: Any = [*ASK, message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "40 l"}]
    return client.chat.completions.create(model=MODEL, messages=turns)


def structured(client: OpenAI) -> Any:
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Cask)
    assert isinstance(answer.choices[0].message.parsed, Cask)
    return answer


def completions(client: OpenAI) -> Any:
    return client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["one", "two"], max_tokens=9)


def completions_streamed(client: OpenAI) -> Any:
    return list(client.completions.create(model="gpt-3.5-turbo-instruct", prompt="one", stream=True))


def embeddings(client: OpenAI) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], encoding_format="float")


def embeddings_in_base64(client: OpenAI) -> Any:
    return client.embeddings.create(model="text-embedding-3-small", input="one", dimensions=64)


def responses(client: OpenAI) -> Any:
    made = client.responses.create(model=MODEL, input="What is a gauger?", instructions="Be short.")
    return made, made.output_text


def responses_streamed(client: OpenAI) -> Any:
    return list(client.responses.create(model=MODEL, input="What is a gauger?", stream=True))


def responses_stream_helper(client: OpenAI) -> Any:
    with client.responses.stream(model=MODEL, input="What is a gauger?") as stream:
        return [event.type for event in stream], stream.get_final_response()


def responses_structured(client: OpenAI) -> Any:
    answer = client.responses.parse(model=MODEL, input="Fill one.", text_format=Cask)
    assert isinstance(answer.output_parsed, Cask)
    return answer


def responses_tools(client: OpenAI) -> Any:
    tool: Any = {"type": "function", **TOOLS[0]["function"]}
    return client.responses.create(model=MODEL, input="Use the tool.", tools=[tool], tool_choice="required")


def models(client: OpenAI) -> Any:
    return list(client.models.list()), client.models.retrieve(MODEL)


def files(client: OpenAI) -> Any:
    made = client.files.create(file=("b.jsonl", LINE * 3), purpose="user_data", extra_headers=FORM)
    return (
        made,
        list(client.files.list(purpose="user_data")),
        client.files.retrieve(made.id),
        client.files.content(made.id).content,
        client.files.delete(made.id),
        list(client.files.list(purpose="user_data")),
    )


def a_large_file(client: OpenAI) -> Any:
    content = io.BytesIO(LINE * 20_000)
    made = client.files.create(file=("large.jsonl", content), purpose="batch", extra_headers=FORM)
    return made, client.files.content(made.id).content, client.files.delete(made.id)


def batches(client: OpenAI) -> Any:
    source = client.files.create(file=("b.jsonl", LINE * 3), purpose="batch", extra_headers=FORM)
    made = client.batches.create(
        input_file_id=source.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
    )
    assert made.output_file_id
    return (
        made,
        list(client.batches.list()),
        client.batches.retrieve(made.id),
        client.files.content(made.output_file_id).content,
        client.batches.cancel(made.id),
    )


def raw_answers(client: OpenAI) -> Any:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ASK)
    assert raw.headers["x-request-id"] == raw.request_id
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=ASK, stream=True) as streamed:
        lines = list(streamed.iter_lines())
    return raw.status_code, raw.http_response.content, raw.parse(), lines


def unknown_paths(client: OpenAI) -> Any:
    with pytest.raises(openai.NotFoundError) as told:
        client.moderations.create(input="one")
    return told.value.status_code, told.value.body


def failing(kind: type[openai.APIStatusError], model: Any = MODEL, **extra: Any) -> Callable[[OpenAI], Any]:
    def tell(client: OpenAI) -> Any:
        messages: Any = extra.pop("messages", ASK)
        with pytest.raises(kind) as told:
            client.chat.completions.create(model=model, messages=messages, **extra)
        error = told.value
        assert type(error) is kind
        return error.status_code, error.code, error.type, error.param, error.body, error.request_id, error.message

    return tell


CALLS = [
    chat,
    chat_streamed,
    chat_streamed_with_usage,
    chat_streamed_slowly_and_long,
    chat_large,
    chat_with_a_large_prompt,
    chat_stream_helper,
    tools,
    tools_streamed,
    tools_answered,
    structured,
    completions,
    completions_streamed,
    embeddings,
    embeddings_in_base64,
    responses,
    responses_streamed,
    responses_stream_helper,
    responses_structured,
    responses_tools,
    models,
    files,
    a_large_file,
    batches,
    raw_answers,
    unknown_paths,
]


@pytest.mark.parametrize("ask", CALLS, ids=lambda ask: ask.__name__)
def test_a_call_is_the_same_directly_and_through(openai_pair: Pair, ask: Callable[[OpenAI], Any]) -> None:
    def tell(url: str) -> Any:
        with OpenAI(base_url=f"{url}/v1", api_key="sk-me", max_retries=0) as client:
            return ask(client)

    openai_pair.same(tell)


@pytest.mark.parametrize(
    ("ask", "key"),
    [
        (failing(openai.AuthenticationError), "bad-key"),
        (failing(openai.NotFoundError, "missing-model"), "sk-me"),
        (failing(openai.BadRequestError, ""), "sk-me"),
        (failing(openai.RateLimitError, "standin-429"), "sk-me"),
        (failing(openai.InternalServerError, "standin-500"), "sk-me"),
    ],
    ids=["bad key", "missing model", "no model", "the model's own 429", "the model's 500"],
)
def test_the_model_s_own_error_is_the_same_directly_and_through(
    openai_pair: Pair, ask: Callable[[OpenAI], Any], key: str
) -> None:
    def tell(url: str) -> Any:
        with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
            return ask(client)

    openai_pair.same(tell)


def test_a_stream_that_breaks_off_breaks_off_for_the_caller_too(openai_pair: Pair) -> None:
    def tell(url: str) -> Any:
        got = []
        with OpenAI(base_url=f"{url}/v1", api_key="sk-me", max_retries=0) as client:
            stream = client.chat.completions.create(model="standin-die", messages=ASK, stream=True)
            with pytest.raises(openai.APIConnectionError) as told:
                for event in stream:
                    got.append(event)  # noqa: PERF402
            stream.close()
        return type(told.value), str(told.value), str(told.value.__cause__), got

    openai_pair.same(tell, whole=False)


async def a_chat(client: AsyncOpenAI) -> Any:
    return await client.chat.completions.create(model=MODEL, messages=ASK)


async def a_stream(client: AsyncOpenAI) -> Any:
    return [event async for event in await client.chat.completions.create(model=MODEL, messages=ASK, stream=True)]


async def a_stream_helper(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(model=MODEL, messages=ASK, tools=TOOLS, tool_choice="required") as stream:
        events = [event.type async for event in stream]
        return events, await stream.get_final_completion()


async def a_parse(client: AsyncOpenAI) -> Any:
    return await client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Cask)


async def an_embedding(client: AsyncOpenAI) -> Any:
    return await client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])


async def a_response(client: AsyncOpenAI) -> Any:
    return [event async for event in await client.responses.create(model=MODEL, input="one", stream=True)]


async def a_file(client: AsyncOpenAI) -> Any:
    made = await client.files.create(file=("b.jsonl", LINE), purpose="user_data", extra_headers=FORM)
    content = await client.files.content(made.id)
    return made, content.content, await client.files.delete(made.id)


async def a_list(client: AsyncOpenAI) -> Any:
    return [model async for model in client.models.list()]


async def an_error(client: AsyncOpenAI) -> Any:
    with pytest.raises(openai.NotFoundError) as told:
        await client.chat.completions.create(model="missing-model", messages=ASK)
    return told.value.body, told.value.request_id


@pytest.mark.parametrize(
    "ask",
    [a_chat, a_stream, a_stream_helper, a_parse, an_embedding, a_response, a_file, a_list, an_error],
    ids=lambda ask: ask.__name__,
)
async def test_an_async_call_is_the_same_directly_and_through(
    openai_pair: Pair, ask: Callable[[AsyncOpenAI], Awaitable[Any]]
) -> None:
    told = []
    openai_pair.begin()
    for url in openai_pair.urls:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-me", max_retries=0) as client:
            told.append(await ask(client))
    openai_pair.compare(*told)


def test_usage_that_only_the_gateway_asked_for_stays_hidden(tmp_path: Path) -> None:
    with serving(tmp_path, usage_ask=True) as pair:
        with OpenAI(base_url=f"{pair.through.url}/v1", api_key="sk-me", max_retries=0) as client:
            events = chat_streamed(client)
            assert all(event.choices and event.usage is None for event in events)
            assert events[-1].choices[0].finish_reason == "stop"
            assert chat_streamed_with_usage(client)[-1].usage is not None
        assert [b"include_usage" in seen.body for seen in pair.running.model.app.seen] == [True, True]
