"""Google's official client, sync and async, directly and through the gateway: every call, byte for byte."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.conformance.sdk import Pair, serving

MODEL = "gemini-2.5-flash"
ASK = "What is a gauger? Ünïcödé 🥃 \u2028 too."
WEIGH = types.FunctionDeclaration(
    name="weigh",
    description="Weighs a cask.",
    parameters=types.Schema(type=types.Type.OBJECT, properties={"cask": types.Schema(type=types.Type.STRING)}),
)
CALLING = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[WEIGH])],
    tool_config=types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    ),
)


class Cask(BaseModel):
    """What the model is asked to fill in."""

    name: str
    litres: int


@pytest.fixture(scope="module")
def gemini_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with serving(tmp_path_factory.mktemp("gemini")) as pair:
        yield pair


def client_of(url: str, key: str = "sk-me") -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))


def generate(client: genai.Client) -> Any:
    config = types.GenerateContentConfig(system_instruction="Be short.", temperature=0.5, max_output_tokens=100)
    return client.models.generate_content(model=MODEL, contents=ASK, config=config)


def generate_streamed(client: genai.Client) -> Any:
    return list(client.models.generate_content_stream(model=MODEL, contents=ASK))


def generate_streamed_slowly_and_long(client: genai.Client) -> Any:
    return list(client.models.generate_content_stream(model="standin-slow-1-tokens-150", contents=ASK))


def function(client: genai.Client) -> Any:
    answer = client.models.generate_content(model=MODEL, contents=ASK, config=CALLING)
    assert answer.function_calls
    return answer


def function_streamed(client: genai.Client) -> Any:
    return list(client.models.generate_content_stream(model=MODEL, contents=ASK, config=CALLING))


def function_answered(client: genai.Client) -> Any:
    answer = client.models.generate_content(model=MODEL, contents=ASK, config=CALLING)
    assert answer.candidates
    assert answer.candidates[0].content
    result = types.Part.from_function_response(name="weigh", response={"litres": 40})
    turns: Any = [types.UserContent(ASK), answer.candidates[0].content, types.UserContent(result)]
    return client.models.generate_content(model=MODEL, contents=turns)


def structured(client: genai.Client) -> Any:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Cask)
    answer = client.models.generate_content(model=MODEL, contents=ASK, config=config)
    assert isinstance(answer.parsed, Cask)
    return answer


def embed(client: genai.Client) -> Any:
    return client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])


def embed_one(client: genai.Client) -> Any:
    config = types.EmbedContentConfig(output_dimensionality=64)
    return client.models.embed_content(model="gemini-embedding-001", contents="one", config=config)


def count_tokens(client: genai.Client) -> Any:
    return client.models.count_tokens(model=MODEL, contents=ASK)


def chat(client: genai.Client) -> Any:
    talk = client.chats.create(model=MODEL)
    return talk.send_message("one"), list(talk.send_message_stream("two")), talk.get_history()


def models(client: genai.Client) -> Any:
    return list(client.models.list()), client.models.get(model=MODEL)


CALLS = [
    generate,
    generate_streamed,
    generate_streamed_slowly_and_long,
    function,
    function_streamed,
    function_answered,
    structured,
    embed,
    embed_one,
    count_tokens,
    chat,
    models,
]


@pytest.mark.parametrize("ask", CALLS, ids=lambda ask: ask.__name__)
def test_a_call_is_the_same_directly_and_through(gemini_pair: Pair, ask: Callable[[genai.Client], Any]) -> None:
    def tell(url: str) -> Any:
        with client_of(url) as client:
            return ask(client)

    gemini_pair.same(tell)


@pytest.mark.parametrize(
    ("kind", "model", "key", "code"),
    [
        (errors.ClientError, MODEL, "bad-key", 400),
        (errors.ClientError, "missing-model", "sk-me", 404),
        (errors.ClientError, "standin-429", "sk-me", 429),
        (errors.ServerError, "standin-500", "sk-me", 500),
    ],
)
def test_the_model_s_own_error_is_the_same_directly_and_through(
    gemini_pair: Pair, kind: type[errors.APIError], model: str, key: str, code: int
) -> None:
    def tell(url: str) -> Any:
        with client_of(url, key) as client, pytest.raises(kind) as told:
            client.models.generate_content(model=model, contents=ASK)
        assert told.value.code == code
        return told.value.status, told.value.message, told.value.details

    gemini_pair.same(tell)


async def a_generate(client: genai.Client) -> Any:
    return await client.aio.models.generate_content(model=MODEL, contents=ASK)


async def a_stream(client: genai.Client) -> Any:
    return [each async for each in await client.aio.models.generate_content_stream(model=MODEL, contents=ASK)]


async def a_function(client: genai.Client) -> Any:
    return await client.aio.models.generate_content(model=MODEL, contents=ASK, config=CALLING)


async def an_embed(client: genai.Client) -> Any:
    return await client.aio.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])


async def a_count(client: genai.Client) -> Any:
    return await client.aio.models.count_tokens(model=MODEL, contents=ASK)


async def a_list(client: genai.Client) -> Any:
    return [model async for model in await client.aio.models.list()]


async def an_error(client: genai.Client) -> Any:
    with pytest.raises(errors.ClientError) as told:
        await client.aio.models.generate_content(model="missing-model", contents=ASK)
    return told.value.code, told.value.status, told.value.details


@pytest.mark.parametrize(
    "ask", [a_generate, a_stream, a_function, an_embed, a_count, a_list, an_error], ids=lambda ask: ask.__name__
)
async def test_an_async_call_is_the_same_directly_and_through(
    gemini_pair: Pair, ask: Callable[[genai.Client], Awaitable[Any]]
) -> None:
    told = []
    gemini_pair.begin()
    for url in gemini_pair.urls:
        client = client_of(url)
        try:
            told.append(await ask(client))
        finally:
            await client.aio.aclose()
            client.close()
    gemini_pair.compare(*told)
