"""Shell. A world played at a running gateway: at a multiple of its own pace, with bounded concurrency."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import httpx

from gateway.errors import Mistake
from gateway.simulate.traffic import Heard, Sent
from gateway.simulate.world import World

__all__ = ["Summary", "drive"]

PATIENCE = 120.0  # s for an answer
GRACE = 10.0  # s that requests under way have to end, once it was said to stop
REFUSALS = (401, 403, 429)


@dataclass
class Summary:
    """What came of it. Statuses are HTTP's; 0 = no answer."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)  # by family or campaign
    useful: Counter[str] = field(default_factory=Counter)  # answers that a campaign wanted and got, each once
    behind: float = 0.0  # s by which the last request was late
    stopped: bool = False

    def served(self, name: str) -> int:
        return sum(count for (who, status), count in self.statuses.items() if who == name and 200 <= status < 300)

    def refused(self, name: str) -> int:
        return sum(count for (who, status), count in self.statuses.items() if who == name and status in REFUSALS)

    def names(self) -> list[str]:
        return sorted({who for who, _ in self.statuses})


async def drive(
    world: World,
    url: str,
    stop: asyncio.Event,
    *,
    speed: float = 3600.0,
    concurrency: int = 32,
    most: int | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Summary:
    """Sends the world's requests to `url`, each when its time has come: `speed` seconds of the world pass in one.

    A request waits where `concurrency` others are under way. Ends after `most`, or when `stop` is set: then those under
    way have 10 s. Raises Mistake where nothing answers at all.
    """
    summary = Summary()
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(concurrency)
    running: set[asyncio.Task[None]] = set()
    bounds = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(
        base_url=url, limits=bounds, timeout=PATIENCE, trust_env=False, transport=transport
    ) as client:
        begun, first = loop.time(), None
        for number, sent in enumerate(world.play(deaf=False)):
            if most is not None and number >= most:
                break
            first = sent.line.t if first is None else first
            due = begun + (sent.line.t - first) / speed
            if await _stopped(stop, due - loop.time()):
                summary.stopped = True
                break
            await gate.acquire()
            summary.behind = max(0.0, loop.time() - due)
            task = loop.create_task(_send(client, sent, summary, gate))
            running.add(task)
            task.add_done_callback(running.discard)
            if number == 0:  # a wrong address is better said at once
                await task
        if running:
            _, late = await asyncio.wait(running, timeout=GRACE if summary.stopped else None)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
    return summary


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Waits so long, or until it is said to stop."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return stop.is_set()
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _send(client: httpx.AsyncClient, sent: Sent, summary: Summary, gate: asyncio.Semaphore) -> None:
    line = sent.line
    headers = {
        "authorization": f"Bearer {line.key}",
        "content-type": "application/json",
        "user-agent": line.user_agent,
        "x-forwarded-for": line.client_ip,  # counts where the policy trusts whoever sends it
    }
    status = 0
    try:
        request = client.stream(line.method, line.path, content=bytes(line.body), headers=headers)
        async with request as response:
            async for _ in response.aiter_raw():
                pass
            status = response.status_code
    except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        if not summary.statuses:
            hint = "is the gateway running there?"
            raise Mistake(f"nothing answers: {error}", place=str(client.base_url), hint=hint) from None
    except httpx.HTTPError:
        pass  # the connection broke, or no answer came in time: counted as no answer
    finally:
        gate.release()
    name = line.campaign or line.family
    summary.statuses[name, status] += 1
    heard = Heard(200 <= status < 300, blocked=status in (401, 403), limited=status == 429)
    if heard.answered and sent.item >= 0 and not sent.repeats:
        summary.useful[name] += 1
    sent.actor.hear(sent, heard)
