"""The fold over judged requests: who is one owner, which days count, and what is bounded."""

import pytest

from gateway.calibrate import owners as module
from gateway.calibrate.labels import Labels
from gateway.errors import Mistake
from gateway.ledger.replay import Judged
from tests.calibrate.scored import CARD, judged, owners, policy


def scores(found: module.Owners) -> dict[str, float]:
    return {owner.name: found.highest(owner, "theft") for owner in found.active()}


def test_an_owner_is_an_organisation_where_it_is_known_else_an_account() -> None:
    found = owners([judged("a", -9, org="acme"), judged("b", -5, org="acme"), judged("acme", -7), judged("c", -20)])
    assert [(each.name, each.is_org, sorted(each.accounts)) for each in found.active()] == [
        ("acme", False, ["acme"]),
        ("c", False, ["c"]),
        ("acme", True, ["a", "b"]),
    ]
    assert [found.highest(each, "theft") for each in found.active()] == [-7, -20, -5]


def test_the_highest_score_of_the_window_counts_and_older_ones_do_not() -> None:
    traffic = [judged("a", 5, 0), judged("a", -20, 20), judged("a", -25, 45), judged("b", 3, 14.5), judged("b", -1, 40)]
    assert scores(owners(traffic)) == {"a": -20, "b": -1}
    assert scores(owners(traffic[:2])) == {"a": 5}


@pytest.mark.parametrize(("first", "kept"), [(14.0, False), (15.0, True), (15.9, True)])
def test_the_window_has_its_days_and_the_one_that_it_began_in(first: float, kept: bool) -> None:
    """The last request is on day 45: 30 days before it is a moment of day 15."""
    found = owners([judged("z", -30, 0), judged("a", 5, first), judged("a", -20, 44), judged("z", -30, 45)])
    assert scores(found)["a"] == (5 if kept else -20)


def test_who_was_not_seen_in_the_window_is_no_owner_of_it() -> None:
    found = owners([judged("gone", 5, 0), judged("here", -9, 40)])
    assert list(scores(found)) == ["here"]


def test_a_ring_does_not_show_days_of_a_round_before() -> None:
    found = owners([judged("a", 9, 0), judged("a", -20, 31), judged("a", -25, 62), judged("b", -30, 63)])
    assert scores(found)["a"] == -25


def test_a_request_that_ends_late_counts_for_the_day_it_came() -> None:
    found = owners([judged("a", -9, 40), judged("a", 4, 39), judged("a", 7, 2)], window=30)
    assert scores(found) == {"a": 7}  # days are counted from the first request that ended


def test_days_with_traffic_are_counted_and_holes_are_not() -> None:
    assert owners([judged("a", -30, day) for day in range(30)]).covered == 30
    assert owners([judged("a", -30, day) for day in (0, 29)]).covered == 2
    assert owners([judged("a", -30, day) for day in range(90)]).covered == 30
    assert owners([judged("a", -30, day) for day in range(9)], window=7).covered == 7


def test_tenure_is_of_the_accounts_file_or_of_what_was_seen() -> None:
    found = owners(
        [judged("old", -9, 0, created=91), judged("new", -9, 0, created=20), judged("seen", -9, 0)]
        + [judged("org1", -9, 0, org="o", created=3), judged("org2", -9, 0, org="o", created=300)]
        + [judged("seen", -9, 90.5)]
        + [judged(name, -9, 90.6, created=age) for name, age in (("old", 91), ("new", -90), ("late", None))]
        + [judged("org1", -9, 90.7, org="o")]
    )
    assert {each.name: each.tenured for each in found.active()} == {
        "old": True,
        "new": True,  # seen here since day 0, whatever its file says
        "seen": True,
        "late": False,
        "o": True,
    }


def test_what_was_never_scored_is_left_out() -> None:
    found = owners([judged("-", 3)])
    assert found.requests == 0
    assert list(found.active()) == []


def test_addends_are_those_of_the_highest_score() -> None:
    found = owners([judged("a", -9, evidence={"many": 12.0, "probs": 9.0}), judged("a", -12, evidence={"many": 12.0})])
    (owner,) = found.active()
    assert found.addends(owner, "theft") == {"probs": 9.0, "many": 12.0}
    assert owner.peaks["theft"].request.startswith("r")


def test_addends_from_before_the_window_are_not_told() -> None:
    found = owners([judged("a", -9, 0, evidence={"many": 12.0}), judged("a", -20, 20), judged("b", -30, 45)])
    owner = next(each for each in found.active() if each.name == "a")
    assert found.highest(owner, "theft") == -20
    assert found.addends(owner, "theft") == {}


def test_counts_are_where_most_was_known_and_summed_over_accounts() -> None:
    def of(account: str, hits: float, asked: float) -> Judged:
        readings = {"streamed_share.hits": hits, "streamed_share.of": asked}
        return judged(account, -9, org="o", readings=readings)

    found = owners([of("a", 1, 4), of("a", 3, 9), of("a", 8, 8), of("b", 2, 5)])
    (owner,) = found.active()
    assert found.counts(owner) == {"streamed_share": (5.0, 14.0)}


def test_several_policies_are_one_if_their_cards_are() -> None:
    found = owners([judged("a", -9)])
    found.adopt(policy(text=CARD.replace("id: made", "id: other").replace("-12 dB", "-13 dB")))
    with pytest.raises(Mistake, match="several policies"):
        found.adopt(policy(text=CARD.replace("points: 9 dB", "points: 8 dB")))
    with pytest.raises(Mistake, match="no scorecards"):
        found.adopt(policy(text="gauger: 1"))


def test_more_owners_than_can_be_held_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    with pytest.raises(Mistake, match="more than 3 owners or accounts"):
        owners([judged(f"a{at}", -9) for at in range(4)])
    with pytest.raises(Mistake, match="more than 3 owners or accounts"):
        owners([judged(f"a{at}", -9, org="o") for at in range(4)])


def test_a_digest_is_of_scores_and_not_of_names() -> None:
    one = owners([judged("a", -9), judged("b", -20)])
    assert one.digest() == owners([judged("y", -20), judged("x", -9)]).digest()
    assert one.digest() != owners([judged("a", -9), judged("b", -20.01)]).digest()
    assert one.digest() != owners([judged("a", -9), judged("b", -20), judged("c", -30)]).digest()


def test_an_owner_has_the_worst_label_of_its_accounts() -> None:
    found = owners([judged("a", -9, org="o"), judged("b", -9, org="o"), judged("c", -9)])
    alone, org = found.active()
    labels = Labels({"a": "benign", "b": "extraction"}, {"c": "benign"})
    assert (found.label(org, labels), found.label(alone, labels), found.label(org, None)) == (
        "extraction",
        "benign",
        None,
    )
