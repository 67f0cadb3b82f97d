"""What an operator needs of a pair file's source: the model's tree, its sites, and who depends on whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODEL, GUIDE = "numpyro_model", "numpyro_guide"
STATEMENTS = ("sample", "factor", "deterministic")


def find_model(source: str, function: str = MODEL) -> ast.FunctionDef:
    """The tree of the NumPyro model, or of another function."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return node
    raise ValueError(f"A pair file must define {function}.")


def with_model(source: str, model: ast.FunctionDef, original: ast.FunctionDef) -> str:
    """The pair file with its NumPyro model replaced, and ``jax`` imported if the new one needs it."""
    lines = source.splitlines()
    body = ast.unparse(ast.fix_missing_locations(model)).splitlines()
    lines[original.lineno - 1 : original.end_lineno] = body
    text = "\n".join(lines) + "\n"
    needs_jax = "jax." in ast.unparse(model) and "import jax\n" not in source
    return text.replace("import numpy as np\n", "import jax\nimport numpy as np\n", 1) if needs_jax else text


def walk(model: ast.FunctionDef) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Every node below the model with its ancestors, outermost first, in the order of the source."""

    def below(node: ast.AST, ancestors: tuple[ast.AST, ...]) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
        for child in ast.iter_child_nodes(node):
            yield child, (*ancestors, node)
            yield from below(child, (*ancestors, node))

    yield from below(model, ())


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def replaced(source: str, position: int, new: ast.AST, function: str = MODEL) -> str:
    """The pair file with the node at ``position`` of the function's ``walk`` replaced."""
    original = find_model(source, function)
    model = find_model(source, function)
    nodes = [node for node, _ in walk(model)]
    return with_model(source, _Replace(nodes[position], new).visit(model), original)


def statement(node: ast.AST, kinds: tuple[str, ...] = STATEMENTS) -> str | None:
    """``sample``, ``factor`` or ``deterministic`` if the node is a call of it; or one of other kinds."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "numpyro" and node.func.attr in kinds:
            return node.func.attr
    return None


def site_of(call: ast.Call) -> str:
    """A site's name; ``y_*`` where the source has ``f"y_{t}"``."""
    name = call.args[0]
    if isinstance(name, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in name.values)
    assert isinstance(name, ast.Constant)
    return str(name.value)


def names(node: ast.AST) -> set[str]:
    """The variables that an expression reads."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def calls(node: ast.AST, kinds: tuple[str, ...] = STATEMENTS) -> list[ast.Call]:
    """The statements below a node, in the order of the source."""
    found = [n for n in ast.walk(node) if isinstance(n, ast.Call) and statement(n, kinds) is not None]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def blamed(model: ast.FunctionDef, node: ast.AST, ancestors: tuple[ast.AST, ...]) -> tuple[str, ...]:
    """The site at which a change of ``node`` should show: the statement around it, or that reads its result."""
    for ancestor in (*ancestors, node)[::-1]:
        call = ancestor.value if isinstance(ancestor, ast.Expr) else ancestor
        if isinstance(call, ast.Call) and statement(call) in ("sample", "factor"):
            return (site_of(call),)
        if isinstance(ancestor, ast.With):
            return tuple(site_of(call) for call in calls(ancestor, ("sample", "factor"))[:1])
        if isinstance(ancestor, ast.Assign):
            return _reader(model, ancestor)
    return ()


def _reader(model: ast.FunctionDef, assignment: ast.Assign) -> tuple[str, ...]:
    changed = set().union(*(names(target) for target in assignment.targets))
    later = [n for n, _ in walk(model) if isinstance(n, ast.Assign | ast.Expr)]
    for node in later[later.index(assignment) + 1 :]:
        if not names(node.value) & changed:
            continue
        found = calls(node, ("sample", "factor"))
        if found:
            return (site_of(found[0]),)
        if isinstance(node, ast.Assign):
            changed |= set().union(*(names(target) for target in node.targets))
    return ()


def sources_of(
    model: ast.FunctionDef, expression: ast.AST, kinds: tuple[str, ...] = ("sample",)
) -> tuple[str, ...]:
    """The latent sites on which an expression depends; or the statements of other kinds."""
    origin: dict[str, set[str]] = {}
    for node, _ in walk(model):
        if isinstance(node, ast.Assign):
            sampled = calls(node, kinds)
            sites = {site_of(call) for call in sampled} or set().union(
                *(origin.get(name, set()) for name in names(node.value))
            )
            for target in node.targets:
                for name in names(target):
                    origin[name] = sites
    return tuple(sorted(set().union(*(origin.get(name, set()) for name in names(expression)))))
