"""Shell. `gauger test FILE`: runs the tests that a policy carries."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from xml.sax.saxutils import escape, quoteattr

import click

from gateway.errors import Mistake
from gateway.files import resolver, text_of
from gateway.ledger.words import plain
from gateway.policy.loader import Loaded, read
from gateway.stores.memory import MemoryLimits
from gateway.trials import Result, run

__all__ = ["command"]

NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


@click.command("test")
@click.argument("files", nargs=-1, required=True)
@click.option("--only", metavar="TEXT", help="run the tests whose name holds this")
@click.option("--junit", type=click.Path(path_type=Path), help="write the results as JUnit XML")
@click.option("-v", "--verbose", is_flag=True, help="name the tests that pass too")
def command(files: tuple[str, ...], only: str | None, junit: Path | None, verbose: bool) -> None:
    """Run the tests in the `tests` section of policy files.

    Each begins with nothing known but what it gives; what it sends meets the real limits, on a clock of its own.
    `-` reads standard input. Exit code 0: all pass. 1: one fails, or a file has errors. 2: a file can't be read.
    """
    failed = 0
    suites = []
    for name in files:
        source, content, folder = text_of(name)
        loaded = read(content, source, resolver(folder))
        if loaded.policy is None:
            failed += 1
            for finding in loaded.findings:
                click.echo(str(finding))
            continue
        began = perf_counter()
        chosen = [each for each in loaded.policy.tests if only is None or only in each.name]
        results = run(loaded.policy, MemoryLimits, chosen)
        suites.append((source, perf_counter() - began, results))
        failed += sum(not result.ok for result in results)
        _show(source, loaded, results, verbose=verbose, partly=only is not None)
    if junit is not None:
        _write(junit, _junit(suites))
    sys.exit(1 if failed else 0)


def _show(source: str, loaded: Loaded, results: Sequence[Result], *, verbose: bool, partly: bool) -> None:
    assert loaded.document is not None
    for result in results:
        if not result.ok:
            place = loaded.document.value((*result.example.path, "name"))
            click.echo(f"{source}:{place.line}:{place.column}: FAIL  {plain(result.example.name)}")
            for failure in result.failures:
                click.echo(f"      {plain(failure, 10_000)}")
        elif verbose:
            click.echo(f"  ok    {plain(result.example.name)}")
    bad = sum(not result.ok for result in results)
    click.echo(f"{source}: {len(results) - bad} passed, {bad} failed")
    if results and not partly:
        for line in _one_sided(source, loaded, results):
            click.echo(f"  {line}")


def _one_sided(source: str, loaded: Loaded, results: Sequence[Result]) -> list[str]:
    """The file's own rules that its tests show from one side only. Those of a pack have their tests there."""
    document, file = loaded.document, loaded.file
    assert document is not None
    assert file is not None
    own = [
        rule.id
        for at, rule in enumerate(file.rules)
        if rule.mode != "draft" and document.finding(("rules", at), "").file == source
    ]
    never = [rule for rule in own if not any(rule in result.rules for result in results)]
    always = [rule for rule in own if all(rule in result.rules for result in results)]
    said = (("these rules hold in no test", never), ("these rules hold in every test", always))
    return [f"{what}: {', '.join(rules)}" for what, rules in said if rules]


def _junit(suites: Sequence[tuple[str, float, Sequence[Result]]]) -> str:
    """JUnit's XML, as CI systems read it: one suite a file, one case a test."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for source, seconds, results in suites:
        bad = sum(not result.ok for result in results)
        head = f'tests="{len(results)}" failures="{bad}" errors="0" skipped="0" time="{seconds:.3f}"'
        lines.append(f"  <testsuite name={quoteattr(source)} {head}>")
        for result in results:
            case = f"<testcase classname={quoteattr(source)} name={quoteattr(result.example.name)}"
            if result.ok:
                lines.append(f"    {case}/>")
            else:
                text = "\n".join(result.failures)
                first = quoteattr(result.failures[0])
                lines.append(f"    {case}><failure message={first}>{escape(text)}</failure></testcase>")
        lines.append("  </testsuite>")
    return NO_XML.sub("·", "\n".join([*lines, "</testsuites>"])) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"can't be written: {error.strerror}", place=str(path)) from None
