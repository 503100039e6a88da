"""The smallest gateway that obeys `gateway.wire.http`: one connection and one buffered body a request."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.errors import Refusal
from gateway.wire.http import check_head, check_target, internal

HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
NOT_UP = HOP | {b"host", b"expect", b"content-length"}


class Passthrough:
    """ASGI app: refuses what `check_target` and `check_head` refuse, forwards the rest to `upstream_url`."""

    checks = True

    def __init__(self, upstream_url: str) -> None:
        parts = urlsplit(upstream_url)
        self.host, self.port = parts.hostname, parts.port

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        target, query = scope["raw_path"], scope["query_string"]
        target = target + b"?" + query if query else target
        try:
            if self.checks:
                check_target(target)
                check_head(scope["method"], scope["http_version"], scope["headers"], query)
        except Refusal as refusal:
            body = orjson.dumps({"error": {"code": refusal.code}})
            await answer(send, refusal.status, body)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        lines = [b"%s %s HTTP/1.1" % (scope["method"].encode(), target), b"host: upstream"]
        lines += [b"%s: %s" % pair for pair in scope["headers"] if pair[0] not in NOT_UP and not internal(pair[0])]
        head = b"\r\n".join([*lines, b"content-length: %d" % len(body), b"connection: close", b"\r\n"])
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(head + body)
        found = await reader.readuntil(b"\r\n\r\n")
        length = int(found.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = await reader.readexactly(length)
        writer.close()
        await answer(send, 200, content)


async def answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
