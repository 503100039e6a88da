"""Google's own client understands every answer."""

from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel


class City(BaseModel):
    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


DECLARED = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"]
            ),
        )
    ]
)


async def test_content_is_generated_and_its_tokens_add_up(gemini: genai.Client) -> None:
    answer = await gemini.aio.models.generate_content(model="m", contents="What moves the river?")
    assert answer.text
    assert answer.model_version == "m"
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None
    assert usage.prompt_token_count is not None
    assert usage.candidates_token_count is not None
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


async def test_a_stream_says_what_it_counts(gemini: genai.Client) -> None:
    stream = await gemini.aio.models.generate_content_stream(model="standin-tokens-6", contents="Hello")
    chunks = [chunk async for chunk in stream]
    assert len(chunks) == 6
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.candidates_token_count == 6
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


async def test_config_limits_and_multiplies(gemini: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=4, candidate_count=2, system_instruction="Be brief.")
    answer = await gemini.aio.models.generate_content(model="m", contents="Hello", config=config)
    assert answer.candidates is not None
    assert [each.finish_reason for each in answer.candidates] == [types.FinishReason.MAX_TOKENS] * 2
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == 8


async def test_logprobs_cover_each_token(gemini: genai.Client) -> None:
    config = types.GenerateContentConfig(response_logprobs=True, logprobs=3)
    answer = await gemini.aio.models.generate_content(model="standin-tokens-5", contents="Hello", config=config)
    assert answer.candidates is not None
    result = answer.candidates[0].logprobs_result
    assert result is not None
    assert len(result.chosen_candidates or ()) == len(result.top_candidates or ()) == 5
    assert (answer.candidates[0].avg_logprobs or 0) < 0


async def test_a_declared_function_is_called(gemini: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[DECLARED])
    answer = await gemini.aio.models.generate_content(model="m", contents="Use the tool.", config=config)
    assert answer.function_calls is not None
    assert answer.function_calls[0].name == "weather"
    assert list(answer.function_calls[0].args or {}) == ["city"]
    stream = await gemini.aio.models.generate_content_stream(model="m", contents="Use the tool.", config=config)
    streamed = [chunk.function_calls async for chunk in stream if chunk.function_calls]
    assert list(streamed[0][0].args or {}) == ["city"]


async def test_automatic_function_calling_comes_to_an_end(gemini: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[weather])
    answer = await gemini.aio.models.generate_content(model="m", contents="Use the tool.", config=config)
    assert answer.text
    assert len(answer.automatic_function_calling_history or ()) == 3


async def test_structured_output_fits_its_schema(gemini: genai.Client) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[City])
    answer = await gemini.aio.models.generate_content(model="m", contents="Cities?", config=config)
    parsed: Any = answer.parsed
    assert parsed
    assert all(isinstance(each, City) for each in parsed)


async def test_contents_are_embedded(gemini: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=32)
    answer = await gemini.aio.models.embed_content(model="m", contents=["one", "two"], config=config)
    assert answer.embeddings is not None
    assert [len(each.values or ()) for each in answer.embeddings] == [32, 32]
    assert answer.embeddings[0] != answer.embeddings[1]


async def test_counted_tokens_are_those_that_content_uses(gemini: genai.Client) -> None:
    counted = await gemini.aio.models.count_tokens(model="m", contents="What moves the river?")
    answer = await gemini.aio.models.generate_content(model="m", contents="What moves the river?")
    assert answer.usage_metadata is not None
    assert counted.total_tokens == answer.usage_metadata.prompt_token_count == 5


async def test_models_are_listed_and_found(gemini: genai.Client) -> None:
    names = [each.name async for each in await gemini.aio.models.list()]
    assert "models/standin-1" in names
    assert (await gemini.aio.models.get(model="anything")).name == "models/anything"


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("missing-model", 404, "NOT_FOUND"),
        ("standin-429", 429, "RESOURCE_EXHAUSTED"),
        ("standin-500", 500, "INTERNAL"),
    ],
)
async def test_errors_are_the_clients_own(gemini: genai.Client, name: str, code: int, status: str) -> None:
    with pytest.raises(errors.APIError) as raised:
        await gemini.aio.models.generate_content(model=name, contents="Hello")
    assert (raised.value.code, raised.value.status) == (code, status)


async def test_a_wrong_key_is_refused_with_400_as_google_does(gemini: genai.Client) -> None:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers={"x-goog-api-key": "bad-key"}))
    with pytest.raises(errors.ClientError) as raised:
        await gemini.aio.models.generate_content(model="m", contents="Hello", config=config)
    assert raised.value.code == 400
    assert "API_KEY_INVALID" in str(raised.value.details)
