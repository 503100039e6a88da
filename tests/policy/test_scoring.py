"""A compiled scorecard says what the plain one says, to the last bit and in the same order."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.cards import REQUESTS, Card, Scores
from gateway.policy.conditions.compiler import Slots
from gateway.policy.conditions.expressions import parse, show
from gateway.policy.evidence import beta_of
from gateway.policy.evidence import family as family_sum
from gateway.policy.model import Evidence, Family, Scorecard
from gateway.policy.names import Name
from gateway.policy.scoring import Scorer, gathered
from tests.policy.conditions import trees

COUNTS = (REQUESTS, "a_share.hits", "a_share.of", "b_share.hits", "b_share.of")
FACETS = {
    "score.x": Name("number", "", "dB", missing=True, level="score"),
    "score.x.families": Name("number", "", missing=True, level="score"),
    "score.x.corroborated": Name("bool", "", missing=True, level="score"),
}
NAMES = {**trees.NAMES, **FACETS, **{name: Name("number", "", "requests", missing=True) for name in COUNTS}}
FAMILIES = ("content", "timing", "account")

dbs = st.floats(-30, 40).map(lambda db: round(db, 1))
betas = st.builds(beta_of, st.sampled_from([0.005, 0.03, 0.5, 0.9]), st.sampled_from([0.1, 0.3, 0.5]))
points = st.lists(st.tuples(st.integers(-3, 60), dbs), min_size=1, max_size=4, unique_by=lambda point: point[0]).map(
    lambda found: tuple((at / 4, db) for at, db in sorted(found))
)
counts = st.one_of(st.none(), st.just(0.0), st.sampled_from([1.0, 2.0, 20.0, 50.0]), st.floats(0, 1e5))
amounts = st.fixed_dictionaries(dict.fromkeys(COUNTS, counts))
rows = st.builds(lambda known, counted: {**known, **counted}, trees.values, amounts)


@st.composite
def lines(draw: st.DrawFn, at: int) -> tuple[Evidence, dict[str, Any]]:
    """A line, and the trees of what it reads."""
    kind = draw(st.sampled_from(["rate", "read", "when"]))
    text, parsed = draw(st.sampled_from(["a_share", "b_share"])), {}
    if kind != "rate":
        node = draw(trees.numbers("", 2) if kind == "read" else trees.conditions(1))
        text = show(node)
        parsed[text] = node
    return Evidence(
        id=f"line-{at}",
        family=draw(st.sampled_from(FAMILIES)),
        kind=kind,  # type: ignore[arg-type]
        text=text,
        ceiling=draw(st.sampled_from([3.0, 12.0, 35.0])),
        floor=draw(st.sampled_from([-10.0, -2.5, 0.0])),
        after=draw(st.sampled_from([0.0, 0.0, 50.0])),
        null=draw(betas),
        alternative=draw(betas),
        points=draw(points) if kind == "read" else (),
        db=draw(dbs) if kind == "when" else 0.0,
    ), parsed


@st.composite
def cards(draw: st.DrawFn) -> tuple[Scorecard, dict[str, Any]]:
    drawn = [draw(lines(at)) for at in range(draw(st.integers(1, 7)))]
    parsed = {text: node for _, more in drawn for text, node in more.items()}
    needs = draw(st.one_of(st.none(), trees.conditions(1)))
    if needs is not None:
        parsed[show(needs)] = needs
    card = Scorecard(
        id="x",
        of=draw(st.sampled_from([("account",), ("campaign",), ("account", "campaign")])),
        prior={"account": draw(dbs), "campaign": -40.0},
        families={name: Family(draw(st.sampled_from([4.0, 20.0])), draw(st.floats(0, 1))) for name in FAMILIES},
        evidence=tuple(line for line, _ in drawn),
        needs=show(needs) if needs is not None else "",
    )
    return card, parsed


@settings(max_examples=400, deadline=None)
@given(cards(), st.lists(rows, min_size=2, max_size=5), st.one_of(st.none(), st.none(), dbs))
def test_compiled_is_plain(made: tuple[Scorecard, dict[str, Any]], known: list[dict[str, Any]], told: Any) -> None:
    card, parsed = made
    slots, others = Slots(NAMES), Slots(NAMES)
    plain = Card(card, slots, NAMES, trees.LISTS, parsed)
    compiled = Scorer(card, others, NAMES, trees.LISTS, parsed)
    assert slots.names == others.names  # the order in which a record lists its readings
    for row in known:
        values = [{**row, **dict.fromkeys(FACETS), "score.x": told}[name] for name in slots.names]
        again = list(values)
        expected, found = Scores({}, {}, {}), Scores({}, {}, {})
        plain.score(values, expected, "account")
        compiled.score(again, found, "account")
        assert (repr(found), repr(again)) == (repr(expected), repr(values))


@given(
    st.lists(st.one_of(st.floats(-40, 60), st.sampled_from([5.0, -5.0])).filter(bool), min_size=1, max_size=8),
    st.floats(1, 30),
    st.floats(0, 1),
)
def test_what_is_gathered_is_the_family(found: list[float], ceiling: float, correlation: float) -> None:
    expected = family_sum([(min(db, ceiling), ceiling) for db in found], ceiling=ceiling, correlation=correlation)
    assert gathered([min(db, ceiling) for db in found], ceiling, correlation, 0.0) == expected
    raised = [(db, 60.0 if db > ceiling else ceiling) for db in found]
    lifted = max((db for db in found if db > ceiling), default=0.0)
    assert gathered(found, ceiling, correlation, lifted) == family_sum(raised, ceiling=ceiling, correlation=correlation)


def test_by_hand() -> None:
    """Prior -30, a condition of +2, and a curve from 0 to 10 dB at its middle, of 20 requests: half of 5 dB."""
    read = Evidence("r", "content", "read", "hour.logprob_share", 20.0, points=((0.0, 0.0), (1.0, 10.0)))
    when = Evidence("w", "account", "when", "req.n > 1", 20.0, db=2.0)
    card = Scorecard("x", ("account",), {"account": -30.0}, dict.fromkeys(FAMILIES, Family(20.0, 0.1)), (read, when))
    parsed = {text: parse(text) for text in (read.text, when.text)}
    slots = Slots(NAMES)
    scorer = Scorer(card, slots, NAMES, trees.LISTS, parsed)
    known = {"hour.logprob_share": 0.5, "req.n": 2, REQUESTS: 20.0}
    scores = Scores({}, {}, {})
    values = [known.get(name) for name in slots.names]
    scorer.score(values, scores, "account")
    assert scores == Scores({"x": -25.5}, {"x": {"r": 2.5, "w": 2.0}}, {"x": {"content": 2.5, "account": 2.0}})
    assert dict(zip(slots.names, values, strict=True))["score.x"] == -25.5
