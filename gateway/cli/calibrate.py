"""Shell. `gauger calibrate`: what benign owners score, what a policy's promises rest on, and whether it still holds."""

import sys
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path

import click
import msgspec

from gateway import __version__
from gateway.accounts import Directory, load_accounts
from gateway.adopt import adopted
from gateway.calibrate.drift import drift, window_of
from gateway.calibrate.fitting import Made, Options, Rule, calibrated
from gateway.calibrate.labels import Labels, read_labels
from gateway.calibrate.nulls import overlay
from gateway.calibrate.owners import Owners
from gateway.calibrate.told import drift_text, file_text, made_text, null_text
from gateway.campaigns.tables import Campaigns
from gateway.cli.playing import Lines, folded, fresh, progress, unwatched, write
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.cli.sources import begins, expand, lines
from gateway.errors import Mistake
from gateway.files import default_policy, plain, resolver
from gateway.ledger.record import Adopted, Opened, decode
from gateway.ledger.replay import Replay
from gateway.ledger.steps import Steps
from gateway.pepper import load_pepper
from gateway.policy.calibration import MONTH, Broken, Calibration
from gateway.policy.calibration import read as read_calibration
from gateway.policy.calibration import write as write_calibration
from gateway.policy.loader import Loaded, PolicyErrors
from gateway.policy.loader import read as read_policy
from gateway.policy.model import Policy
from gateway.policy.promises import doubts
from gateway.settings import Settings, load
from gateway.stores.served import Served

__all__ = ["command"]

FILE = click.Path(path_type=Path)


@click.command("calibrate")
@click.argument("sources", nargs=-1, metavar="[SOURCE…]")
@click.option("--policy", type=FILE, help="score by this policy [a ledger: the one that it holds]")
@click.option("--out", metavar="FILE", help="write the calibration file; - is standard output")
@click.option("--labels", type=FILE, help="JSON lines: account, label (benign, extraction); the benign are the cohort")
@click.option(
    "--cohort",
    type=click.Choice(["trusted", "all"]),
    help="trusted: owners known for over 90 days; all: everybody  [trusted]",
)
@click.option("--review", metavar="FILE", help="write the owners to review, a line of JSON each")
@click.option("--reviewed", type=FILE, help="that file again, with `label` filled in: benign or extraction")
@click.option("--nulls", metavar="FILE", help="write a pack with the fitted nulls, to be put beside the policy")
@click.option("--window", type=click.IntRange(1, 366), help="days; other than 30 it is an experiment  [30]")
@click.option("--check", type=FILE, help="say what stands in a calibration file, and read nothing else")
@click.option("--against", type=FILE, help="say whether this calibration still holds for SOURCE")
@click.option("--json", "json_", metavar="FILE", help="write the findings as JSON; - is standard output")
@click.option("--config", type=FILE, envvar="GAUGER_CONFIG", help="TOML settings file")
def command(
    sources: tuple[str, ...],
    policy: Path | None,
    out: str | None,
    labels: Path | None,
    cohort: Rule | None,
    review: str | None,
    reviewed: Path | None,
    nulls: str | None,
    window: int | None,
    check: Path | None,
    against: Path | None,
    json_: str | None,
    config: Path | None,
) -> None:
    """Work out what a policy's promises rest on.

    SOURCE is what `gauger replay` reads: a ledger's folder, segment files, or raw traffic. Its requests are scored by
    the policy, and each benign owner (an organisation, else an account) counts with the highest score of its last 30
    days. From these come thresholds for each `promise`, with an upper bound at 95 %, and nulls beside those of the
    cards. A promise that these owners can't support is not given: so many are needed for it.

    \b
    gauger calibrate ledger --out extraction.calibration.json         then name it in the policy:
        scorecards: [{id: extraction, set: {calibration: extraction.calibration.json}}]
    gauger calibrate traffic.jsonl.gz --policy p.yaml --labels known.jsonl
    gauger calibrate --check extraction.calibration.json              what it says
    gauger calibrate ledger --against extraction.calibration.json     does it still hold?

    \b
    Exit code: 0  every promise of the policy is supported, and its rules keep them; no drift
               1  one is not supported or not kept; drift
               2  wrong usage, a file that can't be read or was changed, no owners to go by
    """
    if labels is not None and cohort is not None:
        raise click.UsageError("--labels says who the cohort is, so --cohort says nothing")
    if check is not None:
        if sources or against is not None:
            raise click.UsageError("--check reads a calibration file and nothing else")
        click.echo(file_text(_calibration(check)), nl=False)
        return
    if nulls is not None and policy is None:
        raise click.UsageError("--nulls changes a policy's packs: name it with --policy")
    if [out, review, nulls, json_].count("-") > 1:
        raise click.UsageError("one file at most can be standard output")
    if not sources:
        raise click.UsageError("which traffic? a ledger's folder, segment files, or JSON lines")
    settings, _ = load(config, **({} if policy is None else {"policy": policy}))
    options = Options(
        rule="labelled" if labels is not None else cohort or "trusted",
        labels=None if labels is None else _labels(labels),
        reviewed=None if reviewed is None else _labels(reviewed),
        experiment=window not in (None, MONTH),
        version=__version__,
    )
    name = sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
    if against is not None:
        if out is not None or nulls is not None or review is not None or window is not None:
            raise click.UsageError("--against makes nothing: it takes no --out, --nulls, --review or --window")
        calibration = _calibration(against)
        if labels is None and cohort is None:
            if calibration.cohort.rule == "labelled":
                hint = "give --labels for this traffic too, or --cohort"
                raise Mistake("this calibration is of owners with a label", place=str(against), hint=hint)
            options = msgspec.structs.replace(options, rule=calibration.cohort.rule)
        owners = _scored(sources, settings, policy is not None, Owners(window_of(calibration)))[0]
        _compare(owners, calibration, options, json_)
    owners, loaded = _scored(sources, settings, policy is not None, Owners(window or MONTH))
    made = calibrated(owners, options)
    if out is not None:
        write(out, write_calibration(made.calibration))
    if review is not None:
        write(review, b"".join(msgspec.json.encode(each) + b"\n" for each in made.review))
    if nulls is not None:
        write(nulls, _pack(made, loaded).encode())
    if json_ is not None:
        write(json_, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    broken = _doubts(made, owners.policy)
    text = made_text(made, name) + "".join(f"\n{each}" for each in broken) + "\n" * bool(broken)
    click.echo(text, nl=False, err="-" in (out, review, nulls, json_))
    sys.exit(1 if broken else 0)


def _compare(owners: Owners, calibration: Calibration, options: Options, json_: str | None) -> None:
    found = drift(owners, calibration, options)
    if json_ is not None:
        write(json_, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    click.echo(drift_text(found, calibration, owners.window), nl=False, err=json_ == "-")
    sys.exit(1 if any(each.drifted for each in found) else 0)


def _scored(sources: tuple[str, ...], settings: Settings, given: bool, owners: Owners) -> tuple[Owners, Loaded | None]:
    """The owners of the traffic, scored; and the policy's file, where it was read from one."""
    found = expand(sources)
    with ExitStack() as stack:
        report = stack.enter_context(progress(sum(each.size for each in found)))
        read = stack.enter_context(closing(lines(found, report)))
        first = next((each for each in read if each[2].strip()), None)
        kind = "" if first is None else begins(first[2])
        if first is None or not kind:
            where = found[0].name if first is None else f"{first[0].name}:{first[1]}"
            what = "there is nothing to read" if first is None else "this is neither a ledger nor JSON lines"
            raise Mistake(what, place=where, hint="a ledger's folder, or JSON lines")
        stack.enter_context(unwatched())
        loaded = _policy(settings) if given or kind == "raw" else None
        policy = None if loaded is None else loaded.policy
        if policy is not None:
            owners.adopt(policy)
        rows = chain([first], read)
        if kind == "raw" and policy is not None:
            _play(rows, settings, policy, owners)
        else:
            _replay(rows, policy, owners)
    return owners, loaded


def _replay(read: Lines, policy: Policy | None, owners: Owners) -> None:
    """A ledger's rows through the fold."""

    def taken(row: Adopted) -> Policy:
        made = adopted(row)
        owners.adopt(made)
        return made

    replay = Replay(policy, taken, fresh)
    for judged in folded(read, lambda body: replay.step(decode(body))):
        if judged is not None:
            owners.add(judged)
    for judged in replay.finish():
        owners.add(judged)
    tally = replay.tally
    if tally.gaps or tally.erased:
        lost = f"rows are missing at {tally.gaps:,} places, and {tally.erased:,} were erased"
        click.echo(f"gauger: {lost}: scores after them may be too low", err=True)


def _play(read: Lines, settings: Settings, policy: Policy, owners: Owners) -> None:
    """Raw traffic through the gateway's steps."""
    pepper = load_pepper(settings) if settings.pepper is not None else PUBLIC_PEPPER
    opened = Opened(1, 0, "", accounts=settings.max_accounts, memory=settings.state_memory, cells=settings.max_cells)
    steps, served = Steps(*fresh(opened)), Served(settings.served_memory)
    player = Player(
        policy,
        _directory(settings, policy),
        pepper,
        steps,
        served=served,
        campaigns=Campaigns(steps.row_of, settings.campaign_memory),
        kill=not settings.enforce,
        ended=owners.add,
    )
    for source, number, line in read:
        if line.strip():
            player.play(line, f"{source.name}:{number}")
    player.finish()
    if player.first_bad:
        click.echo(f"gauger: {player.bad:,} lines are no requests; the first: {player.first_bad}", err=True)


def _policy(settings: Settings) -> Loaded:
    """The policy without its calibrations, which this is there to make, and without what only they can support."""
    path = settings.policy or default_policy()
    loaded = read_policy(_content(path), str(path), resolver(path.parent), calibrated=False)
    if loaded.policy is None:
        said = "\n".join(map(str, PolicyErrors(loaded.findings).findings))
        raise Mistake(said, hint="`gauger check FILE` shows each with its line")
    return loaded


def _directory(settings: Settings, policy: Policy) -> Directory:
    """The accounts that the policy names: they tell organisations and ages. Raises Mistake."""
    name = policy.identity.directory
    if name is None:
        return Directory.empty()
    path = (settings.policy or default_policy()).parent / name
    return load_accounts(_content(path), str(path), frozenset(policy.plans))


def _doubts(made: Made, policy: Policy | None) -> list[str]:
    """What would keep the policy's promises from being kept, were it to name this calibration."""
    assert policy is not None
    engine = policy.engine
    found = []
    for card in policy.scorecards:
        one = made.calibration.card(card.id)
        digest = "" if one is None else one.digest
        for each in doubts(card, digest, made.calibration, policy.rules, engine.parsed, engine.names):
            at = f"{card.id}, rule {each.rule}" if each.rule else card.id
            found.append(f"{at}: {each.message}\n  hint: {each.hint}")
    return found


def _pack(made: Made, loaded: Loaded | None) -> str:
    """The fitted nulls, for the cards that a pack brings: those of the policy's own file can only be changed there."""
    assert loaded is not None
    assert loaded.document is not None
    assert loaded.file is not None
    document = loaded.document
    files = {card.id: document.file_of(("scorecards", at, "id")) for at, card in enumerate(loaded.file.scorecards)}
    own = [name for name, file in files.items() if file == document.file]
    if own:
        names = ", ".join(own)
        click.echo(f"gauger: the nulls of {names} are not in the pack: the card stands in the policy itself", err=True)
    fits = [each for each in made.nulls if each.card not in own]
    use = list(dict.fromkeys(file for name, file in files.items() if name not in own))
    return null_text(fits, [each for each in made.together if each.card not in own], use, overlay(fits))


def _calibration(path: Path) -> Calibration:
    try:
        return read_calibration(_content(path))
    except Broken as error:
        raise Mistake(error.message, place=str(path), hint=error.hint) from None


def _labels(path: Path) -> Labels:
    return read_labels(_content(path), str(path))


def _content(path: Path) -> bytes:
    try:
        return plain(path)
    except OSError as error:
        raise Mistake(f"can't be read: {error.strerror}", place=str(path), hint="is the path right?") from None
