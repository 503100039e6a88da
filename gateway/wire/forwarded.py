"""Pure. What a proxy says of whoever asked it: his address (RFC 7239, X-Forwarded-For) and his certificate's subject.

All of it is only as good as the proxy that wrote it, so every function takes or presumes the list of trusted networks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["Headers", "Network", "address_of", "certificate_subject", "client_address", "is_trusted"]

Headers = Sequence[tuple[bytes, bytes]]
Network = IPv4Network | IPv6Network

MAX_HOPS = 64  # of one chain; longer ones are nobody's network
MAX_HOST = 64  # characters; the longest IPv6 literal with a port has 47
FORWARDED_PAIR = re.compile(r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(\"(?:[^\"\\]|\\.)*\"|[^\",;\s]*)[ \t]*([;,]|\Z)")
CERTIFICATE_PAIR = re.compile(r"[ \t]*([A-Za-z]+)=(\"(?:[^\"\\]|\\\"|\\(?!\"))*\"|[^\",;]*)[ \t]*([;,]|\Z)")
EMPTY_ELEMENT = re.compile(r"[ \t]*(?:,|\Z)")


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text spells, an IPv4-mapped one as IPv4; None where it spells none (zones included)."""
    return _address(text) if len(text) <= MAX_HOST else None


@lru_cache(maxsize=8192)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    if "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_trusted(peer: str | None, trusted: tuple[Network, ...]) -> bool:
    """Whether the connection comes from one of these networks. A peer without an address (a socket file) does not."""
    if peer is None or not trusted:
        return False
    address = address_of(peer)
    return address is not None and any(address in network for network in trusted)


def client_address(peer: str | None, headers: Headers, trusted: tuple[Network, ...]) -> str | None:
    """The address of the client: the first from the right that no trusted proxy has.

    Only a trusted peer is believed. The walk ends at the first hop that isn't trusted, so whatever a client wrote to
    the left of it is never read. Where the chain can't be read, or `Forwarded` and `X-Forwarded-For` disagree (one of
    them then came from the client), the answer is the peer. A chain of trusted hops only gives the leftmost.
    """
    if peer is None or not is_trusted(peer, trusted):
        return peer
    standard = [value for name, value in headers if name == b"forwarded"]
    common = [value for name, value in headers if name == b"x-forwarded-for"]
    answers = set()
    if standard:
        answers.add(_walk(peer, _hops_forwarded(standard), trusted))
    if common:
        answers.add(_walk(peer, _hops_listed(common), trusted))
    return answers.pop() if len(answers) == 1 else peer


def certificate_subject(header: str, value: str) -> str | None:
    """The subject of the client certificate that a proxy has checked; None where there was no certificate.

    `x-forwarded-client-cert` is read as Envoy writes it: of the last element (the nearest hop's) the Subject, else the
    first URI. Any other header is the subject itself, letter by letter. Raises ValueError for what can't be read.
    """
    if header != "x-forwarded-client-cert":
        return value.strip() or None
    if not value.strip():
        return None
    subject, uri = "", ""
    for name, text, ends in _pairs(CERTIFICATE_PAIR, value):
        name = name.lower()
        if text.startswith('"'):
            text = text[1:-1].replace('\\"', '"')
        if name == "subject":
            subject = subject or text
        elif name == "uri":
            uri = uri or text
        if ends == ",":
            subject, uri = "", ""
    if not subject and not uri:
        raise ValueError("neither a Subject nor a URI")
    return subject or uri


def _walk(peer: str, hops: Iterable[str | None], trusted: tuple[Network, ...]) -> str:
    last: IPv4Address | IPv6Address | None = None
    for count, hop in enumerate(hops):
        address = None if hop is None or count >= MAX_HOPS or len(hop) > MAX_HOST else _host(hop)
        if address is None:
            return peer
        last = address
        if not any(address in network for network in trusted):
            break
    return peer if last is None else str(last)


def _hops_listed(lines: list[bytes]) -> Iterator[str | None]:
    for line in reversed(lines):
        rest = line
        while rest:
            rest, _, hop = rest.rpartition(b",")
            if hop.strip():
                yield hop.strip().decode("latin-1")


def _hops_forwarded(lines: list[bytes]) -> Iterator[str | None]:
    for line in reversed(lines):
        hops: list[str | None] = []
        current: str | None = None
        try:
            for name, value, ends in _pairs(FORWARDED_PAIR, line.decode("latin-1")):
                if name.lower() == "for":
                    if current is not None:
                        raise ValueError("two clients in one element")
                    current = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
                if ends != ";":
                    hops.append(current)
                    current = None
        except ValueError:
            hops.append(None)
        yield from reversed(hops)


def _pairs(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, str, str]]:
    """(name, raw value, what follows: `;`, `,` or nothing) of each pair; ValueError where one can't be read."""
    position = 0
    while position < len(text):
        found = pattern.match(text, position)
        if found is not None:
            yield found[1], found[2], found[3]
        else:
            found = EMPTY_ELEMENT.match(text, position)
            if found is None:
                raise ValueError("not a list of name=value pairs")
        position = found.end()


@lru_cache(maxsize=8192)
def _host(text: str) -> IPv4Address | IPv6Address | None:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`."""
    port = ""
    if text.startswith("["):
        text, mark, port = text[1:].partition("]")
        if not mark:
            return None
    elif text.count(":") == 1:
        text, mark, port = text.partition(":")
        port = mark + port
    if port and not (port[0] == ":" and port[1:].isascii() and port[1:].isdigit()):
        return None
    return address_of(text)
