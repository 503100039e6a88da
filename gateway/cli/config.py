"""Shell. `gauger config`: the effective settings."""

import json
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from gateway.settings import Settings, load
from gateway.stores.valkey.address import shown

__all__ = ["command"]


@click.command("config")
@click.option("--config", "file", type=click.Path(path_type=Path), envvar="GAUGER_CONFIG", help="TOML settings file")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="markdown: the table of all settings and their defaults",
)
def command(file: Path | None, form: str) -> None:
    """Show every setting, its value and where it came from. Secrets are hidden.

    Every setting can be given as GAUGER_NAME in the environment or as NAME in a TOML file.
    """
    settings, sources = load(file)
    if form == "json":
        values = {name: {"value": _plain(_value(settings, name)), "source": sources[name]} for name in sources}
        click.echo(json.dumps(values, indent=2))
    elif form == "markdown":
        click.echo(markdown())
    else:
        width = max(map(len, sources))
        for name, source in sources.items():
            click.echo(f"{name:<{width}}  {_text(_value(settings, name)):<40}  {source}")


def markdown() -> str:
    """The table of settings, as `deploy/README.md` carries it."""
    rows = ["| setting | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _text(shown(field.default.get_secret_value()) if name == "store" else field.default)
        rows.append(f"| `GAUGER_{name.upper()}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(rows)


def _value(settings: Settings, name: str) -> Any:
    """A setting's value; of the store's URI what isn't secret."""
    return shown(settings.store.get_secret_value()) if name == "store" else getattr(settings, name)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(hidden)"
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    plain = _plain(value)
    if plain is None or plain == [] or plain == {}:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return (
        json.dumps(plain)
        if isinstance(plain, dict | list)
        else f"{plain:g}"
        if isinstance(plain, float)
        else str(plain)
    )
