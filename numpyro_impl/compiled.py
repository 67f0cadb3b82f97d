"""What is compiled of a model, kept for every program of it on data of the same shape."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from numpyro_impl.tracing import TracedModel

# Compiled functions by model and shape of the data: simulation-based calibration refits one model many times.
_COMPILED: OrderedDict[Any, dict[Any, Any]] = OrderedDict()
MAX_COMPILED = 32


def shared(program: TracedModel) -> dict[Any, Any]:
    """The compiled functions of every program of this model on data of these shapes."""
    if program.shards is not None:  # their padding and filler are constants in what is compiled
        return {}
    leaves = [
        (np.shape(leaf), str(leaf.dtype)) if i in program.passed else _constant(leaf)
        for i, leaf in enumerate(program.leaves)
    ]
    key = (
        program.model,
        program.structure,
        *leaves,
        program.precision,
        program.device,
        program.max_plate_nesting,
    )
    try:
        compiled = _COMPILED.setdefault(key, {})
    except TypeError:  # something among the data cannot be compared
        return {}
    _COMPILED.move_to_end(key)
    if len(_COMPILED) > MAX_COMPILED:
        _COMPILED.popitem(last=False)
    return compiled


def _constant(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | np.ndarray):
        return (np.shape(leaf), str(leaf.dtype), np.asarray(leaf).tobytes())
    return leaf
