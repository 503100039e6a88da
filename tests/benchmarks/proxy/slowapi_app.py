"""Shell. The gateway that people write themselves in an afternoon: FastAPI, a limit a key by slowapi, httpx.

It runs in an environment of its own, so it imports nothing from here: `uvicorn slowapi_app:app`, with the URL of the
model server in BENCH_MODEL.
"""

# mypy: ignore-errors

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded

MODEL = os.environ["BENCH_MODEL"]
HOP = ("host", "connection", "content-length", "transfer-encoding")


def by_key(request: Request) -> str:
    return request.headers.get("authorization", "")


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    bounds = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=MODEL, timeout=60, limits=bounds) as client:
        app.state.client = client
        yield


limiter = Limiter(key_func=by_key)
app = FastAPI(lifespan=life)
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)


@app.post("/v1/chat/completions")
@limiter.limit("1000000000/minute")
async def chat(request: Request) -> StreamingResponse:
    client: httpx.AsyncClient = request.app.state.client
    headers = {name: value for name, value in request.headers.items() if name not in HOP}
    call = client.build_request("POST", "/v1/chat/completions", content=await request.body(), headers=headers)
    answer = await client.send(call, stream=True)

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        finally:
            await answer.aclose()

    said = {name: value for name, value in answer.headers.items() if name not in HOP}
    return StreamingResponse(pieces(), status_code=answer.status_code, headers=said)
