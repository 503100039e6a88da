"""Shell. `python -m gateway.standin --port 9000` runs the stand-in alone."""

import asyncio
import signal

import click

from gateway.standin.server import serving


@click.command("standin")
@click.option("--host", default="127.0.0.1", show_default=True, help="the address to listen on")
@click.option("--port", default=9000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one")
def command(host: str, port: int) -> None:
    """Run the stand-in model until SIGINT or SIGTERM."""
    asyncio.run(_run(host, port))


async def _run(host: str, port: int) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with serving(host, port) as running:
        click.echo(f"stand-in model on {running.url}")
        await stop.wait()


if __name__ == "__main__":
    command()
