"""Rows of the data spread over devices: each device sums its own, and the sums are added up.

A gradient moves K (D + 1) + 1 numbers between devices, whatever N is. Where several processes have been
joined by ``jax.distributed``, the devices are those of all of them, and each process brings its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ppl_parity.backend.contract import Model
from ppl_parity.errors import InputError

AXIS = "rows"

_CURRENT: ContextVar[Shards | None] = ContextVar("shards", default=None)


@dataclass(frozen=True, eq=False)
class Shards:
    """The devices that rows are spread over, and what was added to make their shares equal.

    Args:
        mesh: the devices, of every process.
        padding: how many rows of x are copies of ``filler``; what they add to a sum is taken off again.
        filler: (D,), a row of the data.
    """

    mesh: Mesh
    padding: int
    filler: np.ndarray

    @property
    def replicated(self) -> NamedSharding:
        """The placement of all that is not rows: the same on every device."""
        return NamedSharding(self.mesh, PartitionSpec())


def check_shards(model: Model, device: str, num_shards: int) -> None:
    """Refuse to spread rows where that is not possible.

    Raises:
        InputError: the model does not sum over rows by itself, or there are too few devices.
    """
    if num_shards == 1:
        return
    if not getattr(model, "sums_rows", False):
        raise InputError("numpyro: only the mixture's fused formulation can spread its rows over devices.")
    here = len(jax.devices(device.partition(":")[0]))
    if num_shards != here:
        raise InputError(
            f"numpyro: the rows are spread over every device or none; got num_shards = {num_shards}, and JAX "
            f"sees {here}. On a CPU, XLA_FLAGS=--xla_force_host_platform_device_count says how many."
        )


def spread(x: np.ndarray, device: str) -> tuple[Any, Shards]:
    """This process's rows as part of one array over all devices, each with as many rows as any other."""
    devices = jax.devices(device.partition(":")[0])
    mesh = Mesh(np.array(devices), (AXIS,))
    per_process = len(devices) // jax.process_count()
    counts = np.atleast_1d(multihost_utils.process_allgather(np.array(len(x))))
    share = -(-int(counts.max()) // per_process)
    filler = np.asarray(multihost_utils.broadcast_one_to_all(np.asarray(x[0])))
    short = share * per_process - len(x)
    rows = np.concatenate([x, np.broadcast_to(filler, (short, len(filler)))]) if short else x
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    total = (share * len(devices), x.shape[1])
    array = jax.make_array_from_process_local_data(sharding, np.asarray(rows), total)
    return array, Shards(mesh, total[0] - int(counts.sum()), filler)


@contextmanager
def use(shards: Shards | None) -> Iterator[None]:
    """Sum over these shards inside the block."""
    token = _CURRENT.set(shards)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def are_spread() -> bool:
    """Whether rows are spread over devices here."""
    return _CURRENT.get() is not None


def over_rows(one_pass: Callable[..., Any]) -> Callable[..., Any]:
    """A pass over x that sums over the shards of the moment, if there are any."""

    @wraps(one_pass)
    def summed(log_theta: Any, beta: Any, x: Any, noise_scale: float) -> Any:
        shards = _CURRENT.get()
        if shards is None:
            return one_pass(log_theta, beta, x, noise_scale)

        def share(log_theta, beta, x):
            return jax.lax.psum(one_pass(log_theta, beta, x, noise_scale), AXIS)

        same = PartitionSpec()
        together = jax.shard_map(
            share,
            mesh=shards.mesh,
            in_specs=(same, same, PartitionSpec(AXIS)),
            out_specs=same,
            check_vma=False,
        )
        sums = together(log_theta, beta, x)
        if shards.padding == 0:
            return sums
        extra = one_pass(log_theta, beta, jnp.asarray(shards.filler, x.dtype)[None], noise_scale)
        return jax.tree.map(lambda total, one: total - shards.padding * one, sums, extra)

    return summed
