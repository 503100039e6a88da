"""Pure. Content codings of answers, decoded as they stream, within bounds (RFC 9110 8.4.1, 7932, 8878)."""

import zlib
from typing import Protocol

import brotli
import zstandard

__all__ = ["MAX_RATIO", "MAX_TOTAL", "Decoder", "decoder"]

MAX_RATIO = 200  # bytes out for a byte in; gzip can do 1,032, text seldom more than 30
SLACK = 65_536  # bytes out that are always allowed: short bodies may have any ratio
MAX_TOTAL = 67_108_864  # bytes out of one answer
WINDOW = 8_388_608  # bytes; the most that RFC 9659 lets zstd ask for in HTTP
PIECE = 256  # bytes of zstd fed at once: a block of 4 bytes can mean 128 KiB
CODINGS = frozenset((b"gzip", b"x-gzip", b"deflate", b"br", b"zstd"))


class Decoder(Protocol):
    """Decodes a body chunk by chunk; never raises. Once `failed`, nothing more comes out."""

    @property
    def failed(self) -> bool: ...
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bool:
        """The body has ended: whether it was whole."""
        ...


def decoder(content_encoding: bytes, *, ratio: int = MAX_RATIO, total: int = MAX_TOTAL) -> Decoder | None:
    """A decoder for a Content-Encoding value; None for a coding that is not known, or more than two of them."""
    names = [name.strip().lower() for name in content_encoding.split(b",")]
    names = [name for name in names if name not in (b"", b"identity")]
    if not names:
        return _Identity()
    if len(names) > 2 or not CODINGS.issuperset(names):
        return None
    layers = [_Layer(name, ratio, total) for name in reversed(names)]
    return layers[0] if len(layers) == 1 else _Stack(layers)


class _Identity:
    failed = False

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bool:
        return True


class _Codec(Protocol):
    """One member or frame. `rest` is what follows its end."""

    done: bool
    rest: bytes

    def feed(self, data: bytes, room: int) -> bytes:
        """At most `room` + 1 bytes, or a bounded amount beyond it; raises the codec's own error."""
        ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._codec = zlib.decompressobj(wbits)
        self.done = False
        self.rest = b""

    def feed(self, data: bytes, room: int) -> bytes:
        out = self._codec.decompress(data, room + 1)
        self.done, self.rest = self._codec.eof, self._codec.unused_data
        return out


class _Deflate:
    """zlib's wrapper, as RFC 9110 says, or the bare stream that some servers send."""

    def __init__(self) -> None:
        self._start = b""
        self._codec: _Zlib | None = None
        self.done = False
        self.rest = b""

    def feed(self, data: bytes, room: int) -> bytes:
        if self._codec is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return b""
            wrapped = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._codec = _Zlib(15 if wrapped else -15)
        out = self._codec.feed(data, room)
        self.done, self.rest = self._codec.done, self._codec.rest
        return out


class _Brotli:
    def __init__(self) -> None:
        self._codec = brotli.Decompressor()
        self.done = False
        self.rest = b""

    def feed(self, data: bytes, room: int) -> bytes:
        out: bytes = self._codec.process(data, output_buffer_limit=room + 1)
        while len(out) <= room and not self._codec.can_accept_more_data():
            more: bytes = self._codec.process(b"", output_buffer_limit=room + 1 - len(out))
            if not more:
                break
            out += more
        self.done = self._codec.is_finished()
        return out


class _Zstd:
    def __init__(self) -> None:
        self._codec = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
        self.done = False
        self.rest = b""

    def feed(self, data: bytes, room: int) -> bytes:
        out: list[bytes] = []
        for at in range(0, len(data), PIECE):
            out.append(self._codec.decompress(data[at : at + PIECE]))
            room -= len(out[-1])
            if self._codec.eof:
                self.done, self.rest = True, self._codec.unused_data + data[at + PIECE :]
                break
            if room < 0:
                break
        return b"".join(out)


class _Layer:
    def __init__(self, name: bytes, ratio: int, total: int) -> None:
        self.failed = False
        self._name = name
        self._ratio = ratio
        self._total = total
        self._taken = 0
        self._given = 0
        self._codec = self._fresh()
        self._begun = False  # the current member has had bytes

    def feed(self, data: bytes) -> bytes:
        if self.failed or not data:
            return b""
        self._taken += len(data)
        allowed = min(self._total, SLACK + self._ratio * self._taken)
        out: list[bytes] = []
        while data:
            if self._codec.done:  # gzip and zstd bodies may be several members in a row
                if self._name in (b"br", b"deflate"):
                    self.failed = True
                    break
                self._codec = self._fresh()
            self._begun = True
            try:
                piece = self._codec.feed(data, allowed - self._given)
            except (zlib.error, brotli.error, zstandard.ZstdError):
                self.failed = True
                break
            self._given += len(piece)
            if self._given > allowed:
                self.failed = True
                break
            out.append(piece)
            data = self._codec.rest if self._codec.done else b""
        return b"".join(out)

    def finish(self) -> bool:
        if self._begun and not self._codec.done:
            self.failed = True
        return not self.failed

    def _fresh(self) -> _Codec:
        match self._name:
            case b"deflate":
                return _Deflate()
            case b"br":
                return _Brotli()
            case b"zstd":
                return _Zstd()
            case _:
                return _Zlib(31)


class _Stack:
    """Codings in the order in which they are taken off."""

    def __init__(self, layers: list[_Layer]) -> None:
        self._layers = layers

    @property
    def failed(self) -> bool:
        return any(layer.failed for layer in self._layers)

    def feed(self, data: bytes) -> bytes:
        for layer in self._layers:
            if self.failed:
                return b""
            data = layer.feed(data)
        return data

    def finish(self) -> bool:
        whole = [layer.finish() for layer in self._layers]
        return all(whole)
