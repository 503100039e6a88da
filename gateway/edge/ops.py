"""Shell. The operator's port: is it alive, is it ready, what does it count, and its switches. Never on the data port.

What changes something (`POST /-/reload`, `PUT /-/enforce`) is done for whoever has the token, or, where none is set,
for whoever reaches an address that is this machine's alone; and never for a web page that a browser shows.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.errors import Refusal
from gateway.stores.memory import MemoryLimits
from gateway.wire.json import parse

if TYPE_CHECKING:  # a supervisor of workers has none, and loads quickly
    from gateway.edge.core import Core

__all__ = ["Reloads", "asked_to_enforce", "barred", "operator_app", "paths", "refuse"]

LONGEST = 1024  # bytes of a request's body

Answers = Callable[[Request], Awaitable[Response]]


class Reloads(Protocol):
    """What reads the policy and the accounts again (`gateway.reload.Reloader`)."""

    async def now(self) -> tuple[bool, list[str]]:
        """Whether they are in force, and else the findings."""
        ...


def operator_app(
    core: "Core", reloader: Reloads | None = None, *, token: str | None = None, local: bool = True
) -> Starlette:
    """`/livez` (the loop turns), `/readyz` (send traffic here), `/metrics` (Prometheus text format), `/-/policy`.

    `POST /-/reload` reads the rules again: 200 with their digest, or 422 with the findings while the old ones stay.
    `PUT /-/enforce` with `{"enforce": false}` is the kill switch. `token` is asked for by these two; `local`: only this
    machine reaches the port.
    """

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        draining = core.admission.draining
        detail = {
            "ready": not draining,
            "draining": draining,
            "store": "memory" if isinstance(core.limits, MemoryLimits) else core.limits.detail(),
            "policy": {"id": core.policy.id, "digest": core.policy.digest, "mode": core.policy.mode},
            "enforcing": not core.kill,
            "inflight": core.admission.inflight,
        }
        return JSONResponse(detail, status_code=503 if draining else 200)

    async def metrics(_: Request) -> Response:
        return Response(core.metrics.render(), media_type=core.metrics.content_type)

    async def policy(_: Request) -> Response:
        return JSONResponse(_in_force(core))

    async def reload(request: Request) -> Response:
        refused = barred(request, token, local)
        if refused is not None:
            return refused
        if reloader is None:
            return refuse(404, "nothing is reloaded here")
        before = core.policy.digest
        taken, findings = await reloader.now()
        answer = {"digest": core.policy.digest, "changed": core.policy.digest != before}
        return JSONResponse(answer if taken else {**answer, "findings": findings}, status_code=200 if taken else 422)

    async def enforce(request: Request) -> Response:
        refused = barred(request, token, local)
        if refused is not None:
            return refused
        asked = await asked_to_enforce(request)
        if isinstance(asked, Response):
            return asked
        core.switch(enforcing=asked, by="operator's port")
        return JSONResponse(_in_force(core))

    return paths(livez, readyz, metrics, policy, reload, enforce)


def paths(
    livez: Answers, readyz: Answers, metrics: Answers, policy: Answers, reload: Answers, enforce: Answers
) -> Starlette:
    """The operator's port, of one process or of several."""
    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/-/policy", policy),
            Route("/-/reload", reload, methods=["POST"]),
            Route("/-/enforce", enforce, methods=["PUT"]),
        ]
    )


def _in_force(core: "Core") -> dict[str, Any]:
    policy = core.policy
    return {
        "id": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "mode": policy.mode,
        "enforcing": not core.kill,
    }


async def asked_to_enforce(request: Request) -> bool | Response:
    """What the body of `PUT /-/enforce` asks for, or the answer to one that asks for nothing."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST:
            return refuse(413, f"the body is over {LONGEST} bytes")
    try:
        asked = parse(bytes(body))
    except Refusal:
        asked = None
    if not isinstance(asked, dict) or list(asked) != ["enforce"] or not isinstance(asked["enforce"], bool):
        return refuse(400, 'the body is {"enforce": true} or {"enforce": false}')
    return asked["enforce"]


def barred(request: Request, token: str | None, local: bool) -> Response | None:
    """The answer to whoever may not change anything here; None for whoever may."""
    if "origin" in request.headers:  # browsers send it along with whatever a page has them post, anywhere
        return refuse(403, "requests of web pages are not answered")
    if token is None:
        return None if local else refuse(403, "set GAUGER_OPS_TOKEN: this port is not on loopback")
    given = request.headers.get("authorization", "").encode("latin-1")
    if hmac.compare_digest(given, b"Bearer " + token.encode()):
        return None
    return JSONResponse({"error": "the token is missing or wrong"}, 401, {"www-authenticate": "Bearer"})


def refuse(status: int, why: str) -> Response:
    """An answer that says why nothing was done."""
    return JSONResponse({"error": why}, status)
