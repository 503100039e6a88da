"""Shell. The files of a policy: the shipped one, and where the names in a policy lead."""

import os
import stat
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path, PurePosixPath

from gateway.errors import Mistake

__all__ = ["STDIN", "default_policy", "place_of", "plain", "resolver", "text_of"]

LARGEST = 33_554_432  # bytes of a file, of whichever kind; each kind has a smaller bound of its own, or this one
STDIN = "<stdin>"
"""The name of a policy that is read from standard input."""


def default_policy() -> Path:
    """The policy that is shipped: beside the sources in a checkout, inside the package in a wheel."""
    beside = Path(__file__).parent.parent / "policies" / "default.yaml"
    inside = Path(str(resources.files("gateway"))) / "_policies" / "default.yaml"
    return beside if beside.is_file() else inside


def place_of(folder: Path, name: str) -> Path:
    """Where a name leads: into the policy's folder; `packs/…` that isn't there, among the shipped packs."""
    own = folder / name
    if PurePosixPath(name).parts[:1] == ("packs",) and not own.is_file():
        shipped = default_policy().parent / name
        if shipped.is_file():
            return shipped
    return own


def plain(path: Path) -> bytes:
    """The content of a plain file, or of what links to one.

    Raises OSError, also for what is no file that ends: a pipe would be waited for, a device read for ever.
    """
    with open(path, "rb", opener=_unwaited) as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise OSError(0, "not a plain file", str(path))
        content = source.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(0, f"larger than {LARGEST // 1_048_576} MiB", str(path))
    return content


def resolver(folder: Path) -> Callable[[str], bytes]:
    """What the loader asks for the files that a policy of this folder names. It raises OSError."""
    return lambda name: plain(place_of(folder, name))


def text_of(argument: str) -> tuple[str, bytes, Path]:
    """Name, content and folder of a policy named on the command line; `-` is standard input, in the current folder.

    Raises Mistake where it can't be read.
    """
    if argument == "-":
        return STDIN, sys.stdin.buffer.read(LARGEST + 1), Path()
    path = Path(argument)
    try:
        with path.open("rb") as source:  # a pipe is fine where somebody waits for the answer: `check <(generate)`
            return str(path), source.read(LARGEST + 1), path.parent
    except OSError as error:
        raise Mistake(f"{error.strerror}", place=str(path), hint="is the path right?") from None


def _unwaited(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
