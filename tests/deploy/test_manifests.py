"""What can't be run here is at least read: every manifest parses and says what the operations page promises."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import Settings
from gateway.telemetry import metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
SETTINGS = {f"GAUGER_{name.upper()}" for name in Settings.model_fields}


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def test_every_setting_that_a_manifest_names_exists() -> None:
    for file in DEPLOY.iterdir():
        if file.is_file():
            for name in re.findall(r"GAUGER_[A-Z_]+", file.read_text()):
                assert name in SETTINGS | {"GAUGER_CONFIG"}, f"{file.name} names {name}"


def test_the_container_has_two_stages_no_root_and_a_health_check() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert "--require-hashes" in text
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text and "/livez" in text
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    for source in " ".join(copied).split():
        assert (DEPLOY.parent / source).exists(), source


def test_the_compose_file_is_read_only_and_bound_to_loopback() -> None:
    service = documents("compose.yaml")[0]["services"]["gauger"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()


def test_the_kubernetes_sidecar_is_probed_bounded_and_unprivileged() -> None:
    deployment, service = documents("kubernetes.yaml")
    spec = deployment["spec"]["template"]["spec"]
    gauger = next(c for c in spec["containers"] if c["name"] == "gauger")
    context = gauger["securityContext"]
    assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
    assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
    assert gauger["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert gauger["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "memory" in gauger["resources"]["limits"]
    drain = sum(float(e["value"]) for e in gauger["env"] if e["name"].startswith("GAUGER_DRAIN"))
    assert spec["terminationGracePeriodSeconds"] > drain
    mounts = {m["name"] for m in gauger["volumeMounts"]}
    assert mounts == {v["name"] for v in spec["volumes"]}
    names = {p["name"] for p in gauger["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in names


def test_the_systemd_unit_is_hardened() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "gauger.service")
    service = parser["Service"]
    for name in ("NoNewPrivileges", "PrivateDevices", "ProtectHome", "RestrictNamespaces", "DynamicUser"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert "HUP" in service["ExecReload"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
def test_systemd_itself_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "gauger.service"
    text = (DEPLOY / "gauger.service").read_text()
    unit.write_text(text.replace("/opt/gauger/bin/gauger serve", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert "gauger.service" not in done.stderr, done.stderr


def test_yaml_is_clean() -> None:
    from yamllint import linter
    from yamllint.config import YamlLintConfig

    config = YamlLintConfig(
        "{extends: default, rules: {line-length: {max: 170}, document-start: disable, "
        "comments-indentation: disable, comments: {min-spaces-from-content: 1}, "
        "indentation: {indent-sequences: whatever}}}"
    )
    for name in ("alerts.yaml", "compose.yaml", "envoy.yaml", "kubernetes.yaml"):
        problems = list(linter.run((DEPLOY / name).read_text(), config))
        assert problems == [], f"{name}: {problems}"


def test_the_alerts_are_those_of_the_operations_page_and_use_metrics_that_exist() -> None:
    rules = documents("alerts.yaml")[0]["groups"][0]["rules"]
    page = (DEPLOY / "README.md").read_text()
    assert [rule["alert"] for rule in rules] == re.findall(r"^\| `(Gauger[A-Za-z]+)` \|", page, re.MULTILINE)
    known = exposition()
    for rule in rules:
        for name in re.findall(r"gauger_[a-z_]+", rule["expr"]):
            assert re.sub(r"_(bucket|total)$", "", name) in known, name


def exposition() -> set[str]:
    """The names of all metrics, without their suffixes."""
    page = metrics.Metrics()
    for watched in (*metrics.GAUGES, *metrics.COUNTED):
        page.watch(watched, lambda: 0)
    page.policy("p", "", "0")
    return {line.split()[2].removesuffix("_total") for line in page.render().decode().splitlines() if "# HELP" in line}
