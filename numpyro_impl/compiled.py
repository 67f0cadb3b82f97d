"""What is compiled of a model: how hard, and kept for every program of it on data of the same shape.

Within a process a compiled function is found again by its model and the shapes of its data. Of a model that has an
``identity`` (of the mixture, whose numbers say all of it) it is also written beside JAX's own cache, and read back
by the next process without being traced, which takes a second where reading takes a tenth of it.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from numpyro_impl.kernels import cpu
from numpyro_impl.randomness import is_partitionable
from numpyro_impl.runtime import versions
from ppl_parity.backend.alone import helping
from ppl_parity.native.building import build_key
from ppl_parity.process.deferring import deferring

if TYPE_CHECKING:
    from numpyro_impl.tracing import TracedModel

# Compiled functions by model and shape of the data: simulation-based calibration refits one model many times.
_COMPILED: OrderedDict[Any, dict[Any, Any]] = OrderedDict()
MAX_COMPILED = 32
MOST_STORED = 256  # files, the newest: six of a fit, NUTS with some 1.5 MB and the others with 50 kB

# While a program is built to be stored: what comes from JAX's own cache cannot be serialised, so nothing may go there,
# nor be found there, as with another key it is not.
MEANWHILE = {
    "jax_persistent_cache_min_compile_time_secs": float("inf"),
    "jax_compilation_cache_include_metadata_in_key": True,
}

# The program of NUTS, whose rows are the native kernel's work: level 1 takes 1 s less to compile than XLA's own choice
# and is as fast a leapfrog (11.1 us at 300 rows, 39 at 10,000, 485 at 100,000). Level 0 takes another 0.1 to 0.3 s
# less, and 12.8, 42 and 505 us: less in all, but for many rows.
# Programs that run once, on what a fit drew, at level 0: 0.33 s in place of 0.79 for all three of 300 draws of 300
# rows, and at 80 million numbers 2.7 s in place of 1.5.
LEVELS = tuple(
    ({"xla_cpu_use_fusion_emitters": False}, {"xla_backend_optimization_level": level}) for level in (0, 1)
)
MANY_DATA = 1 << 18
FEW = 1 << 23


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


def kept(
    program: TracedModel, key: tuple[Any, ...], build: Callable[[], tuple[Any, Any]], *, num_devices: int = 1
) -> tuple[Any, Any]:
    """A compiled function of a program and what belongs to it: of this process, of an earlier one, or built now.

    Args:
        program: whose model and data ``build`` compiles for.
        key: everything else that decides what is built.
        build: returns a compiled function, and plain values that are kept with it.
        num_devices: that the function runs on, the first ones.
    """
    if key not in program.compiled:
        own = _own(program)
        identity = None if own is None else (*own, key)
        program.compiled[key] = stored(identity, program.device, build, num_devices=num_devices)
    return program.compiled[key]


def stored(
    identity: tuple[Any, ...] | None,
    device: str,
    build: Callable[[], tuple[Any, Any]],
    *,
    num_devices: int = 1,
) -> tuple[Any, Any]:
    """What ``build`` compiles, as an earlier process has left it or else built now.

    Args:
        identity: all that decides what is built, but for the session's precision and what surrounds it
            (sources, libraries, processor); None where nothing can say so, and nothing is left for others.
        device, build, num_devices: as in ``kept``.
    """
    path = _path(identity, device)
    if path is None:
        return build()
    return _restored(path, num_devices, build) or _built_for(path, build)


def store(identity: tuple[Any, ...], device: str, build: Callable[[], tuple[Any, Any]]) -> None:
    """Leave what ``build`` compiles for ``stored``, unless it is there, or nothing is ever left."""
    path = _path(identity, device)
    if path is not None and not path.exists():
        _built_for(path, build)


def beside(work: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """The result of ``work``, which leaves Python alone for long, and meanwhile ``other``.

    What the other raises is left to be raised where its result is wanted.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(helping(other))
        return work()


def _path(identity: tuple[Any, ...] | None, device: str) -> Path | None:
    """The file of a compiled function; None where it would have none."""
    folder: Any = getattr(jax.config, "jax_compilation_cache_dir", None)
    if not folder or identity is None or device != "cpu":
        return None
    everything = _surroundings(), str(jnp.result_type(float)), identity
    name = hashlib.sha256(repr(everything).encode()).hexdigest()[:32]
    return Path(folder) / "programs" / f"{name}.bin"


def shapes_of(tree: Any) -> tuple[Any, ...]:
    """The shape and type of every array of a tree, which with its structure decide what is compiled for it."""
    leaves, structure = jax.tree.flatten(tree)
    return (str(structure), *((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves))


def _own(program: TracedModel) -> tuple[Any, ...] | None:
    """What decides a compiled function of ``program``, whatever that is; None where it cannot be said."""
    identity = getattr(program.model, "identity", None)
    if identity is None or program.shards is not None:
        return None
    data = [
        _constant(leaf) if i not in program.passed else (np.shape(leaf), str(leaf.dtype))
        for i, leaf in enumerate(program.leaves)
    ]
    return identity, str(program.structure), data, program.precision, program.max_plate_nesting


@cache
def _surroundings() -> tuple[Any, ...]:
    """Whatever else a compiled function depends on: our sources, the libraries, this processor, the settings."""
    here = Path(__file__).resolve().parent
    sources = hashlib.sha256()
    shared = here.parent / "ppl_parity"
    folders = [shared, *(shared / name for name in ("backend", "native", "gpu"))]
    for path in [
        *sorted(here.rglob("*.py")),
        *(path for one in folders for path in sorted(one.glob("*.py"))),
    ]:
        sources.update(path.read_bytes())
    flags = {name: value for name, value in os.environ.items() if name.startswith(("JAX_", "XLA_"))}
    flags.pop("JAX_COMPILATION_CACHE_DIR", None)
    client = jax.local_devices(backend="cpu")[0].client
    return (
        sources.hexdigest(),
        sys.version,
        versions(),
        client.platform_version,
        _processor(),
        cpu.describe(),
        build_key("xla"),
        is_partitionable(),
        sorted(flags.items()),
    )


def _processor() -> str:
    """What instructions this processor has: a program compiled for others would end this one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _restored(path: Path, num_devices: int, build: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any] | None:
    """What an earlier process left at ``path``; None where that is nothing, or nothing that can be read.

    What can be read and cannot be run is built at its first call.
    """
    untried = path.with_suffix(f".{os.getpid()}@{platform.node().replace('.', '-')}")
    _forget_ended(path)
    try:
        # Out of the way until it has run once: what would end a process ends one process only.
        path.rename(untried)
        executable, about = pickle.loads(untried.read_bytes())
        _find_lapack()
        devices = jax.local_devices(backend="cpu")[:num_devices]
        compiled = deserialize_and_load(*executable, execution_devices=devices)
    except Exception:  # not there, cut short, or of a release that reads it otherwise: it is built again
        untried.unlink(missing_ok=True)
        return None

    def run(*arguments: Any) -> Any:
        nonlocal compiled
        if not untried.exists():
            return compiled(*arguments)
        try:
            result = jax.block_until_ready(compiled(*arguments))
        except KeyboardInterrupt:  # of a run that was too long for somebody: the program is none the worse
            with suppress(OSError):
                untried.rename(path)
            raise
        except jax.errors.JaxRuntimeError:
            untried.unlink(missing_ok=True)
            compiled, _ = _built_for(path, build)
            return compiled(*arguments)
        with suppress(OSError):
            untried.rename(path)
        return result

    return run, about


def _forget_ended(path: Path) -> None:
    """Remove what processes that have ended had out of the way: it was never run to its end."""
    for untried in path.parent.glob(f"{path.stem}.*"):
        number, _, node = untried.suffix[1:].partition("@")  # a folder may be shared among machines
        if number.isdecimal() and node == platform.node().replace(".", "-") and not _is_alive(int(number)):
            untried.unlink(missing_ok=True)


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


@cache
def _find_lapack() -> None:
    """Let JAX find LAPACK, which tracing what uses it would have done: SciPy's, that is a file of ``scipy.linalg``."""
    with deferring("scipy.linalg", entered=True):
        try:
            from jaxlib.lapack import prepare_lapack_call

            prepare_lapack_call("potrf_ffi", np.dtype(np.float64))
        except (ImportError, TypeError):  # another release's
            jax.jit(jnp.linalg.cholesky).lower(np.eye(1))


def _built_for(path: Path, build: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
    """What ``build`` compiles, left at ``path`` for the next process."""
    before = {name: getattr(jax.config, name) for name in MEANWHILE if hasattr(jax.config, name)}
    try:
        for name in before:
            jax.config.update(name, MEANWHILE[name])
        compiled, about = build()
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    # What cannot be serialised, or written, costs time and nothing else.
    with suppress(OSError, ValueError, RuntimeError):
        written = pickle.dumps((serialize(compiled), about))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(written)
        os.replace(file.name, path)  # another process sees all of it or nothing
        for old in sorted(path.parent.iterdir(), key=lambda one: one.stat().st_mtime)[:-MOST_STORED]:
            old.unlink(missing_ok=True)
    return compiled, about


def _constant(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | np.ndarray):
        return (np.shape(leaf), str(leaf.dtype), np.asarray(leaf).tobytes())
    return leaf


def in_precision(tree: Any) -> Any:
    """Every array of a tree as a NumPy array of the session's precision.

    A compiled function takes it as it is; a JAX array would cost a program of its own to make.
    """
    return jax.tree.map(lambda value: np.asarray(value, dtype=jnp.result_type(float)), tree)


def compile_options(model: Any, device: str, num_data: int) -> dict[str, Any] | None:
    """Compile options for the density of ``model`` on so many numbers of data; None leaves them to XLA."""
    native = getattr(model, "sums_rows", False) and device == "cpu" and cpu.is_native()
    return _accepted(LEVELS[num_data > MANY_DATA]) if native else None


def compile_options_of(numbers: int, device: str) -> dict[str, Any] | None:
    """Compile options for a program that makes so many numbers once; None leaves them to XLA."""
    return _accepted(LEVELS[0]) if numbers <= FEW and device == "cpu" else None


def _accepted(wanted: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Those of some options that this XLA knows; they come and go between releases."""
    together = {name: value for option in wanted for name, value in option.items()}
    if _is_known(tuple(together.items())):
        return together
    known = (option for option in wanted if _is_known(tuple(option.items())))
    return {name: value for option in known for name, value in option.items()}


@cache
def _is_known(options: tuple[tuple[str, Any], ...]) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=dict(options))()
    except jax.errors.JaxRuntimeError:
        return False
    return True
