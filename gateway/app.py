"""Shell. The only place that builds objects: from settings to a `Core`, a `Gate`, a `Relay`, and the rules in force."""

import asyncio
import logging
import socket
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import BinaryIO

from pydantic import SecretStr

from gateway import __version__
from gateway.accounts import Directory
from gateway.adopt import read_rules, rule_files
from gateway.edge import gate, relay
from gateway.edge.admission import Admission
from gateway.edge.clock import Clock
from gateway.edge.core import Core
from gateway.edge.exchange import ASGIApp, Receive, Scope, Send
from gateway.edge.snapshots import Snapshots
from gateway.edge.transports import make_upstream
from gateway.edge.tunnel import TunnelBounds, pass_through
from gateway.edge.upstream import Upstream
from gateway.errors import Mistake
from gateway.ledger.line import Service
from gateway.pepper import load_pepper, load_tag_key
from gateway.policy.model import Policy
from gateway.refusals import Vendor
from gateway.reload import Reloader
from gateway.restore import start
from gateway.settings import Settings
from gateway.settings import load as load_settings
from gateway.stores.journal import Journal
from gateway.stores.memory import MemoryLimits
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.valkey.client import connect
from gateway.stores.valkey.gossip import MOST, Gossip, worker_of
from gateway.stores.valkey.guard import GuardedLimits
from gateway.stores.valkey.remote import RemoteLimits
from gateway.stores.valkey.slices import SlicedLimits
from gateway.telemetry import events
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracer

__all__ = ["VENDORS", "Gate", "Relay", "build_core", "service_of", "upstreams_of"]

VENDORS: tuple[Vendor, ...] = ("openai", "anthropic", "gemini")
FACTS_SHARE = 4_000  # bytes of an embedded store for each record of an account: a quarter of it is theirs


class Gate(gate.Gate):
    """`Gate(app)`: accounts, limits and records around any ASGI app, configured by `GAUGER_*` settings.

    For FastAPI: `app.add_middleware(gateway.Gate)`; for vLLM: `vllm serve --middleware gateway.Gate`.
    """

    def __init__(self, app: ASGIApp, settings: Settings | None = None, *, core: Core | None = None) -> None:
        self._settings: Settings | None = None
        if core is None:
            self._settings = settings or load_settings()[0]
            core = build_core(self._settings)
        super().__init__(app, core)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and self._settings is not None:
            await self._live(self._settings, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _live(self, settings: Settings, scope: Scope, receive: Receive, send: Send) -> None:
        """Around the app's own lifespan: files are watched, leases renewed, and the last lines written at its end."""
        core = self.core
        reloader = Reloader(core, lambda: rule_files(settings, core.policy), lambda: read_rules(settings))
        tasks = core.background()
        if settings.reload_interval:
            tasks.append(asyncio.create_task(reloader.run(settings.reload_interval)))
        try:
            await self.app(scope, receive, send)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await core.aclose()


class Relay(relay.Relay):
    """`Relay("https://api.example.com")`: a streaming reverse proxy as an ASGI app, alone or inside a `Gate`."""

    def __init__(self, upstream: str | None = None, settings: Settings | None = None) -> None:
        given = {} if upstream is None else {"upstream": upstream}
        chosen = settings or load_settings(None, **given)[0]
        super().__init__(
            upstreams_of(chosen, upstream),
            credentials=relay.Credentials(chosen.credential, _vendor_keys(chosen)),
            preserve_host=chosen.preserve_host,
        )
        self._tunnel = TunnelBounds(
            message_bytes=chosen.message_bytes, idle=chosen.realtime_idle_timeout, total=chosen.realtime_timeout
        )

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await pass_through(self, scope, receive, send, self._tunnel)
        else:
            await super()._other(scope, receive, send)


def upstreams_of(settings: Settings, default: str | None = None) -> dict[Vendor, Upstream]:
    """One upstream a vendor; vendors with the same URL share one pool. Raises Mistake for a wrong or missing URL."""
    made: dict[str, Upstream] = {}
    found: dict[Vendor, Upstream] = {}
    for vendor in VENDORS:
        url = settings.upstreams.get(vendor) or default or settings.upstream
        if url is None:
            raise Mistake(
                f"there is no upstream for {vendor}", place="upstream", hint="set GAUGER_UPSTREAM or `--upstream URL`"
            )
        if url not in made:
            made[url] = make_upstream(url, settings)
        found[vendor] = made[url]
    return found


def build_core(
    settings: Settings,
    *,
    stream: BinaryIO | None = None,
    rules: tuple[Policy, Directory] | None = None,
    clock: Clock | None = None,
) -> Core:
    """Everything that requests share. `stream` is where request lines go (standard output by default), `clock` tells
    the time in place of the machine's.
    """
    policy, directory = rules or read_rules(settings)
    lines = LineWriter(stream or sys.stdout.buffer, capacity=settings.log_queue)
    metrics = Metrics()
    service = service_of(settings)
    admission = Admission(
        max_inflight=settings.max_inflight,
        max_body=settings.max_body,
        max_upload=settings.max_upload,
        body_budget=settings.body_budget,
        body_timeout=settings.body_timeout,
    )
    pepper, tag_key, trusted = load_pepper(settings), _tag_key(settings), networks(settings.trusted_proxies)
    ledger, clock = _ledger(settings), clock or Clock()
    begun = start(settings, policy, pepper.id, service, clock.now())
    clock.not_before(begun.row.now)
    core = Core(
        policy=policy,
        directory=directory,
        pepper=pepper,
        tag_key=tag_key,
        trusted=trusted,
        admission=admission,
        limits=begun.limits,
        accounts=begun.accounts,
        journal=Journal(),
        lines=lines,
        metrics=metrics,
        tracer=Tracer(settings.tracing, version=service.version, instance=service.instance),
        served=begun.served,
        campaigns=begun.campaigns,
        clock=clock,
        kill=not settings.enforce,
        usage_ask=settings.usage_ask,
        log_format=settings.log_format,
        service=service,
        ledger=ledger,
    )
    if ledger is not None:
        core.journal.subscribe(ledger)
    core.journal.begin(begun.row)
    core.record_policy()
    if settings.ledger is not None:
        core.snapshots = Snapshots(core, settings.ledger, settings.snapshot_interval)
        core.snapshots.forget()
    _share(core, settings)
    core.watch()
    # The form parser logs what it stumbles over, byte by byte; the model server tells the caller what is wrong.
    logging.getLogger("python_multipart").disabled = True
    return core


def service_of(settings: Settings) -> Service:
    """By what name records and events of this process go."""
    return Service("gauger", __version__, settings.service_instance or f"{socket.gethostname()}:{settings.port}")


def _share(core: Core, settings: Settings) -> None:
    """Limits, and what tells campaigns, in the store of the settings. Raises Mistake for a store that can't be one."""
    uri = settings.store.get_secret_value()
    if uri == "memory":
        return
    client = connect(uri, settings.store_timeout, settings.store_ca)
    clock, log = core.clock.now, events.get("store")
    name = "" if settings.ledger is None else worker_of(settings.ledger)  # whose accounts these are
    remote = RemoteLimits(client, log, name=name)
    core.metrics.watch("gauger_store_waiting", lambda: remote.waiting)
    core.metrics.watch("gauger_store_dropped_total", lambda: remote.dropped)
    shared = SlicedLimits(
        remote,
        share=settings.store_slice,
        everything=settings.store_mode == "sliced",
        crosses=lambda limit: limit in core.sharing.crossing,
        clock=clock,
    )
    core.limits = GuardedLimits(
        shared,
        MemoryLimits(max_cells=settings.max_cells),
        replicas=max(settings.replicas, settings.workers),
        stances=lambda: core.sharing.stances,
        log=log,
        clock=clock,
    )
    if core.campaigns is not None:
        most = MOST if not settings.embedded_valkey else min(MOST, settings.embedded_valkey_memory // FACTS_SHARE)
        core.gossip = Gossip(core.campaigns, client, core.pepper.id, clock=clock, log=log, worker=name, most=most)


def _tag_key(settings: Settings) -> bytes | None:
    """None where there is no key and none can be made: said here, and no tag is sent on."""
    try:
        return load_tag_key(settings)
    except OSError as error:
        hint = "set GAUGER_TAG_KEY, or GAUGER_STATE_DIR to a folder that this process may write"
        events.get("app").warning("tags are not sent on", error=error.strerror, hint=hint)
        return None


def _ledger(settings: Settings) -> SegmentWriter | None:
    """The folder that the rows go to. Raises Mistake where another process writes it, or nobody can."""
    if settings.ledger is None:
        return None
    return SegmentWriter(
        settings.ledger,
        version=__version__,
        max_bytes=settings.ledger_segment_bytes,
        keep_bytes=settings.ledger_keep_bytes,
        keep_days=settings.ledger_keep_days,
        sync=settings.ledger_sync,
        log=events.get("ledger"),
    )


def networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The trusted proxies. Raises Mistake for what is no network."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise Mistake(str(error), place="trusted_proxies", hint="write networks, as in 10.0.0.0/8,::1/128") from None


def _vendor_keys(settings: Settings) -> dict[Vendor, str]:
    """The keys of `credential=replace`. Raises Mistake where one could not stand in a header."""
    keys: dict[Vendor, str] = {}
    for vendor in VENDORS:
        secret: SecretStr | None = getattr(settings, f"{vendor}_key")
        if secret is not None:
            key = secret.get_secret_value()
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise Mistake("is not a key that fits a header", place=f"{vendor}_key")
            keys[vendor] = key
    return keys
