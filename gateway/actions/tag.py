"""Pure. Tags on the way to the model server: one header, signed, so that nobody else's word is taken for the gateway's.

    gauger-tag: v1;t=1795487400;id=01M85NZEAD4EGHMQRXPQV13DCG;tags=extraction-watch,new-account;sig=...

`sig` is the HMAC-SHA-256 (RFC 2104) over everything before `;sig=`, in base64url without padding (RFC 4648 section 5).
The key is the text of `GAUGER_TAG_KEY`, or of the file `tag-key` in the state folder without its line end. Any language
can verify it in five lines; `verify` is what a model server in Python may call.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["HEADER", "Tagged", "sign", "verify"]

HEADER = "gauger-tag"
MAX_TAGS = 64  # in one header; servers bound a header line at some 8 KB, and a tag has at most 64 characters

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_SAFE = re.compile(_WORD)
_SIGNED = re.compile(rf"(v1;t=([0-9]{{1,12}});id=({_WORD});tags=({_WORD}(?:,{_WORD})*));sig=([A-Za-z0-9_-]{{43}})")


class Tagged(NamedTuple):
    """What a header said that is the gateway's own."""

    t: int  # seconds since the epoch
    id: str  # the request's, which finds its record
    tags: tuple[str, ...]


def sign(key: bytes, t: int, id_: str, tags: Iterable[str]) -> bytes:
    """The header's value. `t` in seconds since the epoch; of more than 64 tags the first 64.

    Raises ValueError for an id or a tag that isn't 1 to 64 letters, digits, dots, dashes and underscores, or no tag.
    """
    shown = tuple(tags)[:MAX_TAGS]
    if not shown or not all(_SAFE.fullmatch(word) for word in (id_, *shown)):
        raise ValueError("an id or a tag that can't stand in the header")
    said = f"v1;t={t};id={id_};tags={','.join(shown)}"
    return f"{said};sig={_mac(key, said)}".encode("ascii")


def verify(key: bytes, header: str, now: int, tolerance: int = 300) -> Tagged | None:
    """What the header says, or None where it isn't signed with this key, or is more than `tolerance` seconds off `now`.

    Ask for the one value of the field: with two headers of that name, somebody else's came along.
    """
    found = _SIGNED.fullmatch(header)
    if found is None:
        return None
    said, t, id_, tags, sig = found.groups()
    if not hmac.compare_digest(sig, _mac(key, said)) or abs(now - int(t)) > tolerance:
        return None
    return Tagged(int(t), id_, tuple(tags.split(",")))


def _mac(key: bytes, said: str) -> str:
    digest = hmac.digest(key, said.encode("ascii"), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
