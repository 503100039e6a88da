"""The hostile table: requests that real servers and proxies disagree about, and what is demanded of the gateway.

R refused (4xx, 501, 505) with the upstream untouched, D closed without an answer, P passed unchanged,
N passed in another, unambiguous spelling. Several letters: any of them.
"""

from dataclasses import dataclass
from itertools import pairwise

__all__ = ["TOKEN", "Case", "chat", "chunked", "post", "request"]

TOKEN = b"TTTTTTTTTTTTTTTT"
"""Stands for 16 fresh characters; the upstream echoes them, so that an answer can't be somebody else's."""

KEY = b"Bearer sk-hostile-0001"
CHAT_PATH = b"/v1/chat/completions"
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}'
MARK = b"/smuggled"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """One hostile connection. `target` and `body` are what its first request must be if it passes (P or N).

    The upstream parses strictly, so what reaches it is unambiguous; `gone` names fields that may not reach it.
    """

    group: str
    name: str
    demanded: str
    pieces: tuple[bytes, ...]
    target: bytes = CHAT_PATH
    body: bytes = CHAT
    answers: int = 1
    half_close: bool = False
    gone: tuple[bytes, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.group}/{self.name}"

    def sent(self, token: bytes) -> list[bytes]:
        """The pieces with this token in place of TOKEN, wherever the pieces are cut."""
        whole = b"".join(self.pieces).replace(TOKEN, token)
        ends = [0]
        for piece in self.pieces:
            ends.append(ends[-1] + len(piece))
        return [whole[a:b] for a, b in pairwise(ends)]


def request(
    target: bytes = CHAT_PATH,
    *,
    method: bytes = b"POST",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = b"Host: gateway.test\r\n",
    key: bytes = b"Authorization: " + KEY + b"\r\n",
    extra: bytes = b"",
    framing: bytes | None = None,
    body: bytes = CHAT,
    kind: bytes = b"Content-Type: application/json\r\n",
) -> bytes:
    """The bytes of one request; `extra` and `framing` are raw field lines, `framing` None = a right length."""
    if framing is None:
        framing = b"Content-Length: %d\r\n" % len(body) if body else b""
    fields = b"%s%s%sX-Echo: %s\r\n%s%s" % (host or b"", key, kind, TOKEN, extra, framing)
    return b"%s %s %s\r\n%s\r\n%s" % (method, target, version, fields, body)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def post(group: str, name: str, demanded: str, body: bytes, extra: bytes = b"", **given: bytes) -> Case:
    """A well-framed POST whose body (or content type) is what is odd."""
    return Case(group, name, demanded, (request(body=body, extra=extra, **given),), body=body)


def chat(**fields: str) -> bytes:
    """A chat body in which the named fields are raw JSON text."""
    members = {"model": '"m"', "messages": '[{"role":"user","content":"hi"}]', "max_tokens": "5", **fields}
    return ("{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}").encode()
