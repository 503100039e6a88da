"""Shell. Prometheus metrics of one gateway: counted in plain dictionaries on the way, made into samples at a scrape.

prometheus_client's own counters and histograms take 0.6 and 1.4 µs an observation (a lock each); a request has a dozen.
Here the event loop's thread counts alone, and a registry of its own collects at the scrape. No label is unbounded: a
value that comes after its label is full counts as `other`. Never an account, a key, a raw model or a path.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.quotas import Reading
from gateway.telemetry.families import FAMILIES, family_of
from gateway.usage import Usage

__all__ = ["BOUNDS", "COUNTED", "GAUGES", "PHASES", "Metrics"]

OF_POLICY = {"rule": 2001, "card": 33, "exception": 2001}
"""Labels whose values a policy names: with another policy they begin anew."""

BOUNDS = {"route": 20, "provider": 6, "action": 8, "limit": 40, "state": 8, "kind": 20, "result": 6} | OF_POLICY
"""Label -> values it may have, `other` included. `model_family` is bounded by its table (30), `phase` by `PHASES`."""

PHASES = ("parse", "decide", "limit", "settle", "queue")
"""Steps of our own that are timed; timings of any other name are not shown."""

GAUGES = {
    "gauger_in_flight": ("requests between accept and settle", ""),
    "gauger_leases": ("concurrency slots that are taken", ""),
    "gauger_ledger_keys": ("limit cells that are kept", ""),
    "gauger_accounts": ("accounts that are remembered", ""),
    "gauger_accounts_bytes": ("bytes of what is remembered of accounts, as estimated", ""),
    "gauger_campaigns": ("campaigns of at least three owners that there are", ""),
    "gauger_campaign_members": ("accounts that are members of one", ""),
    "gauger_campaign_records": ("accounts whose habits are remembered, to link them", ""),
    "gauger_campaign_records_foreign": ("those of them that only other processes have seen", ""),
    "gauger_served_pieces": ("pieces of the last day's answers that are remembered", ""),
    "gauger_limit_debt_units": ("units by which actual use passed what was left", "limit"),
    "gauger_store_degraded": ("1 while the shared store doesn't answer", ""),
    "gauger_store_replicas": ("processes that share the limits", ""),
    "gauger_store_waiting": ("ends of requests that the shared store has not been told of yet", ""),
    "gauger_store_lag_seconds": ("since campaign facts were last exchanged", ""),
    "gauger_upstream_connections": ("connections to upstreams", "state"),
    "gauger_clock_skew_seconds": ("how far the wall clock is ahead of ours", ""),
    "gauger_log_waiting": ("request lines that wait to be written", ""),
    "gauger_ledger_rows_waiting": ("rows that wait to be written to the ledger's segments", ""),
    "gauger_ledger_segments": ("segments of the ledger that are kept", ""),
    "gauger_ledger_disk_bytes": ("bytes of the ledger's segments on disk", ""),
    "gauger_exception_expires_timestamp_seconds": ("when an exception of the policy ends", "exception"),
    "gauger_owners_scored": ("owners of the last 15 to 30 days, by the rule of a calibration", "card"),
    "gauger_owners_above_calibrated": ("those of them at or above its level of 1 %", "card"),
    "gauger_workers": ("workers that serve", ""),
}
"""Gauges that are read at a scrape: name -> help, label."""

COUNTED = {
    "gauger_ledger_evicted_live_total": ("limit cells evicted before they were full again: limits can be bypassed", ""),
    "gauger_accounts_evicted_total": (
        "accounts forgotten: idle for a day, live, or live and with evidence of extraction",
        "kind",
    ),
    "gauger_campaign_records_evicted_total": ("accounts whose habits were forgotten for want of room", ""),
    "gauger_campaign_records_told_total": ("records of accounts that other processes were told", ""),
    "gauger_campaign_records_heard_total": ("records of accounts that were heard of other processes", ""),
    "gauger_campaign_records_unread_total": ("records of other processes in another form than ours", ""),
    "gauger_served_evicted_total": ("pieces of answers that were forgotten before their day was over", ""),
    "gauger_log_dropped_total": ("request lines that were never written", ""),
    "gauger_ledger_rows_total": ("rows written to the ledger's segments", ""),
    "gauger_ledger_rows_dropped_total": ("rows that were never written to the ledger's segments", ""),
    "gauger_ledger_bytes_total": ("bytes written to the ledger's segments, before compression", ""),
    "gauger_ledger_errors_total": ("attempts at writing the ledger's segments that failed", ""),
    "gauger_snapshots_total": ("snapshots of what is remembered", ""),
    "gauger_snapshots_failed_total": ("snapshots that could not be taken or written", ""),
    "gauger_store_outages_total": ("times that the shared store went away", ""),
    "gauger_store_lost_total": ("times that the shared store came back without its state", ""),
    "gauger_store_errors_total": ("calls of the shared store that failed", "kind"),
    "gauger_store_degraded_draws_total": ("requests whose limits this process answered by itself", ""),
    "gauger_store_dropped_total": ("ends of requests that the shared store will never be told of", ""),
    "gauger_store_exchange_errors_total": ("exchanges of campaign facts that failed", ""),
    "gauger_worker_restarts_total": ("workers that were started again", ""),
    "gauger_embedded_valkey_restarts_total": ("times that the embedded Valkey was started again", ""),
}
"""Counters that are kept elsewhere and read at a scrape: name -> help, label."""

MICRO = 1_000  # ns
MILLI = 1_000_000
SHORT = tuple(
    us * MICRO for us in (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
)  # our own steps
LONG = tuple(
    ms * MILLI for ms in (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 300_000)
)  # a model's answer
DECIBANS = (-50, -30, -25, -20, -16, -12, -8, -4, 0, 5, 10, 20, 30, 50)  # -12, -8, -4, 10: the extraction pack acts
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0)
NEAR = 0.1  # of a limit's capacity left

DIRECTIONS = ("input", "output", "cache_read", "cache_write", "reasoning")
RESULTS = ("ok", "near", "over", "shadow_over")

Labels = tuple[str, ...]
Read = Callable[[], float | Mapping[str, float]]


class _Bounded(dict[str, str]):
    """Values of one label: a value that is known, or still fits, is itself; any other is `other`."""

    def __init__(self, bound: int, values: Iterable[str] = ()) -> None:
        super().__init__({value: value for value in values})
        self._bound = bound

    def __missing__(self, value: str) -> str:
        if len(self) >= self._bound - 1:  # not kept: what callers send may have no end
            return "other"
        self[value] = value
        return value


class _Histogram:
    """Counts between bounds, and the sum: whole numbers (ns), or shares."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total: float = 0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class _Histograms(dict[Labels, _Histogram]):
    """One histogram for each combination of labels."""

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__()
        self.bounds = bounds

    def __missing__(self, labels: Labels) -> _Histogram:
        made = self[labels] = _Histogram(self.bounds)
        return made


class _Counts(dict[Labels, int]):
    def __missing__(self, labels: Labels) -> int:
        return 0


class _Rows(dict[str, list[int]]):
    """One row of counters for each value of a bounded label; values that don't fit share the row of `other`."""

    def __init__(self, label: _Bounded, columns: int) -> None:
        super().__init__()
        self._label = label
        self._columns = columns

    def __missing__(self, value: str) -> list[int]:
        bounded = self._label[value]
        if bounded not in self:
            self[bounded] = [0] * self._columns
        return self[bounded]


class Metrics(Collector):
    """All metrics of one gateway. `observe` once a request, on one thread; `render` at a scrape, on any."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._labels = {name: _Bounded(bound) for name, bound in BOUNDS.items()}
        self._routes = self._labels["route"]
        self._providers = self._labels["provider"]
        self._actions = self._labels["action"]
        self._limits = self._labels["limit"]
        self._requests = _Counts()
        self._tokens = _Rows(_Bounded(len(FAMILIES) + 1, FAMILIES), len(DIRECTIONS))
        self._decisions = _Rows(self._limits, len(RESULTS))
        self._matches = _Counts()
        self._scores = _Histograms(DECIBANS)
        self._reloads = _Counts()
        self._policy_errors = _Counts()
        self._phases = {name: _Histogram(SHORT) for name in PHASES}
        self._whole = _Histograms(LONG)
        self._upstream = _Histograms(LONG)
        self._first = _Histograms(LONG)
        self._errors = _Histograms(SHARES)
        self._policy: Labels | None = None
        self._watched: dict[str, Read] = {}
        self._registry.register(self)

    def observe(
        self,
        *,
        route: str,
        provider: str,
        action: str,
        status: int,
        stream: bool,
        total: int,
        model: str | None = None,
        usage: Usage | None = None,
        limits: Sequence[Reading] = (),
        settled: Mapping[str, int] | None = None,
        phases: Mapping[str, int] | None = None,
        upstream: int | None = None,
        first_chunk: int | None = None,
    ) -> None:
        """Counts one request that has ended. `action` is the word of its line; durations are ns.

        `upstream` is from asking the wrapped app to the end of its answer, `first_chunk` from asking to the first
        byte of the body (streams). `settled` is limit -> actual minus reserved. `status` 0 = no answer began.
        """
        route, provider = self._routes[route], self._providers[provider]
        self._requests[route, provider, self._actions[action], _CLASSES.get(status // 100, "none")] += 1
        whole = self._whole[route, "true" if stream else "false"]
        whole.counts[bisect_left(LONG, total)] += 1
        whole.total += total
        if phases:
            timed = self._phases
            for name, spent in phases.items():
                found = timed.get(name)
                if found is not None:
                    found.counts[bisect_left(SHORT, spent)] += 1
                    found.total += spent
        if upstream is not None:
            self._upstream[provider,].observe(upstream)
        if first_chunk is not None:
            self._first[provider,].observe(first_chunk)
        if usage is not None and (usage.input or usage.output):
            row = self._tokens[family_of(model)]
            row[0] += usage.input
            row[1] += usage.output
            row[2] += usage.cache_read
            row[3] += usage.cache_write
            row[4] += usage.reasoning
        decisions = self._decisions
        for reading in limits:
            row = decisions[reading.limit]
            if not reading.ok:
                row[3 if reading.shadow else 2] += 1
            elif reading.left < reading.capacity * NEAR:
                row[1] += 1
            else:
                row[0] += 1
        if settled:
            self._misjudged(limits, settled)

    def _misjudged(self, limits: Sequence[Reading], settled: Mapping[str, int]) -> None:
        for reading in limits:
            if reading.cost and reading.unit.startswith("tokens") and reading.limit in settled:
                difference = abs(settled[reading.limit]) / reading.cost
                self._errors[self._limits[reading.limit],].observe(difference)

    def judged(
        self, rules: Sequence[str], shadow: Sequence[str], excepted: Mapping[str, str], scores: Mapping[str, float]
    ) -> None:
        """Counts the rules that held, enforced and in shadow, and the scores (scorecard -> dB) of one request.

        `excepted` is rule -> the exception that softened it.
        """
        label, matches = self._labels["rule"], self._matches
        for rule in rules:
            matches[label[rule], "enforce", "true" if rule in excepted else "false"] += 1
        for rule in shadow:
            matches[label[rule], "shadow", "true" if rule in excepted else "false"] += 1
        for card, score in scores.items():
            self._scores[self._labels["card"][card],].observe(score)

    def policy(self, id_: str, version: str, digest: str) -> None:
        """The policy in force, which `gauger_policy_info` names. What was counted of another one's rules goes."""
        if self._policy is None or self._policy[2] != digest:
            self._matches.clear()
            self._scores.clear()
            for name in OF_POLICY:
                self._labels[name].clear()
        self._policy = (id_, version, digest)

    def policy_reload(self, result: str) -> None:
        """Counts a reload: `loaded` or `refused`."""
        self._reloads[self._labels["result"][result],] += 1

    def policy_error(self, kind: str) -> None:
        """Counts an exception inside measuring, judging or settling."""
        self._policy_errors[self._labels["kind"][kind],] += 1

    def watch(self, name: str, read: Read) -> None:
        """Has a metric of `GAUGES` or `COUNTED` read at each scrape: a number, or label value -> number.

        Raises ValueError for a name that isn't declared.
        """
        if name not in GAUGES and name not in COUNTED:
            raise ValueError(f"no watched metric is called {name}")
        self._watched[name] = read

    def render(self) -> bytes:
        """The exposition that `/metrics` answers, of type `content_type`."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for at a scrape."""
        yield _counter("gauger_requests", "requests", ("route", "provider", "action", "status_class"), self._requests)
        yield _histogram(
            "gauger_decision_duration_seconds",
            "the gateway's own time, by step",
            ("phase",),
            {(name,): found for name, found in self._phases.items()},
        )
        yield _histogram(
            "gauger_request_duration_seconds", "from accept to the last byte", ("route", "stream"), self._whole
        )
        yield _histogram("gauger_upstream_duration_seconds", "the wrapped app's time", ("provider",), self._upstream)
        yield _histogram(
            "gauger_time_to_first_chunk_seconds", "to the first byte of a stream", ("provider",), self._first
        )
        yield _counter("gauger_tokens", "tokens", ("model_family", "direction"), _columns(self._tokens, DIRECTIONS))
        yield _counter(
            "gauger_limit_decisions", "answers of limits", ("limit", "result"), _columns(self._decisions, RESULTS)
        )
        yield _histogram(
            "gauger_reservation_error_ratio", "|actual - reserved| / reserved", ("limit",), self._errors, scale=1
        )
        yield _counter(
            "gauger_rule_matches", "requests that a rule held for", ("rule", "mode", "excepted"), self._matches
        )
        yield _histogram("gauger_score_decibans", "scores of requests, in dB", ("card",), self._scores, scale=1)
        yield _counter("gauger_policy_reload", "reloads of the policy", ("result",), self._reloads)
        yield _counter("gauger_policy_errors", "exceptions while judging or settling", ("kind",), self._policy_errors)
        if self._policy is not None:
            info = GaugeMetricFamily("gauger_policy_info", "the policy in force", labels=("id", "version", "digest"))
            info.add_metric(self._policy, 1)
            yield info
        for name, read in list(self._watched.items()):
            yield self._read(name, read())

    def _read(self, name: str, value: float | Mapping[str, float]) -> Metric:
        help_, label = GAUGES.get(name) or COUNTED[name]
        labels = (label,) if label else ()
        family = (
            GaugeMetricFamily(name, help_, labels=labels)
            if name in GAUGES
            else CounterMetricFamily(name.removesuffix("_total"), help_, labels=labels)
        )
        if isinstance(value, Mapping):
            summed: dict[str, float] = {}
            for found, one in value.items():
                bounded = self._labels[label][found]
                summed[bounded] = summed.get(bounded, 0) + one
            for found, one in summed.items():
                family.add_metric((found,), one)
        else:
            family.add_metric((), value)
        return family


_CLASSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}


def _columns(rows: Mapping[str, list[int]], names: Sequence[str]) -> dict[Labels, int]:
    return {
        (value, name): count
        for value, row in list(rows.items())
        for name, count in zip(names, row, strict=True)
        if count
    }


def _counter(name: str, help_: str, labels: Labels, counts: Mapping[Labels, int]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=labels)
    for values, count in list(counts.items()):
        family.add_metric(values, count)
    return family


def _histogram(
    name: str, help_: str, labels: Labels, found: Mapping[Labels, _Histogram], scale: float = 1e-9
) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=labels)
    for values, histogram in list(found.items()):
        counts, total = list(histogram.counts), histogram.total
        buckets = []
        so_far = 0
        for bound, count in zip((*histogram.bounds, None), counts, strict=True):
            so_far += count
            buckets.append(("+Inf" if bound is None else repr(float(f"{bound * scale:.9g}")), so_far))
        family.add_metric(values, buckets, total * scale)
    return family
