"""Shell. `gauger check FILE…`: every mistake of policies, with its place and a hint."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from gateway import __version__, trials
from gateway.accounts import check_accounts
from gateway.documents import Finding, in_order, render, shown
from gateway.files import place_of, plain, text_of
from gateway.policy.check import examine
from gateway.policy.findings import as_json, github, sarif
from gateway.policy.lints import tried
from gateway.policy.loader import Loaded
from gateway.stores.memory import MemoryLimits

__all__ = ["command"]


@click.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["human", "github", "sarif", "json"]),
    default="human",
    show_default=True,
    help="github: annotations of a workflow; sarif: for code scanning (2.1.0)",
)
@click.option("--strict", is_flag=True, help="warnings count as findings")
def command(files: tuple[str, ...], form: str, strict: bool) -> None:
    """Read policy files, with the packs that they use, and show every mistake: line, column, what to write instead.

    A file without errors has its own tests run as well: one that fails is an error, a rule that none tries a warning.
    The accounts file that it names is read too, and no line of it is shown.

    `-` reads standard input. Exit code 0: fine. 1: there are findings. 2: a file can't be read.
    """
    every: list[Finding] = []
    for source, content, folder in [text_of(name) for name in dict.fromkeys(files)]:
        findings, texts = _checked(source, content, folder)
        if form == "human":
            for finding in findings:
                click.echo(render(finding, texts[finding.file].decode("utf-8", "replace")))
            click.echo(f"{source}: {_count(findings)}")
        every += findings
    every = list(dict.fromkeys(every))  # what several policies use has its mistakes once
    if form == "sarif":
        click.echo(sarif(every, __version__), nl=False)
    elif form != "human":
        click.echo(github(every) if form == "github" else as_json(every), nl=False)
    sys.exit(1 if any(strict or each.severity == "error" for each in every) else 0)


def _checked(source: str, content: bytes, folder: Path) -> tuple[list[Finding], dict[str, bytes]]:
    """The findings, with the paths of their files as seen from here and not from the policy; and the files' content."""
    texts = {source: content}

    def resolve(name: str) -> bytes:
        path = place_of(folder, name)
        texts[str(path)] = plain(path)
        return texts[str(path)]

    found, loaded = examine(content, source, resolve, time.time_ns() // 1_000)
    if loaded.policy is not None and all(each.severity == "warning" for each in found):
        found = in_order([*found, *tried(loaded, trials.run(loaded.policy, MemoryLimits))])
    found += _accounts(loaded, source, resolve)
    return [
        each if each.file == source else msgspec.structs.replace(each, file=str(place_of(folder, each.file)))
        for each in found
    ], texts


def _accounts(loaded: Loaded, source: str, resolve: Callable[[str], bytes]) -> list[Finding]:
    """What is wrong with the accounts file. One that isn't here is a warning: it may be where the gateway runs."""
    policy, document = loaded.policy, loaded.document
    name = policy.identity.directory if policy is not None else None
    if policy is None or document is None or name is None:
        return []
    try:
        return check_accounts(resolve(name), name, frozenset(policy.plans))
    except OSError as error:
        message = f"the accounts file {shown(name)} can't be read: {error.strerror}"
        hint = "no gateway starts without it; its place is relative to this file"
        where = ("identity", "directory")
        return [document.finding(where, message, hint=hint, severity="warning", code="no-accounts")]


def _count(findings: list[Finding]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    return f"{errors} error(s), {len(findings) - errors} warning(s)" if findings else "fine"
