"""The adaptive attacker: his arithmetic, and that he finds what is there to be found."""

import math
from collections.abc import Callable

import msgspec
import pytest

from gateway.simulate.attack import CHEAPEST, LADDERS, Costs, Spent, Try, cost_of, judged, search
from gateway.simulate.chance import dice_of
from gateway.simulate.knobs import Hydra, hydra_of

Played = tuple[Spent, str]


def test_a_campaign_s_price_is_the_sum_of_its_parts() -> None:
    spent = Spent(useful=800, requests=1_000, accounts=25, networks=10, reworded=500, days=4.0)
    costs = Costs(day=7.0)
    # 10 + 125 + (10 networks - 3 that 25 accounts have for nothing) + 1 + 25 * 60/30 * 2 + 28
    assert cost_of(spent, Hydra(age=60), costs) == pytest.approx(10 + 125 + 7 + 1 + 100 + 28)
    found = judged(3, "", Hydra(age=60), (spent, "target"), costs)
    assert found.cost == pytest.approx(271)
    assert found.per_1000 == pytest.approx(271 / 800 * 1000, abs=0.01)
    assert found.reached
    assert judged(1, "", Hydra(), (Spent(requests=5), "refused"), costs).per_1000 is None


def guard(passes: Callable[[Hydra], bool], target: int = 100) -> tuple[Callable[[Hydra, float], Played], list[Hydra]]:
    """A gateway that serves whoever `passes`, and stops all others after 5 answers."""
    asked: list[Hydra] = []

    def play(knobs: Hydra, most: float) -> Played:
        asked.append(knobs)
        useful = target if passes(knobs) else 5
        requests = math.ceil(useful / (1 - knobs.cover))
        words = requests if knobs.paraphrase > 1 else 0
        networks = -(-knobs.accounts // knobs.per_network)
        spent = Spent(useful=useful, requests=requests, accounts=knobs.accounts, networks=networks, reworded=words)
        return spent, "target" if useful == target else "refused"

    return play, asked


def found_by(passes: Callable[[Hydra], bool], budget: int = 80) -> tuple[Try | None, list[Hydra]]:
    play, asked = guard(passes)
    floor = judged(0, "", CHEAPEST, play(CHEAPEST, math.inf), Costs()).cost if passes(CHEAPEST) else 0.0
    asked.clear()
    return search(play, budget, "plain", Costs(), dice_of(1)("attacker"), floor).best, asked


def test_an_open_door_is_walked_through_at_the_first_try() -> None:
    best, asked = found_by(lambda knobs: True)
    assert best is not None
    assert best.knobs == msgspec.structs.replace(CHEAPEST, wording="plain")
    assert len(asked) == 1


@pytest.mark.parametrize(
    "passes, cost",
    [
        (lambda knobs: knobs.paraphrase > 1, 5 + 1 + 0.2),
        (lambda knobs: knobs.pace <= 100 and knobs.accounts >= 15, 75 + 1),
        (lambda knobs: knobs.cover >= 0.6 and knobs.client == "popular", 5 + 2.5),
        (lambda knobs: knobs.age >= 30 and knobs.params == "popular", 5 + 1 + 2),
    ],
)
def test_the_cheapest_way_around_is_found(passes: Callable[[Hydra], bool], cost: float) -> None:
    best, asked = found_by(passes, 150)
    assert best is not None
    assert best.cost == pytest.approx(cost)
    assert len(set(asked)) == len(asked) <= 150  # no point twice


def test_a_wall_is_reported_as_one_and_the_budget_holds() -> None:
    best, asked = found_by(lambda knobs: False, 25)
    assert best is None
    assert len(asked) == 25


def test_the_search_is_the_same_every_time() -> None:
    one, two = (found_by(lambda knobs: knobs.cover > 0.5, 60)[1] for _ in range(2))
    assert one == two


def test_what_can_t_be_cheaper_is_not_played() -> None:
    best, asked = found_by(lambda knobs: knobs.accounts >= 8, 200)
    assert best is not None
    assert best.knobs.accounts == 8
    after = asked[next(at for at, knobs in enumerate(asked) if knobs.accounts == 8) + 1 :]
    assert all(knobs.accounts * 5 < best.cost for knobs in after)


def test_every_rung_of_the_ladders_is_a_knob_s_value() -> None:
    for name, ladder in LADDERS.items():
        for value in ladder:
            assert getattr(hydra_of({name: value}, "ladder"), name) == value
