"""Anthropic's official client, sync and async, directly and through the gateway: every call, byte for byte."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, ToolParam
from pydantic import BaseModel

from gateway import standin
from tests.conformance.sdk import Pair, serving
from tests.rig import gateway

MODEL = "standin-1"  # a real name would age: the client warns of models that are about to be retired
ASK: list[MessageParam] = [{"role": "user", "content": "What is a gauger? Ünïcödé 🥃 \u2028 too."}]
TOOL: ToolParam = {
    "name": "weigh",
    "description": "Weighs a cask.",
    "input_schema": {
        "type": "object",
        "properties": {"cask": {"type": "string"}, "full": {"type": "boolean"}},
        "required": ["cask", "full"],
    },
}
ONE: Any = {"custom_id": "a", "params": {"model": MODEL, "max_tokens": 20, "messages": ASK}}


class Cask(BaseModel):
    """What the model is asked to fill in."""

    name: str
    litres: int


@pytest.fixture(scope="module")
def anthropic_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with serving(tmp_path_factory.mktemp("anthropic")) as pair:
        yield pair


def message(client: Anthropic) -> Any:
    return client.messages.create(
        model=MODEL, max_tokens=100, messages=ASK, system="Be short.", stop_sequences=["the end"]
    )


def message_streamed(client: Anthropic) -> Any:
    return list(client.messages.create(model=MODEL, max_tokens=100, messages=ASK, stream=True))


def message_streamed_slowly_and_long(client: Anthropic) -> Any:
    slow = "standin-slow-1-tokens-150"
    return list(client.messages.create(model=slow, max_tokens=1000, messages=ASK, stream=True))


def stream_helper(client: Anthropic) -> Any:
    with client.messages.stream(model=MODEL, max_tokens=100, messages=ASK) as stream:
        return list(stream.text_stream), stream.get_final_message(), stream.request_id


def tool(client: Anthropic) -> Any:
    choice: Any = {"type": "tool", "name": "weigh"}
    return client.messages.create(model=MODEL, max_tokens=100, messages=ASK, tools=[TOOL], tool_choice=choice)


def tool_streamed(client: Anthropic) -> Any:
    with client.messages.stream(
        model=MODEL, max_tokens=100, messages=ASK, tools=[TOOL], tool_choice={"type": "any"}
    ) as stream:
        return [event.type for event in stream], stream.get_final_message()


def tool_answered(client: Anthropic) -> Any:
    choice: Any = {"type": "any"}
    call = client.messages.create(model=MODEL, max_tokens=100, messages=ASK, tools=[TOOL], tool_choice=choice)
    (block,) = call.content
    assert block.type == "tool_use"
    result: Any = {"type": "tool_result", "tool_use_id": block.id, "content": "40 l"}
    turns: list[MessageParam] = [
        *ASK,
        {"role": "assistant", "content": call.content},
        {"role": "user", "content": [result]},
    ]
    return client.messages.create(model=MODEL, max_tokens=100, messages=turns)


def structured(client: Anthropic) -> Any:
    config: Any = {"format": {"type": "json_schema", "schema": Cask.model_json_schema()}}
    return client.messages.create(model=MODEL, max_tokens=100, messages=ASK, output_config=config)


def count_tokens(client: Anthropic) -> Any:
    return client.messages.count_tokens(model=MODEL, messages=ASK, tools=[TOOL])


def batches(client: Anthropic) -> Any:
    other: Any = {**ONE, "custom_id": "b"}
    made = client.messages.batches.create(requests=[ONE, other])
    return (
        made,
        list(client.messages.batches.list()),
        client.messages.batches.retrieve(made.id),
        client.messages.batches.cancel(made.id),
    )


def results_of_a_batch(client: Anthropic) -> Any:
    made = client.messages.batches.create(requests=[ONE])
    results = list(client.messages.batches.results(made.id))
    assert [result.custom_id for result in results] == ["a"]
    return results, client.messages.batches.delete(made.id)


def models(client: Anthropic) -> Any:
    return list(client.models.list()), client.models.retrieve(MODEL)


def raw_answers(client: Anthropic) -> Any:
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=100, messages=ASK)
    assert raw.headers["request-id"] == raw.request_id
    with client.messages.with_streaming_response.create(
        model=MODEL, max_tokens=100, messages=ASK, stream=True
    ) as streamed:
        lines = list(streamed.iter_lines())
    return raw.status_code, raw.http_response.content, raw.parse(), lines


def beta(client: Anthropic) -> Any:
    turns: Any = ASK
    return client.beta.messages.create(model=MODEL, max_tokens=100, messages=turns, betas=["token-counting-2024-11-01"])


CALLS = [
    message,
    message_streamed,
    message_streamed_slowly_and_long,
    stream_helper,
    tool,
    tool_streamed,
    tool_answered,
    structured,
    count_tokens,
    batches,
    results_of_a_batch,
    models,
    raw_answers,
    beta,
]


@pytest.mark.parametrize("ask", CALLS, ids=lambda ask: ask.__name__)
def test_a_call_is_the_same_directly_and_through(anthropic_pair: Pair, ask: Callable[[Anthropic], Any]) -> None:
    def tell(url: str) -> Any:
        with Anthropic(base_url=url, api_key="sk-me", max_retries=0) as client:
            return ask(client)

    anthropic_pair.same(tell)


@pytest.mark.parametrize(
    ("kind", "model", "key"),
    [
        (anthropic.AuthenticationError, MODEL, "bad-key"),
        (anthropic.NotFoundError, "missing-model", "sk-me"),
        (anthropic.BadRequestError, "", "sk-me"),
        (anthropic.RateLimitError, "standin-429", "sk-me"),
        (anthropic.InternalServerError, "standin-500", "sk-me"),
    ],
)
def test_the_model_s_own_error_is_the_same_directly_and_through(
    anthropic_pair: Pair, kind: type[anthropic.APIStatusError], model: str, key: str
) -> None:
    def tell(url: str) -> Any:
        with (
            Anthropic(base_url=url, api_key=key, max_retries=0) as client,
            pytest.raises(kind) as told,
        ):
            client.messages.create(model=model, max_tokens=100, messages=ASK)
        error = told.value
        assert type(error) is kind
        return error.status_code, error.body, error.request_id, error.message

    anthropic_pair.same(tell)


def test_a_bearer_token_is_the_same_directly_and_through(anthropic_pair: Pair) -> None:
    def tell(url: str) -> Any:
        with Anthropic(base_url=url, auth_token="token", max_retries=0) as client:
            return message(client)

    anthropic_pair.same(tell)


async def a_message(client: AsyncAnthropic) -> Any:
    return await client.messages.create(model=MODEL, max_tokens=100, messages=ASK)


async def a_stream(client: AsyncAnthropic) -> Any:
    stream = await client.messages.create(model=MODEL, max_tokens=100, messages=ASK, stream=True)
    return [event async for event in stream]


async def a_stream_helper(client: AsyncAnthropic) -> Any:
    async with client.messages.stream(
        model=MODEL, max_tokens=100, messages=ASK, tools=[TOOL], tool_choice={"type": "any"}
    ) as stream:
        return [event.type async for event in stream], await stream.get_final_message()


async def a_count(client: AsyncAnthropic) -> Any:
    return await client.messages.count_tokens(model=MODEL, messages=ASK)


async def a_batch(client: AsyncAnthropic) -> Any:
    made = await client.messages.batches.create(requests=[ONE])
    return made, await client.messages.batches.retrieve(made.id), await client.messages.batches.delete(made.id)


async def a_list(client: AsyncAnthropic) -> Any:
    return [model async for model in client.models.list()]


async def an_error(client: AsyncAnthropic) -> Any:
    with pytest.raises(anthropic.NotFoundError) as told:
        await client.messages.create(model="missing-model", max_tokens=100, messages=ASK)
    return told.value.body, told.value.request_id


@pytest.mark.parametrize(
    "ask", [a_message, a_stream, a_stream_helper, a_count, a_batch, a_list, an_error], ids=lambda ask: ask.__name__
)
async def test_an_async_call_is_the_same_directly_and_through(
    anthropic_pair: Pair, ask: Callable[[AsyncAnthropic], Awaitable[Any]]
) -> None:
    told = []
    anthropic_pair.begin()
    for url in anthropic_pair.urls:
        async with AsyncAnthropic(base_url=url, api_key="sk-me", max_retries=0) as client:
            told.append(await ask(client))
    anthropic_pair.compare(*told)


async def test_a_file_goes_to_the_model_server_of_the_client_s_own_vendor(tmp_path: Path) -> None:
    async with standin.serving(record=10) as ours, standin.serving(record=10) as theirs:
        upstreams = {"anthropic": ours.url, "openai": theirs.url}
        async with (
            gateway(state_dir=tmp_path, upstream=theirs.url, upstreams=upstreams) as g,
            AsyncAnthropic(base_url=g.url, api_key="sk-me", max_retries=0) as client,
        ):
            # The stand-in has no files of Anthropic's: what matters is who was asked.
            with pytest.raises(anthropic.BadRequestError):
                await client.beta.files.upload(file=("a.txt", b"hello", "text/plain"))
            await client.beta.files.list()
        assert [(seen.method, seen.target.partition(b"?")[0]) for seen in ours.app.seen] == [
            ("POST", b"/v1/files"),
            ("GET", b"/v1/files"),
        ]
        assert not theirs.app.seen
