"""Shell. `gauger replay`: recorded requests judged again, by the policy of the time or by another; raw traffic too."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway import __version__
from gateway.adopt import adopted, read_rules
from gateway.campaigns.tables import Campaigns
from gateway.cli.playing import Lines, folded, fresh, output, progress, unwatched, write
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.cli.sources import begins, expand, lines
from gateway.errors import Mistake
from gateway.ledger.drift import Drift
from gateway.ledger.drift_html import to_html
from gateway.ledger.drift_text import Report, ends, to_json, to_text
from gateway.ledger.record import Adopted, Opened, decode, decode_sealed
from gateway.ledger.replay import Replay, Tally
from gateway.ledger.steps import Steps
from gateway.pepper import load_pepper
from gateway.policy.model import Policy
from gateway.settings import Settings, load
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.served import Served

__all__ = ["command"]

SCHEMA = "gauger.replay/1"
FLUSH = 1000  # rows between two looks at whether the ledger's writer keeps up
WAITING = 4000  # rows that may wait to be written: its queue drops what it can't hold
PATIENCE = 300.0  # s for a disk to take them


@click.command("replay")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option("--policy", type=click.Path(path_type=Path), help="judge by this policy [a ledger: each row's own]")
@click.option("--decisions", metavar="OUT", help="raw traffic: write a decision a line, in the order of the input")
@click.option("--ledger", type=click.Path(path_type=Path), help="raw traffic: write the ledger of it to this folder")
@click.option("--json", "json_", metavar="OUT", help="write the findings as JSON; - is standard output")
@click.option("--html", metavar="OUT", help="write the findings as one page")
@click.option("--top", type=click.IntRange(0, 1000), default=10, show_default=True, help="examples shown")
@click.option("--config", type=click.Path(path_type=Path), envvar="GAUGER_CONFIG", help="TOML settings file")
def command(
    sources: tuple[str, ...],
    policy: Path | None,
    decisions: str | None,
    ledger: Path | None,
    json_: str | None,
    html: str | None,
    top: int,
    config: Path | None,
) -> None:
    """Judge recorded requests again, in their order.

    SOURCE is a ledger's folder, segment files, or raw traffic: JSON lines with the request's body, its time `t` in
    Unix seconds, and as far as known `account`, `key`, `status`, `response_usage` and `latency_ms`; and the answer, as
    `response` (its JSON body) or `response_text`, to tell where it comes back as a prompt. `-` is standard input; gzip
    and zstd are read as they are.

    A ledger without --policy is judged by the policies that it holds and must agree with itself. With another policy
    it shows what would change. Raw traffic is judged as if this gateway had stood in front of it.

    \b
    Exit code: 0  all records agree, or another policy judged
               1  a record differs under its own policy; the first difference is named
               2  wrong usage, or a file that can't be read
    """
    settings, _ = load(config, **({} if policy is None else {"policy": policy}))
    found = expand(sources)
    with ExitStack() as stack:
        report = stack.enter_context(progress(sum(each.size for each in found)))
        read = stack.enter_context(closing(lines(found, report)))
        first = next((each for each in read if each[2].strip()), None)
        if first is None:
            raise Mistake("there is nothing to replay", place=found[0].name, hint="a ledger's folder, or JSON lines")
        kind = begins(first[2])
        if not kind:
            raise Mistake("this is neither a ledger nor JSON lines", place=f"{first[0].name}:{first[1]}")
        stack.enter_context(unwatched())
        name = sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
        if kind == "raw":
            made = _play(name, chain([first], read), settings, decisions, ledger, top)
        elif decisions is not None or ledger is not None:
            raise click.UsageError("--decisions and --ledger are for raw traffic, and this is a ledger")
        else:
            made = _replay(name, chain([first], read), None if policy is None else read_rules(settings)[0], top)
    if json_ is not None:
        write(json_, to_json(made))
    if html is not None:
        write(html, to_html(made).encode())
    if "-" in (json_, html, decisions):
        click.echo(to_text(made).splitlines()[0], err=True)
    else:
        click.echo(to_text(made), nl=False)
    sys.exit(ends(made))


def _replay(name: str, read: Lines, policy: Policy | None, top: int) -> Report:
    """A ledger's rows through the fold."""
    replay = Replay(policy, adopted, fresh)
    drift = Drift(_conditions(policy), top) if policy is not None else None
    step = replay.step
    read_row = decode_sealed if policy is None else decode
    for judged in folded(read, lambda body: step(read_row(body))):
        if judged is not None and drift is not None:
            drift.add(judged)
    for judged in replay.finish():
        if drift is not None:
            drift.add(judged)
    tally = replay.tally
    drifted = drift is not None and tally.compared < tally.requests
    return Report(
        schema=SCHEMA,
        source=name,
        policy=policy.id if policy is not None else "",
        digest=policy.digest if policy is not None else "",
        tally=tally,
        drift=drift.found() if drift is not None and drifted else None,
    )


def _play(name: str, read: Lines, settings: Settings, decisions: str | None, ledger: Path | None, top: int) -> Report:
    """Raw traffic through the gateway's steps."""
    policy, directory = read_rules(settings)
    pepper = load_pepper(settings) if settings.pepper is not None else PUBLIC_PEPPER
    drift = Drift(_conditions(policy), top)
    opened = Opened(
        1,
        0,
        __version__,
        "replay",
        pepper.id,
        accounts=settings.max_accounts,
        memory=settings.state_memory,
        cells=settings.max_cells,
    )
    steps = Steps(*fresh(opened))
    with ExitStack() as stack:
        out = stack.enter_context(output(decisions)) if decisions is not None else None
        writer = stack.enter_context(_ledger(ledger)) if ledger is not None else None
        player = Player(
            policy,
            directory,
            pepper,
            steps,
            served=Served(settings.served_memory),
            campaigns=Campaigns(steps.row_of, settings.campaign_memory),
            kill=not settings.enforce,
            seq=2,
            record=writer,
            ended=drift.add,
        )
        begun = writer is None
        for source, number, line in read:
            if not line.strip():
                continue
            if not begun and writer is not None:
                begun = True
                now = player.begin(line)
                writer(msgspec.structs.replace(opened, now=now))
                files = dict(policy.files)
                own = next(iter(files), policy.source)
                writer(Adopted(2, now, policy.digest, policy.id, policy.version, own, files))
            said = player.play(line, f"{source.name}:{number}")
            if out is not None:
                out.write(said)
        player.finish()
    if player.first_bad:
        click.echo(f"gauger: {player.bad:,} lines are no requests; the first: {player.first_bad}", err=True)
    tally = Tally(rows=player.requests, requests=player.requests, errors=steps.errors)
    return Report(SCHEMA, name, policy.id, policy.digest, tally, drift.found(), raw=True, bad=player.bad)


def _conditions(policy: Policy | None) -> dict[str, str]:
    return {rule.id: rule.when for rule in policy.rules} if policy is not None else {}


@contextmanager
def _ledger(folder: Path) -> Iterator[Callable[[Any], None]]:
    """A sink for rows that waits for the disk: nobody waits for us, and nothing may be dropped."""
    writer = SegmentWriter(folder, version=__version__, keep_bytes=0, keep_days=0)
    count = 0

    def take(row: Any) -> None:
        nonlocal count
        writer(row)
        count += 1
        if count % FLUSH == 0 and writer.waiting > WAITING and not writer.flush(PATIENCE):
            raise Mistake("the ledger can't be written", place=str(folder))

    try:
        yield take
        writer.flush(PATIENCE)
    finally:
        writer.close()
    if writer.dropped:
        raise Mistake(f"{writer.dropped} rows could not be written", place=str(folder))
