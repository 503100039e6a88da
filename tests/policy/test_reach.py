"""What a scorecard can come to bounds whatever it comes to."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.evidence import FLOOR, bayes_factor, beta_of, family, interpolate, support
from gateway.policy.model import Evidence, Family, Scorecard
from gateway.policy.reach import reach

SHARES = st.floats(0.001, 0.999)


@settings(deadline=None)
@given(st.data())
def test_no_score_leaves_the_bounds_of_its_card(data: Any) -> None:
    lines, values = [], []
    number = st.floats(-30, 30).map(lambda value: round(value, 1))
    for at in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["rate", "read", "when"]))
        line = Evidence(str(at), data.draw(st.sampled_from("pq")), kind, "", data.draw(st.floats(0.1, 30)))
        changes: dict[str, Any] = {}
        if kind == "rate":
            null, other = (beta_of(data.draw(SHARES), data.draw(SHARES)) for _ in "ab")
            of = data.draw(st.floats(0, 1e6))
            changes = {"null": null, "alternative": other}
            said = support(of) * bayes_factor(data.draw(st.floats(0, 1)) * of, of, null, other)
        elif kind == "read":
            points = tuple((float(x), data.draw(number)) for x in range(data.draw(st.integers(2, 4))))
            changes = {"points": points}
            said = support(data.draw(st.floats(0, 1e6))) * interpolate(points, data.draw(st.floats(-1, 5)))
        else:
            changes = {"db": data.draw(number)}
            said = changes["db"] if data.draw(st.booleans()) else 0.0
        lines.append(Evidence(**{**{name: getattr(line, name) for name in line.__struct_fields__}, **changes}))
        values.append(min(line.ceiling, said))
    families = {name: Family(data.draw(st.floats(0.1, 30)), data.draw(st.floats(0.01, 1))) for name in "pq"}
    sheet = Scorecard("s", ("account",), {"account": -30.0}, families, tuple(lines))
    total = -30.0
    ends = reach(sheet)
    for name, kind_of in families.items():
        pieces = [(db, line.ceiling) for line, db in zip(lines, values, strict=True) if line.family == name and db]
        worth = round(family(pieces, ceiling=kind_of.ceiling, correlation=kind_of.correlation), 2) if pieces else 0.0
        assert worth >= FLOOR or any(db < FLOOR for db, _ in pieces)
        assert worth < 5.0 or name in ends.strong
        total += worth
    assert ends.least - 0.01 <= round(total, 2) <= ends.most + 0.01


def test_a_rate_with_a_dense_alternative_has_a_most_of_its_own() -> None:
    """Beta(0.037, 1.186) against Beta(1.5, 1.5): the ratio of densities is largest at 82 %, with 14.77 dB."""
    null, other = beta_of(0.03, 0.45), (1.5, 1.5)
    line = Evidence("a", "p", "rate", "", 20.0, null=null, alternative=other)
    ends = reach(Scorecard("s", ("account",), {"account": 0.0}, {"p": Family(20.0, 0.3)}, (line,)))
    assert (ends.least, ends.most, ends.strong, ends.corroborated) == (-10.0, 14.77, ("p",), False)
    assert max(bayes_factor(share * 10.0, 1000.0, null, other) for share in range(101)) == pytest.approx(
        14.77, abs=0.05
    )


def test_a_line_that_never_holds_counts_nothing() -> None:
    lines = tuple(Evidence(name, "p", "when", "", 9.0, db=db) for name, db in (("a", 8.0), ("b", -3.0)))
    sheet = Scorecard(
        "s", ("account", "campaign"), {"account": -30.0, "campaign": -20.0}, {"p": Family(9.0, 0.3)}, lines
    )
    assert reach(sheet)[:2] == (-33.0, -12.0)
    assert reach(sheet, {"a": True})[:2] == (-33.0, -20.0)
