"""Shell. The operator's port of several workers: every question and every order goes to all of them.

An order is done by all that serve, or the answer names who did not do it; who is being started does it when it is up.
"""

from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.edge.ops import asked_to_enforce, barred, paths, refuse
from gateway.telemetry.metrics import Metrics

__all__ = ["Flock", "Said", "operator_app"]

Said = dict[int, tuple[int, Any] | str]
"""Worker -> status and JSON of its answer, or why there is none."""


class Flock(Protocol):
    """The workers, as the operator's port sees them (`supervisor.py`)."""

    @property
    def draining(self) -> bool:
        """Whether all are to end."""
        ...

    def states(self) -> dict[int, dict[str, Any]]:
        """Worker -> its process id, its state and how often it was started again."""
        ...

    async def look(self) -> Said:
        """What each worker's `/readyz` says."""
        ...

    async def in_force(self) -> Said:
        """What each worker's `/-/policy` says."""
        ...

    async def reload(self) -> Said:
        """Has each read its rules again."""
        ...

    async def enforce(self, enforcing: bool, by: str) -> Said:
        """The kill switch of each, and of those that are started from now on."""
        ...

    async def metrics(self) -> bytes:
        """The exposition of all."""
        ...


def operator_app(flock: Flock, *, token: str | None = None, local: bool = True) -> Starlette:
    """The same paths and the same answers as `edge.ops.operator_app` has, with `workers` beside them."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        said = await flock.look()
        workers = flock.states()
        answers = []
        for number, answer in said.items():
            if isinstance(answer, str):
                workers[number] |= {"ready": False, "why": answer}
            else:
                workers[number] |= answer[1]
                answers.append(answer[1])
        store = answers[0]["store"] if answers else None
        ready = not flock.draining and any(answer["ready"] for answer in answers)
        detail = {
            **(answers[0] if answers else {}),
            "store": next((answer["store"] for answer in answers if _down(answer["store"])), store),
            "ready": ready,
            "draining": flock.draining,
            "inflight": sum(answer["inflight"] for answer in answers),
            "workers": [{"worker": number, **detail} for number, detail in workers.items()],
        }
        return JSONResponse(detail, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(await flock.metrics(), media_type=Metrics.content_type)

    async def policy(_: Request) -> Response:
        return _together(await flock.in_force())

    async def reload(request: Request) -> Response:
        refused = barred(request, token, local)
        return refused if refused is not None else _together(await flock.reload(), any_of=("changed",))

    async def enforce(request: Request) -> Response:
        refused = barred(request, token, local)
        if refused is not None:
            return refused
        asked = await asked_to_enforce(request)
        if isinstance(asked, Response):
            return asked
        return _together(await flock.enforce(asked, by="operator's port"))

    return paths(livez, readyz, metrics, policy, reload, enforce)


def _down(store: Any) -> bool:
    return isinstance(store, dict) and store.get("state") == "down"


def _together(said: Said, any_of: tuple[str, ...] = ()) -> Response:
    """One answer for all: theirs where they agree, else what the first said who failed or differs, with its number.

    `any_of` names the flags that hold where they hold of one.
    """
    if not said:
        return refuse(503, "no worker serves")
    for number, answer in said.items():
        if isinstance(answer, str):
            return refuse(503, f"worker {number} {answer}")
        if answer[0] != 200:
            return JSONResponse({**answer[1], "worker": number}, answer[0])
    answers = {number: answer[1] for number, answer in said.items() if not isinstance(answer, str)}
    whole = dict(next(iter(answers.values())))
    for name in any_of:
        whole[name] = any(answer[name] for answer in answers.values())
    for number, answer in answers.items():
        if {**answer, **{name: whole[name] for name in any_of}} != whole:
            return JSONResponse(
                {"error": f"worker {number} differs", "workers": [{"worker": n, **a} for n, a in answers.items()]}, 503
            )
    return JSONResponse({**whole, "workers": len(answers)})
