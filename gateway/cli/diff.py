"""Shell. `gauger diff OLD NEW`: what differs between two policies, whatever their files look like."""

import json
import sys

import click
import msgspec

from gateway.errors import Mistake
from gateway.files import resolver, text_of
from gateway.policy.compare import as_text, compare
from gateway.policy.loader import Loaded, read

__all__ = ["command"]


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="for machines")
def command(old: str, new: str, as_json: bool) -> None:
    """Show what differs between two policies, with their packs and lists in them: by section and id, value by value.

    The order of items and keys, comments and how a policy is cut into files don't count. `-` reads standard input.
    Exit code 0: they say the same. 1: they differ. 2: one can't be read, or has errors.
    """
    before, after = _read(old), _read(new)
    changes = compare(before.data, after.data)
    if as_json:
        sides = {side: _named(each) for side, each in (("old", before), ("new", after))}
        click.echo(json.dumps({**sides, "changes": msgspec.to_builtins(changes)}, indent=2))
    else:
        click.echo(as_text(changes) or "no difference\n", nl=False)
    sys.exit(1 if changes else 0)


def _read(argument: str) -> Loaded:
    source, content, folder = text_of(argument)
    loaded = read(content, source, resolver(folder))
    if loaded.policy is None:
        raise Mistake("\n".join(map(str, loaded.findings)), hint=f"`gauger check {argument}` shows each with its line")
    return loaded


def _named(loaded: Loaded) -> dict[str, str]:
    policy = loaded.policy
    assert policy is not None
    return {"file": policy.source, "id": policy.id, "version": policy.version, "digest": policy.digest}
