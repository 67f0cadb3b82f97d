"""Options of a pair file that are not spelt right: to Python ``renames = {...}`` is a name like any other."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from types import ModuleType

# Of two spellings: "renames", "point" and "exchangable" are above 0.9, "known_difference" is at 0.97, and
# "pointwise", which is a word of its own, at 0.80 of "points".
NEAR = 0.82


def misspelt(module: ModuleType, options: Sequence[str]) -> dict[str, str]:
    """Names that a module sets and never reads, each with the option that was probably meant.

    A constant or helper of the user's own is read somewhere in its file; an option is not, nor is its misspelling.
    Capitals, a leading underscore, an import, a value of another kind, or the option itself beside it: no misspelling.

    Args:
        module: a pair's, imported from Python source; of any other nothing is said.
        options: the right spellings.
    """
    try:
        tree = ast.parse(Path(module.__file__ or "").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    read |= set(getattr(module, "__all__", ()))
    own = {target.id for statement in tree.body for target in _targets(statement)}
    found = {}
    for name in sorted(own - read - set(options)):
        option = max(options, key=lambda option: SequenceMatcher(None, name, option).ratio())
        near = SequenceMatcher(None, name, option).ratio() > NEAR
        given = getattr(module, option, None) is not None
        if near and not given and not name.startswith("_") and _could_be(option, getattr(module, name, None)):
            found[name] = option
    return found


def _targets(statement: ast.stmt) -> list[ast.Name]:
    """The names that a statement at a module's top level gives a value to."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [target for target in targets if isinstance(target, ast.Name)]


def _could_be(option: str, value: object) -> bool:
    """Whether a value is of an option's kind; what is wrong with it beyond that, the option's own check says."""
    if option == "max_plate_nesting":
        return isinstance(value, int) and not isinstance(value, bool)
    if option == "exchangeable":
        return isinstance(value, Sequence | set | frozenset)
    return isinstance(value, Mapping)
