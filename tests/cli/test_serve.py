"""`gauger serve` as a process of its own: start, signals, drain, and starts that must not be."""

import re
import shlex
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import Result

from tests.cli.process import Served, serving

Run = Callable[..., Result]

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer sk-one"}
FEW = (
    "gauger: 1\npolicy: {id: few}\nlimits:\n"
    "  - {id: few, by: [account], count: requests, rate: 1 requests/h, burst: 1 requests}\n"
)


def ask(served: Served, **changes: object) -> httpx.Response:
    return httpx.post(f"{served.url}/v1/chat/completions", json={**CHAT, **changes}, headers=KEY, timeout=20)


def as_curl(served: Served) -> httpx.Response:
    """Does what the printed line of curl would do."""
    served.hear("-d '{")
    shown = "\n".join(served.said)
    line = shown[shown.index("curl ") :].split("\n\n")[0].replace("\\\n", " ")
    words = shlex.split(line.split("\n  \n")[0])
    assert words[0] == "curl"
    headers = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    (body,) = [words[at + 1] for at, word in enumerate(words) if word == "-d"]
    return httpx.post(words[1], headers=dict(headers), content=body, timeout=20)


def test_it_says_what_listens_where_and_what_to_try(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        got = as_curl(served)
        assert got.status_code == 200
        assert got.json()["object"] == "chat.completion"
        assert served.hear("^  upstream  an embedded stand-in model")
        assert served.hear(r"^  policy    policies/default.yaml \(default, [0-9a-f]{12}\)$")
        assert httpx.get(f"{served.ops}/livez").text == "ok\n"
        ready = httpx.get(f"{served.ops}/readyz")
        assert (ready.status_code, ready.json()["ready"], ready.json()["enforcing"]) == (200, True, True)
        metrics = httpx.get(f"{served.ops}/metrics")
        assert "gauger_in_flight 0" in metrics.text
        for path in ("/livez", "/readyz", "/metrics"):  # the data port only proxies
            assert httpx.get(f"{served.url}{path}").status_code == 404
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        records = served.records()
        assert [record["req"]["route"] for record in records] == ["/v1/chat/completions", "other", "other", "other"]
        assert records[0]["service"]["version"]
        assert "gpt-4o-mini" not in "\n".join(line for line in served.said if line.startswith("{"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_stream_ends_whole_before_the_process_does(tmp_path: Path, number: signal.Signals) -> None:
    body = {**CHAT, "model": "standin-slow-30-tokens-20", "stream": True}
    with serving(tmp_path, GAUGER_DRAIN_DELAY="0.4") as served:
        whole = ask(served, **{**body, "model": "standin-tokens-20"}).text
        with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=body, headers=KEY, timeout=20) as stream:
            lines = stream.iter_lines()
            next(lines)
            ops = served.ops
            served.signal(number)
            served.hear('"draining"')
            ready = httpx.get(f"{ops}/readyz")
            assert (ready.status_code, ready.json()["draining"]) == (503, True)
            assert httpx.get(f"{ops}/livez").status_code == 200
            rest = list(lines)
        assert "data: [DONE]" in rest
        assert len([line for line in rest if line.startswith("data: ")]) == whole.count("data: ") - 1
        assert served.wait() == 0
        assert [record["end"] for record in served.records()] == ["done", "done"]


def test_a_stream_that_outlasts_the_drain_is_cut_and_recorded(tmp_path: Path) -> None:
    body = {**CHAT, "model": "standin-slow-60000", "stream": True}
    with serving(tmp_path, GAUGER_DRAIN_TIMEOUT="0.2") as served:
        data = f"{served.url}/v1/chat/completions"
        with (
            httpx.Client(timeout=20) as client,
            pytest.raises(httpx.RemoteProtocolError),
            client.stream("POST", data, json=body, headers=KEY) as stream,
        ):
            served.signal(signal.SIGTERM)
            list(stream.iter_raw())
        assert served.wait() == 0
        assert len(served.records()) == 1


def test_a_hangup_reloads_and_a_usr1_switches_enforcing(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(FEW)
    with serving(tmp_path, "--policy", str(policy)) as served:
        assert [ask(served).status_code for _ in range(2)] == [200, 429]
        served.signal(signal.SIGUSR1)
        served.hear('"kill switch".*"enforcing":false,"by":"signal"')
        assert ask(served).status_code == 200
        assert httpx.get(f"{served.ops}/readyz").json()["enforcing"] is False
        served.signal(signal.SIGUSR1)
        served.hear('"kill switch".*"enforcing":true')
        assert ask(served).status_code == 429
        policy.write_text(FEW.replace("hours", "h")[:-30])
        served.signal(signal.SIGHUP)
        served.hear("reload refused")
        assert ask(served).status_code == 429
        policy.write_text(FEW.replace("id: few", "id: many").replace("1 requests", "9 requests"))
        served.signal(signal.SIGHUP)
        served.hear('"reloaded"')
        assert ask(served).status_code == 200
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        records = served.records()
        assert [record.get("kill", False) for record in records] == [False, False, True, False, False, False]
        assert [record["action"] for record in records] == ["allow", "limit", "allow", "limit", "limit", "allow"]
        assert records[2]["verdict"] == "limit"
        assert [record["policy"]["id"] for record in records] == ["few"] * 5 + ["many"]


@pytest.mark.parametrize(("form", "field"), [("otel", "gen_ai.request.model"), ("ecs", "ecs.version")])
def test_records_speak_the_words_that_were_asked_for(tmp_path: Path, form: str, field: str) -> None:
    with serving(tmp_path, "--log-format", form) as served:
        assert ask(served).status_code == 200
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        (record,) = served.records()
        assert f'"{field}"' in str(record).replace("'", '"')


def refused(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """What a start says that ends with code 2 and nothing on standard output."""
    with serving(folder, *arguments, **environment) as served:
        assert served.wait() == 2
        assert not served.records()
        assert not any("Traceback" in line for line in served.said)
        return served.said


STARTS = {
    "a size that is none": ({"GAUGER_MAX_BODY": "many"}, "GAUGER_MAX_BODY"),
    "a misspelled variable": ({"GAUGER_UPSTRAEM": "http://a.test"}, "GAUGER_UPSTRAEM"),
    "an upstream without a scheme": ({"GAUGER_UPSTREAM": "a.test"}, "upstream: "),
    "a link-local upstream": ({"GAUGER_UPSTREAM": "http://169.254.169.254/"}, "upstream: "),
    "no upstream for the others": ({"GAUGER_UPSTREAMS": '{"openai": "http://a.test"}'}, "no upstream for anthropic"),
    "a policy that is not there": ({"GAUGER_POLICY": "/nowhere/policy.yaml"}, "/nowhere/policy.yaml"),
    "a settings file that is not there": ({"GAUGER_CONFIG": "/nowhere/gauger.toml"}, "/nowhere/gauger.toml"),
    "networks that are none": ({"GAUGER_TRUSTED_PROXIES": "10.0.0.1/8"}, "trusted_proxies: "),
    "a short pepper": ({"GAUGER_PEPPER": "salt"}, "GAUGER_PEPPER"),
    "a certificate that is not there": ({"GAUGER_TLS_CERT": "/no/c.pem", "GAUGER_TLS_KEY": "/no/k.pem"}, "tls_cert"),
    "an authority that is not there": (
        {"GAUGER_UPSTREAM": "https://a.test", "GAUGER_UPSTREAM_CA": "/no/ca.pem"},
        "upstream_ca",
    ),
    "a key that fits no header": ({"GAUGER_CREDENTIAL": "replace", "GAUGER_OPENAI_KEY": "a b"}, "openai_key"),
}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("environment", "said"), STARTS.values(), ids=STARTS)
def test_a_wrong_setting_stops_the_start_in_one_clear_line(run: Run, environment: dict[str, str], said: str) -> None:
    result = run("serve", "--port", "0", "--ops-port", "0", **environment)
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("gauger: ")
    assert said in lines[0]
    assert len(lines) <= 2
    assert all(line.startswith("  hint: ") for line in lines[1:])


def test_a_policy_with_mistakes_stops_the_start_with_all_of_them(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(FEW.replace("1 requests/h", "1 parsecs/h") + "surprise: 1\n")
    lines = refused(tmp_path, "--policy", str(policy))
    places = [re.search(r"policy\.yaml:(\d+):(\d+): ", line) for line in lines]
    assert [place and int(place[1]) for place in places[:2]] == [4, 5]


@pytest.mark.parametrize("option", ["--port", "--ops-port"])
def test_a_port_in_use_stops_the_start_and_names_it(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lines = refused(tmp_path, option, str(port))
        wrong = [line for line in lines if line.startswith("gauger: ")]
        assert wrong == [f"gauger: port: can't listen on 127.0.0.1:{port}: Address already in use"]
        assert option in lines[-1]
