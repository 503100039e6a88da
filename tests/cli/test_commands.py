"""The command line, in process: what each command prints, and its exit codes."""

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result
from pydantic import SecretStr

from gateway import __version__
from gateway.cli import COMMANDS, group
from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.settings import Settings

Run = Callable[..., Result]

FINE = "gauger: 1\npolicy: {id: fine}\nlimits:\n  - {id: few, by: [account], count: requests, rate: 5 requests/min}\n"
WRONG = FINE.replace("requests/min", "parsecs/min") + "surprise: 1\n"
WARNED = FINE + "plans: {default: {}, nobody: {}}\n"
ROOT = Path(__file__).parent.parent.parent
SECRET = "sk-do-not-show-me-anywhere"


def test_help_names_every_command_and_first_steps(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, what in COMMANDS.items():
        assert name in result.stdout
        assert what[:20] in result.stdout
    assert "gauger serve --upstream URL" in result.stdout
    assert run("-h").stdout == result.stdout


@pytest.mark.parametrize("command", [*([name] for name in COMMANDS), ["keys", "new"], ["keys", "hash"]])
def test_every_command_explains_itself_and_its_options(run: Run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: gauger {' '.join(command)}")
    found: click.Command = group
    for name in command:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    for option in found.params:
        assert option.param_type_name == "argument" or getattr(option, "help", None), option.name


@pytest.mark.parametrize("arguments", [["severe"], ["serve", "--prot", "1"], ["check"], ["completion", "tcsh"]])
def test_a_wrong_command_line_is_code_2_with_the_usage(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: gauger" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_version_is_the_package_s(run: Run) -> None:
    assert run("--version").stdout == f"gauger, version {__version__}\n"
    made = subprocess.run([sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert made.stdout == f"gauger, version {__version__}\n"


def test_a_fine_policy_is_code_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FINE)
    result = run("check", "p.yaml")
    assert (result.exit_code, result.stdout) == (0, "p.yaml: fine\n")


def test_findings_are_code_1_each_with_its_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(WRONG)
    result = run("check", "p.yaml")
    assert result.exit_code == 1
    assert "p.yaml:4:" in result.stdout
    assert "p.yaml:5:1" in result.stdout
    assert result.stdout.endswith("p.yaml: 2 error(s), 0 warning(s)\n")


def test_a_warning_is_a_finding_only_if_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(WARNED)
    assert run("check", "p.yaml").exit_code == 0
    strict = run("check", "--strict", "p.yaml")
    assert strict.exit_code == 1
    assert "1 warning(s)" in strict.stdout


@pytest.mark.parametrize("name", ["nothing.yaml", "."])
def test_a_policy_that_can_not_be_read_is_code_2(run: Run, name: str) -> None:
    result = run("check", name)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"gauger: {name}: ")
    assert "hint: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_list_s_file_that_is_not_there_is_a_finding(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FINE + "lists: {a: {file: nowhere.txt}}\n")
    result = run("check", "p.yaml")
    assert result.exit_code == 1
    assert "nowhere.txt" in result.stdout


def test_the_shipped_policy_is_fine(run: Run) -> None:
    assert run("check", "--strict", str(ROOT / "policies" / "default.yaml")).exit_code == 0


def test_settings_are_shown_with_their_source_and_without_secrets(run: Run, tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text("max_inflight = 9\n")
    environment = {"GAUGER_PORT": "1234", "GAUGER_OPENAI_KEY": SECRET, "GAUGER_PEPPER": SECRET}
    shown = json.loads(run("config", "--config", "g.toml", "--format", "json", **environment).stdout)
    assert shown["max_inflight"] == {"value": 9, "source": "g.toml"}
    assert shown["port"] == {"value": 1234, "source": "environment"}
    assert shown["openai_key"] == {"value": "(hidden)", "source": "environment"}
    assert shown["ops_port"] == {"value": 8081, "source": "default"}
    assert set(shown) == set(Settings.model_fields)
    text = run("config", GAUGER_CONFIG="g.toml", **environment).stdout
    rows = {line.split()[0]: line.split() for line in text.splitlines()}
    assert rows["port"] == ["port", "1234", "environment"]
    assert rows["max_inflight"] == ["max_inflight", "9", "g.toml"]
    assert SECRET not in text + json.dumps(shown)


def test_the_table_of_settings_has_them_all(run: Run) -> None:
    lines = run("config", "--format", "markdown").stdout.splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == [f"GAUGER_{name.upper()}" for name in Settings.model_fields]
    assert all(line.count("|") == 4 for line in lines)


@pytest.mark.parametrize("environment", [{"GAUGER_PORT": "x"}, {"GAUGER_PROT": "1"}, {"GAUGER_CONFIG": "no.toml"}])
def test_wrong_settings_are_code_2(run: Run, environment: dict[str, str]) -> None:
    result = run("config", **environment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("gauger: ")
    assert len(result.stderr.splitlines()) == 2


def test_a_new_key_comes_with_the_hash_that_finds_it(run: Run, tmp_path: Path) -> None:
    result = run("keys", "new", "--prefix", "acme-")
    fields = dict(line.split() for line in result.stdout.splitlines())
    assert fields["key"].startswith("acme-")
    assert len(fields["key"]) > 40
    pepper = load_pepper(Settings(state_dir=tmp_path / ".gauger"))
    assert fields["hash"] == key_digest(pepper.current, fields["key"])
    assert stat.S_IMODE((tmp_path / ".gauger" / "pepper").stat().st_mode) == 0o600
    assert run("keys", "new").stdout != run("keys", "new").stdout


def test_hashes_of_given_keys_show_no_key(run: Run) -> None:
    result = run("keys", "hash", given=f"{SECRET}\n\n  sk-two  \r\n", GAUGER_PEPPER="0123456789abcdef")
    assert result.exit_code == 0
    pepper = load_pepper(Settings(pepper=SecretStr("0123456789abcdef")))
    assert result.stdout.split() == [key_digest(pepper.current, SECRET), key_digest(pepper.current, "sk-two")]
    assert SECRET not in result.output


@pytest.mark.parametrize("given", ["", "\n \n", b"\xff\xfe\n", "two words\n", "sk-\u00e9\n"])
def test_what_can_be_no_key_is_code_2_and_not_repeated(run: Run, given: str | bytes) -> None:
    result = run("keys", "hash", given=given, GAUGER_PEPPER="0123456789abcdef")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("gauger: ")
    assert "two words" not in result.stderr


def test_a_prefix_that_no_header_can_carry_is_code_2(run: Run) -> None:
    assert run("keys", "new", "--prefix", "my key ", GAUGER_PEPPER="0123456789abcdef").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_that_its_shell_reads(run: Run, shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_GAUGER_COMPLETE" in script
    if shutil.which(shell):
        read = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, "")


def test_completion_offers_the_commands(run: Run) -> None:
    words = {"_GAUGER_COMPLETE": "bash_complete", "COMP_WORDS": "gauger c", "COMP_CWORD": "1"}
    offered = run(**words).stdout
    assert {line.split(",")[1] for line in offered.splitlines()} == {"calibrate", "check", "config", "completion"}
