"""Shell. `gauger simulate`: seeded traffic of benign families and attack campaigns, to a file or a running gateway."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.simulate_attack import attack
from gateway.documents import DocumentErrors, did_you_mean, shown
from gateway.errors import Mistake
from gateway.files import plain
from gateway.simulate.benign import CONTROLS
from gateway.simulate.chance import dice_of
from gateway.simulate.files import output, read_prompts, write_accounts, write_labels, write_traffic
from gateway.simulate.knobs import parsed
from gateway.simulate.live import Summary, drive
from gateway.simulate.scenario import BOUNDS, SCENARIOS, Written, controls_of, written
from gateway.simulate.traffic import Sent
from gateway.simulate.world import Scenario, World

__all__ = ["command"]

DEFAULT = next(iter(SCENARIOS))


def _bound(name: str) -> click.IntRange | click.FloatRange:
    low, high = BOUNDS[name]
    return click.FloatRange(low, high) if name == "days" else click.IntRange(int(low), int(high))


@click.group("simulate", invoke_without_command=True)
@click.option("--scenario", metavar="NAME|FILE", help=f"one of {', '.join(SCENARIOS)}; or a YAML file  [{DEFAULT}]")
@click.option("--seed", type=_bound("seed"), help="the same seed and options give the same bytes  [1]")
@click.option("--days", type=_bound("days"), help="how long the traffic lasts")
@click.option("--benign", type=_bound("benign"), metavar="OWNERS", help="benign customers")
@click.option(
    "--hydra", "hydras", multiple=True, metavar="KNOBS", help="a campaign; again for another; `none` for none"
)
@click.option("--control", "controls", multiple=True, metavar="NAME,…", help=f"look-alikes: {', '.join(CONTROLS)}")
@click.option("--prompts", type=click.Path(path_type=Path), help="what campaigns ask, instead of our own prompts")
@click.option("--out", metavar="OUT", help="write the traffic; - is standard output, .gz is compressed")
@click.option("--accounts-out", metavar="OUT", help="write an accounts file: org and first day of each account")
@click.option("--labels-out", metavar="OUT", help="write the truth about each account, as JSON lines")
@click.option(
    "--live", metavar="URL", help="send the traffic to a running gateway instead, each account with its own key"
)
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 1e9),
    default=3600.0,
    show_default=True,
    help="seconds of it in one, with --live",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=32, show_default=True, help="requests at once, with --live"
)
@click.option("--requests", type=click.IntRange(1), metavar="N", help="end after so many requests")
@click.pass_context
def command(
    ctx: click.Context,
    scenario: str | None,
    seed: int | None,
    days: float | None,
    benign: int | None,
    hydras: tuple[str, ...],
    controls: tuple[str, ...],
    prompts: Path | None,
    out: str | None,
    accounts_out: str | None,
    labels_out: str | None,
    live: str | None,
    speed: float,
    concurrency: int,
    requests: int | None,
) -> None:
    """Make traffic: benign families, look-alikes that must stay innocent, and attack campaigns.

    The lines are raw traffic as `gauger replay` reads it, in the order of time, with the truth beside each request:
    label, family, campaign, owner, and whether the attacker got an answer that he wanted.

    KNOBS are a preset and what differs, as in `hydra-40,pace=10,cover=30%`. Presets: hydra-20, hydra-40, hydra-200,
    hydra-2000, loud, slow, paraphrased, covered, popular-client, rotating, lockstep, full-evasion. Knobs, and all that
    is simulated and isn't: gateway/simulate/README.md.

    \b
      gauger simulate --out traffic.jsonl --labels-out labels.jsonl
      gauger simulate --benign 1000 --hydra hydra-200,schedule=human --control viral,course --out big.jsonl.gz
      gauger simulate --out - | gauger replay - --policy policies/packs/extraction.yaml
      gauger simulate --live http://127.0.0.1:8080 --speed 600 --requests 2000
    """
    if ctx.invoked_subcommand is not None:
        return
    if (out is None) == (live is None):
        raise click.UsageError(
            "where to? --out FILE writes the traffic, --live URL sends it; `attack` plays an attacker"
        )
    places = [name for name in (out, accounts_out, labels_out) if name is not None]
    if len(set(places)) < len(places):
        raise click.UsageError("--out, --accounts-out and --labels-out must be different files")
    chosen = _scenario(scenario)
    given = _changed(chosen.scenario, seed=seed, days=days, benign=benign, hydras=hydras, controls=controls)
    path = prompts or (Path(scenario).parent / chosen.prompts if scenario and chosen.prompts else None)
    world = World(given, dice_of(given.seed), read_prompts(path) if path is not None else ())
    with ExitStack() as stack:
        files = [stack.enter_context(output(name)) if name else None for name in (out, accounts_out, labels_out)]
        stopped = False
        if live is not None:
            summary = asyncio.run(_live(world, live, speed, concurrency, requests))
            said, stopped = _answers(world, summary), summary.stopped
        else:
            assert files[0] is not None
            tally = Tally()
            for sent in islice(write_traffic(world, files[0]), requests):
                tally.add(sent)
            said = tally.text(world)
        if files[1] is not None:
            write_accounts(world, files[1])
        if files[2] is not None:
            write_labels(world, files[2])
    click.echo(said, err="-" in places, nl=False)
    if stopped:
        ctx.exit(130)


command.add_command(attack)


class Tally:
    """Requests by family, and what campaigns got."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.useful: Counter[str] = Counter()

    def add(self, sent: Sent) -> None:
        name = sent.line.campaign or sent.line.family
        self.requests[name] += 1
        self.useful[name] += sent.line.useful

    def text(self, world: World) -> str:
        accounts = Counter(each.campaign or each.family for each in world.accounts if each.requests)
        attacks = {campaign.name for campaign in world.campaigns}
        lines = [f"{'':24}{'accounts':>10}{'requests':>10}{'useful':>10}"]
        for name in sorted(self.requests, key=lambda each: (each in attacks, each)):
            useful = f"{self.useful[name]:>10,}" if name in attacks else ""
            lines.append(f"{name:24}{accounts[name]:>10,}{self.requests[name]:>10,}{useful}")
        lines.append(f"{'in all':24}{accounts.total():>10,}{self.requests.total():>10,}{self.useful.total():>10,}")
        lines += [
            f"{campaign.name} asked all its {campaign.pool:,} prompts: a larger `pool` lasts longer"
            for campaign in world.campaigns
            if campaign.finished
        ]
        return "\n".join(lines) + "\n"


async def _live(world: World, url: str, speed: float, concurrency: int, requests: int | None) -> Summary:
    """The world at a gateway; the first Ctrl-C ends it in order, the second at once."""
    if not url.startswith(("http://", "https://")):
        raise Mistake(f"{shown(url)} is no address", place="--live", hint="as in http://127.0.0.1:8080")
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)

    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGTERM, end)
    return await drive(world, url, stop, speed=speed, concurrency=concurrency, most=requests)


def _answers(world: World, summary: Summary) -> str:
    """What the gateway answered whom."""
    attacks = {campaign.name for campaign in world.campaigns}
    lines = [f"{'':24}{'served':>10}{'refused':>10}{'failed':>10}{'useful':>10}"]
    sums = [0, 0, 0, 0]
    for name in sorted(summary.names(), key=lambda each: (each in attacks, each)):
        served, refused = summary.served(name), summary.refused(name)
        asked = sum(count for (who, _), count in summary.statuses.items() if who == name)
        row = (served, refused, asked - served - refused, summary.useful[name])
        sums = [total + part for total, part in zip(sums, row, strict=True)]
        lines.append(_row(name, row[: 4 if name in attacks else 3]))
    lines.append(_row("in all", sums))
    by_status: Counter[int] = Counter()
    for (_, status), count in summary.statuses.items():
        by_status[status] += count
    said = ", ".join(f"{status or 'no answer'}: {count:,}" for status, count in sorted(by_status.items()))
    lines.append(f"statuses  {said or 'none'}")
    if summary.behind > 1:
        lines.append(f"the last request was {summary.behind:.0f} s late: a lower --speed, or a higher --concurrency")
    return "\n".join(lines) + "\n"


def _row(name: str, numbers: Sequence[int]) -> str:
    return f"{name:24}" + "".join(f"{number:>10,}" for number in numbers)


def _scenario(name: str | None) -> Written:
    """The scenario of a name, or of a file."""
    if name is None:
        return Written(SCENARIOS[DEFAULT])
    if name in SCENARIOS:
        return Written(SCENARIOS[name])
    path = Path(name)
    if not path.exists():
        hint = did_you_mean(name, SCENARIOS) or f"known: {', '.join(SCENARIOS)}; or the path of a YAML file"
        raise Mistake(f"there is no scenario {shown(name)}, and no such file", place="--scenario", hint=hint)
    try:
        return written(plain(path), name)
    except OSError as error:
        raise Mistake(f"can't be read: {error.strerror}", place=name) from None
    except DocumentErrors as errors:
        raise Mistake("\n".join(map(str, errors.findings)), place=name) from None


def _changed(scenario: Scenario, **given: Any) -> Scenario:
    """The scenario with what the command line says instead."""
    changes: dict[str, Any] = {name: given[name] for name in ("seed", "days", "benign") if given[name] is not None}
    if given["hydras"]:
        changes["hydras"] = tuple(parsed(each) for each in given["hydras"] if each != "none")
    if given["controls"]:
        names = [name.strip() for each in given["controls"] for name in each.split(",")]
        changes["controls"] = () if names == ["none"] else controls_of(names)
    made = msgspec.structs.replace(scenario, **changes)
    named = [hydra.id or f"hydra-{at + 1}" for at, hydra in enumerate(made.hydras)]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise Mistake(f"two campaigns are called {shown(twice)}", hint="give each an `id`")
    return made
