"""Pure. How the lists are written: entries between semicolons, in as many lines as they need."""

__all__ = ["Lexicon", "listed"]

Lexicon = dict[str, tuple[str, ...]]
"""Mark or class of words -> its entries."""


def listed(*lines: str) -> tuple[str, ...]:
    """The entries of these lines, in order."""
    return tuple(entry for line in lines for entry in line.split("; "))
