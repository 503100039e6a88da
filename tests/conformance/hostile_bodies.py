"""The hostile table, inside the body: JSON that readers disagree about, codings and multipart."""

import gzip
import zlib

from tests.conformance.hostile import Case, chat, post

__all__ = ["CASES"]

HI = b'"messages":[{"role":"user","content":"hi"}]'


def j(name: str, demanded: str, body: bytes, extra: bytes = b"", **given: bytes) -> Case:
    return post("json", name, demanded, body, extra, **given)


GOOD = chat()

JSON = [
    j("dup-model", "R", b'{"model":"m","model":"dear",' + HI + b"}"),
    j("dup-max-tokens", "R", b'{"model":"m","max_tokens":1,"max_tokens":9999,' + HI + b"}"),
    j("dup-key-escaped", "R", b'{"model":"m","\\u006dodel":"dear",' + HI + b"}"),
    j("dup-stream", "R", b'{"model":"m","stream":false,"stream":true,' + HI + b"}"),
    j("dup-case", "RP", b'{"model":"m","Model":"dear",' + HI + b"}"),
    j("dup-nested", "RP", b'{"model":"m","metadata":{"a":"1","a":"2"},' + HI + b"}"),
    j("nan", "R", chat(temperature="NaN")),
    j("infinity", "R", chat(temperature="Infinity")),
    j("huge-int", "R", chat(max_tokens="9" * 400)),
    j("huge-int-2^64", "R", chat(max_tokens="18446744073709551616")),
    j("float-1e400", "R", chat(temperature="1e400")),
    j("negative-tokens", "R", chat(max_tokens="-5")),
    j("tokens-as-string", "RP", chat(max_tokens='"5"')),
    j("tokens-float", "RP", chat(max_tokens="5.0")),
    j("tokens-null", "RP", chat(max_tokens="null")),
    j("n-huge", "RP", chat(n="1000000000")),
    j("stream-string", "RP", chat(stream='"true"')),
    j("invalid-utf8", "R", chat(user='"').replace(b'"user":"', b'"user":"\xff"')),
    j("overlong-utf8", "R", chat(user='"').replace(b'"user":"', b'"user":"\xc0\xaf"')),
    j("utf16", "R", GOOD.decode().encode("utf-16")),
    j("lone-surrogate", "RP", chat(user='"\\ud800"')),
    j("bom", "RP", b"\xef\xbb\xbf" + GOOD),
    j("nul-in-string", "RP", chat(user='"a\\u0000b"')),
    j("raw-nul", "R", chat(user='"a\x00b"')),
    j("deep-array", "R", chat(metadata="[" * 20_000 + "]" * 20_000)),
    j("deep-object", "R", chat(metadata='{"a":' * 20_000 + "1" + "}" * 20_000)),
    j("deep-in-content", "R", chat(messages='[{"role":"user","content":' + "[" * 20_000 + "]" * 20_000 + "}]")),
    j("trailing-garbage", "R", GOOD + b"x"),
    j("two-docs", "R", GOOD + GOOD),
    j("truncated", "R", GOOD[:-3]),
    j("empty", "RP", b""),
    j("scalar", "RP", b"1"),
    j("array-top", "RP", b"[" + GOOD + b"]"),
    j("null-model", "RP", chat(model="null")),
    j("model-object", "R", chat(model='{"a":"m"}')),
    j("model-4KiB", "RP", chat(model='"' + "m" * 4096 + '"')),
    j("messages-string", "RP", chat(messages='"hi"')),
    j("messages-1e5", "RP", chat(messages="[" + ",".join(['{"role":"user","content":"a"}'] * 100_000) + "]")),
    j("keys-50k", "RP", chat(**{f"k{n}": "1" for n in range(50_000)})),
    j("proto-keys", "RP", chat(__proto__='{"model":"dear"}', constructor="1")),
    j("log-injection", "RP", chat(model='"m\\n{\\"verdict\\":\\"allow\\"}\\u001b[2J\\u2028"')),
    j("comment", "R", b"/* */" + GOOD),
    j("single-quotes", "R", GOOD.replace(b'"', b"'")),
    j("content-type-dup", "R", GOOD, b"Content-Type: text/plain\r\n"),
    j("content-type-charset", "R", GOOD, kind=b"Content-Type: application/json; charset=utf-16\r\n"),
    j("content-type-text", "RP", GOOD, kind=b"Content-Type: text/plain\r\n"),
    j("content-type-none", "RP", GOOD, kind=b""),
    j("content-type-form", "RP", GOOD, kind=b"Content-Type: application/x-www-form-urlencoded\r\n"),
    j("content-type-cbor", "RP", b"\xa1\x65model\x61m", kind=b"Content-Type: application/cbor\r\n"),
]


def bomb(size: int) -> bytes:
    return gzip.compress(bytes(size), 9)


def stacked(times: int) -> bytes:
    body = GOOD
    for _ in range(times):
        body = gzip.compress(body, 1)
    return body


def encoded(name: str, demanded: str, body: bytes, coding: bytes = b"gzip") -> Case:
    return post("encoding", name, demanded, body, b"Content-Encoding: " + coding + b"\r\n")


ENCODING = [
    encoded("gzip-body", "RP", gzip.compress(GOOD)),
    encoded("deflate-raw", "RP", zlib.compress(GOOD)[2:-4], b"deflate"),
    encoded("gzip-bomb-20MiB", "R", bomb(20 << 20)),
    encoded("gzip-bomb-nested", "R", gzip.compress(bomb(20 << 20)), b"gzip, gzip"),
    encoded("gzip-truncated", "R", gzip.compress(GOOD)[:-8]),
    encoded("gzip-lie", "R", GOOD),
    encoded("encoding-unknown", "R", GOOD, b"snappy"),
    encoded("encoding-stack-20", "R", stacked(20), b", ".join([b"gzip"] * 20)),
    post(
        "encoding",
        "encoding-hidden",
        "R",
        gzip.compress(GOOD),
        b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n",
    ),
    encoded("encoding-identity", "P", GOOD, b"identity"),
]

FORM = b"Content-Type: multipart/form-data; boundary=xx\r\n"
PURPOSE = b'--xx\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
LINE = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":' + GOOD + b"}\n"


def file_part(content: bytes, name: bytes = b"a.jsonl") -> bytes:
    return b'--xx\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n' % (name, content)


def mp(name: str, demanded: str, body: bytes, kind: bytes = FORM) -> Case:
    made = post("multipart", name, demanded, body, kind=kind, target=b"/v1/files")
    return Case(made.group, made.name, made.demanded, made.pieces, target=b"/v1/files", body=body)


MULTIPART = [
    mp("mp-filename", "PR", PURPOSE + file_part(LINE, b'a\\".jsonl"; name="purpose') + b"--xx--\r\n"),
    mp("mp-no-boundary", "PR", PURPOSE + file_part(LINE) + b"--xx--\r\n", b"Content-Type: multipart/form-data\r\n"),
    mp("mp-boundary-mismatch", "PR", (PURPOSE + file_part(LINE) + b"--xx--\r\n").replace(b"--xx", b"--yy")),
    mp("mp-dup-purpose", "PR", PURPOSE + PURPOSE.replace(b"batch", b"user_data") + file_part(LINE) + b"--xx--\r\n"),
    mp("mp-10k-parts", "PR", PURPOSE * 10_000 + file_part(LINE) + b"--xx--\r\n"),
    mp("batch-poisoned-lines", "PR", PURPOSE + file_part(LINE * 20 + b"{" * 5000 + b"\n\xff\n" + LINE) + b"--xx--\r\n"),
]

CASES: list[Case] = JSON + ENCODING + MULTIPART
