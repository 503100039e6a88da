"""Shell. `gauger simulate attack`: an adaptive attacker against a policy, in process, through the gateway's own steps.

The one place where simulated worlds meet the player of raw traffic.
"""

import math
from collections import Counter
from pathlib import Path
from typing import get_args

import click
import msgspec

from gateway.accounts import Directory, Entry
from gateway.adopt import read_rules
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.documents import did_you_mean, shown
from gateway.errors import Mistake
from gateway.ledger.steps import Steps
from gateway.policy.loader import load as load_policy
from gateway.policy.model import Policy
from gateway.settings import load
from gateway.simulate.attack import CHEAPEST, Costs, Report, Spent, Trial, Try, cost_of, judged, search, spent_of
from gateway.simulate.chance import dice_of
from gateway.simulate.files import output, read_prompts
from gateway.simulate.knobs import Hydra, Wording
from gateway.simulate.people import Account
from gateway.simulate.schedule import DAY
from gateway.simulate.told import HEAD, row_of, to_text
from gateway.simulate.traffic import Heard
from gateway.simulate.world import BEGIN, Scenario, World
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits

__all__ = ["attack"]

SCHEMA = "gauger.attack/1"
OPEN = "gauger: 1\npolicy: {id: open, mode: enforce}\n"
DONE = frozenset({"allow", "tag", "clamp", "throttle"})
POOL = 20  # prompts in the pool for each answer that is wanted


class _Said(msgspec.Struct):
    """What is read of a decision: what a caller sees of it, and no more."""

    action: str


_SAID = msgspec.json.Decoder(_Said)


class Arena:
    """A world a try: the same benign owners and the campaign that is tried, in front of a gateway of its own."""

    def __init__(
        self, benign: int, days: float, lead: float, target: int, costs: Costs, prompts: tuple[str, ...]
    ) -> None:
        self.benign, self.days, self.lead, self.target = benign, days, lead, target
        self.costs, self.prompts = costs, prompts

    def trial(self, policy: Policy, seed: int, *, benign: int | None = None) -> Trial:
        """Plays campaigns under this policy."""
        owners = self.benign if benign is None else benign

        def play(knobs: Hydra, most: float) -> tuple[Spent, str]:
            return self.play(policy, seed, owners, knobs, most)

        return play

    def play(self, policy: Policy, seed: int, owners: int, knobs: Hydra, most: float) -> tuple[Spent, str]:
        entries: dict[str, Entry] = {}
        directory = Directory(accounts=entries, digest="simulated")

        def opened(account: Account) -> None:
            created = int((BEGIN + account.created) // DAY * DAY)
            entries[account.name] = Entry(account.name, account.org, created=created)

        lead = self.lead if owners else 0.0
        knobs = msgspec.structs.replace(knobs, start=lead, pool=min(1_000_000, self.target * POOL))
        scenario = Scenario(seed=seed, days=lead + self.days, benign=owners, hydras=(knobs,))
        world = World(scenario, dice_of(seed), self.prompts, opened)
        (campaign,) = world.campaigns
        player = Player(policy, directory, PUBLIC_PEPPER, Steps(MemoryLimits(), MemoryAccounts()))
        encode = msgspec.json.Encoder().encode
        seen: Counter[str] = Counter()
        ended, t = "", 0.0
        for sent in world.play(deaf=False):
            line = sent.line
            said = _SAID.decode(player.play(encode(line), line.id))
            if sent.actor is not campaign:
                if campaign.when() == math.inf:  # nothing more will come of it
                    break
                continue
            heard = Heard(
                said.action in DONE and line.status == 200,
                blocked=said.action in ("block", "reject"),
                limited=said.action == "limit",
                shortened=said.action == "clamp",
            )
            t = line.t - BEGIN
            if heard.answered:
                seen["answered"] += 1
            elif said.action not in DONE:
                seen["refused"] += 1
                if seen["refused"] == 1:
                    seen["before_refusal"] = campaign.useful
            campaign.hear(sent, heard)
            if campaign.useful >= self.target:
                ended = "target"
                break
            if cost_of(spent_of(campaign, seen, 0.0), knobs, self.costs) >= most:
                ended = "dearer"
                break
        if not ended:
            ended = "pool" if campaign.finished else "refused" if campaign.stranded else "time"
        return spent_of(campaign, seen, max(0.0, t / DAY - lead)), ended


@click.command("attack")
@click.option("--policy", type=click.Path(path_type=Path), help="what defends  [the shipped one]")
@click.option("--budget", type=click.IntRange(1, 10_000), default=40, show_default=True, help="points that are tried")
@click.option(
    "--target", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="useful answers wanted"
)
@click.option(
    "--goal",
    type=click.Choice(get_args(Wording)),
    default="reasoning",
    show_default=True,
    help="what the attacker must ask for: any answer, its reasoning, or new questions",
)
@click.option("--days", type=click.FloatRange(0.1, 90), default=7.0, show_default=True, help="how long he may take")
@click.option(
    "--benign", type=click.IntRange(0, 5000), default=30, show_default=True, help="other customers of the gateway"
)
@click.option("--lead", type=click.FloatRange(0, 30), default=0.5, show_default=True, help="days before he begins")
@click.option("--seed", type=click.IntRange(0, 2**53), default=1, show_default=True, help="of the world and the search")
@click.option(
    "--cost", "costs", multiple=True, metavar="NAME=USD", help=f"a price: {', '.join(Costs.__struct_fields__)}"
)
@click.option("--prompts", type=click.Path(path_type=Path), help="what he asks, instead of our own prompts")
@click.option("--json", "json_", metavar="OUT", help="write the report as JSON; - is standard output")
def attack(
    policy: Path | None,
    budget: int,
    target: int,
    goal: Wording,
    days: float,
    benign: int,
    lead: float,
    seed: int,
    costs: tuple[str, ...],
    prompts: Path | None,
    json_: str | None,
) -> None:
    """Search for the cheapest way around a policy, and say what it costs.

    An attacker wants some thousand answers. He begins with the cheapest way there is without a defence and changes his
    campaign's knobs, seeing only what a caller sees: answered, refused, shortened. Every try plays a world of its own
    (other customers, then his campaign too) through the gateway's own steps, as `gauger replay` does.

    The result is a multiplier: what the cheapest evasion that was found costs per 1,000 useful answers, over what they
    cost undefended. A larger --budget finds cheaper ones: it is an upper bound. Each try takes seconds.

    \b
      gauger simulate attack --policy policies/packs/extraction-enforce.yaml --budget 60
      gauger simulate attack --cost account=20 --cost day=50 --json report.json
    """
    prices = _prices(costs)
    rules, _ = read_rules(load(None, **({} if policy is None else {"policy": policy}))[0])
    arena = Arena(benign, days, lead, target, prices, read_prompts(prompts) if prompts is not None else ())
    to_stderr = json_ == "-"
    cheapest = msgspec.structs.replace(CHEAPEST, wording=goal)
    undefended = judged(0, "undefended", cheapest, arena.trial(_open(), seed, benign=0)(cheapest, math.inf), prices)
    if not undefended.reached:
        hint = "a lower --target, more --days, or a longer file of prompts"
        raise Mistake(f"even undefended there are but {undefended.spent.useful:,} useful answers in it", hint=hint)
    click.echo(HEAD, err=to_stderr)
    found = search(
        arena.trial(rules, seed),
        budget,
        goal,
        prices,
        dice_of(seed)("attacker"),
        undefended.cost,
        lambda each: click.echo(row_of(each), err=to_stderr),
    )
    best, again = found.best, None
    if best is not None:
        again = judged(0, "another world", best.knobs, arena.trial(rules, seed + 1)(best.knobs, math.inf), prices)
    report = Report(
        schema=SCHEMA,
        policy=rules.id,
        digest=rules.digest,
        seed=seed,
        target=target,
        goal=goal,
        costs=prices,
        undefended=undefended,
        naive=found.tries[0],
        best=best,
        again=again,
        multiplier=_ratio(best, undefended),
        tries=found.tries,
    )
    if json_ is not None:
        with output(json_) as out:
            out.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    click.echo("\n" + to_text(report), err=to_stderr, nl=False)


def _ratio(best: Try | None, undefended: Try) -> float | None:
    if best is None or best.per_1000 is None or not undefended.per_1000:
        return None
    return round(best.per_1000 / undefended.per_1000, 3)


def _open() -> Policy:
    def nothing(name: str) -> bytes:
        raise FileNotFoundError(2, "it has no other file", name)

    return load_policy(OPEN, "open.yaml", nothing)


def _prices(given: tuple[str, ...]) -> Costs:
    """The prices, with what the command line says instead. Raises Mistake."""
    changes: dict[str, float] = {}
    for each in given:
        name, _, value = each.partition("=")
        if name not in Costs.__struct_fields__:
            hint = did_you_mean(name, Costs.__struct_fields__) or f"known: {', '.join(Costs.__struct_fields__)}"
            raise Mistake(f"there is no price {shown(name)}", place="--cost", hint=hint)
        try:
            changes[name] = float(value)
        except ValueError:
            changes[name] = -1.0
        if not 0 <= changes[name] <= 1e6:
            raise Mistake(f"{shown(value)} is no price", place="--cost", hint="US dollars, as in account=5")
    return msgspec.structs.replace(Costs(), **changes)
