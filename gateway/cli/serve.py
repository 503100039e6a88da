"""Shell. `gauger serve`: the gateway on one port, the operator's side on another."""

import asyncio
import gc
import signal
import sys
from contextlib import AsyncExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from gateway import __version__, standin
from gateway.adopt import read_rules, rule_files
from gateway.app import Gate, Relay, build_core
from gateway.edge.core import Core
from gateway.edge.finish import refused_below
from gateway.edge.ops import operator_app
from gateway.edge.server import Server, bounds_of, make_server, run
from gateway.reload import Reloader
from gateway.settings import Settings, load
from gateway.telemetry import events

__all__ = ["command"]


@click.command("serve")
@click.option("--upstream", metavar="URL", help="the model API in front of which it sits [none: a stand-in model]")
@click.option("--policy", type=click.Path(path_type=Path), help="policy file [the default policy that is shipped]")
@click.option("--host", help="address of the data port [127.0.0.1]")
@click.option("--port", type=int, help="the data port [8080]")
@click.option("--ops-port", type=int, help="the operator's port: /livez /readyz /metrics, and /-/ to steer [8081]")
@click.option("--log-format", type=click.Choice(["gauger", "otel", "ecs"]), help="names in the request lines [gauger]")
@click.option("--ledger", metavar="DIR", type=click.Path(path_type=Path), help="folder that the rows go to [none]")
@click.option("--config", type=click.Path(path_type=Path), envvar="GAUGER_CONFIG", help="TOML settings file")
def command(config: Path | None, **given: Any) -> None:
    """Start the gateway.

    Without an upstream it starts an embedded stand-in model, so that you can try everything on your own machine.
    One record a request goes to standard output, everything else to standard error.

    \b
    Signals: SIGTERM, SIGINT  stop taking requests, let the running ones end, exit
             SIGHUP           read the policy and the accounts again
             SIGUSR1          kill switch on or off: decide everything, do nothing
    """
    settings, _ = load(config, **{name: value for name, value in given.items() if value is not None})
    import uvloop

    uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Runs until a signal says stop. Raises Mistake before anything listens if something is wrong."""
    core = build_core(settings, rules=read_rules(settings))
    events.configure(settings.log_level, service=core.service)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(core.aclose)
        upstream = settings.upstream
        standing_in = upstream is None and not settings.upstreams
        if standing_in:
            upstream = (await stack.enter_async_context(standin.serving())).url
        relay = Relay(upstream, settings)
        stack.push_async_callback(relay.aclose)
        core.watch_upstreams(relay.upstreams.values())
        gate = Gate(relay, core=core)
        data = make_server(
            gate, settings.host, settings.port, bounds_of(settings), on_refusal=lambda r: refused_below(core, r)
        )
        reloader = Reloader(core, lambda: rule_files(settings, core.policy), lambda: read_rules(settings))
        token = settings.ops_token.get_secret_value() if settings.ops_token is not None else None
        operator = operator_app(core, reloader, token=token, local=_is_loopback(settings.ops_host))
        ops = make_server(operator, settings.ops_host, settings.ops_port, bounds_of(settings, tls=False))
        tasks = [asyncio.create_task(core.keep_leases()), asyncio.create_task(reloader.run(settings.reload_interval))]
        for task in tasks:
            stack.callback(task.cancel)
        _on_signals(core, reloader, stop)

        def started() -> None:
            gc.collect()
            gc.freeze()  # what is loaded by now lives as long as the process: the collector need not walk it again
            sys.setswitchinterval(0.001)  # s that a thread that reads a large body may keep the loop waiting
            gc.set_threshold(5_000, 20, 50)  # a request makes a hundred objects that it watches, and leaves no cycle
            identity = core.policy.identity
            if settings.credential == "replace" and not identity.unknown == identity.anonymous == "refuse":
                why, hint = "anybody's request goes out with your key", "identity: {unknown: refuse, anonymous: refuse}"
                events.get("serve").warning("open relay", why=why, hint=hint)
            _banner(settings, core, data, ops, f"an embedded stand-in model ({upstream})" if standing_in else upstream)

        await run([data, ops], stop, started=started, settings=settings)
        events.get("serve").info("stopped")


def _on_signals(core: Core, reloader: Reloader, stop: asyncio.Event) -> None:
    log = events.get("serve")

    def end() -> None:
        core.admission.draining = True
        if not stop.is_set():
            log.info("draining", inflight=core.admission.inflight)
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    loop.add_signal_handler(signal.SIGUSR1, lambda: core.switch(enforcing=core.kill, by="signal"))


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that is listened on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _banner(settings: Settings, core: Core, data: Server, ops: Server, upstream: str | None) -> None:
    """What is listening where. For people on a terminal; a line of the log for everybody else."""
    events.get("serve").info(
        "started", url=data.url, ops_url=ops.url, policy=core.policy.id, digest=core.policy.digest, version=__version__
    )
    model = "gpt-4o-mini"
    show = [
        "",
        f"  Gauger {__version__}",
        f"  gateway   {data.url}   OpenAI, Anthropic and Gemini paths",
        f"  upstream  {upstream or ', '.join(sorted(settings.upstreams.values()))}",
        f"  policy    {settings.policy or 'policies/default.yaml'} ({core.policy.id}, {core.policy.digest})"
        + ("" if settings.enforce and core.policy.mode == "enforce" else ", shadow: nothing is enforced"),
        f"  operator  {ops.url}   /livez /readyz /metrics; /-/policy /-/reload /-/enforce",
        "",
        "  Try:",
        f"    curl {data.url}/v1/chat/completions -H 'authorization: Bearer sk-me' \\",
        "      -H 'content-type: application/json' \\",
        f'      -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "hello"}}]}}\'',
        "",
    ]
    click.echo("\n".join(show), err=True)
