"""Precision, device, random numbers and arrays: the one place that touches process state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from typing import Any

import numpy as np
import pyro
import torch
from pyro.util import get_rng_state, set_rng_state

from ppl_parity.backend.alone import Alone
from ppl_parity.backend.checks import check_rows
from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import PRECISIONS, MixtureSpec

NAME = "pyro"

_alone = Alone(NAME)

KINDS = {"i": torch.int64, "u": torch.int64, "b": torch.bool}


def versions() -> dict[str, str]:
    """See ``contract.Backend.versions``."""
    return {name: metadata.version(name) for name in ("pyro-ppl", "torch", "opt-einsum", "numpy")}


def devices() -> list[str]:
    """See ``contract.Backend.devices``."""
    return ["cpu"] + (["gpu"] if torch.cuda.is_available() else [])


@contextmanager
def session(precision: str = "float64", device: str = "cpu") -> Iterator[None]:
    """Compute in ``precision`` on ``device`` inside the block, one thread at a time; leave the process as it was.

    Validation is off, as Pyro's own MCMC has it, because with it a density outside its support raises
    instead of having a value. A model's ``pyro.param`` sites find the parameter store as the caller left it.
    """
    one_of("precision", precision, PRECISIONS)
    wanted = _find(device)
    with ExitStack() as stack:
        stack.enter_context(_alone.held())
        dtype = torch.get_default_dtype()
        store = pyro.get_param_store()
        parameters = store.get_state()
        stack.enter_context(pyro.validation_enabled(False))
        # A default device slows every tensor's creation, so it is set only where it is another one.
        if wanted != torch.get_default_device():
            stack.enter_context(wanted)
        torch.set_default_dtype(torch.float64 if precision == "float64" else torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            store.clear()
            store.set_state(parameters)


@contextmanager
def seed_to_rng(seed: int) -> Iterator[None]:
    """Random numbers from an integer seed, inside the block; the generators are then as they were.

    Pyro has no keys: it draws from torch's global generator, and seeds Python's and NumPy's with it.
    """
    before = get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        _seed(seed)
        yield
    finally:
        set_rng_state(before)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


def _seed(seed: int) -> None:
    """``pyro.set_rng_seed``, without the stack trace that torch keeps for a GPU: a tenth of the time."""
    if torch.cuda.is_available():
        pyro.set_rng_seed(seed)
        return
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what a model that draws by NumPy draws from


def to_framework(value: Any, precision: str | None = None) -> Any:
    """NumPy arrays to tensors of ``precision``, or else the session's, on its device; the rest as it is.

    NumPy scalars become Python's, so that a count stays usable as a shape.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            return value
        floating = getattr(torch, precision) if precision else torch.get_default_dtype()
        # A copy, in native byte order: a model that writes into its data writes into its own.
        own = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C"))
        return own.to(torch.get_default_device(), KINDS.get(value.dtype.kind, floating))
    if isinstance(value, dict):
        return {key: to_framework(item, precision) for key, item in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(item, np.ndarray) for item in value):
        return type(value)(to_framework(item, precision) for item in value)
    return value


def as_rows(spec: MixtureSpec, x: Any) -> Any:
    """The mixture's x, if there is one, checked, and in floating point: whole numbers as much as others."""
    if x is None:
        return None
    check_rows(NAME, spec, x)
    x = torch.as_tensor(x)
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def to_numpy(tree: Any) -> Any:
    """Every tensor of a tree as a NumPy array of its own."""
    if isinstance(tree, torch.Tensor):
        return np.array(tree.detach().cpu().numpy())
    if isinstance(tree, dict):
        return {key: to_numpy(item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(to_numpy(item) for item in tree)
    return tree


def synchronise(tree: Any) -> Any:
    """Wait until every tensor of a tree is computed: a GPU returns before the work is done."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return tree


def _find(device: str) -> torch.device:
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    number = int(index) if index.isdigit() else 0
    if number >= torch.cuda.device_count():
        raise InputError(
            f"pyro: device {device!r} is not here; torch sees {torch.cuda.device_count()} CUDA devices."
        )
    return torch.device("cuda", number)
