"""The signed header: only the key's owner can make one, and a model server can check it without us."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions.tag import MAX_TAGS, Tagged, sign, verify

KEY = b"a key of sixteen characters or more"
T = 1_795_487_400
ID = "01M85NZEAD4EGHMQRXPQV13DCG"
WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(st.binary(min_size=1), st.integers(0, 10**12 - 1), WORDS, st.lists(WORDS, min_size=1, max_size=MAX_TAGS))
def test_what_is_signed_is_read_back(key: bytes, t: int, id_: str, tags: list[str]) -> None:
    header = sign(key, t, id_, tags).decode()
    assert verify(key, header, t) == Tagged(t, id_, tuple(tags))
    assert verify(key + b"x", header, t) is None


def test_the_header_is_this_one_and_five_lines_of_any_language_verify_it() -> None:
    header = sign(KEY, T, ID, ("a", "b")).decode()
    said, _, sig = header.rpartition(";sig=")
    assert said == f"v1;t={T};id={ID};tags=a,b"
    digest = hmac.new(KEY, said.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(sig + "=") == digest
    assert "=" not in sig


@given(st.data())
def test_no_other_text_passes(data: st.DataObject) -> None:
    header = sign(KEY, T, ID, ("extraction-watch", "b")).decode()
    at = data.draw(st.integers(0, len(header)))
    cut = data.draw(st.integers(0, 3))
    changed = header[:at] + data.draw(st.text(max_size=3)) + header[at + cut :]
    assert changed == header or verify(KEY, changed, T) is None


@pytest.mark.parametrize(("off", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_an_old_header_is_nobody_s(off: int, good: bool) -> None:
    assert (verify(KEY, sign(KEY, T, ID, ("a",)).decode(), T + off) is not None) is good
    assert verify(KEY, sign(KEY, T, ID, ("a",)).decode(), T + 9, tolerance=5) is None


@pytest.mark.parametrize(
    "tags", [(), ("",), ("a b",), ("a,b",), ("a;sig=x",), ("a\r\nx: y",), ("é",), ("x" * 65,), ("a\n",)]
)
def test_what_would_blur_the_header_is_not_signed(tags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="header"):
        sign(KEY, T, ID, tags)


def test_a_header_has_a_bound() -> None:
    header = sign(KEY, T, ID, tuple(f"{number:064d}" for number in range(1000)))
    assert len(header) < 8192
    found = verify(KEY, header.decode(), T)
    assert found is not None
    assert len(found.tags) == MAX_TAGS
