"""Shell. `python -m gateway.demo`: what `make demo` runs."""

import io
import sys
from pathlib import Path

import click
import uvloop

from gateway.demo.plan import Plan
from gateway.demo.show import STOPPED, play
from gateway.errors import Mistake

USUAL = Plan()


@click.command("demo", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".gauger/demo"),
    show_default=True,
    help="where the gateway's files go; the ledger stays there",
)
@click.option("--seed", type=click.IntRange(0, 2**53), default=USUAL.seed, show_default=True, help="of the traffic")
@click.option("--owners", type=click.IntRange(10, 500), default=USUAL.owners, show_default=True, help="customers")
def command(folder: Path, seed: int, owners: int) -> None:
    """Customers pass, and a campaign of forty accounts is found, slowed and explained: two days in under a minute.

    Exit code 0: the campaign was recognised and slowed, and no customer was. 1: something else happened. 130: stopped.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode still gets its summary
    sys.exit(uvloop.run(play(Plan(seed=seed, owners=owners), folder, sys.stdout)))


if __name__ == "__main__":
    try:
        command(prog_name="python -m gateway.demo")
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except Mistake as error:
        click.echo(f"demo: {error}", err=True)
        if error.hint:
            click.echo(f"  hint: {error.hint}", err=True)
        sys.exit(2)
