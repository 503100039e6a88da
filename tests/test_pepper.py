"""The pepper: made once, kept private, and never printed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from gateway.errors import Mistake
from gateway.identity import key_digest
from gateway.pepper import Pepper, load_pepper, load_tag_key

SECRET = "correct horse battery staple"


class Given(NamedTuple):
    state_dir: Path
    pepper: SecretStr | None = None
    pepper_former: SecretStr | None = None
    tag_key: SecretStr | None = None


def test_a_pepper_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "deep"
    first = load_pepper(Given(folder))
    assert load_pepper(Given(folder)) == first
    file = folder / "pepper"
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(file.read_text().strip()) == 64
    assert [entry.name for entry in folder.iterdir()] == ["pepper"]
    assert load_pepper(Given(tmp_path / "other")) != first


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    barrier = Barrier(8)

    def start(_: int) -> Pepper:
        barrier.wait()
        return load_pepper(Given(tmp_path / "state"))

    with ThreadPoolExecutor(8) as pool:
        assert len({pepper.current for pepper in pool.map(start, range(8))}) == 1
    assert [entry.name for entry in (tmp_path / "state").iterdir()] == ["pepper"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    load_pepper(Given(tmp_path))
    file = tmp_path / "pepper"
    file.chmod(mode)
    with pytest.raises(Mistake, match=f"{mode:04o}") as caught:
        load_pepper(Given(tmp_path))
    assert "chmod 600" in caught.value.hint
    assert file.read_text().strip() not in str(caught.value) + caught.value.hint


def test_the_setting_wins_and_writes_no_file(tmp_path: Path) -> None:
    pepper = load_pepper(Given(tmp_path, SecretStr(SECRET)))
    assert pepper == load_pepper(Given(tmp_path, SecretStr(f" {SECRET}\n")))
    assert not list(tmp_path.iterdir())


def test_the_same_text_is_the_same_pepper_in_a_file_and_in_a_setting(tmp_path: Path) -> None:
    made = load_pepper(Given(tmp_path))
    text = (tmp_path / "pepper").read_text()
    assert load_pepper(Given(tmp_path / "elsewhere", SecretStr(text))) == made


def test_rotation_keeps_the_former_pepper_for_reading(tmp_path: Path) -> None:
    old = load_pepper(Given(tmp_path, SecretStr(SECRET)))
    new = load_pepper(Given(tmp_path, SecretStr("another secret of length"), SecretStr(SECRET)))
    assert new.former == old.current
    assert new.current != old.current
    assert new.id != old.id
    assert key_digest(new.former or b"", "sk-1") == key_digest(old.current, "sk-1")


@pytest.mark.parametrize("text", ["", "short", "fifteen letters", " " * 40, "x" * 4097])
def test_a_pepper_that_could_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    for given in (Given(tmp_path, SecretStr(text)), Given(tmp_path, SecretStr(SECRET), SecretStr(text))):
        with pytest.raises(Mistake, match="16 to 4096 characters"):
            load_pepper(given)
    (tmp_path / "pepper").write_text(text)
    (tmp_path / "pepper").chmod(0o600)
    with pytest.raises(Mistake, match="16 to 4096 characters"):
        load_pepper(Given(tmp_path))


def test_a_pepper_prints_its_id_only(tmp_path: Path) -> None:
    pepper = load_pepper(Given(tmp_path, SecretStr(SECRET), SecretStr(SECRET + "!")))
    assert repr(pepper) == f"Pepper(id='{pepper.id}')"
    assert len(pepper.id) == 8
    assert pepper.id not in pepper.current.hex()


def test_what_is_no_file_is_a_mistake_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "pepper").mkdir()
    with pytest.raises(Mistake):
        load_pepper(Given(tmp_path))
    (tmp_path / "taken").write_text("")
    with pytest.raises(Mistake) as caught:
        load_pepper(Given(tmp_path / "taken"))
    assert "GAUGER_PEPPER" in caught.value.hint
    pipes = tmp_path / "pipes"
    pipes.mkdir()
    os.mkfifo(pipes / "pepper", 0o600)
    with pytest.raises(Mistake, match="not a plain file"):
        load_pepper(Given(pipes))


def test_a_file_that_is_not_text_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_bytes(b"\xff" * 32)
    (tmp_path / "pepper").chmod(0o600)
    with pytest.raises(Mistake, match="not text"):
        load_pepper(Given(tmp_path))


def test_the_tag_key_is_the_secret_s_own_text(tmp_path: Path) -> None:
    made = load_tag_key(Given(tmp_path))
    file = tmp_path / "tag-key"
    assert load_tag_key(Given(tmp_path)) == made == file.read_text().strip().encode()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["tag-key"]
    assert load_tag_key(Given(tmp_path / "other", tag_key=SecretStr(f"{SECRET}\n"))) == SECRET.encode()
    assert not (tmp_path / "other").exists()


def test_a_tag_key_is_as_private_as_the_pepper_and_not_the_same(tmp_path: Path) -> None:
    load_pepper(Given(tmp_path))
    load_tag_key(Given(tmp_path))
    file = tmp_path / "tag-key"
    assert file.read_text() != (tmp_path / "pepper").read_text()
    file.chmod(0o640)
    with pytest.raises(Mistake, match=r"tag key.*0640"):
        load_tag_key(Given(tmp_path))
    with pytest.raises(Mistake, match="16 to 4096 characters") as caught:
        load_tag_key(Given(tmp_path, tag_key=SecretStr("short")))
    assert caught.value.place == "GAUGER_TAG_KEY"


def test_where_no_tag_key_can_be_made_the_caller_decides(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match="taken"):
        load_tag_key(Given(tmp_path / "taken"))
