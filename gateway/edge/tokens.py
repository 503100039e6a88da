"""Shell. Bearer tokens: JSON Web Tokens (RFC 7519) verified against a key set (RFC 7517) that is kept fresh.

A token is believed when a key of the set signed it with an asymmetric algorithm that the policy lists, it names our
issuer and audience, and it has not expired (RFC 8725). Keys that a token brings along or points to (`jwk`, `jku`,
`x5u`) are never looked at. A token's text is in no message.
"""

import asyncio
import binascii
import json
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.errors import Mistake, Refusal
from gateway.identity import Jwt, fit_name

__all__ = ["Jwks"]

MAX_TOKEN = 8192  # bytes
MAX_SET = 262_144  # bytes of a key set
MAX_KEYS = 50
MAX_VERIFIED = 10_000  # tokens remembered
RSA_BITS = range(2048, 8193)  # RFC 7518 3.3; above it a signature check costs too much
FETCH_TIMEOUT = 5.0  # s for the whole key set
RETRY = 5.0  # s between attempts while there is no key set that is young enough
UNKNOWN_RETRY = 30.0  # s between fetches for the sake of a key id that we don't have
EARLY = 0.8  # share of the ttl after which a fresh set is fetched in the background
SHAPES = {  # algorithm -> (kty, crv): a key serves the algorithms of its own kind only
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}


class Key(NamedTuple):
    """One key of the set: its JSON as it came, and what verifies with it, an algorithm each."""

    data: dict[str, Any]
    uses: dict[str, jwt.PyJWK]


class Verified(NamedTuple):
    """What is remembered of a good token: until when (Unix seconds), by which key, and whom it names."""

    until: float
    kid: str
    key: Key
    claims: dict[str, str]


class Jwks:
    """Verifies the bearer tokens of one issuer. `client` belongs to the caller; redirects are not followed.

    The set is fetched on first need, again after 80 % of `ttl` seconds (in the background), and kept for `stale`
    seconds more while its endpoint is down. `failures` counts fetches that failed, `last_error` is the last one's type.
    """

    def __init__(
        self,
        rules: Jwt,
        client: httpx.AsyncClient,
        *,
        ttl: float = 600.0,
        stale: float = 12 * 3600.0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        unknown = [name for name in rules.algorithms if name not in SHAPES]
        if unknown or not rules.algorithms:
            raise Mistake(
                f"algorithms that tokens can't be verified with: {', '.join(unknown) or 'none listed'}",
                place="identity.jwt.algorithms",
                hint=f"known are {', '.join(SHAPES)}",
            )
        if not _safe_url(rules.jwks):
            raise Mistake("a key set is fetched over https only", place="identity.jwt.jwks")
        self.rules = rules
        self.failures = 0
        self.last_error = ""
        self._client = client
        self._ttl = ttl
        self._stale = stale
        self._now = now
        self._monotonic = monotonic
        self._keys: dict[str, Key] = {}
        self._fetched: float | None = None  # when the set in force came, monotonic
        self._tried: float | None = None
        self._sought: float | None = None  # the last fetch for the sake of an unknown key id
        self._task: asyncio.Task[None] | None = None
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()

    async def claims(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str] | None:
        """`account`, and perhaps `org` and `plan`, of the request's token; None where there is none.

        A bearer value that isn't three parts with a JSON head is left to be an API key. Raises Refusal: 401 for a token
        that isn't good, 503 where the key set can't be had.
        """
        token = _token_in(headers)
        if token is None:
            return None
        if len(token) > MAX_TOKEN:
            _refuse(f"The token is over {MAX_TOKEN} bytes.")
        mark = sha256(token).digest()
        known = self._verified.get(mark)
        if known is not None:
            if known.until > self._now() and self._fresh() and self._keys.get(known.kid) is known.key:
                self._verified.move_to_end(mark)
                return known.claims
            del self._verified[mark]
        head = _head_of(token)
        if head is None:
            return None
        key = await self._key_for(head)
        until, claims = self._verify(token, head, key)
        self._verified[mark] = Verified(until, key.data.get("kid", ""), key, claims)
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return claims

    async def aclose(self) -> None:
        """Ends a fetch that is under way."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    def _fresh(self) -> bool:
        """Whether the set in force may still be used; starts a background fetch when it is getting old."""
        if self._fetched is None:
            return False
        age = self._monotonic() - self._fetched
        if age > self._ttl * EARLY and self._may_try():
            self._start()
        return age <= self._ttl + self._stale

    def _may_try(self) -> bool:
        return self._tried is None or self._monotonic() - self._tried >= RETRY

    def _start(self) -> asyncio.Task[None]:
        """The fetch under way, or a new one: there is one at a time, however many requests wait for it."""
        if self._task is None or self._task.done():
            self._tried = self._monotonic()
            self._task = asyncio.create_task(self._fetch())
        return self._task

    async def _join(self) -> None:
        """Waits for a fetch; a client that leaves doesn't end it for the others."""
        await asyncio.shield(self._start())

    async def _key_for(self, head: Mapping[str, Any]) -> Key:
        if not self._fresh() and (self._may_try() or self._running()):
            await self._join()
        if not self._fresh():
            raise Refusal("overloaded", 503, "identity_unavailable", "Tokens can't be verified now.", retry_after=RETRY)
        key = self._find(head)
        if key is None and self._running():
            await self._join()
            key = self._find(head)
        if key is None and (self._sought is None or self._monotonic() - self._sought >= UNKNOWN_RETRY):
            self._sought = self._monotonic()
            await self._join()
            key = self._find(head)
        if key is None:
            _refuse("The token is signed with a key that is not known.")
        return key

    def _running(self) -> bool:
        return self._task is not None and not self._task.done()

    def _find(self, head: Mapping[str, Any]) -> Key | None:
        if "kid" in head:
            return self._keys.get(head["kid"]) if isinstance(head["kid"], str) else None
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _verify(self, token: bytes, head: Mapping[str, Any], key: Key) -> tuple[float, dict[str, str]]:
        rules, algorithm = self.rules, head.get("alg")
        verifier = key.uses.get(algorithm) if isinstance(algorithm, str) else None
        if verifier is None or not isinstance(algorithm, str):
            _refuse("The token is signed in a way that is not accepted.")
        if "crit" in head:  # RFC 7515 4.1.11: extensions that must be understood, and we understand none
            _refuse("The token needs an extension that is not known.")
        try:
            payload: dict[str, Any] = jwt.decode(
                token,
                verifier,
                algorithms=[algorithm],
                audience=rules.audience,
                issuer=rules.issuer,
                # times are checked below, against this object's own clock
                options={
                    "require": ["exp", "iss", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise Refusal("unauthenticated", 401, "invalid_token", WHY.get(type(error), NOT_GOOD)) from None
        now = self._now()
        expires, begins = payload["exp"], payload.get("nbf", 0)
        if not _is_time(expires) or not _is_time(begins):
            _refuse(NOT_GOOD)
        if expires + rules.leeway <= now:
            _refuse("The token has expired.")
        if begins - rules.leeway > now:
            _refuse("The token is not valid yet.")
        claims = {}
        for name, claim in (("account", rules.account), ("org", rules.org), ("plan", rules.plan)):
            value = payload.get(claim) if claim is not None else None
            if fit_name(value):
                claims[name] = str(value)
            elif value is not None or name == "account":
                _refuse(f"The token's {name} is missing or not a plain name.")
        return expires + rules.leeway, claims

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                data = await self._download()
            keys = _read_set(data, self.rules.algorithms)
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            self.failures += 1
            self.last_error = type(error).__name__
            return
        # a key that didn't change stays the same object, so that the tokens it verified stay known
        old = self._keys
        self._keys = {kid: old[kid] if kid in old and old[kid].data == key.data else key for kid, key in keys.items()}
        self._fetched = self._monotonic()
        self.last_error = ""

    async def _download(self) -> bytes:
        headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
        async with self._client.stream("GET", self.rules.jwks, headers=headers, follow_redirects=False) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("a content coding that was not asked for")
            data = bytearray()
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > MAX_SET:
                    raise ValueError("too large")
        return bytes(data)


NOT_GOOD = "The token is not valid."
WHY: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: "The token's signature is not valid.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is from another issuer.",
    jwt.MissingRequiredClaimError: "The token lacks a claim that is required.",
}


def _refuse(detail: str) -> NoReturn:
    raise Refusal("unauthenticated", 401, "invalid_token", detail)


def _safe_url(url: str) -> bool:
    """https, or http to this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return bool(host)
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _token_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The bearer value of a request, if it has the shape of a signed token: three parts."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.strip(b" \t").partition(b" ")
            token = rest.lstrip(b" ")
            if scheme.lower() == b"bearer" and token.count(b".") == 2:
                return token
    return None


def _head_of(token: bytes) -> dict[str, Any] | None:
    """The token's head, not verified; None where it is no JSON object with an algorithm, so not a token at all."""
    part = token.partition(b".")[0]
    try:
        head = json.loads(urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return head if isinstance(head, dict) and "alg" in head else None


def _is_time(value: object) -> bool:
    """A NumericDate (RFC 7519 2) that arithmetic can be done with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _read_set(data: bytes, algorithms: Iterable[str]) -> dict[str, Key]:
    """Key id -> key. Keys of another use or kind are left out; ValueError where that leaves none."""
    document = json.loads(data)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError("not a key set")
    keys: dict[str, Key] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid", "")
        uses = {name: made for name in algorithms if (made := _verifier(entry, name)) is not None}
        if uses and isinstance(kid, str) and kid not in keys:
            keys[kid] = Key(entry, uses)
    if not keys:
        raise ValueError("no key that serves the algorithms listed")
    return keys


def _verifier(entry: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    kind, curve = SHAPES[algorithm]
    if entry.get("kty") != kind or entry.get("alg", algorithm) != algorithm:
        return None
    if curve is not None and entry.get("crv") != curve:
        return None
    public: dict[str, Any] = {name: entry[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in entry}
    try:
        made = jwt.PyJWK(public, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if kind == "RSA" and not (isinstance(made.key, RSAPublicKey) and made.key.key_size in RSA_BITS):
        return None
    return made
