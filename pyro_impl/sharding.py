"""Rows of the data spread over devices: JAX can, and Pyro's NUTS cannot."""

from __future__ import annotations

from ppl_parity.backend.contract import Model
from ppl_parity.errors import InputError


def check_shards(model: Model, device: str, num_shards: int) -> None:
    """Refuse to spread rows.

    Raises:
        InputError: more than one device is asked for.
    """
    if num_shards != 1:
        raise InputError(
            "pyro cannot spread the rows of the data over devices; numpyro can. Use num_shards = 1."
        )
