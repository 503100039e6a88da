"""Shell. `gauger serve`: the gateway on one port, the operator's side on another."""

import asyncio
from pathlib import Path
from typing import Any

import click

from gateway.settings import load

__all__ = ["command"]


@click.command("serve")
@click.option("--upstream", metavar="URL", help="the model API in front of which it sits [none: a stand-in model]")
@click.option("--policy", type=click.Path(path_type=Path), help="policy file [the default policy that is shipped]")
@click.option("--host", help="address of the data port [127.0.0.1]")
@click.option("--port", type=int, help="the data port [8080]")
@click.option("--ops-port", type=int, help="the operator's port: /livez /readyz /metrics, and /-/ to steer [8081]")
@click.option("--workers", type=int, metavar="N", help="processes that serve the data port; they share a store [1]")
@click.option(
    "--embedded-valkey", is_flag=True, default=None, help="start a Valkey of our own for the workers to share"
)
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
    if settings.workers > 1 or settings.embedded_valkey:
        from gateway.workers.supervisor import supervise

        asyncio.run(supervise(settings))
    else:
        import uvloop

        from gateway.serving import serve

        uvloop.run(serve(settings))
