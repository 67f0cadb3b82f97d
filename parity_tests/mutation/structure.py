"""Operators on a model's structure: a statement, plate, handler, event or observation that the port has lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from parity_tests.mutation.operators import Ancestors, expression
from parity_tests.mutation.syntax import calls, statement


def drop_plate(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A plate that the port has lost."""
    yield from _without(node, "plate")


def drop_scale(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """Weights that the port has lost."""
    yield from _without(node, "scale")


def drop_mask(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A mask that the port has lost: what was not measured counts."""
    yield from _without(node, "mask")


def _without(node: ast.AST, handler: str) -> Iterator[ast.AST]:
    if not isinstance(node, ast.With):
        return
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == handler:
            kept = [other for other in node.items if other is not item]
            yield ast.With(kept, node.body) if kept else ast.If(ast.Constant(True), node.body, [])


def drop_factor(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A factor that the port has lost."""
    if isinstance(node, ast.Expr) and statement(node.value) == "factor":
        yield ast.Pass()


def drop_observed(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A likelihood statement that the port has lost."""
    if isinstance(node, ast.Expr) and statement(node.value) == "sample" and _observation(node.value):
        yield ast.Pass()


def drop_obs(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """Data that are not given to the site, which then is a parameter."""
    if statement(node) == "sample" and isinstance(node, ast.Call) and _observation(node):
        yield ast.Call(node.func, node.args, [k for k in node.keywords if k.arg != "obs"])


def drop_to_event(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A ``to_event`` that the port has lost."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "to_event":
        yield node.func.value


def cast_to_float32(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """Data that lose half their digits on the way."""
    if isinstance(node, ast.keyword) and node.arg == "obs":
        yield ast.keyword("obs", expression(f"({ast.unparse(node.value)}).astype('float32')"))


def reverse_data(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """Rows that no longer belong to their predictors."""
    if isinstance(node, ast.keyword) and node.arg == "obs" and isinstance(node.value, ast.Name):
        yield ast.keyword("obs", expression(f"{node.value.id}[::-1]"))


def drop_last_row(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """An observation that the port has lost: the last row counts for nothing."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _observation(node.value):
        data = _observation(node.value)
        if isinstance(data, ast.Name):
            mask = f"jax.numpy.arange(len({data.id})) < len({data.id}) - 1"
            yield ast.With([ast.withitem(expression(f"numpyro.handlers.mask(mask={mask})"))], [node])


def other_start(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A chain that starts in another state."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value == 0:
        yield ast.Assign(node.targets, ast.Constant(1), lineno=node.lineno)


def forget_markov(node: ast.AST, ancestors: Ancestors) -> Iterator[ast.AST]:
    """A loop over time that no longer says that it is a Markov chain."""
    if isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and calls(node):
        if ast.unparse(node.iter.func) == "markov":
            yield ast.For(node.target, node.iter.args[0], node.body, [], lineno=node.lineno)


def _observation(call: ast.AST) -> ast.expr | None:
    if isinstance(call, ast.Call) and statement(call) == "sample":
        return next((k.value for k in call.keywords if k.arg == "obs"), None)
    return None
