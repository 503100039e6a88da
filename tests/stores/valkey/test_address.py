"""A store's URI: what it says, what is wrong with it, and that nobody is shown its password."""

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.cli.config import command
from gateway.errors import Mistake
from gateway.stores.valkey.address import Address, read, shown

SECRET = "hunter2"


@pytest.mark.parametrize(
    "uri, address",
    [
        ("valkey://store", Address("single", (("store", 6379),))),
        ("redis://store:7000/3", Address("single", (("store", 7000),), db=3)),
        ("async+redis://store:7000?db=3", Address("single", (("store", 7000),), db=3)),
        ("VALKEYS://me:p%40ss@[::1]:7000", Address("single", (("::1", 7000),), tls=True, user="me", password="p@ss")),
        ("rediss://:pass@store", Address("single", (("store", 6379),), tls=True, password="pass")),
        ("valkey+unix:///run/a%20b.sock?db=2", Address("unix", path="/run/a b.sock", db=2)),
        ("unix://:pass@/run/valkey.sock", Address("unix", path="/run/valkey.sock", password="pass")),
        (
            "redis+sentinel://:pass@a:1,b/service",
            Address("sentinel", (("a", 1), ("b", 26379)), password="pass", service="service"),
        ),
        ("valkeys+sentinel://a/service?db=4", Address("sentinel", (("a", 26379),), tls=True, service="service", db=4)),
        ("valkey+cluster://a:1,[::2]:2,c", Address("cluster", (("a", 1), ("::2", 2), ("c", 6379)))),
    ],
)
def test_what_a_uri_says(uri: str, address: Address) -> None:
    assert read(uri) == address
    known = replace(address, password=None if address.password is None else "***")
    assert read(address.shown()) == known


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "memory://",
        "store:6379",
        "valky://store",
        "valkey://",
        "valkey://:hunter2@",
        "valkey://:hunter2@store:port",
        "valkey://:hunter2@store:70000",
        "valkey://:hunter2@store/zero",
        "valkey://:hunter2@store/-1",
        "valkey://:hunter2@store/0?db=1",
        "valkey://:hunter2@store?database=1",
        "valkey://:hunter2/x@store",
        "valkey://:hunter2#x@store",
        "valkey://:hunter2?x@store",
        "valkey://:hunter2@[store",
        "valkey://:hunter2@a,b",
        "valkeys+unix:///run/hunter2.sock",
        "valkey+unix://run/hunter2.sock",
        "valkey+unix://:hunter2@/",
        "valkey+sentinel://:hunter2@a",
        "valkey+sentinel://:hunter2@a/b/c",
        "valkey+sentinel://:hunter2@/service",
        "valkey+cluster://:hunter2@a/1",
        "valkey+cluster://:hunter2@a,,b",
        "hunter2://store",
    ],
)
def test_a_wrong_uri_is_a_mistake_with_a_hint_and_without_the_password(uri: str) -> None:
    with pytest.raises(Mistake) as caught:
        read(uri)
    assert caught.value.hint
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert SECRET not in shown(uri)


@pytest.mark.parametrize("uri", ["valkey://:hunter2/x@store", "valkey://u:p@hunter2/x@store", "redis://:hunter2/@a/1"])
def test_of_a_password_that_is_not_encoded_the_hint_says_so(uri: str) -> None:
    with pytest.raises(Mistake, match=r"@|port|host") as caught:
        read(uri)
    assert "percent-encoded" in caught.value.hint


def test_a_near_miss_is_named() -> None:
    with pytest.raises(Mistake) as caught:
        read("valky://store")
    assert "valkey://" in caught.value.hint


@given(st.text(min_size=1), st.sampled_from(["valkey", "rediss", "valkey+sentinel", "valkey+cluster", "unix"]))
def test_no_password_is_ever_shown(password: str, scheme: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in f"_{password}_".encode(errors="replace"))
    uri = f"{scheme}://user:{quoted}@host/name"
    said = [shown(uri)]
    try:
        address = read(uri)
    except Mistake as mistake:
        said += [str(mistake), mistake.hint]
    else:
        said += [repr(address), address.shown()]
    assert all(f"_{password}_" not in text and quoted not in text for text in said)


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_settings_show_the_store_without_its_password(form: str) -> None:
    runner = CliRunner(env={"GAUGER_STORE": "redis://me:hunter2@store:7000/1"})
    printed = runner.invoke(command, ["--format", form])
    assert printed.exit_code == 0
    assert "valkey://me:***@store:7000/1" in printed.output
    assert SECRET not in printed.output
    wrong = CliRunner(env={"GAUGER_STORE": "redis://me:hunter2@store:x"}).invoke(command, ["--format", form])
    assert SECRET not in wrong.output + str(wrong.exception)
    assert "memory" in CliRunner(env={"GAUGER_STORE": None}).invoke(command, ["--format", form]).output
