"""Shell. Whom a gateway that runs has to forget: accounts that were erased from its ledger are in its memory too.

`gauger erase` leaves a file in the ledger's folder for each, `.forget-…`, readable by its owner alone. The gateway
forgets the account and removes the file: within seconds, before it writes a snapshot, and when it starts. No
snapshot comes into its place as long as there is such a file.
"""

import os
import secrets
from pathlib import Path

__all__ = ["ask", "asked", "done"]

PREFIX = ".forget-"
LONGEST = 1 << 20  # bytes of an account's id: more than any head of a request has


def ask(folder: Path, account: str) -> None:
    """Has the gateway of this ledger forget an account. Raises OSError."""
    draft, file = (folder / f"{start}{secrets.token_hex(8)}" for start in (".ask-", PREFIX))
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(account.encode("utf-8", "surrogatepass"))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def asked(folder: Path) -> dict[Path, str]:
    """File -> the account to forget. Raises OSError."""
    found = {}
    for path in folder.glob(f"{PREFIX}*"):
        with path.open("rb") as source:
            found[path] = _named(source.read(LONGEST))
    return found


def _named(account: bytes) -> str:
    """Where it is no name, which `ask` never writes, nobody is meant."""
    try:
        return account.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return account.decode("utf-8", "replace")


def done(files: dict[Path, str]) -> None:
    """These are forgotten. Raises OSError."""
    for path in files:
        path.unlink(missing_ok=True)
