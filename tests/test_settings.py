"""Settings: where a value comes from, which values are wrong, and that a wrong start says so in one clear line."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.errors import Mistake
from gateway.settings import Settings, load

SECRET = "sk-do-not-show-me"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GAUGER_ variable of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("GAUGER_"):
            monkeypatch.delenv(name)


def toml(folder: Path, text: str) -> Path:
    file = folder / "gauger.toml"
    file.write_text(text)
    return file


def test_the_defaults_are_a_gateway_for_one_machine() -> None:
    settings, sources = load()
    assert (settings.host, settings.ops_host, settings.credential) == ("127.0.0.1", "127.0.0.1", "pass")
    assert set(sources.values()) == {"default"}
    assert set(sources) == set(Settings.model_fields)


def test_the_command_line_goes_before_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toml(tmp_path, 'port = 1\nhost = "127.0.0.3"\nmax_inflight = 7\n')
    monkeypatch.setenv("GAUGER_PORT", "2")
    monkeypatch.setenv("GAUGER_HOST", "127.0.0.2")
    settings, sources = load(file, port=3)
    assert (settings.port, settings.host, settings.max_inflight) == (3, "127.0.0.2", 7)
    assert [sources[name] for name in ("port", "host", "max_inflight", "ops_port")] == [
        "command line",
        "environment",
        str(file),
        "default",
    ]


def test_lists_and_tables_are_read_from_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = toml(tmp_path, 'trusted_proxies = ["10.0.0.0/8"]\n[upstreams]\nopenai = "http://a.test"\n')
    settings, _ = load(file)
    assert settings.trusted_proxies == ("10.0.0.0/8",)
    assert settings.upstreams == {"openai": "http://a.test"}
    monkeypatch.setenv("GAUGER_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128,")
    monkeypatch.setenv("GAUGER_UPSTREAMS", '{"gemini": "http://b.test"}')
    settings, _ = load(file)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.upstreams["gemini"] == "http://b.test"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "http", "port (GAUGER_PORT)"),
        ("PORT", "65536", "port (GAUGER_PORT)"),
        ("PORT", "-1", "port (GAUGER_PORT)"),
        ("LOG_FORMAT", "xml", "log_format (GAUGER_LOG_FORMAT)"),
        ("ENFORCE", "perhaps", "enforce (GAUGER_ENFORCE)"),
        ("MAX_BODY", "12", "max_body (GAUGER_MAX_BODY)"),
        ("STATE_MEMORY", "lots", "state_memory (GAUGER_STATE_MEMORY): this is no number of bytes"),
        ("STATE_MEMORY", "256 MB/s", "state_memory (GAUGER_STATE_MEMORY): this is no number of bytes"),
        ("STATE_MEMORY", "1 MiB", "state_memory (GAUGER_STATE_MEMORY)"),
        ("STATE_MEMORY", "2 TiB", "state_memory (GAUGER_STATE_MEMORY)"),
        ("READ_TIMEOUT", "0", "read_timeout (GAUGER_READ_TIMEOUT)"),
        ("READ_TIMEOUT", "nan", "read_timeout (GAUGER_READ_TIMEOUT)"),
        ("TOTAL_TIMEOUT", "-1", "total_timeout (GAUGER_TOTAL_TIMEOUT)"),
        ("UPSTREAMS", "http://a.test", "upstreams (GAUGER_UPSTREAMS): this is not JSON"),
        ("UPSTREAMS", '["http://a.test"]', "upstreams (GAUGER_UPSTREAMS)"),
        ("UPSTREAMS", '{"mistral": "http://a.test"}', "unknown vendor 'mistral'"),
        ("UPSTREAM", f"https://user:{SECRET}@a.test/", "no user name or password"),
        ("UPSTREAMS", f'{{"openai": "https://{SECRET}@a.test"}}', "no user name or password"),
        ("TLS_CERT", "cert.pem", "tls_cert and tls_key go together"),
        ("CREDENTIAL", "replace", "credential=replace needs"),
        ("MAX_INFLIHGT", "3", "unknown setting GAUGER_MAX_INFLIHGT"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"GAUGER_{name}", value)
    with pytest.raises(Mistake) as caught:
        load()
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert "Value error" not in message
    assert SECRET not in message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value", "size"), [("268435456", 2**28), ("256 MiB", 2**28), ("1.5GiB", 3 * 2**29), ("100MB", 100_000_000)]
)
def test_a_size_is_bytes_or_has_a_unit(monkeypatch: pytest.MonkeyPatch, value: str, size: int) -> None:
    monkeypatch.setenv("GAUGER_STATE_MEMORY", value)
    assert load()[0].state_memory == size


@pytest.mark.parametrize("name", ["ledger", "policy", "store_ca", "upstream_ca"])
def test_a_path_that_is_set_to_nothing_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"GAUGER_{name.upper()}", "")
    assert getattr(load()[0], name) is None


def test_several_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGER_PORT", "x")
    monkeypatch.setenv("GAUGER_MAX_BODY", "y")
    with pytest.raises(Mistake, match=r"GAUGER_PORT.*GAUGER_MAX_BODY"):
        load()


def test_a_misspelled_variable_is_met_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGER_UPSTERAM", "http://a.test")
    with pytest.raises(Mistake) as caught:
        load()
    assert caught.value.hint == "did you mean GAUGER_UPSTREAM?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = ", "gauger.toml"),
        ("prot = 80", "unknown setting prot, did you mean port?"),
        ("zzz = 80", "unknown setting zzz"),
        ('port = "x"', "port (GAUGER_PORT)"),
        ("[port]\na = 1", "port (GAUGER_PORT)"),
        ("upstreams = 3", "upstreams (GAUGER_UPSTREAMS)"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Mistake) as caught:
        load(toml(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="there is no settings file"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(Mistake, match="there is no settings file"):
        load(tmp_path)
    file = tmp_path / "bytes.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(Mistake, match="not UTF-8"):
        load(file)


def test_a_secret_is_in_no_repr_and_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGER_OPENAI_KEY", SECRET)
    monkeypatch.setenv("GAUGER_PEPPER", SECRET)
    settings, _ = load()
    assert SECRET not in repr(settings) + str(settings)
    assert settings.openai_key is not None
    assert settings.openai_key.get_secret_value() == SECRET
    monkeypatch.setenv("GAUGER_PORT", "x")
    with pytest.raises(Mistake) as caught:
        load()
    assert SECRET not in str(caught.value)


def test_settings_do_not_change_once_they_are_made() -> None:
    settings, _ = load()
    with pytest.raises(ValidationError):
        settings.port = 1


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert len(field.description) < 100, name
