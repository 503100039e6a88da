"""A stand-in on a real socket, and the vendors' own clients for it."""

from collections.abc import AsyncIterator

import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI

from gateway.standin import Running, serving


@pytest.fixture
async def model() -> AsyncIterator[Running]:
    async with serving(record=20) as running:
        yield running


@pytest.fixture
async def openai(model: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{model.url}/v1", api_key="key", max_retries=0) as client:
        yield client


@pytest.fixture
async def anthropic(model: Running) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=model.url, api_key="key", max_retries=0) as client:
        yield client


@pytest.fixture
async def gemini(model: Running) -> AsyncIterator[genai.Client]:
    client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=model.url))
    yield client
    await client.aio.aclose()
    client.close()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
