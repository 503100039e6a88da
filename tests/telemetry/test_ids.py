"""Request ids."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.ids import ALPHABET, Ulids, ulid


def value(text: str) -> int:
    number = 0
    for character in text:
        number = number * 32 + ALPHABET.index(character)
    return number


def test_an_id_has_26_characters_of_crockfords_alphabet() -> None:
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", ulid())


def test_the_example_of_the_specification_has_our_prefix() -> None:
    assert Ulids(lambda: 1_469_918_176_385_000).next().startswith("01ARYZ6S41")


@given(st.lists(st.integers(0, (1 << 48) * 1000 - 1), min_size=1, max_size=30), st.binary(min_size=10, max_size=10))
def test_ids_increase_whatever_the_clock_does(times: list[int], entropy: bytes) -> None:
    clock = iter(times)
    ids = Ulids(lambda: next(clock), lambda _: entropy)
    made = [ids.next() for _ in times]
    assert made == sorted(set(made))
    for at, (now, text) in enumerate(zip(times, made, strict=True)):
        assert value(text) >> 80 == max(times[: at + 1]) // 1000 >= now // 1000
        assert len(text) == 26


def test_randomness_fills_the_last_sixteen_characters() -> None:
    assert value(Ulids(lambda: 0, lambda n: bytes(range(n))).next()) == int.from_bytes(bytes(range(10)), "big")
    assert Ulids(lambda: 0, lambda n: b"\xff" * n).next() == "0000000000FZZZZZZZZZZZZZZZ"


def test_two_generators_do_not_meet() -> None:
    one, two = Ulids(lambda: 0), Ulids(lambda: 0)
    assert not {one.next() for _ in range(1000)} & {two.next() for _ in range(1000)}
