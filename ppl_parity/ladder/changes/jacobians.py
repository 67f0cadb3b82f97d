"""The derivative of sites that a model computes by sites that it draws: in blocks, one a row, where rows do not mix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl_parity.backend.contract import Arrays, Program

MOST = 600  # numbers of a block: so many vectors are pulled back at each point
SAME = 1e-9  # relative: whether what is pulled back of a random vector is what the blocks say


@dataclass(frozen=True)
class Computed:
    """Sites that are computed, and as many numbers that are drawn for them.

    Attributes:
        of: the computed sites. by: the drawn ones.
        shapes: site -> its shape, of both.
        batch: of the one computed site, the axes whose rows are apart from each other by declaration.
        family: of that site, where it is drawn.
    """

    of: tuple[str, ...]
    by: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    batch: tuple[int, ...] = ()
    family: str = ""

    def size(self, names: tuple[str, ...]) -> int:
        """How many numbers these sites have."""
        return sum(int(np.prod(self.shapes[name])) for name in names)


@dataclass(frozen=True)
class Jacobian:
    """du/dz, (rows..., D, D): of each row by itself.

    Attributes:
        lost: by how much rounding of the computed values leaves open what they were made of, (rows...), in units of z.
        steps: the shape of u where one block is lower triangular: each number is made of its own z and of those before,
            as a random walk's is, so that given these its density is that of its z over its own slope.
    """

    blocks: np.ndarray
    lost: np.ndarray
    steps: tuple[int, ...] | None = None

    @property
    def rows(self) -> tuple[int, ...]:
        """The axes along which log densities are apart."""
        return self.blocks.shape[:-2] if self.steps is None else self.steps

    @property
    def slopes(self) -> np.ndarray:
        """du_i/dz_i, where log densities are apart number by number."""
        return np.diagonal(self.blocks, axis1=-2, axis2=-1).reshape(self.rows)

    def log_abs_det(self) -> np.ndarray:
        """log |det du/dz|, (rows...)."""
        with np.errstate(divide="ignore"):
            return (
                np.log(np.abs(self.slopes)) if self.steps is not None else np.linalg.slogdet(self.blocks)[1]
            )


def jacobian(program: Program, values: Arrays, computed: Arrays, group: Computed) -> Jacobian | None:
    """The derivative at a point; None where it is singular, or where rows mix that are too many for one block.

    Args:
        program: of the side that computes.
        values: of all of its latent sites.
        computed: the values that it computes of them.
    """
    u = np.concatenate([np.ravel(computed[name]) for name in group.of])
    z = np.concatenate([np.ravel(values[name]) for name in group.by])
    blocks = blocks_of(program, values, group)
    if blocks is None or not np.all(np.isfinite(blocks)):
        return None
    rows, D = blocks.shape[:-2], blocks.shape[-1]
    try:
        inverse = np.linalg.inv(blocks)
    except np.linalg.LinAlgError:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.finfo(np.float64).eps * np.abs(u).reshape(*rows, D, 1)
        lost = np.max((np.abs(inverse) @ rounded)[..., 0] * (1 + np.abs(z)).reshape(*rows, D), axis=-1)
    return Jacobian(blocks, lost, _steps(blocks, group))


def _steps(blocks: np.ndarray, group: Computed) -> tuple[int, ...] | None:
    """The shape of a single site that is computed number after number; None of any other."""
    if blocks.ndim > 2 or len(group.of) != 1 or len(group.by) != 1:
        return None
    shape = group.shapes[group.of[0]]
    return shape if shape == group.shapes[group.by[0]] and shape and not np.any(np.triu(blocks, 1)) else None


def blocks_of(program: Program, values: Arrays, group: Computed) -> np.ndarray | None:
    """In the smallest blocks that a random vector does not contradict: of numbers, of declared rows, or one."""
    if len(group.of) == len(group.by) == 1 and group.shapes[group.of[0]] == group.shapes[group.by[0]]:
        shape = group.shapes[group.of[0]]
        for rows in dict.fromkeys([shape, group.batch]):
            D = int(np.prod(shape[len(rows) :]))
            if rows and D <= MOST and (found := _of_rows(program, values, group, rows, D)) is not None:
                return found
    D = group.size(group.of)
    return _pulled(program, values, group, np.eye(D)) if D <= MOST else None


def _of_rows(
    program: Program, values: Arrays, group: Computed, rows: tuple[int, ...], D: int
) -> np.ndarray | None:
    count = int(np.prod(rows))
    probe = np.random.default_rng(0).standard_normal((1, count, D))
    units = np.broadcast_to(np.eye(D)[:, None], (D, count, D))
    vectors = np.concatenate([units, probe]).reshape(D + 1, -1)
    pulled = _pulled(program, values, group, vectors).reshape(D + 1, count, D)
    blocks = np.moveaxis(pulled[:-1], 0, 1)
    terms = np.swapaxes(probe[0][..., None] * blocks, -1, -2)
    size = np.sum(np.abs(terms), axis=-1)
    if not np.all(np.abs(np.sum(terms, axis=-1) - pulled[-1]) <= SAME * size):
        return None
    return blocks.reshape(*rows, D, D)


def _pulled(program: Program, values: Arrays, group: Computed, vectors: np.ndarray) -> np.ndarray:
    """vectors (W, numbers computed) -> (W, numbers drawn)."""
    count, start = len(vectors), 0
    parts: Arrays = {}
    for name in group.of:
        shape = group.shapes[name]
        size = int(np.prod(shape))
        parts[name] = vectors[:, start : start + size].reshape(count, *shape)
        start += size
    found = program.vector_jacobian(values, parts, group.by)
    return np.concatenate([np.asarray(found[name]).reshape(count, -1) for name in group.by], axis=1)


def depends(
    program: Program, values: Arrays, of: str, by: tuple[str, ...], shape: tuple[int, ...]
) -> set[str]:
    """Which of these sites a computed one moves with, at a point."""
    vectors = {of: np.random.default_rng(1).standard_normal((1, *shape))}
    found = program.vector_jacobian(values, vectors, by)
    return {name for name, pulled in found.items() if np.any(pulled)}
