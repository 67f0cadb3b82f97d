"""What a computed site was made of, found from its value: Newton's steps with the program's own derivative.

    z <- z + (du/dz)^-1 (u* - u(z))

Of u = loc + scale z the first step is the answer; of a curved map a few more are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.ladder.changes.jacobians import Computed, jacobian
from ppl_parity.ladder.changes.program import computed_values

MOST_STEPS = 60
LONGEST = 4.0  # of a step, times 1 + |z|: an exponential that is far below its value would overflow
CLOSE = 1e-11  # relative: of a step after which another one would be rounding


def made_of(
    program: Program, values: Arrays, target: Arrays, groups: Sequence[Computed], positive: Mapping[str, bool]
) -> Arrays | None:
    """The values of the drawn sites with which the program computes these; None where no steps lead there.

    Args:
        program: of the side that computes.
        values: of all of its latent sites; those of the groups are where the search begins.
        target: the computed sites' values.
        groups: in an order in which none needs a later one's.
        positive: drawn site -> whether its values are.
    """
    values = dict(values)
    for group in groups:
        for _ in range(MOST_STEPS):
            try:
                step = _step(program, values, target, group)
            except InputError:
                return None
            if step is None or not all(np.all(np.isfinite(s)) for s in step.values()):
                return None
            for name, change in step.items():
                values[name] = _moved(np.asarray(values[name], dtype=float), change, positive[name])
            if all(np.all(np.abs(s) <= CLOSE * (1 + np.abs(values[n]))) for n, s in step.items()):
                break
        else:
            return None
    return {name: values[name] for group in groups for name in group.by}


def _step(program: Program, values: Arrays, target: Arrays, group: Computed) -> Arrays | None:
    computed = computed_values(program, values)
    found = jacobian(program, values, computed, group)
    if found is None:
        return None
    gap = np.concatenate([np.ravel(target[name] - computed[name]) for name in group.of])
    step = np.linalg.solve(found.blocks, gap.reshape(*found.blocks.shape[:-1], 1)).ravel()
    parts: Arrays = {}
    for name in group.by:
        size = int(np.prod(group.shapes[name]))
        parts[name], step = step[:size].reshape(group.shapes[name]), step[size:]
    return parts


def _moved(value: np.ndarray, step: np.ndarray, positive: bool) -> np.ndarray:
    most = LONGEST * (1 + np.abs(value))
    moved = value + np.clip(step, -most, most)
    return np.where(moved > 0, moved, value / 2) if positive else moved
