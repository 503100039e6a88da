"""Shell. The secrets of a deployment that last: each is a setting, or else a file in the state folder, made once.

The pepper (`GAUGER_PEPPER`, file `pepper`) is what keys, subjects and networks are hashed with: whoever finds a list of
hashes can then try no guesses on it. Rotation: the old value goes to `pepper_former`, which only serves to find entries
of the accounts file that were hashed with it. The tag key (`GAUGER_TAG_KEY`, file `tag-key`) signs `gauger-tag`.
"""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from gateway.errors import Mistake

__all__ = ["Pepper", "load_pepper", "load_tag_key"]

SHORTEST = 16  # characters of a secret
LONGEST = 4096


class Secret(Protocol):
    """A value that doesn't print itself (`pydantic.SecretStr`)."""

    def get_secret_value(self) -> str: ...


class Peppered(Protocol):
    """The settings that a pepper is made from."""

    @property
    def pepper(self) -> Secret | None: ...
    @property
    def pepper_former(self) -> Secret | None: ...
    @property
    def state_dir(self) -> Path: ...


class Signing(Protocol):
    """The settings that the tag key comes from."""

    @property
    def tag_key(self) -> Secret | None: ...
    @property
    def state_dir(self) -> Path: ...


@dataclass(frozen=True)
class Pepper:
    """Two keys of 32 bytes: the one in force, and perhaps the one before. Prints its id only."""

    current: bytes = field(repr=False)
    former: bytes | None = field(default=None, repr=False)
    id: str = field(init=False, default="")  # 8 hex digits of a hash of the key; tells peppers apart, gives none away

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", blake2b(self.current, digest_size=4, person=b"gauger-pepper-id").hexdigest())


def load_pepper(settings: Peppered) -> Pepper:
    """The pepper of this deployment; makes the file `pepper` in the state folder where there is none and none is set.

    Raises Mistake for a pepper under 16 characters, and for a file that others may read or that can't be made.
    """
    former = None
    if settings.pepper_former is not None:
        former = _derive(settings.pepper_former.get_secret_value(), "GAUGER_PEPPER_FORMER")
    if settings.pepper is not None:
        return Pepper(_derive(settings.pepper.get_secret_value(), "GAUGER_PEPPER"), former)
    file = settings.state_dir / "pepper"
    try:
        text = _kept(file, "the pepper")
    except OSError as error:
        raise Mistake(
            f"the pepper file can't be read or made: {error.strerror}",
            place=str(file),
            hint="set GAUGER_PEPPER, or point GAUGER_STATE_DIR to a folder that this process may write",
        ) from None
    return Pepper(_derive(text, str(file)), former)


def load_tag_key(settings: Signing) -> bytes:
    """The key that tags are signed with: the secret's own text, since model servers verify with it.

    Raises Mistake for a key under 16 characters and for a file that others may read, OSError where the file can't be
    made: a gateway whose policy tags nothing can do without.
    """
    if settings.tag_key is not None:
        return _fit(settings.tag_key.get_secret_value(), "a tag key", "GAUGER_TAG_KEY").encode()
    file = settings.state_dir / "tag-key"
    return _fit(_kept(file, "the tag key"), "a tag key", str(file)).encode()


def _derive(text: str, place: str) -> bytes:
    """One key of 32 bytes from a value of any length."""
    return blake2b(_fit(text, "a pepper", place).encode(), digest_size=32, person=b"gauger-pepper").digest()


def _fit(text: str, what: str, place: str) -> str:
    """The secret; white space around it is not part of it."""
    value = text.strip()
    if not SHORTEST <= len(value) <= LONGEST:
        raise Mistake(
            f"{what} has {SHORTEST} to {LONGEST} characters, this one {len(value)}",
            place=place,
            hint="`openssl rand -hex 32` makes one",
        )
    return value


def _kept(file: Path, what: str) -> str:
    """The text of a secret's file, which is made where there is none."""
    if not file.exists():
        _make(file)
    return _read(file, what)


def _make(file: Path) -> None:
    """Writes the file whole under another name and links it: of two processes that start at once, one wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(secrets.token_hex(32) + "\n")
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # somebody else's is in force
            os.link(draft, file)
    finally:
        draft.unlink()
    if os.name == "posix":
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(file: Path, what: str) -> str:
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as source:
        state = os.fstat(source.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise Mistake(f"{what} is not a plain file", place=str(file))
        if os.name == "posix" and state.st_mode & 0o077:
            raise Mistake(
                f"{what} can be read or changed by others (mode {stat.S_IMODE(state.st_mode):04o})",
                place=str(file),
                hint=f"chmod 600 {file}, and change it if others may have read it",
            )
        try:
            return source.read(LONGEST + 2).decode("utf-8")
        except UnicodeDecodeError:
            raise Mistake(f"{what} is not text", place=str(file), hint="`openssl rand -hex 32` makes one") from None
