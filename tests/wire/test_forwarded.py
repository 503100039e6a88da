"""What proxies say: believed from the right, as far as the trusted ones go, and not one hop further."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.forwarded import address_of, certificate_subject, client_address, is_trusted

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
EDGE, INNER, CLIENT, SPOOF = "10.0.0.1", "10.0.0.2", "198.51.100.7", "6.6.6.6"


def common(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]


def standard(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"forwarded", line.encode("latin-1")) for line in lines]


@pytest.mark.parametrize("spoofs", [[], [SPOOF], [SPOOF, EDGE], ["garbage"], [""]])
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_the_client_is_found_behind_trusted_hops_whatever_it_wrote(hops: int, spoofs: list[str]) -> None:
    chain = [*spoofs, CLIENT, INNER][: len(spoofs) + hops]  # each proxy appends whom it heard from
    peer = CLIENT if hops == 0 else EDGE
    assert client_address(peer, common(", ".join(chain)), PROXIES) == CLIENT
    assert client_address(peer, common(*chain), PROXIES) == CLIENT
    forwarded = ", ".join(f"for={hop or 'unknown'};proto=https" for hop in chain)
    assert client_address(peer, standard(forwarded), PROXIES) == CLIENT


def test_nobody_is_believed_where_no_proxy_is_trusted() -> None:
    assert client_address(EDGE, common(SPOOF), ()) == EDGE
    assert client_address(None, common(SPOOF), PROXIES) is None
    assert client_address("testclient", common(SPOOF), PROXIES) == "testclient"


def test_a_chain_of_trusted_hops_gives_its_left_end() -> None:
    assert client_address(EDGE, common("10.9.9.9, 10.0.0.3"), PROXIES) == "10.9.9.9"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("198.51.100.7:4711", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_a_hop_may_have_brackets_and_a_port(hop: str, address: str) -> None:
    assert client_address(EDGE, common(hop), PROXIES) == address
    assert client_address(EDGE, standard(f'For="{hop}"'), PROXIES) == address


@pytest.mark.parametrize(
    "hop",
    ["unknown", "_hidden", "1.2.3", "1.2.3.4:x", "[::1", "[::1]x", "01.2.3.4", "fe80::1%eth0", "1.2.3.4:5:6", "\xb2"],
)
def test_a_hop_that_is_no_address_ends_at_the_peer(hop: str) -> None:
    assert client_address(EDGE, common(f"{SPOOF}, {hop}"), PROXIES) == EDGE
    assert client_address(EDGE, standard(f'for={SPOOF}, for="{hop}"'), PROXIES) == EDGE


@pytest.mark.parametrize(
    "line", ['for="1.2.3.4', "for=1.2.3.4;for=5.6.7.8", "proto=https", "for", "for=a b", 'for="a"b']
)
def test_a_forwarded_field_that_cannot_be_read_ends_at_the_peer(line: str) -> None:
    assert client_address(EDGE, standard(line), PROXIES) == EDGE


def test_a_clients_own_line_cannot_break_the_proxys() -> None:
    assert client_address(EDGE, standard('for="', f"for={CLIENT}"), PROXIES) == CLIENT
    assert client_address(EDGE, standard('for="\\"', f'for="{CLIENT}";by=_x'), PROXIES) == CLIENT


def test_two_fields_that_disagree_are_both_disbelieved() -> None:
    assert client_address(EDGE, common(CLIENT) + standard(f"for={SPOOF}"), PROXIES) == EDGE
    assert client_address(EDGE, common(CLIENT) + standard(f"for={CLIENT}"), PROXIES) == CLIENT


@given(st.lists(st.sampled_from([SPOOF, EDGE, INNER, "x", "", '"', "for=", "1.1.1.1"]), max_size=8))
def test_nothing_to_the_left_of_the_client_changes_the_answer(written: list[str]) -> None:
    assert client_address(EDGE, common(", ".join([*written, CLIENT])), PROXIES) == CLIENT


@given(st.binary(max_size=80), st.sampled_from([b"forwarded", b"x-forwarded-for"]))
def test_any_bytes_give_an_address_or_the_peer(value: bytes, name: bytes) -> None:
    answer = client_address(EDGE, [(name, value)], PROXIES)
    assert answer is not None
    assert address_of(answer) is not None


@pytest.mark.parametrize("value", [b"\n", b"for=192.0.2.1\n", b" \n", b",\n"])
def test_an_end_of_line_is_no_end_of_the_field(value: bytes) -> None:
    """No server lets one through, but a log of raw traffic may hold it: it was read for ever."""
    assert client_address(EDGE, [(b"forwarded", value)], PROXIES) == EDGE


def test_a_mapped_peer_is_the_ipv4_proxy() -> None:
    assert is_trusted("::ffff:10.0.0.1", PROXIES)
    assert is_trusted("fd12::1", PROXIES)
    assert not is_trusted("11.0.0.1", PROXIES)


XFCC = "x-forwarded-client-cert"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ('By=spiffe://a;Hash=0f;Subject="CN=svc,O=Acme"', "CN=svc,O=Acme"),
        ('Hash=0f;Subject="";URI=spiffe://a/b', "spiffe://a/b"),
        ("Hash=0f;URI=spiffe://a/b;URI=spiffe://a/c", "spiffe://a/b"),
        ('Subject="CN=client",Hash=1;Subject="CN=nearest hop"', "CN=nearest hop"),
        ('Subject="CN=a\\"b,O=x"', 'CN=a"b,O=x'),
        ('Subject="CN=a\\,b"', "CN=a\\,b"),
        ("", None),
    ],
)
def test_a_subject_is_read_as_envoy_writes_it(value: str, subject: str | None) -> None:
    assert certificate_subject(XFCC, value) == subject


@pytest.mark.parametrize(
    "value", ['Subject="CN=a', "Hash=0f", "nonsense", 'Subject="a"x;URI=b', 'Subject="CN=a",Hash=0f']
)
def test_a_certificate_without_a_readable_name_is_an_error(value: str) -> None:
    with pytest.raises(ValueError):
        certificate_subject(XFCC, value)


def test_another_header_is_the_subject_itself() -> None:
    assert certificate_subject("x-client-subject", " CN=svc, O=Acme ") == "CN=svc, O=Acme"
    assert certificate_subject("x-client-subject", " ") is None
