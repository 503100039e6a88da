"""Shell. The gateways for model APIs that others have written, and the one that everybody writes."""

import json
import os
import sysconfig
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.proxy.bodies import KEYS
from tests.benchmarks.proxy.contestants import (
    EVERYTHING,
    ROOT,
    Contestant,
    Launch,
    Site,
    environment,
    gauger,
    gauger_version,
    output_of,
    setup_hint,
    system,
)
from tests.benchmarks.proxy.installs import NODE, PACKAGES

__all__ = ["granian", "peers"]

LITELLM = """\
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "http://127.0.0.1:{model}/v1", api_key: sk-upstream}}
general_settings: {{custom_auth: bench_auth.by_key, master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""
# Limits for each key without a database: any key is let in, with limits that are never reached.
LITELLM_AUTH = '''\
"""Any key may come in, and each has a limit."""

from litellm.proxy._types import UserAPIKeyAuth


async def by_key(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, user_id=api_key[-12:], rpm_limit=1_000_000_000)
'''
PORTKEY_START = "node_modules/@portkey-ai/gateway/build/start-server.js"
# Portkey listens on every interface and has no setting for it: this makes its `listen` stay on loopback.
PORTKEY_LOOPBACK = """\
const net = require('node:net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const then = rest.filter((x) => typeof x === 'function');
  if (typeof port === 'number') return listen.call(this, port, '127.0.0.1', ...then);
  if (!port || typeof port !== 'object' || !('port' in port)) return listen.call(this, port, ...rest);
  return listen.call(this, { ...port, host: '127.0.0.1' }, ...then);
};
"""


def _missing(name: str) -> Callable[[Path], str | None]:
    def missing(tools: Path) -> str | None:
        if name in NODE and (without := system("node")(tools)):
            return without
        return None if (tools / name).is_dir() else f"not installed: {', '.join(PACKAGES[name])}"

    return missing


def _version(name: str, package: str) -> Callable[[Path], str]:
    """The version of a Python package in the environment that `setup` made."""
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    return lambda tools: output_of(str(tools / name / "bin" / "python"), "-c", ask).partition("\n")[0]


def _litellm(site: Site) -> Launch:
    (site.folder / "litellm.yaml").write_text(LITELLM.format(model=site.model, key=KEYS[0]))
    (site.folder / "bench_auth.py").write_text(LITELLM_AUTH)
    argv = [str(site.tools / "litellm" / "bin" / "litellm"), "--config", "litellm.yaml", "--host", "127.0.0.1"]
    more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True", "HF_HUB_OFFLINE": "1"}
    return Launch(
        [*argv, "--port", str(site.port), "--num_workers", "1", "--telemetry", "False"],
        environment(**more),
        patience=180.0,
    )


def _portkey(site: Site) -> Launch:
    hook = site.folder / "loopback.js"
    hook.write_text(PORTKEY_LOOPBACK)
    start = site.tools / "portkey" / PORTKEY_START
    return Launch(
        ["node", "--require", str(hook), str(start), f"--port={site.port}", "--headless"],
        environment(NODE_ENV="production"),
        headers={"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{site.model}/v1"},
    )


def _portkey_version(tools: Path) -> str:
    file = tools / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "package.json"
    node = output_of("node", "--version")
    return f"{json.loads(file.read_text())['version']}, node {node.removeprefix('v')}"


def _unmimic(site: Site) -> Launch:
    upstream = f"http://127.0.0.1:{site.model}/v1"
    return Launch(
        [str(site.tools / "unmimic" / "bin" / "unmimic"), "serve", "--upstream", upstream, "--port", str(site.port)],
        environment(UNMIMIC_UPSTREAM_URL=upstream, UNMIMIC_INPUT_GUARDS="[]"),
        patience=60.0,
    )


def _fastapi(site: Site) -> Launch:
    here = str(Path(__file__).parent)
    program = str(site.tools / "fastapi" / "bin" / "uvicorn")
    quiet = ["--no-access-log", "--log-level", "warning", "--app-dir", here]
    return Launch(
        [program, "slowapi_app:app", "--host", "127.0.0.1", "--port", str(site.port), *quiet],
        environment(BENCH_MODEL=f"http://127.0.0.1:{site.model}"),
    )


def _granian(site: Site) -> Launch:
    """The gateway's own packages stay where they are; only the server comes from the other environment."""
    launch = gauger(site, policy=EVERYTHING)
    server = [str(site.tools / "granian" / "bin" / "granian"), "tests.benchmarks.proxy.asgi:app"]
    once = ["--workers", "1", "--runtime-threads", "1", "--loop", "uvloop", "--http", "1", "--no-access-log"]
    where = ["--interface", "asgi", "--host", "127.0.0.1", "--port", str(site.port), "--log-level", "warning"]
    paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    return Launch(
        [*server, *where, *once], {**launch.env, "PYTHONPATH": paths}, out=launch.out, logs=launch.logs, patience=60.0
    )


def granian() -> Contestant:
    """The gateway as an ASGI app under another server."""
    return Contestant(
        "gauger-granian",
        "Gauger, everything, as an ASGI app under granian, one worker with one thread, in place of its own server",
        _missing("granian"),
        setup_hint("granian"),
        lambda tools: f"{gauger_version(tools)}, granian {_version('granian', 'granian')(tools)}",
        _granian,
    )


def peers() -> list[Contestant]:
    """FastAPI with slowapi, unmimic, Portkey, LiteLLM."""
    return [
        Contestant(
            "fastapi",
            "FastAPI, slowapi with a limit for each key, httpx to the model server: 60 lines, on uvicorn and uvloop",
            _missing("fastapi"),
            setup_hint("fastapi"),
            lambda tools: ", ".join(
                f"{name} {_version('fastapi', name)(tools)}" for name in ("fastapi", "slowapi", "httpx", "uvicorn")
            ),
            _fastapi,
        ),
        Contestant(
            "unmimic",
            "unmimic, with its output guards and without the input guard, which needs a model; it has no limit a key",
            _missing("unmimic"),
            setup_hint("unmimic"),
            _version("unmimic", "unmimic"),
            _unmimic,
        ),
        Contestant(
            "portkey",
            "Portkey's gateway; it has no limit a key. It would listen on every interface: a hook prevents it",
            _missing("portkey"),
            setup_hint("portkey"),
            _portkey_version,
            _portkey,
        ),
        Contestant(
            "litellm",
            "LiteLLM's proxy, one worker, a limit for each key by custom_auth, no database, OpenTelemetry there",
            _missing("litellm"),
            setup_hint("litellm"),
            _version("litellm", "litellm"),
            _litellm,
        ),
    ]
