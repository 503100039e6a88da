"""Pure. Clamps as edits of a request's JSON: which members change so that the body keeps to them, and no others."""

from collections.abc import Mapping
from typing import Any

from gateway.wire.json import REMOVE

__all__ = ["clamp_edits"]

Path = tuple[str, ...]
WHOLE = frozenset({"n", "max_tokens"})  # fields that servers take as integers only
LOGPROBS = ("logprobs", "top_logprobs")


def clamp_edits(
    clamp: Mapping[str, tuple[Any, Any]], places: Mapping[str, tuple[Path, ...]], body: Any
) -> dict[Path, Any]:
    """Edits for `wire.json.edit` after which the body keeps to a clamp: plain name -> (what was asked, what may pass).

    What may pass is a number, the most; or None or False: the field goes, and with `logprobs` its alternatives too.
    `places` are those of each field in this dialect; a field without one can't be said there, so nothing changes.
    Where a field has several places (`n` and `best_of`), each one keeps to the clamp and none is raised to it.
    """
    edits: dict[Path, Any] = {}
    for name, (_, to) in clamp.items():
        if name not in LOGPROBS and name in places:
            edits |= _removed(places[name], body) if _off(to) else _lowered(name, places[name], body, to)
    for name in reversed(LOGPROBS):  # switching both off says more than a number of alternatives
        if name in clamp:
            edits |= _fewer(places, body, clamp[name][1], everything=name == "logprobs")
    return edits


def _off(to: Any) -> bool:
    return to is None or to is False


def _removed(paths: tuple[Path, ...], body: Any) -> dict[Path, Any]:
    return {path: REMOVE for path in paths if _reach(body, path) == len(path)}


def _lowered(name: str, paths: tuple[Path, ...], body: Any, most: float) -> dict[Path, Any]:
    if name in WHOLE:
        most = int(most)
    said = {path: value for path in paths if (value := _at(body, path)) is not None}
    if said:
        return {path: most for path, value in said.items() if value > most}
    if name == "n" and most >= 1:  # one choice is what a body without the field asks for
        return {}
    return {max(paths, key=lambda path: _reach(body, path)): most}


def _fewer(places: Mapping[str, tuple[Path, ...]], body: Any, to: Any, *, everything: bool) -> dict[Path, Any]:
    """Alternatives capped, or gone. Text completions, and some chat servers, take their number in `logprobs`."""
    asked, alternatives = (places.get(name, ()) for name in LOGPROBS)
    if _off(to):
        gone = _removed((*asked, *alternatives) if everything else alternatives, body)
        to = 0
    else:
        gone = {}
    capped = {path: int(to) for path in (*asked, *alternatives) if type(n := _at(body, path)) is int and n > to}
    return capped | gone


def _at(body: Any, path: Path) -> Any:
    """The value at a path; None where there is none, or null."""
    for step in path:
        if not isinstance(body, dict):
            return None
        body = body.get(step)
    return body


def _reach(body: Any, path: Path) -> int:
    """How many steps of a path exist in a body."""
    for at, step in enumerate(path):
        if not isinstance(body, dict) or step not in body:
            return at
        body = body[step]
    return len(path)
