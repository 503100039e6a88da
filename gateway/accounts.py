"""Pure. Text of an accounts file -> `Directory`: who a key, an account id or a certificate's subject belongs to.

The file holds no key, only keyed digests (`gauger keys hash`). A finding about it never shows what stands in it, since
what stands there by mistake may be a key.
"""

import re
from collections.abc import Collection
from datetime import date
from hashlib import sha256
from typing import Any

import msgspec

from gateway.documents import Document, DocumentErrors, Finding, Step, did_you_mean, in_order, parse
from gateway.identity import MADE_HERE, fit_name

__all__ = ["AccountsErrors", "Directory", "Entry", "check_accounts", "load_accounts"]

AccountsErrors = DocumentErrors
"""All that is wrong with an accounts file: `findings`."""

MAX_BYTES = 33_554_432
MAX_VALUES = 8_000_000
MAX_ACCOUNTS = 200_000
MAX_LABELS = 32
MAX_KEYS = 100
MAX_SUBJECT = 1024  # characters
MAX_USE = 500  # characters
KNOWN = ("id", "org", "plan", "created", "labels", "use", "keys", "subjects")
DIGEST = re.compile(r"[0-9a-f]{32}")
HEX = re.compile(r"[0-9A-Fa-f]+")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
KEY_LIKE = ("sk-", "sk_", "pk-", "AIza", "gsk_", "xai-", "hf_", "Bearer ", "bearer ")
EPOCH = date(1970, 1, 1).toordinal()


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One account."""

    account: str
    org: str | None = None
    plan: str | None = None
    labels: tuple[str, ...] = ()
    created: int | None = None  # Unix seconds, UTC midnight
    use: str = ""  # what the account says it does; nothing reads it yet


class Directory(msgspec.Struct, frozen=True):
    """The accounts by digest of a key (32 lower-case hex digits), by id and by subject.

    `digest`: first 12 hex digits of SHA-256 over what the file says, whatever the order of its accounts.
    """

    digests: dict[str, Entry] = {}
    accounts: dict[str, Entry] = {}
    subjects: dict[str, Entry] = {}
    digest: str = ""
    warnings: tuple[Finding, ...] = ()

    @classmethod
    def empty(cls) -> "Directory":
        """No accounts: every key is its own, or a stranger."""
        return cls(digest=_digest([]))

    def by_digest(self, digest: str) -> Entry | None:
        return self.digests.get(digest)

    def by_account(self, account: str) -> Entry | None:
        return self.accounts.get(account)

    def by_subject(self, subject: str) -> Entry | None:
        return self.subjects.get(subject)

    def __len__(self) -> int:
        return len(self.accounts)

    def __bool__(self) -> bool:
        return True  # an empty directory is still one

    def __repr__(self) -> str:
        return f"Directory({len(self.accounts)} accounts, {len(self.digests)} keys, {self.digest})"


def load_accounts(text: bytes | str, source: str, plans: Collection[str] = ()) -> Directory:
    """The directory in a file's text. Raises AccountsErrors with every error; warnings are kept in the directory.

    `plans` are the policy's; none = whatever an account names is taken as it is.
    """
    document = parse(text, source, max_bytes=MAX_BYTES, max_values=MAX_VALUES, private=True)
    reader = _Reader(document, frozenset(plans))
    reader.read()
    errors = [finding for finding in reader.findings if finding.severity == "error"]
    if errors:
        raise AccountsErrors(reader.findings)
    items = (document.data or {}).get("accounts") or []
    return Directory(
        reader.digests,
        reader.accounts,
        reader.subjects,
        _digest(items),
        tuple(in_order(reader.findings)),
    )


def check_accounts(text: bytes | str, source: str, plans: Collection[str] = ()) -> list[Finding]:
    """Errors and warnings of an accounts file. Never raises."""
    try:
        return list(load_accounts(text, source, plans).warnings)
    except AccountsErrors as error:
        return error.findings


def _digest(items: list[Any]) -> str:
    lines = sorted(msgspec.json.encode(item, order="sorted") for item in items)
    return sha256(b"\n".join(lines)).hexdigest()[:12]


class _Reader:
    """Plain checks: a file of this kind may hold 200,000 accounts."""

    def __init__(self, document: Document, plans: frozenset[str]) -> None:
        self.document = document
        self.plans = plans
        self.findings: list[Finding] = []
        self.digests: dict[str, Entry] = {}
        self.accounts: dict[str, Entry] = {}
        self.subjects: dict[str, Entry] = {}
        self.first: dict[tuple[str, str], tuple[Step, ...]] = {}  # where an id, key or subject was seen

    def find(self, path: tuple[Step, ...], message: str, hint: str = "", code: str = "account", **more: Any) -> None:
        self.findings.append(self.document.finding(path, message, hint=hint, code=code, **more))

    def read(self) -> None:
        data = self.document.data
        if not isinstance(data, dict) or "accounts" not in data:
            self.find((), "`accounts` is missing", "begin the file with `accounts:` and a list", "shape")
            return
        for word in data:
            if word != "accounts":
                self.find((word,), "unknown key", "known here: accounts", "unknown-key", key=True)
        items = data["accounts"]
        if items is None:
            return
        if not isinstance(items, list):
            self.find(("accounts",), "this must be a list", "as in `- {id: acct_1, keys: [...]}`", "type")
            return
        if len(items) > MAX_ACCOUNTS:
            self.find(("accounts",), f"more than {MAX_ACCOUNTS} accounts", code="bound")
            return
        for at, item in enumerate(items):
            self.account(("accounts", at), item)
            if len(self.findings) > 1_000:
                return

    def account(self, path: tuple[Step, ...], item: Any) -> None:
        if not isinstance(item, dict):
            self.find(path, "an account must be a mapping", "as in `- {id: acct_1, keys: [...]}`", "type")
            return
        for word in item:
            if word not in KNOWN:
                hint = did_you_mean(word, KNOWN) or f"known here: {', '.join(KNOWN)}"
                self.find((*path, word), "unknown key", hint, "unknown-key", key=True)
        name = item.get("id")
        if name is None:
            self.find(path, "`id` is missing", "a name of your choice, as in `id: acct_1`", "missing")
            return
        if not self.name((*path, "id"), name, "an account's id"):
            return
        if MADE_HERE.fullmatch(name):
            hint = "key-, net- and mtls- with 16 hex digits are names that the gateway makes"
            self.find((*path, "id"), "this id is the gateway's own", hint, "name")
        org, plan = item.get("org"), item.get("plan")
        if org is not None and not self.name((*path, "org"), org, "an org"):
            org = None
        if plan is not None:
            if not self.name((*path, "plan"), plan, "a plan"):
                plan = None
            elif self.plans and plan not in self.plans:
                hint = did_you_mean(plan, self.plans) or "the default plan holds for this account"
                self.find((*path, "plan"), "the policy has no such plan", hint, "unknown-plan", severity="warning")
        use = item.get("use", "")
        if not isinstance(use, str) or len(use) > MAX_USE:
            self.find((*path, "use"), f"`use` must be a text of at most {MAX_USE} characters", code="type")
            use = ""
        labels = self.texts((*path, "labels"), item.get("labels"), MAX_LABELS)
        for at, label in enumerate(labels):
            if not LABEL.fullmatch(label):
                hint = "letters, digits and `._:-`, at most 64"
                self.find((*path, "labels", at), "this can't be a label", hint, "name")
        entry = Entry(name, org, plan, tuple(labels), self.day((*path, "created"), item.get("created")), use)
        if self.once("id", name, (*path, "id")):
            self.accounts[name] = entry
        for at, key in enumerate(self.texts((*path, "keys"), item.get("keys"), MAX_KEYS)):
            if self.is_digest((*path, "keys", at), key) and self.once("key", key, (*path, "keys", at)):
                self.digests[key] = entry
        for at, subject in enumerate(self.texts((*path, "subjects"), item.get("subjects"), MAX_KEYS)):
            where = (*path, "subjects", at)
            if not 0 < len(subject) <= MAX_SUBJECT:
                self.find(where, f"a subject has 1 to {MAX_SUBJECT} characters", code="bound")
            elif self.once("subject", subject, where):
                self.subjects[subject] = entry

    def name(self, path: tuple[Step, ...], value: object, what: str) -> bool:
        if isinstance(value, str) and value.startswith(KEY_LIKE):
            self.find(path, f"{what} that looks like an API key", "keys belong under `keys:`, as hashes", "secret")
            return False
        if fit_name(value):
            return True
        if isinstance(value, int | float):
            self.find(path, f"{what} must be text", "put quotes around it", "type")
        else:
            hint = "1 to 128 letters, digits and `._:/@+-|=~`"
            self.find(path, f"{what} can't be this", hint, "name")
        return False

    def texts(self, path: tuple[Step, ...], value: object, most: int) -> list[str]:
        """A list of texts; what is wrong with it is found, and an empty list is returned."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.find(path, "this must be a list", "write it in brackets, as in `[one]`", "type")
            return []
        if len(value) > most:
            self.find(path, f"more than {most} entries", code="bound")
            return []
        for at, each in enumerate(value):
            if not isinstance(each, str):
                self.find((*path, at), "this must be text", "put quotes around it", "type")
                return []
        return value

    def is_digest(self, path: tuple[Step, ...], key: str) -> bool:
        if DIGEST.fullmatch(key):
            return True
        if HEX.fullmatch(key):
            hint = "32 lower-case hex digits, as `gauger keys hash` prints them"
            self.find(path, f"a digest has 32 lower-case hex digits, this has {len(key)}", hint, "digest")
        else:
            hint = "replace it by what `gauger keys hash` prints, and revoke the key if this file was shared"
            self.find(path, "this is no digest; if it is a key, it must not be here", hint, "secret")
        return False

    def day(self, path: tuple[Step, ...], value: object) -> int | None:
        if value is None:
            return None
        try:
            if isinstance(value, str) and DAY.fullmatch(value):
                return (date.fromisoformat(value).toordinal() - EPOCH) * 86_400
        except ValueError:
            pass  # 2026-02-30: found below, like every other text that is no day
        self.find(path, "this is no day", "as in 2026-01-31", "type")
        return None

    def once(self, kind: str, value: str, path: tuple[Step, ...]) -> bool:
        first = self.first.setdefault((kind, value), path)
        if first is path:
            return True
        at = self.document.value(first)
        hint = "one key belongs to one account" if kind == "key" else f"each {kind} belongs to one account"
        self.find(path, f"this {kind} is here twice; the first is at {at.line}:{at.column}", hint, "duplicate")
        return False
