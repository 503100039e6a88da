"""Shell. The files of a policy: the shipped one, and where the names in a policy lead."""

import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path, PurePosixPath

from gateway.errors import Mistake

__all__ = ["STDIN", "default_policy", "place_of", "resolver", "text_of"]

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


def resolver(folder: Path) -> Callable[[str], bytes]:
    """What the loader asks for the files that a policy of this folder names. It raises OSError."""
    return lambda name: place_of(folder, name).read_bytes()


def text_of(argument: str) -> tuple[str, bytes, Path]:
    """Name, content and folder of a policy named on the command line; `-` is standard input, in the current folder.

    Raises Mistake where it can't be read.
    """
    if argument == "-":
        return STDIN, sys.stdin.buffer.read(), Path()
    path = Path(argument)
    try:
        return str(path), path.read_bytes(), path.parent
    except OSError as error:
        raise Mistake(f"{error.strerror}", place=str(path), hint="is the path right?") from None
