"""Pure. Headers and peer -> Caller: who asks, by keyed hash, never by the key itself."""

import msgspec

__all__ = ["Caller"]


class Caller(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who asks. Every field is written to the ledger; none is a secret or a clear address."""

    account: str  # account id; "key-" + 16 hex digits where a key is its own account
    key: str = ""  # 16 hex digits of the keyed hash of the credential; "" = none was shown
    org: str | None = None
    plan: str | None = None
    labels: tuple[str, ...] = ()
    created: int | None = None  # Unix seconds, UTC midnight
    known: bool = False  # found in the accounts file, a verified token or a trusted header
    source: str = "none"  # key, jwt, header, mtls or none
    network: str = ""  # 16 hex digits of the keyed hash of the client's /24 or /48
