"""Files and batches through OpenAI's own client."""

import openai as sdk
import orjson
import pytest
from openai import AsyncOpenAI

LINES = b"\n".join(
    [
        orjson.dumps(
            {
                "custom_id": "a",
                "url": "/v1/chat/completions",
                "body": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
            }
        ),
        orjson.dumps({"custom_id": "b", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}),
        b"{not json",
        orjson.dumps(
            {
                "custom_id": "d",
                "body": {"model": "standin-tokens-3", "stream": True, "messages": [{"role": "user", "content": "y"}]},
            }
        ),
    ]
)


async def test_a_file_is_kept_until_it_is_deleted(openai: AsyncOpenAI) -> None:
    file = await openai.files.create(file=("in.jsonl", LINES), purpose="batch")
    assert (file.filename, file.bytes, file.purpose) == ("in.jsonl", len(LINES), "batch")
    assert [each.id async for each in openai.files.list()] == [file.id]
    assert (await openai.files.retrieve(file.id)) == file
    assert (await openai.files.content(file.id)).content == LINES
    assert (await openai.files.delete(file.id)).deleted
    with pytest.raises(sdk.NotFoundError):
        await openai.files.retrieve(file.id)


async def test_the_same_file_has_the_same_id_whatever_the_form_looks_like(openai: AsyncOpenAI) -> None:
    first = await openai.files.create(file=("in.jsonl", LINES), purpose="batch")
    again = await openai.files.create(file=("in.jsonl", LINES), purpose="batch")
    other = await openai.files.create(file=("in.jsonl", LINES + b"\n"), purpose="batch")
    assert first == again
    assert first.id != other.id


async def test_a_batch_answers_every_line(openai: AsyncOpenAI) -> None:
    file = await openai.files.create(file=("in.jsonl", LINES), purpose="batch")
    batch = await openai.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (4, 2, 2)
    assert batch.output_file_id is not None
    answers = [orjson.loads(line) for line in (await openai.files.content(batch.output_file_id)).content.splitlines()]
    assert [each["custom_id"] for each in answers] == ["a", "b", None, "d"]
    assert [each["response"]["status_code"] for each in answers] == [200, 400, 400, 200]
    assert answers[3]["response"]["body"]["usage"]["completion_tokens"] == 3
    assert await openai.batches.retrieve(batch.id) == batch
    assert await openai.batches.cancel(batch.id) == batch
    assert [each.id async for each in openai.batches.list()] == [batch.id]


async def test_a_batch_of_an_unknown_file_is_not_found(openai: AsyncOpenAI) -> None:
    with pytest.raises(sdk.NotFoundError):
        await openai.batches.create(input_file_id="file-0", endpoint="/v1/embeddings", completion_window="24h")
    with pytest.raises(sdk.NotFoundError):
        await openai.batches.retrieve("batch_0")
