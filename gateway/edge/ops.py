"""Shell. The operator's port: is it alive, is it ready, what does it count. Never on the data port."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.edge.core import Core

__all__ = ["operator_app"]


def operator_app(core: Core) -> Starlette:
    """`/livez` (the loop turns), `/readyz` (send traffic here), `/metrics` (Prometheus text format)."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        draining = core.admission.draining
        detail = {
            "ready": not draining,
            "draining": draining,
            "store": "memory",
            "policy": {"id": core.policy.id, "digest": core.policy.digest, "mode": core.policy.mode},
            "enforcing": not core.kill,
            "inflight": core.admission.inflight,
        }
        return JSONResponse(detail, status_code=503 if draining else 200)

    async def metrics(_: Request) -> Response:
        return Response(core.metrics.render(), media_type=core.metrics.content_type)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])
