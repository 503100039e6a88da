"""Pure. The metrics of several workers as those of one gateway: counters and histograms are added, also of the dead."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from gateway.telemetry.metrics import OF_POLICY

__all__ = ["ONE_FOR_ALL", "Totals"]

ONE_FOR_ALL: dict[str, Callable[[float, float], float]] = {
    "gauger_policy_info": max,
    "gauger_campaigns": max,  # each worker knows of all
    "gauger_campaign_members": max,
    "gauger_campaign_records": max,
    "gauger_campaign_records_foreign": max,
    "gauger_store_degraded": max,
    "gauger_store_replicas": max,
    "gauger_store_lag_seconds": max,
    "gauger_exception_expires_timestamp_seconds": max,
    "gauger_clock_skew_seconds": lambda a, b: max(a, b, key=abs),
}
"""Gauges that say of all workers what the worst of them says; all others are added."""

INFO = "gauger_policy_info"
ADDED = frozenset({"counter", "histogram"})

Key = tuple[str, tuple[tuple[str, str], ...]]


class _Family:
    """One metric, summed."""

    def __init__(self, metric: Metric) -> None:
        self.name, self.help, self.type = metric.name, metric.documentation, metric.type
        self.values: dict[Key, float] = {}
        self._join = ONE_FOR_ALL.get(metric.name, float.__add__)

    def add(self, samples: Iterable[tuple[Key, float]]) -> None:
        for key, value in samples:
            before = self.values.get(key)
            self.values[key] = value if before is None else self._join(before, value)

    def metric(self) -> Metric:
        made = Metric(self.name, self.help, self.type)
        made.samples = [Sample(name, dict(labels), value) for (name, labels), value in self.values.items()]
        return made


class _Sum(Collector):
    """Families by name, in the order in which they were first seen."""

    def __init__(self) -> None:
        self.families: dict[str, _Family] = {}
        self.digests: set[str] = set()

    def read(self, exposition: bytes) -> None:
        """Adds what one worker shows."""
        for metric in text_string_to_metric_families(exposition.decode()):
            family = self.families.setdefault(metric.name, _Family(metric))
            family.add(((s.name, tuple(s.labels.items())), float(s.value)) for s in metric.samples)
            if metric.name == INFO:
                self.digests.update(sample.labels["digest"] for sample in metric.samples)

    def add(self, other: "_Sum", *, policy: bool) -> None:
        """Adds the counters of a sum; those that belong to a policy only where `policy` says so."""
        for family in other.families.values():
            if family.type in ADDED and (policy or not _of_policy(family)):
                mine = self.families.setdefault(family.name, _Family(family.metric()))
                mine.add(family.values.items())

    def collect(self) -> Iterator[Metric]:
        for family in self.families.values():
            yield family.metric()


def _of_policy(family: _Family) -> bool:
    return any(name in OF_POLICY for _, labels in family.values for name, _ in labels)


class Totals:
    """What workers that are gone have counted. It never changes. What they counted of a policy's rules goes with it."""

    def __init__(self) -> None:
        self._gone = _Sum()

    def retired(self, exposition: bytes) -> "Totals":
        """These, and the counters of a worker that has ended, from what it last showed; b"" = nothing."""
        if not exposition:
            return self
        last, kept = _Sum(), Totals()
        last.read(exposition)
        kept._gone.add(self._gone, policy=bool(last.digests & self._gone.digests))
        kept._gone.add(last, policy=True)
        kept._gone.digests = last.digests
        return kept

    def render(self, expositions: Iterable[bytes], more: Iterable[Metric] = ()) -> bytes:
        """One exposition of all workers: those that show something now, and those that are gone."""
        total = _Sum()
        for exposition in expositions:
            total.read(exposition)
        total.add(self._gone, policy=bool(total.digests & self._gone.digests))
        for metric in more:
            total.families[metric.name] = family = _Family(metric)
            family.add(((s.name, tuple(s.labels.items())), s.value) for s in metric.samples)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(total)
        return generate_latest(registry)
