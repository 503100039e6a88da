"""Shell. `gauger keys`: API keys, and the hashes that the accounts file holds in their place."""

import secrets
import sys
from pathlib import Path

import click

from gateway.errors import Mistake
from gateway.identity import MAX_CREDENTIAL, VISIBLE, key_digest
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
    _fit(key.encode(), "the prefix")
    click.echo(f"key   {key}")
    click.echo(f"hash  {_digests([key.encode()], file)[0]}")


@command.command("hash")
@click.option("--config", "file", type=click.Path(path_type=Path), envvar="GAUGER_CONFIG", help="TOML settings file")
def hash_(file: Path | None) -> None:
    """Hash keys that are read from standard input, one a line, so that they stay out of the shell's history.

    \b
    printf %s "$KEY" | gauger keys hash
    """
    source = sys.stdin.buffer
    if source.isatty():
        click.echo("paste keys, one a line; end with Ctrl-D", err=True)
    keys = [key for line in source if (key := line.strip())]
    if not keys:
        raise Mistake("no key was given", hint='printf %s "$KEY" | gauger keys hash')
    for number, key in enumerate(keys, 1):
        _fit(key, f"key {number}")
    for digest in _digests(keys, file):
        click.echo(digest)


def _fit(key: bytes, what: str) -> None:
    """Raises Mistake for what no header can carry as a key; a request that shows it would be refused."""
    if key.translate(None, VISIBLE) or len(key) > MAX_CREDENTIAL:
        raise Mistake(
            f"{what} has characters that no key has, or too many", hint="a key is one word of ASCII characters"
        )


def _digests(keys: list[bytes], file: Path | None) -> list[str]:
    settings, _ = load(file)
    pepper = load_pepper(settings).current
    return [key_digest(pepper, key) for key in keys]
