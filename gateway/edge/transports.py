"""Shell. Which client carries requests to the model server: the setting `transport`, from its words to an `Upstream`.

`h1` is the gateway's own client and the default. `httpx` is the transport of the httpx library, for what `h1` does not
speak: HTTP/2 where the package h2 is installed, and proxies. `package.module:factory` makes any other httpx transport:
one that all requests share, or, where it is httpx's own with options of yours, one for each connection.
"""

import importlib.util
import inspect
import pkgutil
from typing import Any

import httpx

from gateway.edge.httpx_upstream import HttpxUpstream
from gateway.edge.lanes import Make
from gateway.edge.pool import H1Upstream, tls_context
from gateway.edge.upstream import Origin, PoolBounds, Upstream, UpstreamTimeouts
from gateway.errors import Mistake
from gateway.settings import Settings

__all__ = ["httpx_transports", "make_upstream"]

NO_LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
"""Of one transport: it holds one connection, and how many there are and how long is our own business."""


def make_upstream(url: str, settings: Settings) -> Upstream:
    """The client of the model server at `url`, bounded as the settings say.

    Raises Mistake for a wrong URL, CA or proxy, and for a transport that can't be had.
    """
    origin = Origin.parse(url, place="upstream")
    timeouts = UpstreamTimeouts(settings.connect_timeout, settings.read_timeout, settings.total_timeout)
    bounds = PoolBounds(settings.pool_size, settings.pool_waiting, settings.pool_wait, age=settings.pool_age)
    if settings.transport == "httpx":
        return HttpxUpstream(origin, httpx_transports(origin, settings), timeouts=timeouts, bounds=bounds)
    if settings.upstream_proxy is not None:
        hint = "GAUGER_TRANSPORT=httpx reaches the model server through a proxy"
        raise Mistake(f"the transport {settings.transport} uses no proxy", place="upstream_proxy", hint=hint)
    if settings.transport != "h1":
        make = _given(settings)
        first = make()
        if isinstance(first, httpx.AsyncHTTPTransport):  # its pool loses places: one for each connection here too
            return HttpxUpstream(origin, make, timeouts=timeouts, bounds=bounds)
        return HttpxUpstream(origin, lambda: first, shared=True, timeouts=timeouts, bounds=bounds)
    try:
        tls = tls_context(settings.upstream_ca) if origin.scheme == "https" else None
    except OSError as error:  # ssl.SSLError is one
        raise _no_certificates(error) from None
    return H1Upstream(origin, timeouts=timeouts, bounds=bounds, tls=tls)


def httpx_transports(origin: Origin, settings: Settings) -> Make:
    """What makes one httpx transport for each connection. Raises Mistake for a wrong CA or proxy."""
    try:
        context = tls_context(settings.upstream_ca)
    except OSError as error:
        raise _no_certificates(error) from None
    proxy = settings.upstream_proxy.get_secret_value() if settings.upstream_proxy is not None else None
    http2 = importlib.util.find_spec("h2") is not None and origin.scheme == "https"

    def make() -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=context, http2=http2, limits=NO_LIMITS, proxy=proxy, trust_env=False)

    try:
        make()  # says now what it would say of each request
    except ImportError:
        hint = "pip install socksio"
        raise Mistake("a SOCKS proxy needs the package socksio", place="upstream_proxy", hint=hint) from None
    except (ValueError, httpx.InvalidURL):  # their text has the URL, which may hold a password
        hint = "write it as http://host:port or socks5://host:port"
        raise Mistake("not a proxy's URL", place="upstream_proxy", hint=hint) from None
    return make


def _given(settings: Settings) -> Make:
    """What `package.module:factory` names; the factory gets the settings if it has a place for them."""
    name = settings.transport
    hint = "name a factory of an httpx.AsyncBaseTransport, as in my_package.module:make"
    try:
        factory: Any = pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        raise Mistake(f"there is no module {error.name}", place="transport", hint="is it installed here?") from None
    except AttributeError:
        raise Mistake(f"there is nothing of that name: {name}", place="transport", hint=hint) from None
    except Exception as error:
        raise Mistake(f"{name} can't be imported: {type(error).__name__}: {error}", place="transport") from error
    if not callable(factory):
        raise Mistake(f"{name} can't be called", place="transport", hint=hint)
    given = (settings,) if _wants_settings(factory) else ()

    def make() -> httpx.AsyncBaseTransport:
        try:
            made: object = factory(*given)
        except Exception as error:
            raise Mistake(f"{name} failed: {type(error).__name__}: {error}", place="transport") from error
        if not isinstance(made, httpx.AsyncBaseTransport):
            kind = type(made).__name__
            raise Mistake(f"{name} made a {kind}, no httpx.AsyncBaseTransport", place="transport", hint=hint)
        return made

    return make


def _wants_settings(factory: Any) -> bool:
    """Its first parameter has no default: a class whose first one has, as httpx's own transport, is called bare."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except ValueError:  # written in C, and says nothing
        return False
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return bool(parameters) and parameters[0].kind in named and parameters[0].default is inspect.Parameter.empty


def _no_certificates(error: OSError) -> Mistake:
    return Mistake(f"the certificates can't be read: {error.strerror}", place="upstream_ca")
