"""`gauger` in process: its output, its exit code, and nothing left behind."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and no GAUGER_ variable of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("GAUGER_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Puts back what `gauger serve` changes for the whole process: where the standard library's logging goes."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers[:] = before


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `gauger ARGUMENTS` as the installed command does, mistakes and exit codes included."""

    @click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    @click.pass_context
    def whole(ctx: click.Context) -> None:
        monkeypatch.setattr(sys, "argv", ["gauger", *ctx.obj])
        main()

    def call(*arguments: str, given: str | bytes = "", **environment: str) -> Result:
        return CliRunner(env=environment).invoke(whole, [], input=given, obj=list(arguments))

    return call
