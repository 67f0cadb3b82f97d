"""All mutants: every operator on every correct pair, and those written by hand."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache

from parity_tests.mutation import guides, operators, structure
from parity_tests.mutation.equivalent import unchanged
from parity_tests.mutation.handwritten import handwritten
from parity_tests.mutation.mutants import Mutant, pair_files
from parity_tests.mutation.operators import Operator
from parity_tests.mutation.syntax import GUIDE, blamed, find_model, replaced, site_of, sources_of, walk

OPERATORS: tuple[Operator, ...] = (
    operators.square_scale,
    operators.invert_rate,
    operators.five_times,
    operators.swap_arguments,
    operators.swap_family,
    operators.whole_line,
    operators.change_link,
    operators.flip_sign,
    operators.mean_for_sum,
    operators.other_ddof,
    operators.shift_index,
    operators.detach,
    structure.drop_plate,
    structure.drop_scale,
    structure.drop_mask,
    structure.drop_factor,
    structure.drop_observed,
    structure.drop_obs,
    structure.drop_to_event,
    structure.cast_to_float32,
    structure.reverse_data,
    structure.drop_last_row,
    structure.other_start,
    structure.forget_markov,
    guides.detach_param,
    guides.other_initial,
    guides.drop_constraint,
)

SPREAD = 4


def catalogue(*, everything: bool = False, pairs: Collection[str] | None = None) -> list[Mutant]:
    """The mutants to run, those written by hand last.

    Args:
        everything: every place of every pair that an operator applies to; else each operator once in a pair
            and in at most ``SPREAD`` pairs, chosen so that every pair has its share.
        pairs: these pairs only.
    """
    chosen = {pair: path.read_text() for pair, path in pair_files().items() if pairs is None or pair in pairs}
    by_operator: dict[str, list[Mutant]] = {}
    for pair, source in chosen.items():
        for mutant in _made(pair, source):
            by_operator.setdefault(mutant.operator, []).append(mutant)
    made = [mutant for mutants in by_operator.values() for mutant in mutants]
    if not everything:
        made = list(_spread(by_operator))
    return made + [mutant for mutant in handwritten() if mutant.pair in chosen]


@cache
def _made(pair: str, source: str) -> tuple[Mutant, ...]:
    return tuple(operator_mutants(pair, source))


def _spread(by_operator: dict[str, list[Mutant]]) -> Iterator[Mutant]:
    used: Counter[str] = Counter()
    for mutants in sorted(by_operator.values(), key=lambda found: len({m.pair for m in found})):
        first = {mutant.pair: mutant for mutant in reversed(mutants)}
        # The pairs with the fewest mutants so far; among equals, those whose fault shows.
        order = sorted(first, key=lambda pair: (used[pair], first[pair].equivalent is not None, pair))
        for pair in order[:SPREAD]:
            used[pair] += 1
            yield first[pair]


def operator_mutants(pair: str, source: str) -> Iterator[Mutant]:
    """Every place at which an operator applies to a pair, by operator, and by place in the model and then the guide."""
    functions = [find_model(source)] + ([find_model(source, GUIDE)] if f"def {GUIDE}(" in source else [])
    for operator in OPERATORS:
        for function in functions:
            for position, (node, ancestors) in enumerate(walk(function)):
                for new in operator(node, ancestors):
                    yield _mutant(pair, source, operator, function, position, node, ancestors, new)


def _mutant(
    pair: str,
    source: str,
    operator: Operator,
    function: ast.FunctionDef,
    position: int,
    node: ast.AST,
    ancestors: tuple[ast.AST, ...],
    new: ast.AST,
) -> Mutant:
    name = operator.__name__
    sites = blamed(function, node, ancestors)
    if operator is operators.detach:
        sites = sources_of(function, node)
    elif operator is guides.detach_param:
        sites = sources_of(function, node, ("param",))
    elif operator in (guides.other_initial, guides.drop_constraint):
        sites = (site_of(node),) if isinstance(node, ast.Call) else ()
    return Mutant(
        pair=pair,
        operator=name,
        detail=f"{_first_line(node)} -> {_first_line(new)}",
        source=replaced(source, position, new, function.name),
        sites=sites,
        equivalent=unchanged(pair if function.name != GUIDE else f"{pair}/guide", name, sites),
        also=("elbo",) if operator is guides.detach_param else (),
    )


def _first_line(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).strip().splitlines()[0]
