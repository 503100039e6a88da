"""Shell. `gauger erase ACCOUNT`: takes an account's rows out of a ledger that stays provable."""

from pathlib import Path

import click

from gateway.stores.proof import erase
from gateway.stores.segments import ledgers

__all__ = ["command"]


@click.command("erase")
@click.argument("account")
@click.option(
    "--ledger",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    envvar="GAUGER_LEDGER",
    help="the ledger's folder",
)
def command(account: str, folder: Path) -> None:
    """Erase the rows of an account, named by its id, from a ledger.

    In the place of each stays its number, its time, its kind and a hash that nobody can try guesses on, so `gauger
    verify` goes on proving all other rows, with the same heads. The ledger may be in use: rows in the segment that is
    being written stay until it is closed; the exit code is then 1, and the command is to be called again.
    """
    try:
        found = ledgers(folder)
    except OSError:
        found = [folder]  # `erase` says what is wrong with it
    done = [erase(each, account) for each in found]
    rows, changed, left = (sum(counts) for counts in zip(*done, strict=True))
    click.echo(f"{rows} rows erased in {changed} segments")
    if left:
        click.echo(f"{left} rows are in the segment that a gateway is writing: erase again when it is closed")
        click.get_current_context().exit(1)
