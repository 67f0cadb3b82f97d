"""The libraries as loaded: the kernel's C functions, and the door of XLA."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ppl_parity.native import building
from ppl_parity.native.building import NoLibrary

SWITCH = "PPL_PARITY_NATIVE"  # 0: never the native kernel; build: not the one of the installation

VARIANTS = {"plain": 1, "AVX2": 2, "AVX-512": 4}

# XLA's names for what the library of its custom calls has.
HANDLERS = {
    "ppl_parity_mixture": "ppl_mixture_xla",
    "ppl_parity_potential": "ppl_potential_xla",
    "ppl_parity_random_bits": "ppl_random_bits_xla",
    "ppl_parity_random_split": "ppl_random_split_xla",
    "ppl_parity_random_fold_in": "ppl_random_fold_in_xla",
}

_MISSING: dict[str, NoLibrary] = {}
_loaded: list[ctypes.CDLL] = []
_threads = 0


class MixtureCall(ctypes.Structure):
    """``PplMixture`` of mixture.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "log_theta", "beta")),
        *((name, ctypes.c_void_p) for name in ("value", "grad_log_theta", "grad_beta")),
        *((name, ctypes.c_int64) for name in ("N", "D", "K", "C")),
        ("noise_scale", ctypes.c_double),
        *((name, ctypes.c_int32) for name in ("element_bytes", "threads", "variant")),
        ("lender", ctypes.c_void_p),
    )


class PotentialCall(ctypes.Structure):
    """``PplPotential`` of mixture.h."""

    _fields_ = (
        ("mixture", MixtureCall),
        *((name, ctypes.c_void_p) for name in ("alpha", "prior_mean", "prior_whiten")),
        ("constant", ctypes.c_double),
    )


@cache
def core() -> ctypes.CDLL:
    """The kernel, loaded once.

    Raises:
        NoLibrary: it is switched off, or there is none and none can be built; the same answer every time.
    """
    library = _remembered("core")
    library.ppl_mixture.argtypes = [ctypes.c_void_p]
    library.ppl_potential.argtypes = [ctypes.c_void_p] * 6
    library.ppl_set_threads.argtypes = [ctypes.c_int]
    library.ppl_set_threads(_threads)
    _loaded.append(library)
    return library


def set_threads(threads: int) -> None:
    """See ``native.set_threads``; nothing is loaded, still less built, for this alone."""
    global _threads
    _threads = threads
    for library in _loaded:
        library.ppl_set_threads(threads)


@cache
def xla(jaxlib: str, include: str) -> dict[str, Any]:
    """See ``native.xla_handlers``."""
    kernel = core()
    library = _remembered("xla", jaxlib, include)
    library.ppl_xla_use.argtypes = [ctypes.c_void_p] * 2
    library.ppl_xla_use(
        *(ctypes.cast(f, ctypes.c_void_p) for f in (kernel.ppl_mixture, kernel.ppl_potential))
    )
    return {target: library[symbol] for target, symbol in HANDLERS.items()}


def _remembered(kind: str, jaxlib: str = "", include: str | None = None) -> ctypes.CDLL:
    # A cache keeps no exceptions: without this, a machine without a compiler would look for one at each call.
    if kind in _MISSING:
        raise _MISSING[kind]
    try:
        return _load(kind, jaxlib, include)
    except NoLibrary as reason:
        _MISSING[kind] = reason
        raise


def _load(kind: str, jaxlib: str, include: str | None) -> ctypes.CDLL:
    switch = os.environ.get(SWITCH, "")
    if switch == "0":
        raise NoLibrary(f"{SWITCH}=0")
    key = building.build_key(kind, jaxlib)
    found = [] if switch == "build" else building.installed(kind)
    for path in [*found, building.cached(kind, jaxlib)]:
        library = _opened(path, key)
        if library is not None:
            return library
    path = building.build(kind, jaxlib, include)
    library = _opened(path, key)
    if library is None:
        raise NoLibrary(f"the library {path} was built here and cannot be loaded")
    return library


def _opened(path: Path, key: str) -> ctypes.CDLL | None:
    """The library at ``path`` if it is there, can be loaded, and is of these sources."""
    if not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
        build: Callable[[], bytes] = library.ppl_build
    except (OSError, AttributeError):  # of another system, or no library of ours
        return None
    build.restype = ctypes.c_char_p  # type: ignore[attr-defined]
    return library if build().decode() == key else None
