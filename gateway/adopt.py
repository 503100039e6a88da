"""Shell. The rules that a process adopts: policy and accounts, read from their files, checked, and tried."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gateway import trials
from gateway.accounts import Directory, load_accounts
from gateway.documents import shown
from gateway.errors import Mistake
from gateway.files import default_policy, place_of, plain, resolver
from gateway.ledger.record import Adopted
from gateway.policy.check import examine
from gateway.policy.loader import PolicyErrors, load
from gateway.policy.model import Policy
from gateway.settings import Settings
from gateway.stores.memory import MemoryLimits

__all__ = ["adopted", "read_rules", "rule_files"]

T = TypeVar("T")
MOST_LINES = 20  # of failing tests that are shown at once


def rule_files(settings: Settings, policy: Policy | None = None) -> list[Path]:
    """The files whose content decides: the policy, its packs and lists, and the accounts file that it names."""
    path = settings.policy or default_policy()
    if policy is None:
        return [path]
    named = [place_of(path.parent, name) for name in list(policy.files)[1:]]
    directory = policy.identity.directory
    return [path, *named] if directory is None else [path, *named, path.parent / directory]


def read_rules(settings: Settings) -> tuple[Policy, Directory]:
    """The policy and its accounts. Raises Mistake with every error in it, one a line; a test that fails is one.

    What `gauger check` calls an error is one here too, but for the day: an exception that has expired has ended.
    """
    path = settings.policy or default_policy()
    policy = _located(lambda: _checked(path))
    failed = [result for result in trials.run(policy, MemoryLimits) if not result.ok]
    if failed:
        lines = [f"test {shown(each.example.name)}: {failure}" for each in failed for failure in each.failures]
        hint = "`gauger test FILE` shows each with its line"
        raise Mistake("\n".join(lines[:MOST_LINES]), place=str(path), hint=hint)
    if policy.identity.directory is None:
        return policy, Directory.empty()
    file = path.parent / policy.identity.directory
    return policy, _located(lambda: load_accounts(_read(file), str(file), frozenset(policy.plans)))


def adopted(row: Adopted) -> Policy:
    """The policy of a row that adopted it, from the files that it carries."""

    def resolve(name: str) -> bytes:
        if name not in row.files:
            raise FileNotFoundError(2, "it is not in the ledger", name)
        return row.files[name].encode()

    own = row.files.get(row.source)
    if own is None:
        hint = "`--policy FILE` names the one to judge by"
        raise Mistake(f"row {row.seq} adopts policy {row.digest} without its file", hint=hint)
    try:
        return load(own, row.source, resolve)
    except PolicyErrors as errors:
        said = "\n".join(map(str, errors.findings))
        raise Mistake(f"the policy that row {row.seq} adopts can't be read by this version:\n{said}") from None


def _checked(path: Path) -> Policy:
    findings, loaded = examine(_read(path), str(path), resolver(path.parent))
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors or loaded.policy is None:
        raise PolicyErrors(errors)
    return loaded.policy


def _located(load: Callable[[], T]) -> T:
    """What `load` returns; its findings become one Mistake with a line each."""
    try:
        return load()
    except PolicyErrors as errors:
        raise Mistake(
            "\n".join(map(str, errors.findings)), hint="`gauger check FILE` shows each with its line"
        ) from None


def _read(path: Path) -> bytes:
    try:
        return plain(path)
    except OSError as error:
        raise Mistake(f"can't be read: {error.strerror}", place=str(path)) from None
