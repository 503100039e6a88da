"""Shell. `gauger schema`: the JSON Schema of policy files."""

import click

from gateway.policy.file import schema_text

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema (2020-12) of policy files, for editors.

    \b
    gauger schema > policy.schema.json
    A policy then begins with the line
    # yaml-language-server: $schema=policy.schema.json
    """
    click.echo(schema_text(), nl=False)
