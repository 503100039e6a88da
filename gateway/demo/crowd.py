"""Shell. The crowd: a simulated world at a gateway's socket, in step with the gateway's clock.

Whoever falls behind leaves benign requests out, and counts them: a picture that is late tells nothing of limits.
"""

import asyncio
from collections import Counter

from gateway.demo.clock import Rush
from gateway.demo.host import LENGTH
from gateway.demo.plan import Plan
from gateway.edge.upstream import Upstream, UpstreamError
from gateway.simulate.traffic import Heard, Sent
from gateway.simulate.world import BEGIN, World

__all__ = ["Crowd"]

GRACE = 3.0  # s that requests under way have to end


class Crowd:
    """Sends the requests of a world, each when its time has come, with a bounded number under way."""

    def __init__(self, world: World, plan: Plan, rush: Rush, client: Upstream) -> None:
        self.sent = 0
        self.left_out = 0
        self.statuses: Counter[int] = Counter()  # 0 = no answer
        self.behind = 0.0  # s by which the last one was late
        self.over = False  # whether all was sent
        self._world, self._plan, self._rush, self._client = world, plan, rush, client
        self._free = asyncio.Semaphore(plan.concurrency)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Sends all that there is, or until the plan's hours are over and nobody may be so late; then waits for what is
        under way. Cancelled, it drops that.
        """
        plan, rush = self._plan, self._rush
        end = plan.hours * 3600 + max(0.0, plan.late) * plan.rate
        try:
            for sent in self._world.play(deaf=False):
                early = (sent.line.t - BEGIN - rush.passed) / plan.rate
                if rush.passed >= end or self.sent >= plan.most:
                    break
                if early > 0:
                    await asyncio.sleep(early)
                elif self.sent % 8 == 0:
                    await asyncio.sleep(0)
                self.behind = max(0.0, -early)
                if self.behind > plan.late and sent.line.campaign is None:
                    self.left_out += 1
                    continue
                await self._free.acquire()
                self.sent += 1
                task = asyncio.get_running_loop().create_task(self._send(sent))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            if self._running:
                await asyncio.wait(self._running, timeout=GRACE)
            self.over = True
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(self, sent: Sent) -> None:
        line = sent.line
        headers = [
            (b"authorization", b"Bearer " + line.key.encode()),
            (b"content-type", b"application/json"),
            (b"user-agent", line.user_agent.encode()),
            (b"x-forwarded-for", line.client_ip.encode()),
            (LENGTH, b"%d" % line.response_tokens),
        ]
        status = 0
        try:
            answer = await self._client.send(line.method.encode(), line.path.encode(), headers, bytes(line.body))
            async with answer:
                while await answer.read() is not None:
                    pass
                status = answer.status
        except UpstreamError:
            pass  # no answer: counted as such
        finally:
            self._free.release()
        self.statuses[status] += 1
        heard = Heard(200 <= status < 300, blocked=status in (401, 403), limited=status == 429)
        sent.actor.hear(sent, heard)
