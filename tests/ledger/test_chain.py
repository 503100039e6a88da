"""The chain proves order and content: every damage to a segment's text is found where it is."""

import os
import random
from contextlib import suppress
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decide import Facts, Outcome, Verdict
from gateway.identity import Caller
from gateway.ledger.chain import (
    GENESIS,
    MAX_BODY,
    SALT,
    Broken,
    Chain,
    body_of,
    chain_at,
    row_of,
    tombstone,
)
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Row, Ruled, Settled, decode, encode
from gateway.observe import Observation

NOW = 1_700_000_000_000_000
ROWS: list[Row] = [
    Opened(1, NOW, "0.1.0", pepper="00aa11bb"),
    Adopted(2, NOW + 1, "0123456789ab", "few", files={"p.yaml": 'gauger: 1\n# "quoted" ü\n'}),
    Ruled(3, NOW + 2, "R1", "0123456789ab", Facts(Caller("a"), Observation(model="m")), Verdict()),
    Settled(4, NOW + 3, "R1", "a", Outcome("done", 200, 200)),
    Gap(5, NOW + 4, 3, "full"),
    Ruled(8, NOW + 5, "R2", "0123456789ab", Facts(Caller("b"), Observation()), Verdict()),
]


def written(rows: list[Row] = ROWS, *, closed: bool = True, chain: Chain | None = None) -> list[bytes]:
    chain = chain or Chain()
    lines = [chain.begin(chain.number + 1, "0.1.0", NOW)]
    lines += [chain.add(row_of(row), os.urandom(SALT)) for row in rows]
    return [*lines, chain.end(NOW + 9, "stop")] if closed else lines


def read(lines: list[bytes]) -> Chain:
    chain = chain_at(lines[0])
    for line in lines:
        chain.read(line)
    return chain


def holds(lines: list[bytes]) -> bool:
    try:
        read(lines)
    except Broken:
        return False
    return True


def test_what_was_written_reads_back_and_ends_at_the_same_hash() -> None:
    chain = Chain()
    lines = written(chain=chain)
    assert read(lines).value == chain.value != GENESIS
    assert [decode(body) for line in lines if (body := body_of(line)) is not None] == ROWS
    assert Chain().read(lines[0]).kind == "segment"


def test_every_line_is_json_and_the_hash_is_the_one_that_the_docstring_says() -> None:
    lines = written()
    value = GENESIS
    for line in lines:
        told = msgspec.json.decode(line)
        assert line == line.strip() + b"\n"
        if "row" in told:
            body = line[line.index(b'"row":') + 6 : -2]
            label = f"{told['row']['seq']} {told['row']['now']} {told['row']['type']} ".encode()
            inner = sha256(bytes.fromhex(told["s"]) + body).digest()
        else:
            name = "segment" if "segment" in told else "end"
            body = line[line.index(f'"{name}":'.encode()) + len(name) + 3 : -2]
            label, inner = f"{name} ".encode(), sha256(body).digest()
        value = sha256(value + label + inner).digest()
        assert told["h"] == value.hex()[:16]
    assert read(lines).value == value


def test_segments_are_one_chain() -> None:
    chain = Chain()
    first, second = written(chain=chain), written(chain=chain)
    assert read(first + second).value == chain.value
    assert not holds(first + first)
    assert not holds(second + first)
    assert chain_at(second[0]).value == read(first).value
    assert msgspec.json.decode(second[0])["segment"]["number"] == 2


def test_every_single_byte_is_watched() -> None:
    lines = written()
    text = b"".join(lines)
    for at in range(len(text)):
        for other in {text[at] ^ 1, text[at] ^ 0x20, 0x20, 0x0A} - {text[at]}:
            changed = text[:at] + bytes([other]) + text[at + 1 :]
            assert not holds(changed.splitlines(keepends=True)), (at, other)


def test_every_byte_of_a_tombstone_is_watched() -> None:
    lines = written()
    lines[3] = tombstone(lines[3])
    for at in range(len(lines[3])):
        for other in {lines[3][at] ^ 1, lines[3][at] ^ 0x20, 0x20} - {lines[3][at]}:
            changed = lines[3][:at] + bytes([other]) + lines[3][at + 1 :]
            assert not holds([*lines[:3], changed, *lines[4:]]), (at, other)


@given(st.randoms(use_true_random=False), st.sampled_from(["remove", "swap", "repeat", "cut", "insert", "delete"]))
def test_any_damage_is_found(chance: random.Random, how: str) -> None:
    lines = written()
    text = b"".join(lines)
    at, other = sorted(chance.sample(range(len(lines)), 2))
    place = chance.randrange(len(text) - 1)
    changed = list(lines)
    if how == "remove":
        del changed[at]
    elif how == "swap":
        changed[at], changed[other] = lines[other], lines[at]
    elif how == "repeat":
        changed.insert(other, lines[at])
    elif how == "cut":
        changed = text[:place].splitlines(keepends=True)
    elif how == "insert":
        changed = (text[:place] + chance.randbytes(1) + text[place:]).splitlines(keepends=True)
    else:
        changed = (text[:place] + text[place + 1 :]).splitlines(keepends=True)
    head = read(lines).value
    if changed != lines:
        with suppress(Broken):
            assert not changed or read(changed).value != head


def test_the_end_of_an_open_segment_can_be_cut_off_and_only_a_remembered_head_tells() -> None:
    lines = written(closed=False)
    assert holds(lines[:-2])
    assert read(lines[:-2]).value != read(lines).value


def test_a_tombstone_keeps_every_hash_and_nothing_of_the_content() -> None:
    lines = written()
    before = read(lines)
    erased = [*lines[:3], tombstone(lines[3]), tombstone(lines[4]), *lines[5:]]
    assert read(erased).value == before.value
    body = body_of(erased[3])
    assert body is not None
    row = decode(body)
    assert isinstance(row, Erased)
    assert (row.seq, row.now, row.was) == (3, NOW + 2, "ruled")
    assert b'"s"' not in erased[3] and b"R1" not in erased[3] and b'"a"' not in erased[3] + erased[4]
    assert not holds([*erased[:3], *erased[4:]])
    assert not holds([*erased[:3], erased[4], erased[3], *erased[5:]])


def test_a_tombstone_can_not_hide_a_change_that_came_before_it() -> None:
    lines = written()
    changed = lines[3].replace(b'"R1"', b'"R9"')
    assert not holds([*lines[:3], tombstone(changed), *lines[4:]])


def test_a_digest_without_its_salt_is_that_of_no_guess() -> None:
    """The same row twice has two digests, so a right guess of its content is not confirmed by one."""
    one, two = written(), written()
    assert tombstone(one[3])[22:] != tombstone(two[3])[22:]
    assert sha256(encode(ROWS[2])).hexdigest().encode() not in tombstone(one[3])


@pytest.mark.parametrize("line", [0, -1])
def test_only_rows_are_erased(line: int) -> None:
    with pytest.raises(Broken):
        tombstone(written()[line])


def test_what_can_not_be_a_line_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValueError):
        row_of(Adopted(1, 1, "d", "i", files={"a": "x" * MAX_BODY}))
    with pytest.raises(ValueError):
        row_of(Erased(1, 1, "ruled", "00" * 32))
    with pytest.raises(ValueError):
        row_of(Settled(1, 1, "\ud800", "a", Outcome("done")))


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"{}\n", b'{"h":"0123456789abcdef","row":{}}\n', b'{"h":"', b"\xff" * 200 + b"\n"]
)
def test_what_is_no_line_says_so(line: bytes) -> None:
    with pytest.raises(Broken, match="no line of a ledger"):
        Chain().read(line)


def test_a_damaged_line_is_where_reading_stops() -> None:
    lines = written()
    chain = chain_at(lines[0])
    for line in lines[:3]:
        chain.read(line)
    before = chain.value
    with pytest.raises(Broken, match="doesn't continue the chain"):
        chain.read(lines[4])
    assert chain.value == before
    chain.read(lines[3])
