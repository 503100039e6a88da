"""Shell. Embeddings: a text's hash as a vector of length one."""

import hashlib
import math
import struct

__all__ = ["vector"]


def vector(text: str, size: int) -> list[float]:
    """`size` numbers that 32-bit floats hold exactly, so that no encoding of them loses anything."""
    raw = hashlib.shake_128(text.encode(errors="surrogatepass")).digest(2 * size)
    values = [each / 32768 + 2**-16 for each in struct.unpack(f"<{size}h", raw)]
    norm = math.sqrt(math.fsum(each * each for each in values))
    return list(struct.unpack(f"<{size}f", struct.pack(f"<{size}f", *(each / norm for each in values))))
