"""Shell. Every setting, with its default, its bound and where the value came from.

A setting is read from the command line, then the environment (`GAUGER_` + name), then a TOML file, then its default.
`gauger config` prints the effective values with their source. A wrong value stops the start with one line each.
"""

import difflib
import os
import re
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from gateway.errors import Mistake

__all__ = ["Settings", "load"]

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Vendors = ("openai", "anthropic", "gemini")
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _bytes(value: object) -> object:
    """The bytes in `256 MiB`; what is no text, or a number alone, stays."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", value)
    if found is None or found[2] not in UNITS:
        raise ValueError("this is no number of bytes, as in 256 MiB")
    return round(float(found[1]) * UNITS[found[2]]) if "." in found[1] else int(found[1]) * UNITS[found[2]]


Bytes = Annotated[int, BeforeValidator(_bytes)]


class Settings(BaseSettings):
    """The settings of one gateway process."""

    model_config = SettingsConfigDict(env_prefix="GAUGER_", extra="forbid", frozen=True, validate_default=True)

    # where it listens
    host: str = Field(default="127.0.0.1", description="address of the data port")
    port: Port = Field(default=8080, description="the data port: it only proxies")
    ops_host: str = Field(default="127.0.0.1", description="address of the operator's port")
    ops_port: Port = Field(default=8081, description="the operator's port: /livez, /readyz, /metrics, /-/…")
    ops_token: SecretStr | None = Field(
        default=None, min_length=16, description="bearer token that the operator's port asks of who changes things"
    )
    tls_cert: Path | None = Field(default=None, description="PEM certificate chain of the data port")
    tls_key: Path | None = Field(default=None, description="PEM key of the data port")

    # what it fronts
    upstream: str | None = Field(default=None, description="the model API; none = the embedded stand-in model")
    upstreams: dict[str, str] = Field(default={}, description="one upstream a vendor: openai, anthropic, gemini (JSON)")
    upstream_ca: Path | None = Field(
        default=None, description="PEM bundle that upstream certificates are checked against"
    )
    transport: str = Field(
        default="h1",
        description="the client behind it: h1 (our own), httpx, or package.module:factory of an httpx transport",
    )
    upstream_proxy: SecretStr | None = Field(
        default=None, description="with transport=httpx: an HTTP or SOCKS proxy on the way to the model API"
    )
    credential: Literal["pass", "replace"] = Field(
        default="pass", description="what happens to the caller's key upstream"
    )
    openai_key: SecretStr | None = Field(
        default=None, description="with credential=replace: the key sent to OpenAI paths"
    )
    anthropic_key: SecretStr | None = Field(default=None, description="with credential=replace: for Anthropic paths")
    gemini_key: SecretStr | None = Field(default=None, description="with credential=replace: for Gemini paths")
    preserve_host: bool = Field(default=False, description="send the client's Host header upstream")
    usage_ask: bool = Field(default=False, description="ask OpenAI streams for their usage where the caller didn't")

    # what it decides by
    policy: Path | None = Field(default=None, description="policy file; none = the default policy that is shipped")
    enforce: bool = Field(default=True, description="false = kill switch: everything is decided and nothing is done")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="networks whose forwarded addresses and identity headers are believed (comma-separated CIDRs)",
    )
    state_dir: Path = Field(default=Path(".gauger"), description="folder of the pepper and the tag key")
    pepper: SecretStr | None = Field(
        default=None, description="secret that keys are hashed with; none = a file in state_dir"
    )
    pepper_former: SecretStr | None = Field(default=None, description="the pepper before, for reading only")
    tag_key: SecretStr | None = Field(
        default=None, description="secret that `gauger-tag` is signed with; none = a file in state_dir"
    )
    reload_interval: float = Field(
        default=2.0, ge=0, le=3600, description="s between looks at policy and accounts; 0 = never"
    )

    # what it says
    log_format: Literal["gauger", "otel", "ecs"] = Field(
        default="gauger", description="field names of the request lines"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="of the other events")
    log_queue: int = Field(
        default=10_000, ge=100, le=1_000_000, description="request lines that may wait to be written"
    )
    ledger: Path | None = Field(
        default=None,
        description="folder of the ledger; each of several workers has one in it; none = rows are not kept",
    )
    ledger_segment_bytes: int = Field(
        default=67_108_864, ge=4096, le=1_073_741_824, description="bytes after which a segment is closed"
    )
    ledger_keep_bytes: int = Field(
        default=10_737_418_240, ge=0, description="bytes of segments kept, as they lie on disk; 0 = no bound"
    )
    ledger_keep_days: float = Field(
        default=30.0, ge=0, le=36_500, description="days that a closed segment is kept; 0 = no bound"
    )
    ledger_sync: bool = Field(
        default=False, description="every batch of rows outlasts a power cut (fsync), not only a crash"
    )
    tracing: bool = Field(default=False, description="OpenTelemetry spans; needs the extra `otel`")
    service_instance: str = Field(default="", description="name of this instance in records; none = host name and port")

    # where it shares, and what outlasts it
    workers: int = Field(
        default=1, ge=1, le=256, description="processes that serve the data port; more than one share a store"
    )
    worker_ports: Port = Field(
        default=0,
        description="worker i also listens on this port + i, for a proxy that sends each key to one worker; 0 = none",
    )
    store: SecretStr = Field(
        default=SecretStr("memory"),
        description="where limits live: memory (this process), or the URI of a Valkey server, or of Redis 7 or newer",
    )
    store_mode: Literal["exact", "sliced"] = Field(
        default="exact",
        description="exact: one call of the store a request; sliced: shares of limits are taken and spent here",
    )
    store_slice: float = Field(
        default=0.05, gt=0, le=0.5, description="with store_mode=sliced: share of a limit that is taken at once"
    )
    store_timeout: Annotated[float, Field(gt=0, le=10)] = Field(
        default=0.05, description="s that an answer of the store may take; then this process's own limits hold"
    )
    store_ca: Path | None = Field(
        default=None, description="PEM bundle that the store's certificate is checked against"
    )
    replicas: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="processes that share the limits, at least: a share is what each grants while the store is away",
    )
    embedded_valkey: bool = Field(
        default=False, description="start and supervise a Valkey server of our own, for the workers of this host"
    )
    embedded_valkey_memory: Bytes = Field(
        default=268_435_456, ge=16_777_216, le=1_099_511_627_776, description="bytes that it may take"
    )
    snapshot_interval: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="with a ledger: s between snapshots of what is remembered, for the next start; 0 = none",
    )

    # its bounds
    max_inflight: int = Field(
        default=1024,
        ge=1,
        description="requests at once, half of them held by a `delay` at most; more: 503 (Envoy: 1024)",
    )
    max_body: int = Field(
        default=33_554_432, ge=1024, description="bytes of a JSON body (Anthropic's own limit: 32 MB)"
    )
    max_upload: int = Field(default=536_870_912, ge=1024, description="bytes of an upload (OpenAI's own limit: 512 MB)")
    body_budget: int = Field(default=268_435_456, ge=1_048_576, description="bytes of all request bodies held at once")
    max_cells: int = Field(default=1_000_000, ge=1000, description="limit cells kept; about 180 bytes each")
    max_accounts: int = Field(default=100_000, ge=100, description="accounts remembered, as far as their bytes allow")
    state_memory: Bytes = Field(
        default=268_435_456,
        ge=16_777_216,
        le=1_099_511_627_776,
        description="bytes of all that is remembered of accounts, as in `512 MiB`; about 4 KB each",
    )
    served_memory: Bytes = Field(
        default=16_777_216,
        ge=0,
        le=1_099_511_627_776,
        description="bytes for fingerprints of the answers of the last day, 20 an answer; 0 = none are kept",
    )
    campaign_memory: Bytes = Field(
        default=100_663_296,
        ge=0,
        le=1_099_511_627_776,
        description="bytes for what links accounts into campaigns, 1.75 KB an account; 0 = none are linked",
    )
    message_bytes: int = Field(
        default=16_777_216, ge=1024, description="bytes of a message of a WebSocket, either way; more: close 1009"
    )
    realtime_idle_timeout: Seconds = Field(
        default=600.0, description="s that a realtime session may be silent, both ways; then: close 1001"
    )
    realtime_timeout: Seconds = Field(
        default=7200.0, description="s that a realtime session may last (OpenAI: 3600); then: close 1001"
    )
    head_timeout: Seconds = Field(default=10.0, description="s for a whole request head")
    body_idle_timeout: Seconds = Field(
        default=10.0, description="s without a byte of the request body (nginx: 60, Envoy: none)"
    )
    body_timeout: Seconds = Field(default=60.0, description="s for a whole JSON body")
    write_timeout: Seconds = Field(
        default=60.0, description="s that a client may refuse to read (nginx send_timeout: 60)"
    )
    keepalive_timeout: Seconds = Field(default=75.0, description="s that an idle client connection is kept (nginx: 75)")
    connect_timeout: Seconds = Field(default=5.0, description="s to connect to the model API, TLS included")
    read_timeout: Seconds = Field(default=600.0, description="s without a byte from the model API (the SDKs' own: 600)")
    total_timeout: float = Field(default=0.0, ge=0, le=86_400, description="s for a whole answer; 0 = no bound")
    pool_size: int = Field(default=1024, ge=1, description="connections to one upstream (Envoy's default bound)")
    pool_waiting: int = Field(default=1024, ge=0, description="requests that may wait for a connection")
    pool_wait: Seconds = Field(default=5.0, description="s that a request may wait for a connection")
    pool_age: float = Field(
        default=300.0, ge=0, le=86_400, description="s after which a connection takes no more requests; 0 = no bound"
    )
    drain_timeout: Seconds = Field(default=30.0, description="s that running requests get after SIGTERM")
    drain_delay: float = Field(default=0.0, ge=0, le=300, description="s between unready and closing the listener")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("policy", "ledger", "tls_cert", "tls_key", "upstream_ca", "store_ca", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "" else value  # a variable that is set to nothing is no path, the current folder least

    @field_validator("upstreams")
    @classmethod
    def _vendors(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in Vendors:
                raise ValueError(f"unknown vendor {name!r}; known are {', '.join(Vendors)}")
        return value

    @field_validator("transport")
    @classmethod
    def _transport(cls, value: str) -> str:
        if value not in ("h1", "httpx") and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", value):
            raise ValueError("is h1, httpx, or package.module:factory")
        return value

    @field_validator("upstream", "upstreams")
    @classmethod
    def _no_password(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for url in value.values() if isinstance(value, dict) else (value or "",):
            if "@" in url.partition("://")[2].partition("/")[0]:  # it would be shown, by `gauger config` to begin with
                raise ValueError("an upstream URL carries no user name or password")
        return value

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.credential == "replace" and not (self.openai_key or self.anthropic_key or self.gemini_key):
            raise ValueError("credential=replace needs openai_key, anthropic_key or gemini_key")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = settings_cls.model_config.get("toml_file")
        toml = (TomlConfigSettingsSource(settings_cls),) if file else ()
        return (init_settings, env_settings, *toml)


def load(file: Path | None = None, **given: Any) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each the place its value came from: `command line`, `environment`, a file or `default`.

    Raises Mistake with one line for every wrong value; a secret's value is never in it.
    """
    if file is not None and not file.is_file():
        raise Mistake(f"there is no settings file {file}", hint="GAUGER_CONFIG or --config names it")
    try:
        made = type("Settings", (Settings,), {"model_config": {**Settings.model_config, "toml_file": file}})
        settings = made(**given)
        sources = _sources(made, given, str(file))
    except ValidationError as error:
        lines = [_line(e["type"], e["loc"], e["msg"]) for e in error.errors(include_url=False, include_input=False)]
        raise Mistake("; ".join(lines), hint="`gauger config` shows every setting and its source") from None
    except SettingsError as error:  # its text names the field; the value is only in the text of its cause
        name = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "a setting")
        raise Mistake(
            f"{name} (GAUGER_{name.upper()}): this is not JSON", hint='as in {"anthropic": "https://model.example"}'
        ) from None
    except TOMLDecodeError as error:
        raise Mistake(f"settings file {file}: {error}", hint="each setting is a line, as in: port = 8080") from None
    except UnicodeDecodeError:
        raise Mistake(f"settings file {file}: this is not UTF-8 text") from None
    except OSError as error:
        raise Mistake(f"settings file {file} can't be read: {error.strerror}") from None
    _unknown()
    return settings, sources


def _line(kind: str, location: tuple[int | str, ...], message: str) -> str:
    """One wrong value in words. No value is in it: what stands in a wrong place may be a secret."""
    name = str(location[0]) if location else ""
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        return f"unknown setting {name}" + (f", did you mean {near[0]}?" if near else "")
    return f"{name} (GAUGER_{name.upper()}): {message}" if name else message


def _sources(made: type[Settings], given: dict[str, Any], file: str) -> dict[str, str]:
    toml = TomlConfigSettingsSource(made)() if made.model_config.get("toml_file") else {}
    environment = {name.upper() for name in os.environ}
    sources = {}
    for name in made.model_fields:
        if name in given:
            sources[name] = "command line"
        elif f"GAUGER_{name.upper()}" in environment:
            sources[name] = "environment"
        else:
            sources[name] = file if name in toml else "default"
    return sources


def _unknown() -> None:
    """A misspelled GAUGER_ variable would be silently ignored: it stops the start instead."""
    known = {f"GAUGER_{name.upper()}" for name in Settings.model_fields} | {"GAUGER_CONFIG", "GAUGER_COMPLETE"}
    for name in os.environ:
        if name.startswith("GAUGER_") and name not in known and not name.startswith("_GAUGER"):
            near = difflib.get_close_matches(name, known, n=1)
            raise Mistake(f"unknown setting {name}", hint=f"did you mean {near[0]}?" if near else "see `gauger config`")
