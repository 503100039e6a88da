"""Shell. Finds the one class that each file of a folder defines: adding a file adds a signal, dialect or action."""

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def classes(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """File name -> the one public subclass of `base` that the file defines, in the order of the names.

    Raises TypeError where a file defines none or several: a file is one thing.
    """
    found: dict[str, type[T]] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        mine = [
            value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, base)
            and value.__module__ == module.__name__
            and not name.startswith("_")
        ]
        if len(mine) != 1:
            raise TypeError(f"{module.__name__} must define exactly one {base.__name__}, found {len(mine)}")
        found[info.name] = mine[0]
    return found
