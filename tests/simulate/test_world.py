"""Worlds: the order of time, the same bytes, bounded memory, and files that others read."""

import gzip
import io
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from gateway.accounts import load_accounts
from gateway.documents import DocumentErrors
from gateway.errors import Mistake
from gateway.simulate.chance import dice_of
from gateway.simulate.files import read_prompts, write_accounts, write_labels, write_traffic
from gateway.simulate.knobs import PRESETS, parsed
from gateway.simulate.scenario import SCENARIOS, controls_of, written
from gateway.simulate.world import Scenario, World

MIXED = Scenario(
    seed=3, days=1, benign=20, hydras=(parsed("hydra-20,rotation=20,succession=yes"),), controls=("course",)
)


def bytes_of(scenario: Scenario) -> bytes:
    out = io.BytesIO()
    for _ in write_traffic(World(scenario, dice_of(scenario.seed)), out):
        pass
    return out.getvalue()


def test_the_same_seed_is_the_same_bytes_and_another_one_is_not() -> None:
    first = bytes_of(MIXED)
    assert first == bytes_of(MIXED)
    assert first != bytes_of(msgspec.structs.replace(MIXED, seed=4))
    assert first.count(b"\n") > 1_000


def test_lines_come_in_the_order_of_time_with_ids_of_their_own() -> None:
    lines = [msgspec.json.decode(line) for line in bytes_of(MIXED).splitlines()]
    times = [line["t"] for line in lines]
    assert times == sorted(times)
    assert len({line["id"] for line in lines}) == len(lines)
    assert len({line["account"] for line in lines}) == len({line["key"] for line in lines})
    for line in lines[:200]:
        assert line["status"] == 200 or line["response_tokens"] == 0
        assert line["response_usage"]["completion_tokens"] == line["response_tokens"]


def test_labels_count_every_request() -> None:
    world = World(MIXED, dice_of(3))
    count = sum(1 for _ in world.play())
    out = io.BytesIO()
    write_labels(world, out)
    labels = [msgspec.json.decode(line) for line in out.getvalue().splitlines()]
    assert sum(label["requests"] for label in labels) == count == world.requests
    assert {label["label"] for label in labels} == {"benign", "extraction"}
    assert all((label["cluster"] == "hydra-1") == (label["label"] == "extraction") for label in labels)
    assert set(labels[0]) == {"account", "label", "family", "cluster", "owner", "requests"}


def test_the_accounts_file_is_one_that_the_gateway_reads() -> None:
    world = World(msgspec.structs.replace(MIXED, controls=("enterprise",)), dice_of(3))
    for _ in world.play():
        pass
    out = io.BytesIO()
    write_accounts(world, out)
    directory = load_accounts(out.getvalue(), "accounts.yaml")
    known = {account.name: account for account in world.accounts if account.requests}
    assert set(directory.accounts) == set(known)
    for name, entry in directory.accounts.items():
        assert entry.org == known[name].org
        assert entry.created is not None
        assert 0 <= (1_767_571_200 + known[name].created) - entry.created < 86_400
    assert sum(entry.org == "enterprise" for entry in directory.accounts.values()) > 70


def test_memory_does_not_grow_with_the_traffic() -> None:
    scenario = Scenario(days=2, benign=30, hydras=(PRESETS["hydra-20"],))
    size = 0
    tracemalloc.start()
    for sent in World(scenario, dice_of(1)).play():
        size += len(sent.line.body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 1_500_000
    assert peak < 0.3 * size


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "text, found",
    [
        ("one\n\n two \none\n", ("one", "two")),
        ('"a\\nb"\n"c"\n', ("a\nb", "c")),
        ('{"prompt": "a"}\n{"id": 1, "question": "b"}\n{"text": "c", "answer": "d"}\n', ("a", "b", "c")),
        ("größer?\n", ("größer?",)),
    ],
)
def test_prompts_of_a_file(tmp_path: Path, text: str, found: tuple[str, ...], packed: bool) -> None:
    path = tmp_path / "prompts"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_prompts(path) == found


@pytest.mark.parametrize(
    "data, said",
    [
        (b"\n \n", "there is no prompt in it"),
        (b'{"prompt": "a"}\nplain\n', ":2: this line is no JSON"),
        (b'{"prompt": "a"}\n{"answer": "b"}\n', ":2: there is no prompt in this line"),
        (b'"a"\n7\n', ":2: there is no prompt in this line"),
        (b"\xff\xfe\n", ":1: this is not UTF-8"),
        (gzip.compress(b"a\n" * 99_999, mtime=0)[:-9], "damaged"),
    ],
)
def test_a_file_without_prompts_is_a_clear_mistake(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "prompts"
    path.write_bytes(data)
    with pytest.raises(Mistake, match=said):
        read_prompts(path)


def test_a_missing_file_of_prompts(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="can't be read"):
        read_prompts(tmp_path / "nothing")


def test_a_scenario_s_file() -> None:
    text = b"""
seed: 7
days: 1.5
benign: 40
controls: [course, viral]
hydras:
  - hydra-20
  - {preset: slow, id: crawl, accounts: 5, cover: 0.2, frames: each, succession: true}
prompts: bank.jsonl
"""
    scenario, prompts = written(text, "s.yaml")
    assert (scenario.seed, scenario.days, scenario.benign, prompts) == (7, 1.5, 40, "bank.jsonl")
    assert scenario.controls == ("course", "viral")
    assert scenario.hydras[0] == PRESETS["hydra-20"]
    assert (scenario.hydras[1].pace, scenario.hydras[1].frames, scenario.hydras[1].succession) == (6, -1, True)


@pytest.mark.parametrize(
    "text, said",
    [
        ("[]", "a scenario is a mapping"),
        ("dais: 3", "unknown key `dais`"),
        ("days: 0", "`days` can't be `0`"),
        ("benign: 2.5", "`benign` can't be `2.5`"),
        ("benign: true", "`benign` can't be `true`"),
        ("hydras: hydra-20", "`hydras` must be a list"),
        ("hydras: [[]]", "mapping of knobs"),
        ("hydras: [{pase: 3}]", "no knob `pase`"),
        ("controls: [curse]", "no control `curse`"),
        ("prompts: [a]", "`prompts` must be"),
    ],
)
def test_a_wrong_scenario_is_a_clear_mistake(text: str, said: str) -> None:
    with pytest.raises(Mistake, match=said.replace("[", r"\[")):
        written(text.encode(), "s.yaml")


def test_a_scenario_that_is_no_yaml() -> None:
    with pytest.raises(DocumentErrors):
        written(b"a: [", "s.yaml")


def test_named_scenarios_are_sound() -> None:
    for name, scenario in SCENARIOS.items():
        assert controls_of(scenario.controls) == scenario.controls, name
        small = msgspec.structs.replace(scenario, days=0.05, benign=min(3, scenario.benign))
        World(small, dice_of(1))
