"""Shell. `gauger keys`: API keys, and the hashes that the accounts file holds in their place."""

import secrets
import sys
from pathlib import Path

import click

from gateway.errors import Mistake
from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.settings import load

__all__ = ["command"]


@click.group("keys")
def command() -> None:
    """Make API keys and the hashes that the accounts file holds.

    A hash is keyed with the deployment's pepper: an accounts file that leaks gives no key away, and works with no
    other pepper.
    """


@command.command("new")
@click.option("--prefix", default="sk-", show_default=True, help="what the key begins with")
@click.option("--config", "file", type=click.Path(path_type=Path), envvar="GAUGER_CONFIG", help="TOML settings file")
def new(prefix: str, file: Path | None) -> None:
    """Make a key. It is printed once, with the hash to put under `keys:` in the accounts file."""
    key = prefix + secrets.token_urlsafe(32)
    click.echo(f"key   {key}")
    click.echo(f"hash  {_digest(key, file)}")


@command.command("hash")
@click.option("--config", "file", type=click.Path(path_type=Path), envvar="GAUGER_CONFIG", help="TOML settings file")
def hash_(file: Path | None) -> None:
    """Hash keys that are read from standard input, one a line, so that they stay out of the shell's history.

    \b
    printf %s "$KEY" | gauger keys hash
    """
    if sys.stdin.isatty():
        click.echo("paste keys, one a line; end with Ctrl-D", err=True)
    count = 0
    for line in sys.stdin:
        key = line.strip()
        if key:
            click.echo(_digest(key, file))
            count += 1
    if not count:
        raise Mistake("no key was given", hint='printf %s "$KEY" | gauger keys hash')


def _digest(key: str, file: Path | None) -> str:
    settings, _ = load(file)
    return key_digest(load_pepper(settings).current, key)
