"""Shell. The command `gauger`. One file of this folder = one command. Exit codes: 0 fine, 1 findings, 2 usage."""

import sys
from importlib import import_module

import click

from gateway import __version__
from gateway.errors import Mistake

__all__ = ["main"]

COMMANDS = {
    "serve": "Start the gateway.",
    "check": "Read a policy file and show every mistake with its place.",
    "test": "Run the tests that a policy carries.",
    "diff": "Show what differs between two policies.",
    "schema": "Print the JSON Schema of policy files, for editors.",
    "config": "Show every setting, its value and where it came from.",
    "replay": "Judge recorded requests again, by the same policy or another.",
    "simulate": "Make traffic: benign families, look-alikes and attack campaigns.",
    "calibrate": "Work out what a policy's promises rest on, and whether they still hold.",
    "explain": "Say why a request was treated as it was, and what an account did.",
    "signals": "Say what each signal measures, what evades it, and who looks alike without guilt.",
    "verify": "Prove that no row of a ledger was changed or removed.",
    "erase": "Erase an account from a ledger, which stays provable.",
    "keys": "Make API keys and the hashes that the accounts file holds.",
    "completion": "Print the completion script of a shell.",
}


class _Commands(click.Group):
    """Loads a command's file only when it is called, so that `gauger check` doesn't wait for the server's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"gateway.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gauger")
def group() -> None:
    """A rate-limiting gateway in front of a model API.

    \b
    First steps:
      gauger serve                          a gateway in front of an embedded stand-in model
      gauger serve --upstream URL           in front of a real one
      gauger check policies/default.yaml    is this policy right?
      gauger config                         what is set, and by what?
      gauger keys new                       a key for a caller, and its hash for the accounts file
    """


def main() -> None:
    """Runs the command line. A Mistake is one clear line (and a hint), never a traceback."""
    try:
        code = group(prog_name="gauger", standalone_mode=False)  # the code of `ctx.exit`, or what the command returned
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except Mistake as error:
        click.echo(f"gauger: {error}", err=True)
        if error.hint:
            click.echo(f"  hint: {error.hint}", err=True)
        sys.exit(2)
