"""Environment variables that change numbers or times, caches, and the processor's floating-point modes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ppl_parity.cores import usable
from ppl_parity.doctor.check import Check
from ppl_parity.process.spawning import child_environment

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# Variable -> (values that are wrong, what they do).
INEXACT = {
    "NVIDIA_TF32_OVERRIDE": (("1",), "lets matrix products drop to ten bits (TF32)"),
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": (("1",), "lets torch's matrix products drop to ten bits (TF32)"),
    "JAX_DEFAULT_MATMUL_PRECISION": (
        ("bfloat16", "tensorfloat32", "default", "fastest", "BF16_BF16_F32"),
        "lets JAX's matrix products drop bits",
    ),
}

SLOW_FLAGS = ("xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1")


def checks() -> Iterator[Check]:
    """Everything about this process's environment."""
    yield threads(os.environ, usable())
    yield xla_flags(os.environ.get("XLA_FLAGS", ""))
    yield x64(os.environ.get("JAX_ENABLE_X64"))
    yield inexact(os.environ)
    yield cache(child_environment(1)["JAX_COMPILATION_CACHE_DIR"])
    yield denormals()


def threads(environment: Mapping[str, str], here: int) -> Check:
    """Whether the libraries are told to use other than the cores that there are."""
    for name in THREADS:
        value = environment.get(name, "")
        if value.isdigit() and int(value) > here:
            return Check(
                "threads", "warning", f"{name}={value} is more than the {here} usable cores; unset it."
            )
        if value.isdigit() and int(value) < here:
            return Check("threads", "warning", f"{name}={value} leaves cores idle: {here} may be used.")
    return Check("threads", "ok", "No variable sets the number of threads away from that of the cores.")


def xla_flags(flags: str) -> Check:
    """Whether XLA is told to be inexact or slow."""
    for flag in flags.split():
        name, _, value = flag.lstrip("-").partition("=")
        if "fast_math" in name and "honor" not in name and value.lower() not in ("false", "0"):
            return Check("XLA flags", "problem", f"{flag} lets XLA change results and drop NaN; take it out.")
        if flag.lstrip("-") in SLOW_FLAGS:
            return Check(
                "XLA flags", "warning", f"{flag} holds XLA to one thread; times are those of one core."
            )
    return Check("XLA flags", "ok", f"XLA_FLAGS is {flags!r}." if flags else "XLA_FLAGS is not set.")


def x64(value: str | None) -> Check:
    """Whether JAX's precision was set for the whole process."""
    if value not in (None, ""):
        return Check(
            "x64",
            "warning",
            f"JAX_ENABLE_X64={value} is set; --precision decides here, your own scripts get it.",
        )
    return Check("x64", "ok", "JAX_ENABLE_X64 is not set; --precision decides.")


def inexact(environment: Mapping[str, str]) -> Check:
    """Whether matrix products are told to drop bits."""
    for name, (wrong, what) in INEXACT.items():
        if environment.get(name) in wrong:
            return Check("precision", "problem", f"{name}={environment[name]} {what}; unset it.")
    return Check("precision", "ok", "No variable lets matrix products drop bits.")


def cache(folder: str) -> Check:
    """Whether compiled programs are kept for the next process."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(
            "cache",
            "warning",
            f"{folder} is not writable ({error.strerror}): every process compiles anew. "
            "Set JAX_COMPILATION_CACHE_DIR.",
        )
    return Check("cache", "ok", f"Compiled programs are kept in {folder}.")


def denormals() -> Check:
    """Whether the smallest numbers are flushed to zero in this process."""
    if flushes():
        return Check(
            "denormals",
            "problem",
            "Numbers below 1e-38 are flushed to zero: a library built with -ffast-math was loaded.",
        )
    return Check("denormals", "ok", "Denormal numbers are kept.")


def flushes() -> bool:
    """Whether float32 arithmetic loses denormal numbers, in this process as it is now."""
    smallest = np.full(8, np.finfo(np.float32).tiny, dtype=np.float32)
    return not bool(np.all(smallest * np.float32(0.5) > 0))
