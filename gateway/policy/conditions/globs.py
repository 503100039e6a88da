"""Pure. Patterns with `*`, matched without going back: the time grows with the text, never with how stars are placed.

A glob is literal but for `*`, which stands for any characters, also none. The first and the last piece are fixed at
the ends; each piece between is looked for from where the one before ended. Taking the leftmost place loses nothing,
since all that follows a star may move to the right.
"""

from collections.abc import Callable, Iterable

from gateway.policy.model import ListOf

__all__ = ["MAX_GLOB", "contains", "glob_matches"]

MAX_GLOB = 256  # characters of a pattern


def glob_matches(glob: str, text: str) -> bool:
    """Whether all of a text matches a pattern."""
    first, *between = glob.split("*")
    if not between:
        return text == glob
    last = between.pop()
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in between:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def contains(entries: ListOf) -> Callable[[str], bool]:
    """Whether a text is in a named list: one of its values, or matched by one of its globs.

    Globs wait under their text before the first `*` (those without one under what follows the last), so that a long
    list costs a look-up for each length of such a text, and not a match for each entry.
    """
    values = entries.values | {glob for glob in entries.globs if "*" not in glob}
    globs = [glob for glob in entries.globs if "*" in glob]
    if not globs:
        return values.__contains__
    heads = _grouped((glob[: glob.index("*")], glob) for glob in globs if glob[0] != "*")
    tails = _grouped((glob[glob.rindex("*") + 1 :], glob) for glob in globs if glob[0] == "*")

    def inside(text: str) -> bool:
        if text in values:
            return True
        for length, table in heads:
            for glob in table.get(text[:length], ()):
                if glob_matches(glob, text):
                    return True
        for length, table in tails:
            for glob in table.get(text[-length:] if length else "", ()):
                if glob_matches(glob, text):
                    return True
        return False

    return inside


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[int, dict[str, list[str]]]]:
    """Globs by the length of their fixed end, and then by that end."""
    found: dict[int, dict[str, list[str]]] = {}
    for end, glob in pairs:
        found.setdefault(len(end), {}).setdefault(end, []).append(glob)
    return sorted(found.items())
