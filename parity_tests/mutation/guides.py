"""Operators on params, and on the guides that have them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from parity_tests.mutation.operators import Ancestors, expression, family
from parity_tests.mutation.syntax import GUIDE, statement


def detach_param(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A draw of a guide whose gradient does not reach the params."""
    if not (isinstance(node, ast.Call) and family(node) and _is_guide(ancestors)):
        return
    for at, argument in enumerate(node.args):
        if isinstance(argument, ast.Name):  # a param, or what is made of one
            arguments = [ast.unparse(each) for each in node.args]
            arguments[at] = f"jax.lax.stop_gradient({arguments[at]})"
            yield expression(f"{ast.unparse(node.func)}({', '.join(arguments)})")
            return


def other_initial(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A param that starts at twice its value, or at a half."""
    if (
        isinstance(node, ast.Call)
        and statement(node, ("param",))
        and not isinstance(node.args[1], ast.Lambda)
    ):
        rest = "".join(f", {k.arg}={ast.unparse(k.value)}" for k in node.keywords)
        yield expression(
            f"numpyro.param({ast.unparse(node.args[0])}, 2.0 * {ast.unparse(node.args[1])}{rest})"
        )


def drop_constraint(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A param that may leave its set."""
    if isinstance(node, ast.Call) and statement(node, ("param",)) and node.keywords:
        yield expression(f"numpyro.param({', '.join(ast.unparse(each) for each in node.args)})")


def _is_guide(ancestors: Ancestors) -> bool:
    return bool(ancestors) and isinstance(ancestors[0], ast.FunctionDef) and ancestors[0].name == GUIDE
