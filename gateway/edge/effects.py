"""Shell. What the effects of a verdict do to a request on its way to the wrapped app. Rung 7, beside the draw."""

import asyncio
from contextlib import suppress
from time import perf_counter_ns

from gateway.actions import Effects
from gateway.actions.tag import HEADER, sign
from gateway.edge import finish
from gateway.edge.admission import Admission
from gateway.edge.exchange import ClientGone, Exchange

__all__ = ["LARGE", "clamp", "delay", "tag"]

LARGE = 262_144  # bytes of a body that is read, or edited, in a thread
LONGEST = 30_000_000  # µs that a request is held, whatever the policy says: callers' clients give up after a minute


async def clamp(x: Exchange, effects: Effects) -> None:
    """Rewrites the clamped fields of the body and nothing else of it. Uploads and opaque bodies pass as they are."""
    if not effects.clamp or x.body is None or x.dialect is None or x.route is None or not x.calls:
        return
    edits = x.dialect.clamp(x.route.op, x.calls[0].body, effects.clamp)
    if not edits:
        return
    if len(x.body) > LARGE:
        x.body = await asyncio.to_thread(x.dialect.rewrite, x.body, edits)
    else:
        x.body = x.dialect.rewrite(x.body, edits)
    finish.reframe(x, len(x.body))


def tag(x: Exchange, effects: Effects, key: bytes | None) -> None:
    """Tells the wrapped app the tags, signed. The caller's own `gauger-*` fields are gone by now."""
    if effects.tags and key is not None:
        x.scope["headers"].append((HEADER.encode(), sign(key, x.now // 1_000_000, x.id, effects.tags)))


async def delay(x: Exchange, effects: Effects, admission: Admission) -> None:
    """Holds the request, which keeps its lease. Raises ClientGone when the client leaves meanwhile, Refusal (429) where
    too many are held.

    While a body still streams in, its reader alone may listen to the client; then the wait is slept to its end.
    """
    wait = min(effects.delay, LONGEST) / 1e6
    if not wait:
        return
    with admission.delay(wait):
        started = perf_counter_ns()
        try:
            if x.body is None and not x.body_read:
                await asyncio.sleep(wait)
                return
            x.body = x.body or b""  # what is heard of the channel here, the app doesn't hear again
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await x.gone()
                raise ClientGone
        finally:
            x.timings["delay"] = perf_counter_ns() - started
