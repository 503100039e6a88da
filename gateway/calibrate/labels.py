"""Pure. JSON lines that say of accounts or owners what they are: `{"account": …, "label": "benign"}`."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from gateway.documents import shown
from gateway.errors import Mistake

__all__ = ["Label", "Labels", "read_labels"]

Label = Literal["benign", "extraction"]
MOST = 2_000_000  # lines


class _Line(msgspec.Struct):
    """`owner` counts where there is no account. What stands beside these fields is not looked at."""

    label: str
    account: str | None = None
    owner: str | None = None


class Labels(msgspec.Struct):
    """By account id, and by owner: the name of an organisation, or of an account that has none."""

    accounts: dict[str, Label] = {}
    owners: dict[str, Label] = {}

    def of(self, owner: str, accounts: Iterable[str]) -> Label | None:
        """Of an owner and his accounts: one that extracts is enough."""
        found = {self.owners.get(owner), *(self.accounts.get(account) for account in accounts)}
        return "extraction" if "extraction" in found else "benign" if "benign" in found else None

    def __len__(self) -> int:
        return len(self.accounts) + len(self.owners)


_DECODER = msgspec.json.Decoder(_Line)


def read_labels(content: bytes, source: str) -> Labels:
    """The labels in a file's content. A line whose label is empty says nothing yet. Raises Mistake with its place."""
    found = Labels({}, {})
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{source}:{number}"
        if number > MOST:
            raise Mistake(f"more than {MOST:,} lines", place=place)
        hint = 'a line is an object such as {"account": "acct_1", "label": "benign"}'
        try:
            each = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Mistake(f"this is no label: {error}", place=place, hint=hint) from None
        name = each.owner if each.account is None else each.account
        if name is None:
            raise Mistake("whose label is this? `account` or `owner` is missing", place=place, hint=hint)
        if not each.label:
            continue
        if each.label not in ("benign", "extraction"):
            raise Mistake(f"{shown(each.label)} is no label", place=place, hint="benign or extraction")
        known = found.owners if each.account is None else found.accounts
        if known.setdefault(name, each.label) != each.label:  # type: ignore[arg-type]
            raise Mistake(f"{shown(name)} has two labels", place=place, hint="leave one of them")
    return found
