"""Pure. Refusals and limit headers in the words of each vendor, so that his SDK's retry logic does the right thing.

429 = your limit, 403 = policy block, 503 = us. A policy never answers 408 or 409, which the SDKs retry at once; 408 is
for requests that did not arrive in time. Waits that the SDKs would ignore (Anthropic's: over 60 s) carry
`x-should-retry: false`, else they would come back after half a second.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import ceil
from typing import Any, Literal, Protocol

import msgspec

from gateway.errors import Kind, Refusal

__all__ = ["ADDED_HEADERS", "Left", "Spent", "Terms", "Vendor", "event_of", "limit_headers", "refusal_of", "render"]

Vendor = Literal["openai", "anthropic", "gemini"]
Header = tuple[bytes, bytes]

JITTER = 0.1  # of a wait, upward: a refused fleet must not come back at one instant
OBEYED = 60.0  # s: the longest wait that both vendors' SDKs obey
CONCURRENCY_WAIT = 1.0  # s: when a slot gets free depends on answers that are still being written
MAX_INTEGER = 999_999_999_999_999  # RFC 9651 3.3.1
GOOGLE_RPC = "type.googleapis.com/google.rpc."


def _names(form: str) -> tuple[bytes, bytes, bytes]:
    limit, remaining, reset = (form.format(what).encode("ascii") for what in ("limit", "remaining", "reset"))
    return limit, remaining, reset


OPENAI_TYPE: dict[Kind, str] = {
    "forbidden": "request_forbidden",
    "rate_limited": "requests",
    "quota_exhausted": "insufficient_quota",
    "timeout": "request_timeout",
    "overloaded": "server_error",
    "upstream_unreachable": "server_error",
    "upstream_invalid": "server_error",
    "upstream_timeout": "server_error",
    "internal": "server_error",
}
ANTHROPIC_TYPE = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    414: "request_too_large",
    429: "rate_limit_error",
    431: "request_too_large",
    451: "permission_error",
    503: "overloaded_error",
    504: "timeout_error",
}
GEMINI_STATUS = {
    401: "UNAUTHENTICATED",
    402: "PERMISSION_DENIED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    451: "PERMISSION_DENIED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
WORDS = {
    "requests": "requests",
    "tokens.input": "input tokens",
    "tokens.output": "output tokens",
    "tokens.total": "tokens",
    "concurrent": "concurrent requests",
}
TOKENS = ("tokens.input", "tokens.output", "tokens.total")
OPENAI_SHOWN = (
    (("requests",), *_names("x-ratelimit-{}-requests")),
    (TOKENS, *_names("x-ratelimit-{}-tokens")),
)
ANTHROPIC_SHOWN = (
    (("requests",), *_names("anthropic-ratelimit-requests-{}")),
    (TOKENS, *_names("anthropic-ratelimit-tokens-{}")),  # "the most restrictive limit currently in effect"
    (("tokens.input",), *_names("anthropic-ratelimit-input-tokens-{}")),
    (("tokens.output",), *_names("anthropic-ratelimit-output-tokens-{}")),
)
QUOTA_UNIT = {  # the draft's registry has no token unit
    "requests": "requests",
    "concurrent": "concurrent-requests",
    "tokens.input": "gauger-input-tokens",
    "tokens.output": "gauger-output-tokens",
    "tokens.total": "gauger-tokens",
}

ADDED_HEADERS: tuple[str, ...] = (
    *(name.decode() for _, *names in (*OPENAI_SHOWN, *ANTHROPIC_SHOWN) for name in names),
    "ratelimit-policy",
    "ratelimit",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "www-authenticate",
    "x-request-id",
    "request-id",
)
"""Every header that we may put on an answer. Ours replaces the upstream's of the same name, except request ids."""


class Left(Protocol):
    """What a limit answered (`quotas.Reading`): amounts in units, times in µs."""

    @property
    def limit(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def cost(self) -> int: ...
    @property
    def left(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def reset(self) -> int: ...
    @property
    def wait(self) -> int: ...
    @property
    def shadow(self) -> bool: ...


class Terms(Protocol):
    """What the policy says of a limit that refuses (`policy.model.Limit`)."""

    @property
    def id(self) -> str: ...
    @property
    def retry(self) -> str: ...
    @property
    def status(self) -> int: ...


class Spent(Refusal):
    """A refusal by limits; `refusing` are their readings, the one that decided first."""

    def __init__(
        self,
        kind: Kind,
        status: int,
        code: str,
        detail: str,
        refusing: tuple[Left, ...],
        *,
        retry_after: float | None = None,
        retry: bool | None = None,
    ) -> None:
        super().__init__(kind, status, code, detail, retry_after=retry_after, retry=retry)
        self.refusing = refusing


def refusal_of(readings: Sequence[Left], limits: Iterable[Terms] = ()) -> Spent:
    """The refusal that a refused draw means. `limits` are the policy's, for `retry: never` and their own status.

    A cost that can never pass is 400 `request_exceeds_limit`; else a limit that is not to be retried is
    `quota_exhausted`; else the longest wait decides. Raises ValueError where no limit refused.
    """
    refusing = [reading for reading in readings if not reading.ok and not reading.shadow]
    if not refusing:
        raise ValueError("no limit refused")
    terms = {limit.id: limit for limit in limits}
    over = [reading for reading in refusing if reading.wait < 0]
    final = [reading for reading in refusing if reading.limit in terms and terms[reading.limit].retry == "never"]
    worst = max(over or final or refusing, key=_wait)
    order = (worst, *(reading for reading in refusing if reading is not worst))
    unit = WORDS.get(worst.unit, worst.unit)
    if over:
        detail = (
            f"The request needs {worst.cost} {unit}, and the limit never allows more than {worst.capacity} at once."
        )
        return Spent("oversized", 400, "request_exceeds_limit", detail, order, retry=False)
    status = terms[worst.limit].status if worst.limit in terms else 429
    seconds = max(map(_wait, refusing))
    if final:
        detail = f"The quota of {worst.capacity} {unit} is spent; it is renewed in {_duration(worst.wait)}."
        return Spent("quota_exhausted", status, "quota_exhausted", detail, order, retry_after=seconds, retry=False)
    detail = f"Rate limit reached for {unit}: limit {worst.capacity}, left {worst.left}, requested {worst.cost}."
    detail = f"{detail} Please try again in {_duration(ceil(seconds * 1e6))}."
    code = "concurrency_limit" if worst.unit == "concurrent" else "rate_limit_exceeded"
    return Spent("rate_limited", status, code, detail, order, retry_after=seconds)


def render(vendor: Vendor, refusal: Refusal, request_id: str, jitter: float = 0.0) -> tuple[list[Header], bytes]:
    """Headers and JSON body of a refusal. `jitter` in [0, 1) lengthens its wait by up to a tenth.

    The wait is never shorter than the refusal's own, and one that the SDKs obey (60 s) stays one.
    """
    wait = _jittered(refusal.retry_after, jitter)
    body = msgspec.json.encode(BODIES[vendor](refusal, request_id, wait))
    headers: list[Header] = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"request-id" if vendor == "anthropic" else b"x-request-id", request_id.encode("ascii")),
    ]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110 15.5.2
    if wait is not None:
        headers.append((b"retry-after", b"%d" % ceil(wait / 1000)))
        headers.append((b"retry-after-ms", b"%d" % wait))
    if refusal.retry is False or (wait is not None and wait > OBEYED * 1000):
        headers.append((b"x-should-retry", b"false"))
    elif refusal.retry:
        headers.append((b"x-should-retry", b"true"))
    return headers, body


def event_of(vendor: Vendor, refusal: Refusal, request_id: str) -> bytes | None:
    """What a realtime session is told before it is closed, as a message of its dialect; None where it has none."""
    if vendor != "openai":
        return None
    error = _openai(refusal, request_id, None)["error"] | {"event_id": None}
    return msgspec.json.encode({"type": "error", "event_id": f"event_{request_id}", "error": error})


def limit_headers(
    vendor: Vendor, readings: Sequence[Left], now_us: int, *, ietf: bool = False, dialect: bool = True
) -> list[Header]:
    """What the caller is told of his limits: the tightest of each unit in his dialect, all of them in the IETF's.

    `dialect`: OpenAI's `x-ratelimit-*` (resets as Go durations), Anthropic's `anthropic-ratelimit-*` (resets in
    RFC 3339), nothing for Gemini, which has none. `ietf`: `RateLimit-Policy` and `RateLimit`, two lists of strings with
    parameters (draft-ietf-httpapi-ratelimit-headers; RFC 9651). Limits in shadow are not shown.
    """
    shown = [reading for reading in readings if not reading.shadow]
    headers: list[Header] = []
    if dialect and vendor == "openai":
        for units, limit, remaining, reset in OPENAI_SHOWN:
            tight = _tightest(shown, units)
            if tight is not None:
                headers.append((limit, b"%d" % tight.capacity))
                headers.append((remaining, b"%d" % tight.left))
                headers.append((reset, _duration(tight.reset).encode("ascii")))
    elif dialect and vendor == "anthropic":
        for units, limit, remaining, reset in ANTHROPIC_SHOWN:
            tight = _tightest(shown, units)
            if tight is not None:
                headers.append((limit, b"%d" % tight.capacity))
                headers.append((remaining, b"%d" % tight.left))
                headers.append((reset, _date(-(-(now_us + tight.reset) // 1_000_000))))
    if ietf and shown:
        # Retry-After must not be earlier than any `t`, so a refusal names those limits only that refuse.
        counted = [reading for reading in shown if not reading.ok] or shown
        policy = ", ".join(f"{_string(each.limit)};q={_integer(each.capacity)}{_unit(each.unit)}" for each in shown)
        now = ", ".join(f"{_string(each.limit)};r={_integer(each.left)};t={_until(each)}" for each in counted)
        headers += [(b"ratelimit-policy", policy.encode("ascii")), (b"ratelimit", now.encode("ascii"))]
    return headers


def _openai(refusal: Refusal, request_id: str, wait: int | None) -> dict[str, Any]:
    kind = OPENAI_TYPE.get(refusal.kind, "invalid_request_error")
    if refusal.kind == "rate_limited" and isinstance(refusal, Spent) and refusal.refusing[0].unit.startswith("tokens"):
        kind = "tokens"
    code = "insufficient_quota" if refusal.kind == "quota_exhausted" else refusal.code
    error = {"message": refusal.detail, "type": kind, "param": refusal.param, "code": code}
    return {"error": error, "request_id": request_id}


def _anthropic(refusal: Refusal, request_id: str, wait: int | None) -> dict[str, Any]:
    kind = ANTHROPIC_TYPE.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": refusal.detail}, "request_id": request_id}


def _gemini(refusal: Refusal, request_id: str, wait: int | None) -> dict[str, Any]:
    status = GEMINI_STATUS.get(refusal.status, "INTERNAL" if refusal.status >= 500 else "INVALID_ARGUMENT")
    details: list[dict[str, Any]] = [
        {"@type": GOOGLE_RPC + "ErrorInfo", "reason": refusal.code.upper(), "domain": "gauger", "metadata": {}},
        {"@type": GOOGLE_RPC + "RequestInfo", "requestId": request_id},
    ]
    if isinstance(refusal, Spent):
        violations = [
            {
                "quotaMetric": WORDS.get(reading.unit, reading.unit).replace(" ", "_"),
                "quotaId": reading.limit,
                "quotaValue": str(reading.capacity),
            }
            for reading in refusal.refusing
        ]
        details.append({"@type": GOOGLE_RPC + "QuotaFailure", "violations": violations})
    if wait is not None and refusal.retry is not False:
        details.append({"@type": GOOGLE_RPC + "RetryInfo", "retryDelay": f"{wait // 1000}.{wait % 1000:03}s"})
    return {"error": {"code": refusal.status, "message": refusal.detail, "status": status, "details": details}}


BODIES = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}


def _jittered(seconds: float | None, jitter: float) -> int | None:
    """Milliseconds to wait: at least one, since the SDKs take zero for no answer."""
    if seconds is None:
        return None
    longer = seconds * (1 + JITTER * jitter)
    if seconds <= OBEYED < longer:
        longer = OBEYED
    return max(1, ceil(round(longer * 1000, 6)))


def _wait(reading: Left) -> float:
    return CONCURRENCY_WAIT if reading.unit == "concurrent" else reading.wait / 1e6


def _tightest(readings: Sequence[Left], units: tuple[str, ...]) -> Left | None:
    """The reading with the least left; of equals the one that takes longest to recover."""
    found = None
    for reading in readings:
        if reading.unit in units and (found is None or (reading.left, -reading.reset) < (found.left, -found.reset)):
            found = reading
    return found


def _duration(micros: int) -> str:
    """As Go's `time.Duration` prints it, rounded up to milliseconds: `0s`, `12ms`, `1.5s`, `6m0s`, `1h0m0s`."""
    millis = -(-max(0, micros) // 1000)
    if 0 < millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else seconds


@lru_cache(maxsize=4096)
def _date(seconds: int) -> bytes:
    """Unix seconds as RFC 3339 in UTC: proleptic Gregorian, counted in eras of 400 years from 1 March 0000."""
    days, second = divmod(seconds, 86_400)
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    date = day - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{date:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z".encode(
        "ascii"
    )


def _until(reading: Left) -> int:
    """Seconds until the limit is whole again, or, where it refused, until it lets this request pass."""
    return _integer(ceil(reading.reset / 1e6 if reading.ok or reading.wait < 0 else _wait(reading)))


def _unit(unit: str) -> str:
    return f';qu="{QUOTA_UNIT[unit]}"' if unit in QUOTA_UNIT else ""


def _integer(value: int) -> int:
    return max(0, min(value, MAX_INTEGER))


def _string(text: str) -> str:
    """RFC 9651 3.3.3; what can't be said in it becomes `?`."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
