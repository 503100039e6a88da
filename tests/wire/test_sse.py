"""Server-sent events: the standard's examples, any chunking, and a filter that takes single events out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sse import EventFilter, Events

STREAMS = st.lists(
    st.sampled_from(
        [
            b"data: a",
            b"data:b",
            b"data",
            b"data: ",
            b"event: e",
            b": note",
            b"id: 1",
            b"x",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\xef\xbb\xbf",
            b"\xff",
        ]
    ),
    max_size=30,
).map(b"".join)


def whole(data: bytes, limit: int = 64) -> tuple[list[tuple[str, bytes]], bool]:
    events = Events(limit)
    return events.feed(data), events.overflowed


def chunked(data: bytes, cuts: list[int], limit: int = 64) -> tuple[list[tuple[str, bytes]], bool]:
    events = Events(limit)
    found = []
    for piece in pieces(data, cuts):
        found += events.feed(piece)
    return found, events.overflowed


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\ndata: b\r\n\r\ndata:  c\r\r", [("", b"a"), ("", b"b"), ("", b" c")]),
        (b"event: add\ndata: 1\ndata: 2\n\n", [("add", b"1\n2")]),
        (b": note\n\ndata\n\n", [("", b"")]),
        (b"data\ndata\n\n", [("", b"\n")]),
        (b"event: lonely\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data: never ended\n", []),
        (b"\n\n\ndata: a\n\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"id: 7\nretry: 3\nunknown: x\ndata: a\n\n", [("", b"a")]),
    ],
)
def test_events_are_read_as_the_standard_says(data: bytes, events: list[tuple[str, bytes]]) -> None:
    assert whole(data)[0] == events
    assert chunked(data, list(range(len(data))))[0] == events


@given(STREAMS, st.lists(st.integers(0, 1000), max_size=12), st.sampled_from([4, 8, 10, 64]))
def test_any_chunking_gives_the_same_events(data: bytes, cuts: list[int], limit: int) -> None:
    assert chunked(data, cuts, limit) == whole(data, limit)
    assert chunked(data, list(range(len(data))), limit) == whole(data, limit)


def test_an_event_that_is_too_long_is_skipped_and_told() -> None:
    events = Events()
    assert events.feed(b"data: a\n\n") == [("", b"a")]
    for _ in range(300):
        assert events.feed(b"data: " + b"x" * 1024 + b"\n") == []
    assert events.overflowed
    assert events.feed(b"\ndata: b\n\n") == [("", b"b")]


@pytest.mark.parametrize(
    ("data", "overflowed"),
    [
        (b"\nid: 1", False),
        (b"\n\n\nid: 1\n", False),
        (b"id: 1\n\nid: 1", False),
        (b"id: 12", False),  # not over before its end has come
        (b"id: 12\n\n", True),
        (b"id: 123", True),
    ],
)
def test_the_bound_is_the_same_in_any_chunks(data: bytes, overflowed: bool) -> None:
    assert whole(data, 5)[1] == overflowed
    assert chunked(data, list(range(len(data))), 5) == whole(data, 5)


def test_a_long_event_byte_by_byte_is_read() -> None:
    events = Events()
    found = []
    for byte in b"data: " + b"x" * 200_000 + b"\n\n":
        found += events.feed(bytes((byte,)))
    assert found == [("", b"x" * 200_000)]


MARKED = st.lists(
    st.tuples(
        st.sampled_from([b"data: keep", b"data: drop", b": note", b"event: e\ndata: drop"]),
        st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]),
    ),
    max_size=8,
)


@given(MARKED, st.lists(st.integers(0, 1000), max_size=12), st.booleans())
def test_a_filter_drops_the_named_events_and_no_other_byte(
    events: list[tuple[bytes, bytes]], cuts: list[int], open_end: bool
) -> None:
    end = b"data: drop" if open_end else b""
    data = b"".join(block + blank for block, blank in events) + end
    kept = b"".join(block + blank for block, blank in events if b"drop" not in block) + end
    for chunks in ([data], pieces(data, cuts), [bytes((byte,)) for byte in data]):
        made = EventFilter(lambda text: text == b"drop")
        assert b"".join([*map(made.feed, chunks), made.finish()]) == kept


@given(st.binary(max_size=80), st.lists(st.integers(0, 1000), max_size=8))
def test_a_filter_that_drops_nothing_changes_nothing(data: bytes, cuts: list[int]) -> None:
    made = EventFilter(lambda text: False, limit=16)
    assert b"".join([*map(made.feed, pieces(data, cuts)), made.finish()]) == data


def test_a_filter_does_not_hold_more_than_an_event() -> None:
    made = EventFilter(lambda text: True, limit=1024)
    passed = sum(len(made.feed(b"x" * 512)) for _ in range(10))
    assert passed >= 512 * 10 - 8
    assert made.feed(b"\n\ndata: b\n\ndata: c").endswith(b"\n\n")


def test_a_filter_passes_an_event_as_soon_as_it_is_whole() -> None:
    made = EventFilter(lambda text: False)
    assert made.feed(b"data: a\n\n") == b"data: a\n\n"
    assert made.feed(b"data: b\r\n\r\n") == b"data: b\r\n\r\n"
