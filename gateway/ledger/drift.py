"""Pure. What another policy would change: totals, by rule, by account, and the examples that say most.

A campaign's score is that of all its accounts, so one judgement may move many of them: the requests that change are
counted by campaign too. Memory is bounded whatever comes: accounts are counted by the space-saving algorithm (Metwally,
Agrawal and El Abbadi, 2005), which keeps the busiest and says by how much a count may be too high; of examples only the
strongest are kept.
"""

from collections.abc import Mapping
from heapq import heappop, heappush

import msgspec

from gateway.ledger.replay import Judged
from gateway.ledger.steps import action_of, score_of

__all__ = ["STRENGTH", "AccountDrift", "CampaignDrift", "Drift", "Example", "Found", "Move", "RuleDrift", "Sum"]

STRENGTH = ("allow", "tag", "clamp", "throttle", "limit", "block", "reject")
"""Words of an action, the weakest first. `limit` stands apart in the policy; here it is what a caller feels."""
REFUSALS = frozenset({"limit", "block", "reject"})
MAX_ACCOUNTS = 1000
MAX_RULES = 4096
MAX_CAMPAIGNS = 1000
OTHERS = "(others)"
MAX_READINGS = 40  # of an example
RANK = {word: at for at, word in enumerate(STRENGTH)}


class Sum(msgspec.Struct):
    """Requests, and the tokens that they used (as recorded, input and output)."""

    requests: int = 0
    tokens: int = 0

    def add(self, tokens: int) -> None:
        self.requests += 1
        self.tokens += tokens


class Move(msgspec.Struct):
    """How many went from one action to another."""

    before: str
    after: str
    requests: int
    tokens: int


class RuleDrift(msgspec.Struct):
    """How often a rule holds, watched or enforced, where it did not, and the other way round."""

    rule: str
    newly: int = 0
    no_longer: int = 0
    still: int = 0
    when: str = ""  # the condition's text


class AccountDrift(msgspec.Struct):
    """What changes for one account."""

    account: str
    changed: int = 0  # at most; `over` may be too many
    over: int = 0
    newly_refused: int = 0
    newly_allowed: int = 0
    tokens_refused: int = 0
    tokens_allowed: int = 0
    score: float | None = None  # dB, the highest; None = nothing was scored
    campaign: str = ""  # that it was last a member of, of the requests that change


class CampaignDrift(msgspec.Struct):
    """What changes for the members of one campaign."""

    campaign: str
    changed: int = 0
    accounts: int = 0  # with a change, of those that are listed
    newly_refused: int = 0
    newly_allowed: int = 0
    score: float | None = None  # dB, the highest of the campaign by itself


class Example(msgspec.Struct):
    """One request whose action changes, with the reasons."""

    seq: int
    now: int  # µs since the epoch
    request: str
    account: str
    before: str
    after: str
    score_before: float
    score: float
    tokens: int
    guessed: bool
    rules_before: tuple[str, ...]
    rules: tuple[str, ...]
    shadow: tuple[str, ...]
    limits: tuple[str, ...]  # that refused
    excepted: dict[str, str]
    when: dict[str, str]  # rule -> its condition
    evidence: dict[str, dict[str, float]]  # dB
    readings: dict[str, float]
    campaign: str = ""
    membership: float = 0.0  # dB
    campaign_scores: dict[str, float] = {}  # card -> dB of the campaign by itself
    together: dict[str, dict[str, float]] = {}  # dB of the campaign's lines


class Found(msgspec.Struct):
    """All of it, ready to be shown. Counts are of requests."""

    requests: int
    same: int  # neither the action nor the rules and what they do change
    moves: list[Move]
    refused: Sum
    newly_refused: Sum
    newly_allowed: Sum
    guessed: int
    rules: list[RuleDrift]
    accounts: list[AccountDrift]
    accounts_dropped: int
    examples: list[Example]
    campaigns: list[CampaignDrift] = []

    def moved(self) -> int:
        """How many have another action."""
        return sum(move.requests for move in self.moves if move.before != move.after)


class Drift:
    """Collects. `when`: rule id -> the text of its condition; `top`: examples kept, one an account."""

    def __init__(self, when: Mapping[str, str] | None = None, top: int = 20) -> None:
        self._when = dict(when or {})
        self._top = top
        self._requests = self._same = self._guessed = 0
        self._moves: dict[tuple[str, str], Sum] = {}
        self._refused, self._newly_refused, self._newly_allowed = Sum(), Sum(), Sum()
        self._rules: dict[str, RuleDrift] = {}
        self._accounts: dict[str, AccountDrift] = {}
        self._campaigns: dict[str, CampaignDrift] = {}
        self._order: list[tuple[int, str]] = []  # a heap of (count as it once was, account)
        self._dropped = 0
        self._examples: dict[str, tuple[tuple[int, float, int, int], Example]] = {}
        self._floor: tuple[int, float, int, int] | None = None  # the weakest example, where there is no room

    def add(self, judged: Judged) -> None:
        """Counts one request in."""
        old, settled = judged.ruled.verdict, judged.settled
        new = judged.verdict
        outcome = settled.outcome if settled is not None else None
        if settled is not None:
            before = action_of(old, settled.outcome.limits, settled.reflection)
        else:
            before = action_of(old, ())
        after = action_of(new, judged.limits, judged.reflection)
        tokens = outcome.usage.input + outcome.usage.output if outcome is not None else 0
        if judged.guessed:  # it never had an answer
            tokens = new.input + new.output
            self._guessed += 1
        self._requests += 1
        moved = self._moves.get((before, after))
        if moved is None:
            moved = self._moves[before, after] = Sum()
        moved.add(tokens)
        if after in REFUSALS:
            self._refused.add(tokens)
        same = before == after
        if old.rules or new.rules or old.shadow or new.shadow:
            same &= self._add_rules({*old.rules, *old.shadow}, {*new.rules, *new.shadow})
            same &= old.rules == new.rules and old.effects == new.effects and old.would == new.would
        if same:
            self._same += 1
        if before != after:
            self._add_change(judged, before, after, tokens)

    def found(self) -> Found:
        """What has come together so far."""
        moves = [Move(a, b, each.requests, each.tokens) for (a, b), each in self._moves.items()]
        moves.sort(key=lambda move: (move.before == move.after, -move.requests, move.before, move.after))
        rules = sorted(self._rules.values(), key=lambda rule: (-rule.newly - rule.no_longer, rule.rule))
        for rule in rules:
            rule.when = self._when.get(rule.rule, "")
        accounts = sorted(self._accounts.values(), key=lambda each: (-each.changed, each.account))
        ranked = sorted(self._examples.values(), key=lambda pair: pair[0], reverse=True)
        return Found(
            requests=self._requests,
            same=self._same,
            moves=moves,
            refused=self._refused,
            newly_refused=self._newly_refused,
            newly_allowed=self._newly_allowed,
            guessed=self._guessed,
            rules=rules,
            accounts=accounts,
            accounts_dropped=self._dropped,
            examples=[example for _, example in ranked],
            campaigns=self._by_campaign(accounts),
        )

    def _by_campaign(self, accounts: list[AccountDrift]) -> list[CampaignDrift]:
        for each in self._campaigns.values():
            each.accounts = sum(account.campaign == each.campaign for account in accounts)
        return sorted(self._campaigns.values(), key=lambda each: (-each.changed, each.campaign))

    def _add_rules(self, before: set[str], after: set[str]) -> bool:
        for rule in before | after:
            found = self._rules.get(rule)
            if found is None:
                if len(self._rules) >= MAX_RULES:
                    rule = OTHERS
                found = self._rules.setdefault(rule, RuleDrift(rule))
            if rule not in before:
                found.newly += 1
            elif rule not in after:
                found.no_longer += 1
            else:
                found.still += 1
        return before == after

    def _add_change(self, judged: Judged, before: str, after: str, tokens: int) -> None:
        account = judged.ruled.facts.caller.account
        found = self._account(account)
        found.changed += 1
        score = score_of(judged.verdict)
        if judged.verdict.scores:
            found.score = score if found.score is None else max(found.score, score)
        if after in REFUSALS and before not in REFUSALS:
            found.newly_refused += 1
            found.tokens_refused += tokens
            self._newly_refused.add(tokens)
        elif before in REFUSALS and after not in REFUSALS:
            found.newly_allowed += 1
            found.tokens_allowed += tokens
            self._newly_allowed.add(tokens)
        if judged.ruled.facts.campaign is not None:
            self._add_campaign(judged, found, before, after)
        jump = abs(RANK.get(after, 0) - RANK.get(before, 0))
        rank = (jump, score, tokens, -judged.ruled.seq)
        if self._top and (self._floor is None or rank > self._floor):
            self._keep(rank, account, judged, before, after, tokens)

    def _add_campaign(self, judged: Judged, account: AccountDrift, before: str, after: str) -> None:
        campaign = judged.ruled.facts.campaign
        assert campaign is not None
        name = campaign.id if campaign.id in self._campaigns or len(self._campaigns) < MAX_CAMPAIGNS else OTHERS
        found = self._campaigns.setdefault(name, CampaignDrift(name))
        account.campaign = name
        found.changed += 1
        found.newly_refused += after in REFUSALS and before not in REFUSALS
        found.newly_allowed += before in REFUSALS and after not in REFUSALS
        for score in judged.verdict.campaign.values():
            found.score = score if found.score is None else max(found.score, score)

    def _account(self, account: str) -> AccountDrift:
        found = self._accounts.get(account)
        if found is not None:
            return found
        least = 0
        if len(self._accounts) >= MAX_ACCOUNTS:
            while True:
                count, name = heappop(self._order)
                now = self._accounts[name].changed
                if count == now:
                    break
                heappush(self._order, (now, name))  # it has grown since
            del self._accounts[name]
            self._dropped += 1
            least = count
        found = self._accounts[account] = AccountDrift(account, changed=least, over=least)
        heappush(self._order, (least, account))
        return found

    def _keep(
        self, rank: tuple[int, float, int, int], account: str, judged: Judged, before: str, after: str, tokens: int
    ) -> None:
        kept = self._examples.get(account)
        if kept is not None and kept[0] >= rank:
            return
        if kept is None and len(self._examples) >= self._top:
            del self._examples[min(self._examples, key=lambda each: self._examples[each][0])]
        self._examples[account] = (rank, self._example(judged, before, after, tokens))
        if len(self._examples) >= self._top:
            self._floor = min(rank for rank, _ in self._examples.values())

    def _example(self, judged: Judged, before: str, after: str, tokens: int) -> Example:
        ruled, new = judged.ruled, judged.verdict
        return Example(
            seq=ruled.seq,
            now=ruled.now,
            request=ruled.request,
            account=ruled.facts.caller.account,
            before=before,
            after=after,
            score_before=score_of(ruled.verdict),
            score=score_of(new),
            tokens=tokens,
            guessed=judged.guessed,
            rules_before=ruled.verdict.rules,
            rules=new.rules,
            shadow=new.shadow,
            limits=tuple(each.limit for each in judged.limits if not each.ok and not each.shadow),
            excepted=new.excepted,
            when={rule: self._when[rule] for rule in (*new.rules, *new.shadow) if rule in self._when},
            evidence=new.evidence,
            readings=dict(list(new.readings.items())[:MAX_READINGS]),
            campaign=ruled.facts.campaign.id if ruled.facts.campaign is not None else "",
            membership=ruled.facts.membership,
            campaign_scores=new.campaign,
            together=new.together,
        )
