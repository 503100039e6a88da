"""The hostile table, below the body: framing, head, identity, path and pace."""

from tests.conformance.hostile import CHAT, CHAT_PATH, KEY, SMUGGLED, TOKEN, Case, chunked, request

__all__ = ["CASES"]

TE = b"Transfer-Encoding: chunked\r\n"
CL = b"Content-Length: %d\r\n" % len(CHAT)
SPLIT = chunked(CHAT[:20], CHAT[20:])


def framed(name: str, demanded: str, framing: bytes, body: bytes, gone: tuple[bytes, ...] = (), **given: bytes) -> Case:
    """A request with this framing and these bytes after its head, then a request that must not be believed."""
    return Case("smuggling", name, demanded, (request(framing=framing, body=body, **given),), gone=gone)


def coded(name: str, demanded: str, coding: bytes) -> Case:
    return framed(name, demanded, coding, SPLIT + SMUGGLED)


def sized(name: str, demanded: str, length: bytes) -> Case:
    return framed(name, demanded, b"Content-Length: %s\r\n" % length, CHAT + SMUGGLED)


def chunk(name: str, demanded: str, body: bytes, gone: tuple[bytes, ...] = ()) -> Case:
    return framed(name, demanded, TE, body, gone)


REST = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHAT), CHAT)
N = b"%x" % len(CHAT)

SMUGGLING = [
    framed("cl.te", "RD", b"Content-Length: 5\r\n" + TE, b"0\r\n\r\n" + SMUGGLED),
    framed("te-tab", "RD", CL + b"Transfer-Encoding:\tchunked\r\n", CHAT + SMUGGLED),
    framed("te-obs-fold", "RD", CL + b"Transfer-Encoding:\r\n chunked\r\n", CHAT + SMUGGLED),
    framed("te.cl", "RD", TE + b"Content-Length: 4\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    coded("te.te-xchunked", "RD", TE + b"Transfer-Encoding: xchunked\r\n"),
    coded("te-identity", "RD", b"Transfer-Encoding: identity\r\n"),
    coded("te-chunked-not-last", "RD", b"Transfer-Encoding: chunked, identity\r\n"),
    coded("te-vtab", "RD", b"Transfer-Encoding: \x0bchunked\r\n"),
    coded("te-space-before-colon", "RD", b"Transfer-Encoding : chunked\r\n"),
    coded("te-quoted", "RD", b'Transfer-Encoding: "chunked"\r\n'),
    coded("te-comma", "RD", b"Transfer-Encoding: ,chunked\r\n"),
    coded("te-twice", "RD", TE + TE),
    framed("dup-cl-differ", "RD", CL + b"Content-Length: 3\r\n", CHAT + SMUGGLED),
    sized("cl-plus", "RD", b"+%d" % len(CHAT)),
    sized("cl-negative", "RD", b"-1"),
    sized("cl-hex", "RD", b"0x48"),
    sized("cl-underscore", "RD", b"7_2"),
    sized("cl-float", "RD", b"72.0"),
    sized("cl-empty", "RD", b""),
    sized("cl-unicode-digit", "RD", "٧٢".encode()),
    framed("te-gzip-chunked", "RD", b"Transfer-Encoding: gzip, chunked\r\n", SPLIT + SMUGGLED),
    framed("te-http10", "RD", TE, SPLIT + SMUGGLED, version=b"HTTP/1.0"),
    framed("dup-cl-same", "RDN", CL + CL, CHAT),
    sized("cl-list", "RDN", b"72, 72"),
    sized("cl-2^64", "RD", b"18446744073709551688"),
    framed("cl-leading-zeros", "RDPN", b"Content-Length: 000%d\r\n" % len(CHAT), CHAT),
    framed("expect-100-smuggle", "RDPN", b"Expect: 100-continue\r\n" + CL, CHAT),
    framed("expect-unknown", "RDPN", b"Expect: 200-ok\r\n" + CL, CHAT),
    chunk("chunk-size-0x", "RD", b"0x" + REST + SMUGGLED),
    chunk("chunk-size-underscore", "RD", b"4_8\r\n" + CHAT + b"\r\n0\r\n\r\n" + SMUGGLED),
    chunk("chunk-size-plus", "RD", b"+" + REST + SMUGGLED),
    chunk("chunk-size-negative", "RD", b"-" + REST + SMUGGLED),
    chunk("chunk-size-empty", "RD", b"\r\n" + CHAT + b"\r\n0\r\n\r\n" + SMUGGLED),
    chunk("chunk-data-no-crlf", "RD", N + b"\r\n" + CHAT + b"0\r\n\r\n" + SMUGGLED),
    chunk("chunk-size-overflow", "RD", b"1" + b"0" * 15 + N + b"\r\n" + CHAT + b"\r\n0\r\n\r\n" + SMUGGLED),
    chunk("chunk-bare-lf", "RD", N + b"\n" + CHAT + b"\n0\n\n" + SMUGGLED),
    chunk("chunk-ext", "RDN", N + b";a=b\r\n" + CHAT + b"\r\n0\r\n\r\n"),
    chunk("chunk-ext-bare-lf", "RD", N + b";a\nxx\r\n" + CHAT + b"\r\n0\r\n\r\n" + SMUGGLED),
    chunk("chunk-huge-ext", "RDN", N + b";" + b"a" * 65536 + b"\r\n" + CHAT + b"\r\n0\r\n\r\n"),
    chunk("chunk-trailer-cl", "RDN", N + b"\r\n" + CHAT + b"\r\n0\r\nContent-Length: 5\r\n\r\n"),
    chunk("chunk-trailer-auth", "RDN", N + b"\r\n" + CHAT + b"\r\n0\r\nX-Api-Key: sk-other\r\n\r\n", (b"x-api-key",)),
    chunk("chunk-size-64KiB-zeros", "RDN", b"0" * 65536 + N + b"\r\n" + CHAT + b"\r\n0\r\n\r\n"),
    Case(
        "smuggling",
        "get-with-body-smuggle",
        "RDP",
        (request(b"/v1/models", method=b"GET", body=SMUGGLED),),
        target=b"/v1/models",
        body=SMUGGLED,
    ),
    Case(
        "smuggling",
        "cl0-smuggle-pipelined",
        "RPN",
        (
            request(b"/v1/other", framing=b"Content-Length: 0\r\n", body=b"")
            + request(b"/v1/models", method=b"GET", body=b""),
        ),
        target=b"/v1/other",
        body=b"",
        answers=2,
    ),
    Case(
        "smuggling",
        "pipelined-then-garbage",
        "RPN",
        (request() + b"\x00\x01 garbage\r\n\r\n" + SMUGGLED,),
        answers=2,
    ),
]


def head(name: str, demanded: str, raw: bytes, target: bytes = CHAT_PATH, body: bytes = CHAT) -> Case:
    return Case("head", name, demanded, (raw,), target=target, body=body)


def line(name: str, demanded: str, extra: bytes) -> Case:
    return head(name, demanded, request(extra=extra))


PLAIN = request()
UPGRADE = b"Connection: Upgrade\r\nUpgrade: "

HEAD = [
    head("bare-lf-head", "RD", PLAIN.replace(b"\r\n", b"\n", 7)),
    line("bare-cr-value", "RD", b"X-A: a\rb\r\n"),
    line("nul-in-value", "RD", b"X-A: a\x00b\r\n"),
    head("method-lower", "RD", request(method=b"post")),
    line("ctl-in-value", "RD", b"X-A: a\x01b\r\n"),
    line("obs-fold", "RD", b"X-A: a\r\n b\r\n"),
    head("leading-space-first-header", "RD", PLAIN.replace(b"\r\nHost", b"\r\n Host", 1)),
    line("header-empty-name", "RD", b": a\r\n"),
    line("header-name-space", "RD", b"X A: a\r\n"),
    head("method-junk", "RD", request(method=b"G\x00T")),
    head("method-unknown", "RD", request(method=b"PURGE")),
    head("http-version-junk", "RD", request(version=b"HTTP/x.1")),
    head("tls-hello-on-plain", "RD", bytes.fromhex("1603010200010001fc0303") + bytes(range(64))),
    head("head-target-64KiB", "RD", request(b"/v1/" + b"a" * 65536)),
    line("header-no-colon", "RD", b"X-A\r\n"),
    line("header-nonascii-name", "RD", "X-Ä: a\r\n".encode()),
    head("no-host", "RD", request(host=None)),
    head("two-hosts", "RD", request(host=b"Host: gateway.test\r\nHost: other.test\r\n")),
    head("host-userinfo", "RNP", request(host=b"Host: other.test@gateway.test\r\n")),
    head("host-empty", "RNP", request(host=b"Host: \r\n")),
    head("absolute-form", "RDN", request(b"http://other.test" + CHAT_PATH)),
    head("absolute-form-https-port", "RDN", request(b"https://other.test:444" + CHAT_PATH)),
    head("authority-form", "RD", request(b"other.test:443", method=b"CONNECT", body=b"")),
    head("asterisk-form", "RDPN", request(b"*", method=b"OPTIONS", body=b""), b"*", b""),
    head("method-trace", "RD", request(method=b"TRACE", body=b"")),
    head("http09", "RD", b"GET /v1/models\r\n\r\n"),
    head("http2-preface", "RD", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    head("http-version-1.9", "RDNP", request(version=b"HTTP/1.9")),
    head("http-version-2.0", "RD", request(version=b"HTTP/2.0")),
    line("head-64KiB-one-header", "RD", b"X-A: " + b"a" * 65536 + b"\r\n"),
    line("head-1000-headers", "RD", b"".join(b"X-%d: a\r\n" % n for n in range(1000))),
    line("upgrade-h2c", "RDN", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
    line("upgrade-websocket-on-chat", "RDN", UPGRADE + b"websocket\r\nSec-WebSocket-Version: 13\r\n"),
]


def who(name: str, demanded: str, key: bytes, extra: bytes = b"") -> Case:
    return Case("identity", name, demanded, (request(key=key, extra=extra),))


def said(name: str, demanded: str, extra: bytes, gone: tuple[bytes, ...] = ()) -> Case:
    return Case("identity", name, demanded, (request(extra=extra),), gone=gone)


AUTH = b"Authorization: " + KEY + b"\r\n"

IDENTITY = [
    who("dup-authorization", "RD", AUTH + b"Authorization: Bearer sk-other\r\n"),
    who("auth-joined", "RD", b"Authorization: Bearer sk-hostile-0001,Bearer sk-other\r\n"),
    who("auth-and-x-api-key", "RD", AUTH + b"X-Api-Key: sk-other\r\n"),
    who("auth-and-goog-key", "RD", AUTH + b"X-Goog-Api-Key: sk-other\r\n"),
    Case("identity", "auth-and-query-key", "RD", (request(CHAT_PATH + b"?k%65y=sk-other"),)),
    who("auth-case-scheme", "RDP", b"Authorization: bEARER sk-hostile-0001\r\n"),
    who("auth-two-spaces", "RDP", b"Authorization: Bearer  sk-hostile-0001\r\n"),
    who("auth-latin1", "R", b"Authorization: Bearer sk-\xe9\r\n"),
    who("auth-none", "RP", b""),
    who("auth-16KiB", "R", b"Authorization: Bearer " + b"a" * 16384 + b"\r\n"),
    said("connection-strips-auth", "RP", b"Connection: close, Authorization\r\n"),
    said("connection-strips-type", "RP", b"Connection: Content-Type\r\n"),
    said("connection-strips-xff", "RDNP", b"Connection: X-Forwarded-For\r\nX-Forwarded-For: 192.0.2.1\r\n"),
    said("xff-spoof", "RDPN", b"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"),
    said("internal-headers-spoof", "RNP", b"Gauger-Tag: v1;tags=trusted\r\n", (b"gauger-tag",)),
    said("te-trailers", "RDN", b"TE: trailers\r\n", (b"te",)),
    said("proxy-authorization", "RDN", b"Proxy-Authorization: Basic YTpi\r\n", (b"proxy-authorization",)),
    said("underscore-header", "RDPN", b"X_Forwarded_For: 192.0.2.1\r\n"),
    said("underscore-key", "RD", b"X_Api_Key: sk-other\r\n"),
]


def path(name: str, demanded: str, target: bytes) -> Case:
    return Case("path", name, demanded, (request(target),), target=target)


PATH = [
    path("dot-dot", "RD", b"/v1/../admin/policy"),
    path("dot-seg-end", "RD", b"/v1/chat/."),
    path("pct-dot-dot", "RD", b"/v1/%2e%2E/admin"),
    path("mixed-dot-dot", "RD", b"/v1/.%2e/admin"),
    path("dot-dot-parameter", "RD", b"/v1/..;x=1/admin"),
    path("backslash", "RD", b"/v1\\chat/completions"),
    path("pct-backslash", "RD", b"/v1%5Cchat/completions"),
    path("pct-slash", "RD", b"/v1%2fchat/completions"),
    path("double-pct", "RP", b"/v1/%252e%252e/admin"),
    path("semicolon", "RP", b"/v1/chat;a=b/completions"),
    path("trailing-slash", "RP", b"/v1/chat/completions/"),
    path("upper", "RP", b"/V1/CHAT/COMPLETIONS"),
    path("query-dup-key", "RP", b"/v1/chat/completions?a=1&a=2"),
    path("double-slash", "RD", b"//other.test/v1/chat/completions"),
    path("inner-double-slash", "RP", b"/v1//chat/completions"),
    path("pct-letter", "RP", b"/v1/ch%61t/completions"),
    path("nul", "RD", b"/v1/chat%00/completions"),
    path("bad-pct", "RD", b"/v1/chat%zz"),
    path("bad-pct-query", "RD", b"/v1/chat?a=%z"),
    path("raw-utf8", "RD", "/v1/chät".encode()),
    path("fragment", "RD", b"/v1/chat/completions#/../admin"),
    path("fragment-in-query", "RD", b"/v1/chat/completions?a=b#c"),
    path("tab-target", "RD", b"/v1/chat\t/completions"),
    path("space-target", "RD", b"/v1/chat completions"),
    path("pct-crlf", "RP", b"/v1/chat%0d%0aX-A:%20b"),
]

SLOW = [
    Case("slow", "half-head", "RD", (PLAIN[:60],)),
    Case("slow", "half-line", "RD", (b"POST /v1/ch",)),
    Case("slow", "half-body", "RD", (PLAIN[:-20],)),
    Case("slow", "half-chunk", "RD", (request(framing=TE, body=SPLIT[:30]),)),
    Case("slow", "early-fin-body", "RD", (PLAIN[:-20],), half_close=True),
    Case("slow", "early-fin-head", "RD", (PLAIN[:60],), half_close=True),
    Case("slow", "empty-connection", "DR", ()),
    Case("slow", "crlf-flood", "RDPN", (b"\r\n" * 20_000, PLAIN)),
    Case("slow", "crlf-forever", "RD", (b"\r\n",) * 100),
    Case("slow", "byte-by-byte", "P", (*(PLAIN[n : n + 16] for n in range(0, len(PLAIN), 16)),)),
]

CASES: list[Case] = SMUGGLING + HEAD + IDENTITY + PATH + SLOW

assert all(TOKEN in b"".join(case.pieces) for case in CASES if case.group in ("identity", "path"))
