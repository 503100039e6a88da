"""What import contracts can't see: docstrings that say Pure or Shell and are true, small modules, no hidden I/O."""

import ast
from collections.abc import Collection
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "gateway").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FORBIDDEN_CALLS = {"open", "print", "eval", "exec", "hash", "id", "input", "compile", "globals"}
FORBIDDEN_IMPORTS = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
ALLOWED_CALLS = {
    "gateway/policy/conditions/compiler.py": {"compile"},  # of syntax trees that it made itself: nothing runs
}
LONGEST = 400


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def kind_of(tree: ast.Module) -> str:
    return (ast.get_docstring(tree) or "").split(" ")[0]


def sins(tree: ast.Module, allowed: Collection[str] = ()) -> list[str]:
    """What a module does that a pure one may not."""
    found = []
    forbidden = FORBIDDEN_CALLS.difference(allowed)
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFor | ast.AsyncWith | ast.Await):
            found.append(f"line {node.lineno}: async")
        elif isinstance(node, ast.AsyncFunctionDef):
            if not (len(node.body) == 1 and isinstance(node.body[0], ast.Expr)):  # a stub of an interface
                found.append(f"line {node.lineno}: async def {node.name}")
        elif isinstance(node, ast.Global):
            found.append(f"line {node.lineno}: global")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in forbidden:
            found.append(f"line {node.lineno}: {node.func.id}()")
        elif isinstance(node, ast.Import):
            found += [
                f"line {node.lineno}: import {a.name}" for a in node.names if a.name.split(".")[0] in FORBIDDEN_IMPORTS
            ]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_IMPORTS:
            found.append(f"line {node.lineno}: from {node.module}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_pure_or_shell_and_that_is_true(path: Path) -> None:
    tree = ast.parse(path.read_text())
    kind = kind_of(tree)
    assert kind in ("Pure.", "Shell."), f"{name_of(path)}: the docstring must start with Pure. or Shell."
    if kind == "Pure.":
        assert sins(tree, ALLOWED_CALLS.get(name_of(path), ())) == []


@pytest.mark.parametrize("path", MODULES + TESTS, ids=name_of)
def test_no_module_is_longer_than_a_reader_can_hold(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "sin",
    [
        "async def f():\n    return 1",
        "def f():\n    open('x')",
        "import time",
        "from os import path",
        "def f():\n    global x",
        "def f():\n    return hash('a')",
        "def f():\n    return compile('1', '', 'eval')",
    ],
)
def test_the_check_itself_catches(sin: str) -> None:
    assert sins(ast.parse(sin)) != []


def test_no_stray_names() -> None:
    stray = {"utils", "helpers", "manager", "base", "common", "misc"}
    assert [name_of(path) for path in MODULES if path.stem in stray] == []
