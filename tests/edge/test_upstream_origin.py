"""Where the model server is: a URL is taken apart once, strictly, and never repeated in a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.upstream import Origin, PoolBounds, UpstreamTimeouts
from gateway.errors import Mistake


@pytest.mark.parametrize(
    "url, origin, authority",
    [
        ("http://localhost:8000", Origin("http", "localhost", 8000), b"localhost:8000"),
        ("https://API.example.com", Origin("https", "api.example.com", 443), b"api.example.com"),
        ("https://a.example:443/", Origin("https", "a.example", 443), b"a.example"),
        ("http://10.0.0.1/openai/v1/", Origin("http", "10.0.0.1", 80, "/openai/v1"), b"10.0.0.1"),
        ("http://[::1]:9/x", Origin("http", "::1", 9, "/x"), b"[::1]:9"),
        ("http://vllm_server/%41", Origin("http", "vllm_server", 80, "/%41"), b"vllm_server"),
    ],
)
def test_a_url_names_an_origin(url: str, origin: Origin, authority: bytes) -> None:
    assert Origin.parse(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "//host",
        "file:///etc/passwd",
        "unix:/run/x.sock",
        "ftp://host",
        "http://",
        "http:///path",
        "http://:80",
        "http://host:",
        "http://host:0",
        "http://host:65536",
        "http://host:x",
        "http://me:hunter2@host",
        "http://me@host",
        "http://host?",
        "http://host/?a=hunter2",
        "http://host/#hunter2",
        "http://host\r\nx: y",
        "http://ho st",
        "http://host/a b",
        "http://host\\evil",
        "http://h\u00f6st",
        "http://-host",
        "http://a..b",
        "http://" + "a" * 64,
        "http://[::1",
        "http://[fe80::1]",
        "http://[fe80::1%25eth0]",
        "http://169.254.169.254/latest/meta-data",
        "http://host/../x",
        "http://host/./x",
        "http://host/%2e%2e/x",
        "http://host/a%2fb",
        "http://host//x",
        "http://host/%zz",
    ],
)
def test_a_url_that_is_no_plain_origin_is_a_mistake_with_a_hint_and_without_the_url(url: str) -> None:
    with pytest.raises(Mistake) as caught:
        Origin.parse(url, place="upstream")
    assert caught.value.hint
    assert caught.value.place == "upstream"
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


@given(st.text(max_size=60) | st.from_regex(r"https?://[\x20-\x7e]{0,40}", fullmatch=True))
def test_any_text_is_an_origin_or_a_mistake(url: str) -> None:
    try:
        origin = Origin.parse(url)
    except Mistake:
        return
    again = f"{origin.scheme}://{origin.authority.decode()}{origin.prefix}"
    assert Origin.parse(again) == origin
    assert 1 <= origin.port <= 65535
    assert not origin.prefix.endswith("/")


def test_bounds_and_time_outs_that_make_no_sense_are_mistakes() -> None:
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(Mistake):
            UpstreamTimeouts(read=wrong)
        with pytest.raises(Mistake):
            PoolBounds(idle=wrong)
    with pytest.raises(Mistake):
        PoolBounds(connections=0)
    with pytest.raises(Mistake):
        PoolBounds(waiting=-1)
