"""Pure. What is wrong with a connection, below ASGI: refusals that are answered in plain JSON, and end it."""

from gateway.errors import Refusal

MALFORMED = Refusal("bad_request", 400, "malformed", "This is not a well-formed HTTP/1.1 request.", close=True)
HEAD_TOO_LARGE = Refusal("too_large", 431, "head_too_large", "The request head is too large.", close=True)
TARGET_TOO_LONG = Refusal("too_large", 414, "target_too_long", "The request target is too long.", close=True)
BAD_TARGET = Refusal("bad_request", 400, "invalid_target", "The target must be a path, without a fragment.", close=True)
TOO_MANY_PIPELINED = Refusal("bad_request", 400, "pipelined", "Too many requests are pipelined.", close=True)
NOT_ALONE = Refusal("bad_request", 400, "pipelined", "A request for a WebSocket must not be pipelined.", close=True)
HEAD_TIMEOUT = Refusal("timeout", 408, "head_timeout", "The request head did not arrive in time.", close=True)
BODY_TIMEOUT = Refusal("timeout", 408, "body_timeout", "The request body did not arrive in time.", close=True)
FULL = Refusal("overloaded", 503, "too_many_connections", "The gateway is at its bound of connections.", close=True)
FAILED = Refusal("internal", 500, "internal_error", "The gateway failed.", close=True)
FORBIDDEN = Refusal("forbidden", 403, "forbidden", "This socket is not opened.", close=True)
"""What ASGI says of a socket that is closed in place of being accepted."""
