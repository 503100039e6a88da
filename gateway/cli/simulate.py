"""Shell. `gauger simulate`: seeded traffic of benign families and attack campaigns, to a file or a running gateway."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.documents import DocumentErrors, did_you_mean, shown
from gateway.errors import Mistake
from gateway.files import plain
from gateway.simulate.benign import CONTROLS
from gateway.simulate.chance import dice_of
from gateway.simulate.files import output, read_prompts, write_accounts, write_labels, write_traffic
from gateway.simulate.knobs import parsed
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
    """
    if ctx.invoked_subcommand is not None:
        return
    if out is None:
        raise click.UsageError("where to? --out FILE writes the traffic, `gauger simulate attack` plays an attacker")
    places = [name for name in (out, accounts_out, labels_out) if name is not None]
    if len(set(places)) < len(places):
        raise click.UsageError("--out, --accounts-out and --labels-out must be different files")
    chosen = _scenario(scenario)
    given = _changed(chosen.scenario, seed=seed, days=days, benign=benign, hydras=hydras, controls=controls)
    path = prompts or (Path(scenario).parent / chosen.prompts if scenario and chosen.prompts else None)
    world = World(given, dice_of(given.seed), read_prompts(path) if path is not None else ())
    tally = Tally()
    with ExitStack() as stack:
        files = [stack.enter_context(output(name)) if name else None for name in (out, accounts_out, labels_out)]
        assert files[0] is not None
        for sent in write_traffic(world, files[0]):
            tally.add(sent)
        if files[1] is not None:
            write_accounts(world, files[1])
        if files[2] is not None:
            write_labels(world, files[2])
    click.echo(tally.text(world), err=out == "-", nl=False)


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
