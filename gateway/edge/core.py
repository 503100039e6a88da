"""Shell. What every request of a process shares: the policy in force, the stores, the clock, the pens."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

import httpx

from gateway.accounts import Directory
from gateway.campaigns import ACTS
from gateway.campaigns.tables import Campaigns
from gateway.edge.admission import Admission
from gateway.edge.clock import Clock
from gateway.edge.exchange import Exchange
from gateway.edge.snapshots import Snapshots
from gateway.edge.tokens import Jwks
from gateway.edge.upstream import Upstream
from gateway.identity import untrusted_headers
from gateway.ledger.line import Service
from gateway.ledger.record import Adopted
from gateway.observe import Prints
from gateway.pepper import Pepper
from gateway.policy.model import Policy
from gateway.policy.sharing import sharing_of
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.journal import Journal
from gateway.stores.memory import MemoryLimits
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.served import Served
from gateway.stores.valkey.gossip import Gossip
from gateway.stores.valkey.guard import GuardedLimits
from gateway.telemetry import events
from gateway.telemetry.lines import LineWriter
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.owners import OwnersAbove
from gateway.telemetry.tracing import Tracer

__all__ = ["Core"]

RENEW = 30.0  # s between renewals of the leases of requests under way; leases last minutes

log = events.get("core")


@dataclass
class Core:
    """One object, built in `app.py`, swapped nowhere; `policy`, `directory` and `kill` are pointers that move."""

    policy: Policy
    directory: Directory
    pepper: Pepper
    trusted: tuple[IPv4Network | IPv6Network, ...]
    admission: Admission
    limits: MemoryLimits | GuardedLimits
    accounts: MemoryAccounts
    journal: Journal
    lines: LineWriter
    metrics: Metrics
    tracer: Tracer
    served: Served = field(default_factory=Served)
    owners: OwnersAbove = field(default_factory=OwnersAbove)  # whether the policy's calibrations still hold
    campaigns: Campaigns | None = None  # None = accounts are not linked
    clock: Clock = field(default_factory=Clock)
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)  # the control plane's
    jwks: Jwks | None = None
    tag_key: bytes | None = None  # None = tags are recorded and not sent on
    kill: bool = False
    usage_ask: bool = False
    log_format: str = "gauger"
    service: Service = field(default_factory=Service)
    ledger: SegmentWriter | None = None  # where the journal's rows are kept
    snapshots: Snapshots | None = None  # of what is remembered, beside them
    gossip: Gossip | None = None  # what accounts do every time, told to other processes and heard of them
    _segment: int = 0  # of the ledger, in which the policy was last said
    _told: dict[str, int] = field(default_factory=dict)  # campaign -> members when it was last logged
    _former: list[Jwks] = field(default_factory=list)  # of policies that are no longer in force
    live: dict[str, Exchange] = field(default_factory=dict)  # requests between draw and settle, by id

    def __post_init__(self) -> None:
        self.prints = Prints(self.pepper.current)
        self.sharing = sharing_of(self.policy)
        if self.policy.identity.jwt is not None:
            self.jwks = Jwks(self.policy.identity.jwt, self.http)

    def watch(self) -> None:
        """Has the gauges of this process read at each scrape."""
        watch, limits, lines = self.metrics.watch, self.limits, self.lines
        watch("gauger_in_flight", lambda: self.admission.inflight)
        watch("gauger_leases", lambda: limits.leases)
        watch("gauger_ledger_keys", lambda: limits.cells)
        watch("gauger_ledger_evicted_live_total", lambda: limits.evicted_live)
        watch("gauger_accounts", lambda: len(self.accounts))
        watch("gauger_accounts_bytes", lambda: self.accounts.bytes)
        watch("gauger_accounts_evicted_total", lambda: self.accounts.evicted)
        if (campaigns := self.campaigns) is not None:
            watch("gauger_campaigns", lambda: len(campaigns.live))
            watch("gauger_campaign_members", lambda: campaigns.linked)
            watch("gauger_campaign_records", lambda: len(campaigns))
            watch("gauger_campaign_records_evicted_total", lambda: campaigns.evicted)
            watch("gauger_campaign_records_foreign", lambda: campaigns.foreign)
            watch("gauger_campaign_records_told_total", lambda: campaigns.told)
            watch("gauger_campaign_records_heard_total", lambda: campaigns.heard)
            watch("gauger_campaign_records_unread_total", lambda: campaigns.unreadable + campaigns.of_other_versions)
        watch("gauger_served_pieces", lambda: self.served.pieces)
        watch("gauger_served_evicted_total", lambda: self.served.evicted)
        self._watch_store()
        watch("gauger_clock_skew_seconds", lambda: self.clock.skew)
        watch("gauger_log_waiting", lambda: lines.waiting)
        watch("gauger_log_dropped_total", lambda: lines.dropped)
        ends = "gauger_exception_expires_timestamp_seconds"
        watch(ends, lambda: {each.id: each.expires / 1e6 for each in self.policy.exceptions})
        self.owners.adopt(self.policy.calibrations)
        watch("gauger_owners_scored", self.owners.scored)
        watch("gauger_owners_above_calibrated", self.owners.above)
        if (ledger := self.ledger) is not None:
            watch("gauger_ledger_rows_waiting", lambda: ledger.waiting)
            watch("gauger_ledger_segments", lambda: ledger.kept)
            watch("gauger_ledger_disk_bytes", lambda: ledger.disk_bytes)
            watch("gauger_ledger_rows_total", lambda: ledger.rows)
            watch("gauger_ledger_rows_dropped_total", lambda: ledger.dropped)
            watch("gauger_ledger_bytes_total", lambda: ledger.bytes)
            watch("gauger_ledger_errors_total", lambda: ledger.errors)
        if (snapshots := self.snapshots) is not None:
            watch("gauger_snapshots_total", lambda: snapshots.taken)
            watch("gauger_snapshots_failed_total", lambda: snapshots.failed)
        self.metrics.policy(self.policy.id, self.policy.version, self.policy.digest)

    def _watch_store(self) -> None:
        watch, limits, gossip = self.metrics.watch, self.limits, self.gossip
        if isinstance(limits, MemoryLimits):
            watch("gauger_store_degraded", lambda: 0)
            return
        watch("gauger_store_degraded", lambda: limits.degraded)
        watch("gauger_store_replicas", lambda: limits.replicas)
        watch("gauger_store_outages_total", lambda: limits.outages)
        watch("gauger_store_lost_total", lambda: limits.lost)
        watch("gauger_store_errors_total", lambda: {kind: float(count) for kind, count in limits.errors.items()})
        watch("gauger_store_degraded_draws_total", lambda: limits.degraded_draws)
        if gossip is not None:
            watch("gauger_store_lag_seconds", lambda: gossip.lag)
            watch("gauger_store_exchange_errors_total", lambda: gossip.errors)

    def record_policy(self) -> None:
        """The row that says by which policy the rows after it were ruled."""
        policy, journal = self.policy, self.journal
        source = next(iter(policy.files), policy.source)
        self._segment = self.ledger.number if self.ledger is not None else 0
        row = Adopted(
            journal.next(), self.clock.now(), policy.digest, policy.id, policy.version, source, dict(policy.files)
        )
        journal.append(row)

    def repeat_policy(self) -> None:
        """Says it again in a new segment: the one that said it before may be deleted one day."""
        if self.ledger is not None and self.ledger.number != self._segment:
            self.record_policy()

    def adopt(self, policy: Policy, directory: Directory) -> None:
        """Puts new rules in force for the requests that come from now on. State stays."""
        if policy.identity.jwt != self.policy.identity.jwt:
            if self.jwks is not None:
                self._former.append(self.jwks)
            self.jwks = None if policy.identity.jwt is None else Jwks(policy.identity.jwt, self.http)
        before, self.policy, self.directory = self.policy, policy, directory
        self.sharing = sharing_of(policy)
        if (policy.digest, policy.files) != (before.digest, before.files):
            self.record_policy()
        self.owners.adopt(policy.calibrations)
        self.metrics.policy(policy.id, policy.version, policy.digest)

    def switch(self, enforcing: bool, by: str) -> None:
        """The kill switch, for the requests that come from now on: off, everything is decided and nothing is done."""
        self.kill = not enforcing
        log.warning("kill switch", enforcing=enforcing, by=by)

    def background(self) -> list[asyncio.Task[None]]:
        """What runs beside the requests, until it is cancelled."""
        work = [self.keep_leases()]
        if self.snapshots is not None:
            work.append(self.snapshots.run())
        if self.gossip is not None:
            work.append(self.gossip.run())
        if isinstance(self.limits, GuardedLimits):
            work.append(self.limits.start())
        return [asyncio.create_task(each) for each in work]

    async def keep_leases(self) -> None:
        """Renews the leases of long streams until cancelled: a lease is a promise with a deadline."""
        while True:
            await asyncio.sleep(RENEW)
            try:
                for request in list(self.live):
                    await self.limits.renew(request, self.clock.now())
                self.repeat_policy()
                self.tell_campaigns()
            except Exception:  # a renewal missed is made up for by the next one, well before the deadline
                log.exception("leases were not renewed")

    def tell_campaigns(self) -> None:
        """Logs campaigns that are new, or have twice the accounts since it was last said: somebody should look."""
        if self.campaigns is None:
            return
        told, self._told = self._told, {}
        for each in self.campaigns.live:
            before = told.get(each.id, 0)
            self._told[each.id] = before
            if each.owners >= ACTS and each.members >= 2 * before:
                self._told[each.id] = each.members
                how = "linked" if each.linked else "cohort"
                log.warning("campaign", campaign=each.id, members=each.members, owners=each.owners, found=how)

    def watch_upstreams(self, upstreams: Iterable[Upstream]) -> None:
        """Has the connections to these upstreams counted."""
        distinct = set(upstreams)

        def read() -> dict[str, float]:
            stats = [upstream.stats for upstream in distinct]
            return {
                "open": sum(s.open for s in stats),
                "idle": sum(s.idle for s in stats),
                "waiting": sum(s.waiting for s in stats),
            }

        self.metrics.watch("gauger_upstream_connections", read)

    def untrusted(self, peer: str | None) -> frozenset[bytes]:
        """Identity headers that this peer may not set: they are removed, so the wrapped app can't be fooled either."""
        return untrusted_headers(self.policy.identity, peer, self.trusted)

    async def aclose(self) -> None:
        """Flushes the lines and the ledger, and ends what runs beside the requests: none is under way any more."""
        for jwks in (self.jwks, *self._former):
            if jwks is not None:
                await jwks.aclose()
        await self.http.aclose()
        if self.gossip is not None:
            await self.gossip.last()
        if isinstance(self.limits, GuardedLimits):
            await self.limits.aclose()
        self.tracer.close()
        self.lines.close()
        if self.snapshots is not None:
            await self.snapshots.last()
        if self.ledger is not None:
            self.ledger.close()
