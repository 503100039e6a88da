"""Shell. The dialects that are there, found as the files of `protocols/`, and which of them speaks on a path."""

import re
from collections.abc import Container
from urllib.parse import unquote

from gateway import protocols
from gateway.discover import classes
from gateway.protocols import Dialect, Route
from gateway.refusals import Vendor

__all__ = ["DIALECTS", "OPAQUE", "match", "vendor_of"]

DIALECTS: dict[str, Dialect] = {
    name: found()
    for name, found in classes(protocols, Dialect).items()  # type: ignore[type-abstract]
}
"""File name -> the dialect that it defines, in the order of the names."""

VENDORS: tuple[Vendor, ...] = ("openai", "anthropic", "gemini")
OPAQUE: dict[Vendor, Route] = {vendor: Route("opaque", vendor, "other", "opaque", "opaque") for vendor in VENDORS}
"""Vendor -> the route of what no dialect reads."""

SLASHES = re.compile("//+")
GEMINI = ("/v1beta/", "/v1alpha/", "/ws/google.")
OPENAI_AT_GOOGLE = "/v1beta/openai/"  # Google's own door for OpenAI's SDKs


def match(method: str, path: str) -> tuple[Dialect, Route] | None:
    """The dialect that speaks on this path, and its route; None where no dialect does.

    The method of a request for a WebSocket is `WEBSOCKET`: on the same path, a plain GET is something else.

    `path` is the target without its query. It is matched as the most lenient model server would: percent-encoding,
    doubled and trailing slashes make no difference, nor does case where no dialect knows the path as it is written.
    """
    if "%" in path:
        path = unquote(path)
    if path.endswith("/") or "//" in path:
        path = SLASHES.sub("/", path).rstrip("/")
    found = _match(method, path)
    if found is None and (folded := path.lower()) != path:
        found = _match(method, folded)
    return found


def vendor_of(path: str, names: Container[bytes]) -> Vendor:
    """Whose words a caller on this path most likely understands. `names` of header fields are lower case."""
    if path == "/v1/messages" or path.startswith("/v1/messages/") or b"anthropic-version" in names:
        return "anthropic"
    if path.startswith(OPENAI_AT_GOOGLE):
        return "openai"
    if path.startswith(GEMINI) or b"x-goog-api-key" in names or (path.startswith("/v1/models/") and ":" in path):
        return "gemini"
    return "openai"


def _match(method: str, path: str) -> tuple[Dialect, Route] | None:
    for dialect in DIALECTS.values():
        route = dialect.match(method, path)
        if route is not None:
            return dialect, route
    return None
