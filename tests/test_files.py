"""Where the names in a policy lead, and that the gateway watches and reads what they lead to."""

import os
from pathlib import Path
from typing import cast

import pytest

from gateway import files
from gateway.adopt import read_rules, rule_files
from gateway.edge.core import Core
from gateway.errors import Mistake
from gateway.files import default_policy, place_of, resolver
from gateway.reload import Reloader
from gateway.settings import Settings

SHIPPED = default_policy().parent
MAIN = "gauger: 1\nuse: [packs/core.yaml, packs/extraction.yaml]\nlists: {known: {file: known.txt}}\n"
CORE = "gauger: 1\nlimits: [{id: few, by: [account], count: requests, rate: 5 requests/min}]\n"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "core.yaml").write_text(CORE)
    (tmp_path / "known.txt").write_text("one\n")
    (tmp_path / "main.yaml").write_text(MAIN)
    return tmp_path / "main.yaml"


def test_a_name_leads_into_the_policy_s_folder(tmp_path: Path) -> None:
    assert place_of(tmp_path, "lists/a.txt") == tmp_path / "lists" / "a.txt"


def test_a_shipped_pack_is_found_from_anywhere(tmp_path: Path) -> None:
    for name in ("packs/extraction.yaml", "./packs/extraction.yaml"):
        assert place_of(tmp_path, name) == SHIPPED / "packs" / "extraction.yaml"
        assert resolver(tmp_path)(name) == (SHIPPED / "packs" / "extraction.yaml").read_bytes()


def test_the_operator_s_own_pack_comes_before_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "extraction.yaml").write_text(CORE)
    assert resolver(tmp_path)("packs/extraction.yaml") == CORE.encode()


@pytest.mark.parametrize("name", ["default.yaml", "README.md", "packs/none.yaml", "packs"])
def test_nothing_but_packs_is_looked_for_among_the_shipped_files(tmp_path: Path, name: str) -> None:
    assert place_of(tmp_path, name) == tmp_path / name
    with pytest.raises(OSError, match="No such file"):
        resolver(tmp_path)(name)


def test_every_file_that_a_policy_was_made_of_is_watched(main: Path) -> None:
    settings = Settings(policy=main)
    policy, _ = read_rules(settings)
    assert [limit.id for limit in policy.limits_of(None)] == ["few", "extraction-pace", "campaign-pace"]
    assert rule_files(settings) == [main]
    assert rule_files(settings, policy) == [
        main,
        main.parent / "packs" / "core.yaml",
        SHIPPED / "packs" / "extraction.yaml",
        main.parent / "known.txt",
    ]
    main.write_text(MAIN + "identity: {directory: accounts.yaml}\n")
    (main.parent / "accounts.yaml").write_text("accounts: []\n")
    policy, _ = read_rules(settings)
    assert rule_files(settings, policy)[-1] == main.parent / "accounts.yaml"


def test_a_changed_pack_is_another_policy(main: Path) -> None:
    settings = Settings(policy=main)
    before, _ = read_rules(settings)
    (main.parent / "packs" / "core.yaml").write_text(CORE.replace("5 requests", "6 requests"))
    after, _ = read_rules(settings)
    assert before.digest != after.digest
    (main.parent / "known.txt").write_text("two\n")
    assert read_rules(settings)[0].digest not in (before.digest, after.digest)


def test_what_is_wrong_with_a_pack_is_said_with_its_name(main: Path) -> None:
    (main.parent / "packs" / "core.yaml").write_text("gauger: 1\nlimits: 7\n")
    with pytest.raises(Mistake, match=r"^packs/core\.yaml:2:9: error: this must be a list, not `7`"):
        read_rules(Settings(policy=main))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("named", ["policy", "pack", "list", "accounts"])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(main: Path, named: str, kind: str) -> None:
    settings = Settings(policy=main)
    policy, _ = read_rules(settings)
    strange = {
        "policy": main,
        "pack": main.parent / "packs" / "core.yaml",
        "list": main.parent / "known.txt",
        "accounts": main.parent / "accounts.yaml",
    }[named]
    if named == "accounts":
        main.write_text(MAIN + "identity: {directory: accounts.yaml}\n")
    strange.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(strange)
    elif kind == "device":
        strange.symlink_to("/dev/zero")
    else:
        strange.mkdir()
    with pytest.raises(Mistake, match=r"not a plain file|s a directory"):
        read_rules(settings)
    reloader = Reloader(cast(Core, None), lambda: rule_files(settings, policy), lambda: read_rules(settings))
    assert not isinstance(reloader._read(), tuple)


def test_a_file_without_end_is_read_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 9)
    (tmp_path / "a").write_bytes(b"x" * 9)
    (tmp_path / "b").write_bytes(b"x" * 10)
    assert len(resolver(tmp_path)("a")) == 9
    with pytest.raises(OSError, match="larger than"):
        resolver(tmp_path)("b")
