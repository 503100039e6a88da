"""A real gateway on real sockets for tests: stand-in model, relay, gate and the operator's port, in one event loop."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import SecretStr

from gateway import standin
from gateway.accounts import Directory
from gateway.app import Gate, Relay, build_core
from gateway.edge.core import Core
from gateway.edge.exchange import ASGIApp
from gateway.edge.ops import operator_app
from gateway.edge.server import Bounds, make_server
from gateway.ledger.record import Row
from gateway.policy.loader import load as load_policy
from gateway.policy.model import Policy
from gateway.settings import Settings
from gateway.stores.valkey.guard import GuardedLimits

T = TypeVar("T")

OPEN_POLICY = """
gauger: 1
policy: {id: open, mode: enforce}
"""


def policy_of(text: str) -> Policy:
    def nothing(name: str) -> bytes:
        raise FileNotFoundError(name)

    return load_policy(text, "test.yaml", nothing)


@dataclass
class Running:
    """A gateway that runs: where it listens, what it wrote, what it holds."""

    url: str
    ops_url: str
    core: Core
    log: io.BytesIO
    model: Any = None
    rows: list[Row] = field(default_factory=list)
    port: int = 0

    def records(self) -> list[dict[str, Any]]:
        """The request lines that were written so far, in order."""
        self.core.lines.flush()
        return [orjson.loads(line) for line in self.log.getvalue().splitlines()]


@asynccontextmanager
async def gateway(
    *,
    policy: str = OPEN_POLICY,
    directory: Directory | None = None,
    upstream: str | None = None,
    app: ASGIApp | None = None,
    bounds: Bounds | None = None,
    record: int = 0,
    port: int = 0,
    ops_port: int = 0,
    state_dir: Path,
    **settings: Any,
) -> AsyncIterator[Running]:
    """A gateway in front of `app`, or of `upstream`, or of a stand-in model that remembers `record` requests.

    It listens at `port` and `ops_port`, or at free ones.
    """
    log = io.BytesIO()
    chosen = Settings(state_dir=state_dir, upstream=upstream, pepper=SecretStr("a pepper for tests only"), **settings)
    core = build_core(chosen, stream=log, rules=(policy_of(policy), directory or Directory.empty()))
    rows: list[Row] = []
    core.journal.subscribe(rows.append)
    async with standin.serving(record=record) as model:
        relay = None
        if app is None:
            relay = Relay(upstream or model.url, chosen)
            app = relay
        data = make_server(Gate(app, core=core), "127.0.0.1", port, bounds or Bounds())
        ops = make_server(operator_app(core), "127.0.0.1", ops_port, Bounds())
        async with data.listening() as at, ops.listening() as ops_at:
            try:
                yield Running(f"http://127.0.0.1:{at}", f"http://127.0.0.1:{ops_at}", core, log, model, rows, at)
            finally:
                if relay is not None:
                    await relay.aclose()
    if isinstance(core.limits, GuardedLimits):
        await core.limits.aclose()
    core.lines.close()
    if core.ledger is not None:
        core.ledger.close()


@contextmanager
def in_thread(make: Callable[[], Any]) -> Iterator[tuple[Any, Callable[[Coroutine[Any, Any, T]], T]]]:
    """Runs an async context manager in a thread of its own, for clients that block. Yields it, and a way to call in."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="gateway", daemon=True)
    thread.start()

    def call(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    manager = make()
    try:
        running = call(manager.__aenter__())
        try:
            yield running, call
        finally:
            call(manager.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
