"""Content codings: what servers send is decoded in any chunks, what lies or swells is given up."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.coding import Decoder, decoder

TEXT = b"".join(b'data: {"n":%d}\n\n' % n for n in range(400))


def bare(data: bytes) -> bytes:
    codec = zlib.compressobj(wbits=-15)
    return codec.compress(data) + codec.flush()


ENCODED = {
    b"identity": TEXT,
    b"": TEXT,
    b"gzip": gzip.compress(TEXT),
    b"X-GZIP": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
    b"deflate": zlib.compress(TEXT),
    b" Deflate": bare(TEXT),
    b"br": brotli.compress(TEXT),
    b"zstd": zstandard.compress(TEXT),
    b" zstd": zstandard.compress(TEXT[:100]) + zstandard.compress(TEXT[100:]),
    b"gzip, br": brotli.compress(gzip.compress(TEXT)),
    b"identity, zstd": zstandard.compress(TEXT),
}


def made(coding: bytes, **bounds: int) -> Decoder:
    found = decoder(coding, **bounds)
    assert found is not None
    return found


@pytest.mark.parametrize("coding", ENCODED)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_any_chunks_decode_to_the_text(coding: bytes, step: int) -> None:
    data = ENCODED[coding]
    found = made(coding)
    assert b"".join(found.feed(data[at : at + step]) for at in range(0, len(data), step)) == TEXT
    assert found.finish()
    assert not found.failed


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_what_was_flushed_is_there_at_once(coding: bytes) -> None:
    match coding:
        case b"br":
            squeezer = brotli.Compressor()
            data = squeezer.process(b"data: a\n\n") + squeezer.flush()
        case b"zstd":
            frame = zstandard.ZstdCompressor().compressobj()
            data = frame.compress(b"data: a\n\n") + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        case _:
            codec = zlib.compressobj(wbits=31 if coding == b"gzip" else 15)
            data = codec.compress(b"data: a\n\n") + codec.flush(zlib.Z_SYNC_FLUSH)
    assert made(coding).feed(data) == b"data: a\n\n"


@pytest.mark.parametrize("coding", [b"compress", b"gzip, gzip, gzip", b"gzip, rot13", b"\xff"])
def test_a_coding_that_is_not_known_has_no_decoder(coding: bytes) -> None:
    assert decoder(coding) is None


@pytest.mark.parametrize("coding", [name for name in ENCODED if name not in (b"identity", b"")])
def test_a_truncated_body_fails(coding: bytes) -> None:
    found = made(coding)
    found.feed(ENCODED[coding][:-4])
    assert not found.finish()
    assert found.failed


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"deflate", b"gzip, br"])
def test_text_that_says_it_is_encoded_fails_and_gives_nothing_more(coding: bytes) -> None:
    found = made(coding)
    found.feed(b"<html>this is not encoded at all</html>" * 9)
    assert not found.finish()
    assert found.feed(b"more") == b""


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"deflate"])
@pytest.mark.parametrize("step", [1000, 10_000_000])
def test_a_bomb_is_given_up(coding: bytes, step: int) -> None:
    zeros = bytes(40_000_000)
    encode = {
        b"gzip": gzip.compress,
        b"br": lambda data: brotli.compress(data, quality=3),
        b"zstd": zstandard.compress,
        b"deflate": zlib.compress,
    }
    bomb = encode[coding](zeros)
    found = made(coding)
    given_ = sum(len(found.feed(bomb[at : at + step])) for at in range(0, len(bomb), step))
    assert found.failed
    assert given_ <= 65_536 + 200 * len(bomb)


def test_a_total_can_be_set() -> None:
    found = made(b"gzip", total=1000)
    assert len(found.feed(ENCODED[b"gzip"])) <= 1000
    assert found.failed


@given(st.sampled_from(sorted(ENCODED)), st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 60))
def test_no_bytes_raise(coding: bytes, chunks: list[bytes], cut: int) -> None:
    found = made(coding)
    for chunk in (ENCODED[coding][:cut], *chunks):
        found.feed(chunk)
    assert found.finish() != found.failed
