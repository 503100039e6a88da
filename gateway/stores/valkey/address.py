"""Pure. The URI of a store, in the forms of the `limits` library.

    valkey://[user:password@]host[:port][/db]        valkeys:// with TLS; redis:// and rediss:// are the same
    valkey+unix:///path/to/socket[?db=0]             unix:// is the same
    valkey+sentinel://host[:port],host[:port]/service[?db=0]
    valkey+cluster://host[:port],host[:port]         valkeys+sentinel://, valkeys+cluster:// with TLS

A password's `@`, `/`, `:`, `?`, `#` and `%` are percent-encoded. No message of this file shows a part of a URI in which
a password could stand.
"""

import difflib
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec
from msgspec.structs import replace

from gateway.errors import Mistake

__all__ = ["Address", "read", "shown"]

Kind = Literal["single", "unix", "sentinel", "cluster"]
HOW: dict[str, Kind] = {"": "single", "+sentinel": "sentinel", "+cluster": "cluster"}
UNIX = ("unix", "valkey+unix", "redis+unix")
SCHEMES: dict[str, tuple[Kind, bool]] = {
    f"{name}{how}": (kind, tls)
    for name, tls in (("valkey", False), ("valkeys", True), ("redis", False), ("rediss", True))
    for how, kind in HOW.items()
}
SCHEMES |= dict.fromkeys(UNIX, ("unix", False))
PORT, SENTINEL_PORT = 6379, 26379
HINT = "as in valkey://host:6379/0, valkey+unix:///run/valkey.sock, valkey+sentinel://host:26379/service"
ENCODE = "a password's @ / : ? # and % are percent-encoded: %40 %2F %3A %3F %23 %25"


class Address(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Where a store is."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()  # servers; sentinels; some nodes of a cluster
    path: str = ""  # of a socket
    tls: bool = False
    user: str | None = None
    password: str | None = None
    db: int = 0
    service: str = ""  # the name by which sentinels know a primary

    def __repr__(self) -> str:
        return f"Address({self.shown()})"

    def shown(self) -> str:
        """The URI, without its password."""
        scheme = "valkeys" if self.tls else "valkey"
        user = quote(self.user or "", safe="")
        who = f"{user}:***@" if self.password is not None else f"{user}@" if user else ""
        if self.kind == "unix":
            return f"{scheme}+unix://{who}{self.path}" + (f"?db={self.db}" if self.db else "")
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        if self.kind == "single":
            return f"{scheme}://{who}{hosts}" + (f"/{self.db}" if self.db else "")
        service = f"/{self.service}" if self.service else ""
        return f"{scheme}+{self.kind}://{who}{hosts}{service}" + (f"?db={self.db}" if self.db else "")


def shown(uri: str) -> str:
    """A store's URI as an operator may see it; `memory` is no URI and stays."""
    if uri == "memory":
        return uri
    try:
        return read(uri).shown()
    except Mistake:
        return "(not a URI of a store)"


def read(uri: str) -> Address:
    """Raises Mistake for what isn't one."""
    scheme, colon, _ = uri.partition("://")
    scheme = scheme.lower().removeprefix("async+")
    if not colon or scheme not in SCHEMES:
        near = difflib.get_close_matches(scheme, SCHEMES, n=1) if colon else []
        raise _wrong("this is not the URI of a store", f"did you mean {near[0]}://?" if near else HINT)
    kind, tls = SCHEMES[scheme]
    try:
        parts = urlsplit(uri)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _wrong("this URI can't be read", ENCODE) from None
    if parts.fragment or query.keys() - {"db"}:
        raise _wrong("a store's URI has no #fragment, and ?db= alone", ENCODE)
    who, at, hosts = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    secret = unquote(password) if at and ":" in who else None
    address = Address(kind, tls=tls, user=unquote(user) or None, password=secret)
    path = unquote(parts.path)
    if "@" in parts.path and kind != "unix":
        raise _wrong("there is an @ after the host", ENCODE)
    if kind == "unix":
        if hosts or not path.strip("/"):
            raise _wrong("the path of a socket begins with a third slash", "as in valkey+unix:///run/valkey.sock")
        return replace(address, path=path, db=_db(query.get("db", "")))
    places = tuple(_place(each, SENTINEL_PORT if kind == "sentinel" else PORT) for each in hosts.split(","))
    name = path.strip("/")
    if kind == "single":
        if len(places) > 1:
            raise _wrong("one server has one host", "several are sentinels (valkey+sentinel://) or a valkey+cluster://")
        if name and "db" in query:
            raise _wrong("the database is named twice", "either /0 or ?db=0")
        return replace(address, hosts=places, db=_db(name or query.get("db", "")))
    if kind == "cluster":
        if name or _db(query.get("db", "")):
            raise _wrong("a cluster has one database, and no name", "as in valkey+cluster://host:6379,host:6379")
        return replace(address, hosts=places)
    if not name or "/" in name:
        raise _wrong("sentinels are asked for a service", "its name comes last: valkey+sentinel://host:26379/service")
    return replace(address, hosts=places, db=_db(query.get("db", "")), service=name)


def _place(text: str, usual: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _wrong("a port is a number up to 65535", ENCODE) from None
    if not host or "@" in text or port == 0:
        raise _wrong("there is no host", f"{HINT}; {ENCODE}")
    return host, usual if port is None else port


def _db(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise _wrong("a database is a number", "as in valkey://host:6379/0")
    return int(text)


def _wrong(message: str, hint: str) -> Mistake:
    return Mistake(message, place="store (GAUGER_STORE)", hint=hint)
