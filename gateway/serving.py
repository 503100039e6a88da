"""Shell. One process that serves: what `gauger serve` runs, alone or as each of its workers."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.adopt import read_rules, rule_files
from gateway.app import Gate, Relay, build_core, service_of
from gateway.edge.core import Core
from gateway.edge.finish import refused_below
from gateway.edge.ops import operator_app
from gateway.edge.server import Server, bounds_of, make_server, run
from gateway.policy.model import Policy
from gateway.reload import Reloader
from gateway.settings import Settings
from gateway.starting import InForce, banner, data_sockets, is_loopback, standing_in, token_of
from gateway.telemetry import events

__all__ = ["Gateway", "opened", "serve", "tune", "warn_of_open_relay"]

log = events.get("serve")


@dataclass
class Gateway:
    """What one process serves with, and the event that ends it."""

    core: Core
    data: Server
    reloader: Reloader
    stop: asyncio.Event

    def end(self) -> None:
        """Stops taking requests; those under way may end."""
        self.core.admission.draining = True
        if not self.stop.is_set():
            log.info("draining", inflight=self.core.admission.inflight)
        self.stop.set()

    def on_signals(self) -> None:
        """Signals do what the command's help says."""
        core, loop = self.core, asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.end)
        loop.add_signal_handler(signal.SIGINT, self.end)
        loop.add_signal_handler(signal.SIGHUP, self.reloader.ask)
        loop.add_signal_handler(signal.SIGUSR1, lambda: core.switch(enforcing=core.kill, by="signal"))


@asynccontextmanager
async def opened(settings: Settings, upstream: str | None, sockets: Sequence[socket.socket]) -> AsyncIterator[Gateway]:
    """Everything that serves the data port, built and not yet started; closed at the end.

    `sockets` listen already, and are its own from here on; without any, the data port's are made at its start.
    Raises Mistake for whatever is wrong.
    """
    async with AsyncExitStack() as stack:
        for sock in sockets:
            stack.callback(sock.close)
        events.configure(settings.log_level, service=service_of(settings))  # what a start says bears the name, too
        core = build_core(settings, rules=read_rules(settings))
        stack.push_async_callback(core.aclose)
        relay = Relay(upstream, settings)
        stack.push_async_callback(relay.aclose)
        core.watch_upstreams(relay.upstreams.values())
        data = make_server(
            Gate(relay, core=core),
            settings.host,
            settings.port,
            bounds_of(settings),
            on_refusal=lambda r: refused_below(core, r),
            sockets=sockets,
        )
        reloader = Reloader(core, lambda: rule_files(settings, core.policy), lambda: read_rules(settings))
        tasks = [*core.background(), asyncio.create_task(reloader.run(settings.reload_interval))]
        for task in tasks:
            stack.callback(task.cancel)
        yield Gateway(core, data, reloader, asyncio.Event())


async def serve(settings: Settings) -> None:
    """Runs alone until a signal says stop. Raises Mistake before anything listens if something is wrong."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(standing_in(settings))
        sockets = [sock for each in data_sockets(settings) for sock in each] if settings.worker_ports else []
        gateway = await stack.enter_async_context(opened(settings, upstream, sockets))
        core, data = gateway.core, gateway.data
        local, token = is_loopback(settings.ops_host), token_of(settings)
        operator = operator_app(core, gateway.reloader, token=token, local=local)
        ops = make_server(operator, settings.ops_host, settings.ops_port, bounds_of(settings, tls=False))
        gateway.on_signals()

        def started() -> None:
            tune()
            warn_of_open_relay(settings, core.policy)
            in_force = InForce(core.policy.id, core.policy.digest, core.policy.mode)
            banner(settings, upstream, in_force, data.url, ops.url)

        await run([data, ops], gateway.stop, started=started, settings=settings)
        log.info("stopped")


def tune() -> None:
    """Settles the interpreter for a long life, once everything is loaded."""
    gc.collect()
    gc.freeze()  # what is loaded by now lives as long as the process: the collector need not walk it again
    sys.setswitchinterval(0.001)  # s that a thread that reads a large body may keep the loop waiting
    gc.set_threshold(5_000, 20, 50)  # a request makes a hundred objects that it watches, and leaves no cycle


def warn_of_open_relay(settings: Settings, policy: Policy) -> None:
    """Says it where callers that nobody knows use the operator's key."""
    identity = policy.identity
    if settings.credential == "replace" and not identity.unknown == identity.anonymous == "refuse":
        why, hint = "anybody's request goes out with your key", "identity: {unknown: refuse, anonymous: refuse}"
        log.warning("open relay", why=why, hint=hint)
