"""Pure. Every error that a caller, a policy author or an operator can meet: a type with a next step.

Two families. A `Refusal` is answered to the caller, in the words of his dialect (`protocols/`).
A `Mistake` is shown to whoever wrote a file or a setting, with its place and a hint.
Neither ever carries a key or the text of a prompt.
"""

from typing import Literal

__all__ = ["Down", "Kind", "Mistake", "Refusal", "StoreDown"]

Kind = Literal[
    "bad_request",  # 400: what was sent is not what we, and the model server, can read alike
    "too_large",  # 413, 414, 431: over a bound of the gateway
    "unsupported",  # 415, 405, 501: a coding, method or upgrade that is not spoken here
    "oversized",  # 400: can never pass a limit, however long one waits
    "unauthenticated",  # 401: no credential, or one we cannot verify
    "forbidden",  # 403: the policy says no
    "not_found",  # 404: a path that the policy refuses to pass unread
    "rate_limited",  # 429: your limit; waiting helps
    "quota_exhausted",  # 429: your quota; waiting within reason does not help
    "timeout",  # 408: the request did not arrive in time
    "overloaded",  # 503: ours; nothing to do with the caller
    "upstream_unreachable",  # 502: no connection to the model server, or it broke
    "upstream_invalid",  # 502: the model server answered what is not HTTP
    "upstream_timeout",  # 504: the model server did not answer in time
    "internal",  # 500: a defect of the gateway
]

Down = Literal[
    "timeout",  # no answer in time: what was asked may have been done
    "closed",  # the connection ended before the answer: likewise
    "refused",  # no connection: not done
    "busy",  # too many calls under way: not sent
    "loading",  # the server is reading its data, or a replica has lost its primary
    "oom",  # the server has no memory left for writes
    "disk",  # the server can't write to its disk
    "readonly",  # the server is a replica by now
    "noreplicas",  # the primary has fewer replicas than it asks for
    "moved",  # the cluster is being rearranged, or has lost a part
    "error",  # any other answer: a wrong password, a script that isn't allowed, a defect
]


class Refusal(Exception):
    """An answer that the gateway gives in place of the model server.

    `status` is the HTTP status, `code` a stable machine-readable word, `detail` one sentence for the
    caller. `param` names the request field at fault. `retry_after` is in seconds; None = do not say.
    `retry` False asks the caller's SDK not to try again (`x-should-retry: false`).
    """

    def __init__(
        self,
        kind: Kind,
        status: int,
        code: str,
        detail: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        retry: bool | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.kind: Kind = kind
        self.status = status
        self.code = code
        self.detail = detail
        self.param = param
        self.retry_after = retry_after
        self.retry = retry
        self.close = close  # the connection's framing can no longer be trusted


class Mistake(Exception):
    """A wrong file or setting. `place` is `file:line:column` (or a setting's name), `hint` the next step."""

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place
        self.hint = hint


class StoreDown(Exception):
    """A store did not answer within its budget. The caller of the store decides what that means."""

    def __init__(self, message: str, kind: Down = "error") -> None:
        super().__init__(message)
        self.kind: Down = kind
