"""Shell. What a start needs and tells, of one process or of several: the ports, the stand-in model, what is where."""

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from ipaddress import ip_address
from typing import NamedTuple

import click

from gateway import __version__
from gateway.edge.server import Bounds, listen
from gateway.settings import Settings
from gateway.stores.segments import ledgers, segments
from gateway.stores.valkey.address import shown
from gateway.telemetry import events

__all__ = ["InForce", "banner", "data_sockets", "forsaken", "is_loopback", "standing_in", "token_of"]

MODEL = "gpt-4o-mini"

log = events.get("serve")


class InForce(NamedTuple):
    """A policy, as a start tells of it."""

    id: str
    digest: str
    mode: str


@asynccontextmanager
async def standing_in(settings: Settings) -> AsyncIterator[str | None]:
    """The upstream, which is an embedded stand-in model where none is set; None = one a vendor."""
    if settings.upstream is None and not settings.upstreams:
        from gateway import standin

        async with standin.serving() as running:
            yield running.url
    else:
        yield settings.upstream


def data_sockets(settings: Settings) -> list[list[socket.socket]]:
    """Listening sockets: those of the data port, then those of each worker's own port, where it has one.

    Raises Mistake when one can't be had.
    """
    ports = [settings.port]
    if settings.worker_ports:
        ports += range(settings.worker_ports, settings.worker_ports + settings.workers)
    made: list[list[socket.socket]] = []
    with ExitStack() as stack:
        for port in ports:
            made.append(listen(settings.host, port, Bounds().backlog))
            for sock in made[-1]:
                stack.callback(sock.close)
        stack.pop_all()
    return made


def token_of(settings: Settings) -> str | None:
    """What the operator's port asks for; None = nothing."""
    return settings.ops_token.get_secret_value() if settings.ops_token is not None else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that is listened on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def forsaken(settings: Settings) -> list[str]:
    """Ledgers in the folder of these settings that no process goes on with: the number of workers was another one."""
    if settings.ledger is None:
        return []
    several = settings.workers > 1
    ours = {settings.ledger / f"worker-{n}" for n in range(settings.workers)} if several else {settings.ledger}
    try:
        return [str(each) for each in ledgers(settings.ledger) if each not in ours and segments(each)]
    except OSError:
        return []  # whoever writes there says what is wrong with it


def banner(settings: Settings, upstream: str | None, policy: InForce, url: str, ops_url: str) -> None:
    """What is listening where. For people on a terminal; a line of the log for everybody else.

    `upstream` is where requests go, None = one a vendor.
    """
    store = "an embedded Valkey" if settings.embedded_valkey else shown(settings.store.get_secret_value())
    started = {"policy": policy.id, "digest": policy.digest, "version": __version__}
    log.info("started", url=url, ops_url=ops_url, **started, workers=settings.workers, store=store)
    if alone := forsaken(settings):
        hint = "what these remember waits for as many workers as before; no retention reaches them"
        log.warning("ledgers that no process goes on with", ledgers=alone, hint=hint)
    if settings.upstream is None and not settings.upstreams:
        upstream = f"an embedded stand-in model ({upstream})"
    first, last = settings.worker_ports, settings.worker_ports + settings.workers - 1
    own = f", ports {first} to {last} besides" if first else ""
    show = [
        "",
        f"  Gauger {__version__}",
        f"  gateway   {url}   OpenAI, Anthropic and Gemini paths",
        f"  upstream  {upstream or ', '.join(sorted(settings.upstreams.values()))}",
        f"  policy    {settings.policy or 'policies/default.yaml'} ({policy.id}, {policy.digest})"
        + ("" if settings.enforce and policy.mode == "enforce" else ", shadow: nothing is enforced"),
        *([f"  workers   {settings.workers}, limits in {store}{own}"] if store != "memory" else []),
        f"  operator  {ops_url}   /livez /readyz /metrics; /-/policy /-/reload /-/enforce",
        "",
        "  Try:",
        f"    curl {url}/v1/chat/completions -H 'authorization: Bearer sk-me' \\",
        "      -H 'content-type: application/json' \\",
        f'      -d \'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "hello"}}]}}\'',
        "",
    ]
    click.echo("\n".join(show), err=True)
