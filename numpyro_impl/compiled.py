"""What is compiled of a model: how hard, and kept for every program of it on data of the same shape."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from numpyro_impl.kernels import cpu

if TYPE_CHECKING:
    from numpyro_impl.tracing import TracedModel

# Compiled functions by model and shape of the data: simulation-based calibration refits one model many times.
_COMPILED: OrderedDict[Any, dict[Any, Any]] = OrderedDict()
MAX_COMPILED = 32

# Measured on the program of NUTS: 1.3 s to compile it instead of 2.6, and as fast a leapfrog (10.7 us for 11.7 at
# 300 rows, 155 us for 153 at 10,000), since the rows are the native kernel's work.
QUICK = ({"xla_cpu_use_fusion_emitters": False}, {"xla_backend_optimization_level": 0})


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


def in_precision(tree: Any) -> Any:
    """Every array of a tree as a NumPy array of the session's precision.

    A compiled function takes it as it is; a JAX array would cost a program of its own to make.
    """
    return jax.tree.map(lambda value: np.asarray(value, dtype=jnp.result_type(float)), tree)


def compile_options(model: Any, device: str) -> dict[str, Any] | None:
    """Compile options for a program that asks for the density of ``model``; None leaves them to XLA."""
    native = getattr(model, "sums_rows", False) and device == "cpu" and cpu.is_native()
    return _accepted() if native else None


@cache
def _accepted() -> dict[str, Any]:
    """Those of ``QUICK`` that this XLA knows; they come and go between releases."""
    together = {name: value for option in QUICK for name, value in option.items()}
    if _is_known(together):
        return together
    return {name: value for option in QUICK if _is_known(option) for name, value in option.items()}


def _is_known(option: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=option)()
    except jax.errors.JaxRuntimeError:
        return False
    return True
