"""Shell. `gauger check FILE`: every mistake of a policy, with its place and a hint."""

import sys
from pathlib import Path

import click

from gateway.documents import render
from gateway.errors import Mistake
from gateway.policy.check import check

__all__ = ["command"]


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="warnings count as findings")
def command(file: Path, strict: bool) -> None:
    """Read a policy file and show every mistake: line, column and what to write instead.

    Exit code 0: fine. 1: there are findings. 2: the file can't be read.
    """
    source = _read(file)
    findings = check(source, str(file), lambda name: _read(file.parent / name))
    for finding in findings:
        click.echo(render(finding, source.decode("utf-8", "replace")))
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if findings:
        click.echo(f"{file}: {errors} error(s), {warnings} warning(s)")
    else:
        click.echo(f"{file}: fine")
    sys.exit(1 if errors or (strict and warnings) else 0)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Mistake(f"{error.strerror}", place=str(path), hint="is the path right?") from None
