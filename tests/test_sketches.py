"""Small sketches: the last few, and bits of what came before. Those of a signal are tested with it."""

import pytest

from gateway.sketches import Bits, Recent, mix

START = 5  # where in the bytes a sketch begins


def test_the_mix_is_splitmix64() -> None:
    assert mix(0) == 0xE220A8397B1DCDAF  # the generator's published first number from the seed 0
    assert mix(2**64) == mix(0)


def test_the_last_few_are_found_and_the_first_that_came_goes_first() -> None:
    recent, data = Recent(3), bytearray(100)
    for print_ in (11, 12, 13):
        recent.add(data, START, print_, 1000 + print_, print_)
    place = recent.find(data, START, 11)
    assert recent.look(data, place, 2000) == (989, 11)
    recent.touch(data, place, 1990, 200)
    assert recent.look(data, place, 2000) == (10, 200)
    recent.add(data, START, 14, 2000, 0)  # in the place of 11, although that was touched last
    assert [bool(recent.find(data, START, print_)) for print_ in (11, 12, 13, 14)] == [False, True, True, True]
    assert not any(data[:START]) and not any(data[START + recent.size :])


def test_only_32_bits_of_a_fingerprint_and_of_a_time_are_kept() -> None:
    recent, data = Recent(2), bytearray(40)
    recent.add(data, 0, 2**40 + 7, 2**32 + 100, 1)
    assert recent.look(data, recent.find(data, 0, 7), 130) == (30, 1)


def test_what_only_looks_like_a_fingerprint_across_two_slots_is_none() -> None:
    recent, data = Recent(2), bytearray(40)
    recent.add(data, 0, 0x01000000, 0, 0)
    recent.add(data, 0, 0x02, 0, 0)
    assert not recent.find(data, 0, 0x00000001)  # its bytes stand there, one further on
    assert recent.find(data, 0, 0x02)


def test_nothing_is_found_before_anything_came() -> None:
    assert not Recent(2).find(bytearray(40), 0, 0)


def test_bits_tell_the_new_from_the_known() -> None:
    bits, data = Bits(1024), bytearray(200)
    assert bits.add(data, START, (1, 2, 3)) == (3, 0)
    assert bits.add(data, START, (3, 4)) == (1, 1)
    assert bits.chance(data, START) == 1 - 4 / 1024
    assert bits.different(data, START) == pytest.approx(4, rel=0.01)
    assert not any(data[:START]) and not any(data[START + bits.size :])


def test_bits_go_on_counting_on_a_sample() -> None:
    bits, data = Bits(64), bytearray(11)
    seen = 0.0
    for number in range(10_000):
        chance = bits.chance(data, 0)
        new, _ = bits.add(data, 0, (number,))
        seen += new / chance
    assert seen == pytest.approx(10_000, rel=0.25)  # each new one stands for 1 / chance
    assert 4 <= data[0] <= 8  # about 89 numbers fill three quarters of 64 bits, and twice as many a level later
    assert data[1] == sum(byte.bit_count() for byte in data[3:])
