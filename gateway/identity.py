"""Pure. Headers and peer -> Caller: who asks, by keyed hash, never by the key itself.

Three kinds of evidence, strongest first: what a trusted proxy vouches for in a header (an account, or the subject of a
client certificate), the claims of a token that was verified against a JWKS, and an API key. A key is only ever compared
by its keyed digest in a hash table: how long a look-up takes says nothing about how many leading characters were right.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, NoReturn, Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.errors import Refusal
from gateway.wire.forwarded import Headers, Network, address_of, certificate_subject, client_address, is_trusted

__all__ = [
    "Accounts",
    "Caller",
    "Entry",
    "IdentityRules",
    "Jwt",
    "Peppers",
    "Trusted",
    "client_address",
    "credential",
    "fit_name",
    "identify",
    "key_digest",
    "network_of",
    "untrusted_headers",
]

MAX_CREDENTIAL = 16_384  # bytes of a credential, a query or a header that names somebody
MAX_NAME = 128  # characters of an account, org or plan name
VISIBLE = bytes(range(0x21, 0x7F))
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-|=~")
MADE_HERE = re.compile(r"(?:key|net|mtls)-(?:[0-9a-f]{16}|unknown)")
HEADER_OF = {
    "bearer": b"authorization",  # RFC 6750
    "x-api-key": b"x-api-key",  # Anthropic
    "api-key": b"api-key",  # Azure OpenAI
    "x-goog-api-key": b"x-goog-api-key",  # Gemini
}
QUERY_KEYS = frozenset({b"key", b"$key", b"access_token", b"$access_token", b"oauth_token"})
"""`key=` as a server decodes its name; `$key` is the other spelling among Google's system parameters."""


class Caller(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who asks. Every field is written to the ledger; none is a secret or a clear address."""

    account: str  # account id; "key-" + 16 hex digits where a key is its own account
    key: str = ""  # 16 hex digits of the keyed hash of the credential; "" = none was shown
    org: str | None = None
    plan: str | None = None
    labels: tuple[str, ...] = ()
    created: int | None = None  # Unix seconds, UTC midnight
    known: bool = False  # found in the accounts file, a verified token or a trusted header
    source: str = "none"  # key, jwt, header, mtls or none
    network: str = ""  # 16 hex digits of the keyed hash of the client's /24 or /48


class Trusted(msgspec.Struct, frozen=True):
    """A header that only a trusted proxy may set, naming the account (or an mTLS subject)."""

    header: str  # lower case
    kind: Literal["account", "mtls"]


class Jwt(msgspec.Struct, frozen=True):
    """Bearer tokens verified against a JWKS."""

    jwks: str  # https URL
    issuer: str
    audience: str
    account: str = "sub"  # claim
    org: str | None = None  # claim
    plan: str | None = None  # claim
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway: int = 60  # seconds


class IdentityRules(msgspec.Struct, frozen=True):
    """How a request is attributed."""

    sources: tuple[str, ...] = ("bearer", "x-api-key", "api-key", "x-goog-api-key", "query-key")
    unknown: str = "own"  # "own" account | "refuse" | "plan:NAME"
    anonymous: str = "own"  # requests without a credential: "own" (one account a network) | "refuse" | "plan:NAME"
    directory: str | None = None  # accounts file, relative to the policy file
    plan: str = "default"  # of an account whose entry names none, and of keys that are their own account
    trusted: tuple[Trusted, ...] = ()
    jwt: Jwt | None = None


class Entry(Protocol):
    """What identity needs of an account in the accounts file."""

    @property
    def account(self) -> str: ...
    @property
    def org(self) -> str | None: ...
    @property
    def plan(self) -> str | None: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> int | None: ...


class Accounts(Protocol):
    """The accounts file, by keyed digest of a key (32 hex digits), by account id, by certificate subject."""

    def by_digest(self, digest: str) -> Entry | None: ...
    def by_account(self, account: str) -> Entry | None: ...
    def by_subject(self, subject: str) -> Entry | None: ...


class Peppers(Protocol):
    """The secret that hashes are keyed with, and the one before it."""

    @property
    def current(self) -> bytes: ...
    @property
    def former(self) -> bytes | None: ...


def key_digest(pepper: bytes, secret: bytes | str) -> str:
    """32 lower-case hex digits: keyed BLAKE2b (RFC 7693) of a credential. The first 16 are `Caller.key`.

    `pepper` has 1 to 64 bytes; an empty one raises ValueError, since the hash would have no key.
    """
    return _digest(pepper, secret, b"gauger-key")


@lru_cache(maxsize=8192)
def network_of(pepper: bytes, address: str, day: int | None = None) -> str:
    """16 hex digits: keyed hash of the /24 (IPv4) or /48 (IPv6) of an address, "" for what is no address.

    With a `day` (any integer) the same network has another name every day.
    """
    parsed = address_of(address)
    if parsed is None:
        return ""
    prefix = parsed.packed[: 3 if parsed.version == 4 else 6]
    salt = b"" if day is None else b"%d" % day
    return _digest(pepper, bytes((len(prefix),)) + prefix + salt, b"gauger-network")[:16]


def fit_name(name: object) -> bool:
    """Whether a name from outside may be an account, org or plan: 1 to 128 characters of a safe set."""
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and NAME_CHARACTERS.issuperset(name)


def credential(headers: Headers, query: bytes, sources: tuple[str, ...]) -> bytes | None:
    """The one API key of a request, or None. Header names are lower case, `query` is raw, without its `?`.

    A key in a header ends at its first blank, where some servers stop reading: what follows makes no other caller.

    Raises Refusal: 401 for two different keys, a key with characters that no key has, and any `Authorization` that is
    not `Bearer` (scheme in any case, any number of spaces: RFC 9110 11.6.2); 431 over 16 KiB. Other schemes are refused
    and not ignored, because a model server that takes a key without looking at its scheme would serve it uncounted;
    who needs them leaves `bearer` out of the sources. An empty value is no key.
    """
    wanted = _wanted(sources)
    found: bytes | None = None
    for name, value in headers:
        if name in wanted:
            secret = _bearer(value) if name == b"authorization" else value.strip(b" \t")
            if secret:
                found = _agree(found, secret.split(b" ", 1)[0])
    if query and b"" in wanted:
        for value in _query_keys(query):
            if value:
                found = _agree(found, value)
    return found


def untrusted_headers(rules: IdentityRules, peer: str | None, trusted: tuple[Network, ...]) -> frozenset[bytes]:
    """Names of the identity headers that this peer may not set: they are ignored here, and not to be passed on."""
    if not rules.trusted or is_trusted(peer, trusted):
        return frozenset()
    return frozenset(rule.header.encode("ascii") for rule in rules.trusted)


def identify(
    headers: Headers,
    query: bytes,
    peer: str | None,
    rules: IdentityRules,
    directory: Accounts | None,
    pepper: Peppers,
    claims: Mapping[str, str] | None = None,
    trusted: tuple[Network, ...] = (),
) -> Caller:
    """Who asks. `claims`: `account`, and perhaps `org` and `plan`, of a token that was verified (`edge/tokens.py`).

    `peer` is the address of the connection. Raises Refusal: 401 for a credential that is missing where one is needed,
    malformed, or unknown where unknown ones are refused. A key hashed with the former pepper is still found.
    """
    address = client_address(peer, headers, trusted) if trusted else peer
    network = network_of(pepper.current, address) if address else ""
    if rules.trusted and is_trusted(peer, trusted):
        vouched = _vouched(headers, rules, directory, pepper, network)
        if vouched is not None:
            return vouched
    if claims is not None:
        return _of_claims(claims, rules, directory, pepper, network)
    secret = credential(headers, query, rules.sources)
    if secret is None:
        if rules.anonymous == "refuse":
            _refuse("missing_api_key", "No API key was given.")
        return Caller(f"net-{network or 'unknown'}", plan=_plan(rules.anonymous, rules), network=network)
    digest = key_digest(pepper.current, secret)
    entry = None
    if directory is not None:
        entry = directory.by_digest(digest)
        if entry is None and pepper.former is not None:
            entry = directory.by_digest(key_digest(pepper.former, secret))
    if entry is not None:
        return _of_entry(entry, digest[:16], "key", rules, network)
    if rules.unknown == "refuse":
        _refuse("invalid_api_key", "The API key is not known.")
    key = digest[:16]
    return Caller(f"key-{key}", key, plan=_plan(rules.unknown, rules), source="key", network=network)


def _vouched(
    headers: Headers, rules: IdentityRules, directory: Accounts | None, pepper: Peppers, network: str
) -> Caller | None:
    for rule in rules.trusted:
        values = [value for name, value in headers if name == rule.header.encode("ascii") and value.strip()]
        if not values:
            continue
        if len(values) > 1:  # the proxy added its own to the client's
            _refuse("invalid_identity_header", "An identity header was sent twice.")
        if len(values[0]) > MAX_CREDENTIAL:
            _too_long()
        try:
            value = values[0].decode("utf-8").strip()
            name = value if rule.kind == "account" else certificate_subject(rule.header, value)
        except ValueError:
            _refuse("invalid_identity_header", "An identity header could not be read.")
        if name is None:
            continue
        digest = _digest(pepper.current, f"{rule.kind}:{name}", b"gauger-vouched")
        if rule.kind == "mtls":
            entry = directory.by_subject(name) if directory is not None else None
            account, source = f"mtls-{digest[:16]}", "mtls"
        else:
            if not fit_name(name) or MADE_HERE.fullmatch(name):
                _refuse("invalid_identity_header", "An identity header could not be read.")
            entry = directory.by_account(name) if directory is not None else None
            account, source = name, "header"
        if entry is not None:
            return _of_entry(entry, digest[:16], source, rules, network)
        return Caller(account, digest[:16], plan=rules.plan, known=True, source=source, network=network)
    return None


def _of_claims(
    claims: Mapping[str, str], rules: IdentityRules, directory: Accounts | None, pepper: Peppers, network: str
) -> Caller:
    account, org, plan = claims.get("account"), claims.get("org"), claims.get("plan")
    if not fit_name(account) or account is None or MADE_HERE.fullmatch(account):
        _refuse("invalid_token", "The token does not name an account.")
    key = _digest(pepper.current, f"jwt:{account}", b"gauger-vouched")[:16]
    entry = directory.by_account(account) if directory is not None else None
    if entry is None:
        return Caller(account, key, org, plan or rules.plan, known=True, source="jwt", network=network)
    found = _of_entry(entry, key, "jwt", rules, network)
    return msgspec.structs.replace(found, org=org or found.org, plan=plan or found.plan)


def _of_entry(entry: Entry, key: str, source: str, rules: IdentityRules, network: str) -> Caller:
    return Caller(
        entry.account, key, entry.org, entry.plan or rules.plan, entry.labels, entry.created, True, source, network
    )


def _plan(word: str, rules: IdentityRules) -> str:
    return word.removeprefix("plan:") if word.startswith("plan:") else rules.plan


@lru_cache(maxsize=64)
def _wanted(sources: tuple[str, ...]) -> frozenset[bytes]:
    """Names of the headers that may hold a key; the empty name stands for the query."""
    return frozenset(b"" if source == "query-key" else HEADER_OF[source] for source in sources)


def _bearer(value: bytes) -> bytes | None:
    scheme, _, rest = value.strip(b" \t").partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.lstrip(b" ")
    if scheme:
        _refuse("invalid_authorization", "The Authorization header is not of the form 'Bearer KEY'.")
    return None


def _query_keys(query: bytes) -> list[bytes]:
    if b"key" not in query and b"token" not in query and b"%" not in query:
        return []
    if len(query) > MAX_CREDENTIAL:
        _too_long()
    parts = (part.partition(b"=") for part in query.split(b"&"))
    named = ((unquote_to_bytes(name) if b"%" in name else name, value) for name, _, value in parts)
    return [unquote_to_bytes(value.replace(b"+", b" ")) for name, value in named if name in QUERY_KEYS]


def _agree(found: bytes | None, secret: bytes) -> bytes:
    if len(secret) > MAX_CREDENTIAL:
        _too_long()
    if secret.translate(None, VISIBLE):
        _refuse("invalid_api_key", "The API key has characters that no key has.")
    if found is not None and found != secret:
        _refuse("ambiguous_credentials", "The request has two different API keys.")
    return secret


def _digest(pepper: bytes, text: bytes | str, person: bytes) -> str:
    if not pepper:
        raise ValueError("an empty pepper keys nothing")
    data = text.encode() if isinstance(text, str) else text
    return blake2b(data, digest_size=16, key=pepper, person=person).hexdigest()


def _refuse(code: str, detail: str) -> NoReturn:
    raise Refusal("unauthenticated", 401, code, detail)


def _too_long() -> NoReturn:
    raise Refusal("too_large", 431, "credential_too_long", f"A credential is over {MAX_CREDENTIAL} bytes.")
