"""Pure. What is played: who asks, how much, and in how much time."""

from collections.abc import Mapping

import msgspec

from gateway.simulate.knobs import PRESETS
from gateway.simulate.people import Account
from gateway.simulate.world import Scenario

__all__ = ["GROUPS", "HYDRA", "Plan", "group_of", "scenario_of"]

HYDRA = "hydra"
"""The name of the campaign, and of its accounts' group."""
HOUR = 3600.0
DAY = 24 * HOUR

GROUPS: Mapping[str, tuple[str, ...]] = {
    "chat apps": ("chat_app",),
    "support bots": ("support_bot",),
    "retrieval": ("rag",),
    "coding agents": ("coding_agent",),
    "batch jobs": ("batch_classify", "summarise_cron", "embeddings"),
    "evaluations": ("eval_harness",),
    "writers, translators": ("content_writing", "translation"),
    "frameworks": ("framework",),
    "people": ("hobbyist", "student"),
    "a course, one template": ("course",),
}
"""Group -> the families of `gauger simulate` that are in it, in the order of the picture."""
OF_FAMILY = {family: group for group, families in GROUPS.items() for family in families}


class Plan(msgspec.Struct, frozen=True):
    """Seconds are of the machine's clock, hours of the gateway's."""

    seconds: float = 40.0  # of traffic
    limit: float = 53.0  # seconds from the start on: by then it has ended, whatever was reached
    hours: float = 40.0
    seed: int = 3
    owners: int = 70  # benign, beside the course
    course: bool = True  # a class of thirty new accounts with one template: linked, and innocent
    heads: int = 40
    pace: float = 26.0  # requests a day of a head
    begins: float = 8.0  # hours after which the hydra does
    most: int = 12_000  # requests
    concurrency: int = 32
    late: float = 1.0  # seconds behind time from which benign requests are left out, and after the end all

    @property
    def rate(self) -> float:
        """Seconds of the gateway's clock in one of the machine's."""
        return self.hours * HOUR / self.seconds

    @property
    def pool(self) -> int:
        """Prompts that the hydra wants answered: as many as it has time to ask."""
        return max(1, round(self.heads * self.pace * (self.hours - self.begins) / 24))


def scenario_of(plan: Plan) -> Scenario:
    """The world of `gauger simulate` that is played."""
    hydra = msgspec.structs.replace(
        PRESETS["hydra-40"],
        id=HYDRA,
        accounts=plan.heads,
        pace=plan.pace,
        pool=plan.pool,
        start=plan.begins / 24,
    )
    controls = ("course",) if plan.course else ()
    days = plan.hours * HOUR / DAY
    return Scenario(seed=plan.seed, days=days, benign=plan.owners, hydras=(hydra,), controls=controls)


def group_of(account: Account) -> str:
    """The group that an account is counted in."""
    return HYDRA if account.campaign is not None else OF_FAMILY[account.family]
