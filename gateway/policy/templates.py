"""Pure. Statements of Python from a template of ours, with parts put in: for what a policy is compiled to.

A template is text of this program; of a policy only constants, names of variables and compiled conditions go in.
"""

import ast
from collections.abc import Mapping
from typing import cast

__all__ = ["Part", "filled", "filled_value"]

Part = ast.expr | str | list[ast.stmt]
"""An expression; the name of a variable; or statements, where the template has a name as a statement of its own."""


def filled(template: str, **parts: Part) -> list[ast.stmt]:
    """A template's statements; a name in it that is one of these parts stands for it."""
    return cast(ast.Module, _Fill(parts).visit(ast.parse(template))).body


def filled_value(template: str, **parts: Part) -> ast.expr:
    """The same for one expression."""
    return cast(ast.Expr, filled(template, **parts)[0]).value


class _Fill(ast.NodeTransformer):
    def __init__(self, parts: Mapping[str, Part]) -> None:
        self.parts = parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        part = self.parts.get(node.id, node)
        return ast.Name(part, node.ctx) if isinstance(part, str) else cast(ast.expr, part)

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        part = self.parts.get(node.value.id) if isinstance(node.value, ast.Name) else None
        return part if isinstance(part, list) else cast(ast.stmt, self.generic_visit(node))
