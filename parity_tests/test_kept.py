"""Compiled functions that outlive their process: read back as they were, and built again where they cannot be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numpyro")

from ppl_parity.data import load_data
from ppl_parity.process.references import MixtureReference
from ppl_parity.process.sides import Side, SideError
from ppl_parity.process.spawning import child_environment
from ppl_parity.spec import SamplerSettings

SETTINGS = SamplerSettings(num_draws=20, num_warmup=20, num_chains=2, seed=3)
DATA = load_data("old-faithful")
SPEC = DATA.spec(num_components=2)
X = DATA.x[:40]

Draws = dict[str, np.ndarray]


def sampled(folder: Path, *asked: tuple[str, int]) -> list[Draws]:
    """Draws of a process of its own, by formulation and number of chains; what it compiles is kept in ``folder``."""
    with kept_in(folder) as side:
        return [drawn(side, *one) for one in asked or [("fused", 2)]]


def drawn(side: Side, formulation: str, chains: int) -> Draws:
    settings = replace(SETTINGS, num_chains=chains)
    return side.sample_posterior(MixtureReference(SPEC, formulation), {"x": X}, settings)[0]["posterior"]


@contextmanager
def kept_in(folder: Path) -> Iterator[Side]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
        with Side("numpyro", num_threads=2) as side:
            yield side


def stored(folder: Path) -> dict[str, int]:
    """name -> when it was written; to build anew is to write anew."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "programs").iterdir()}


def nuts(folder: Path) -> Path:
    """The largest of the programs."""
    return max((folder / "programs").iterdir(), key=lambda path: path.stat().st_size)


def equal(left: list[Draws], right: list[Draws]) -> bool:
    return all(
        np.array_equal(a[n], b[n]) for a, b in zip(left, right, strict=True) for n in ("theta", "beta")
    )


@dataclass(frozen=True)
class First:
    """What the first process drew and left, and what was there when it had been asked what follows from its draws."""

    draws: Draws
    folder: Path
    written: dict[str, int]
    in_the_end: dict[str, int]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """Of a process that compiles NUTS, once for all tests: each goes on with a copy of its folder."""
    folder = tmp_path_factory.mktemp("first")
    with kept_in(folder) as side:
        draws = drawn(side, "fused", 2)
        written = stored(folder)
        theta, beta = (np.concatenate(draws[name]) for name in ("theta", "beta"))
        side.pointwise_log_likelihood(SPEC, theta, beta, X)
        side.sample_assignments(SPEC, theta, beta, X, seed=5)
        side.responsibilities(SPEC, theta, beta, X)
    return First(draws, folder, written, stored(folder))


@pytest.fixture
def folder(first: First, tmp_path: Path) -> Path:
    """A copy of what the first process left, to the times at which it was written."""
    shutil.copytree(first.folder, tmp_path, dirs_exist_ok=True)
    assert stored(tmp_path) == first.in_the_end
    return tmp_path


@pytest.mark.long
def test_the_next_process_reads_it_back_and_draws_the_same(first: First, folder: Path) -> None:
    # NUTS, and what constrains its draws; and three for their rows, whatever the formulation.
    assert len(first.written) == 2 + 3
    with kept_in(folder) as side:
        again = drawn(side, "fused", 2)
        assert stored(folder) == first.written
        others = [drawn(side, "enumerated", 2)]
        assert len(stored(folder)) == 2 * 2 + 3
        # Another number of chains, which run on another number of devices, is another program.
        others.append(drawn(side, "fused", 1))
    assert equal([again], [first.draws])
    written = stored(folder)
    assert len(written) == 2 * 3 + 2 * 3
    assert equal(sampled(folder, ("enumerated", 2), ("fused", 1)), others)
    assert stored(folder) == written


def test_what_follows_from_the_draws_is_compiled_beside_the_sampler(first: First) -> None:
    """Three programs that the calls after a run find; a fourth would say that they looked for another."""
    assert first.in_the_end == first.written


@pytest.mark.long
def test_no_model_is_run_on_made_up_values() -> None:
    """What is compiled ahead is compiled, and not run."""
    import jax
    import numpyro
    import numpyro.distributions as dist

    import numpyro_impl

    seen: list[float] = []

    def model(y):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        jax.debug.callback(lambda value: seen.append(float(value)), mu)
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)

    settings = replace(SETTINGS, num_draws=5, num_warmup=5, num_chains=1, init="uniform")
    numpyro_impl.sample_posterior(model, {"y": np.array([0.3, 0.4])}, settings)
    jax.effects_barrier()
    assert seen
    assert 0.0 not in seen


def test_what_cannot_be_read_is_built_again(first: First, folder: Path) -> None:
    path = nuts(folder)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    assert equal(sampled(folder), [first.draws])
    assert nuts(folder) == path
    assert path.stat().st_size > len(half)  # whole again, and maybe as it was, byte by byte


@pytest.mark.long
def test_what_ends_a_process_ends_one_only(first: First, folder: Path) -> None:
    path = nuts(folder)
    path.write_bytes(b"cposix\n_exit\n(I7\ntR.")  # a pickle that ends whoever reads it
    with pytest.raises(SideError, match="exited with 7"):
        sampled(folder)
    assert [path.name for path in (folder / "programs").iterdir() if "@" in path.name]
    assert equal(sampled(folder), [first.draws])
    assert not [path.name for path in (folder / "programs").iterdir() if "@" in path.name]


def test_what_follows_from_the_draws_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    theta, beta = np.full((5, 2), 0.5), np.linspace(-1, 1, 20).reshape(5, 2, 2)

    def asked() -> list[np.ndarray]:
        with Side("numpyro", num_threads=1) as side:
            rows = side.pointwise_log_likelihood(SPEC, theta, beta, X)
            z = [side.sample_assignments(SPEC, theta, beta, X, seed=seed) for seed in (0, 1)]
            return [rows, *z, side.responsibilities(SPEC, theta, beta, X)]

    first, written = asked(), stored(tmp_path)
    assert len(written) == 3  # another seed is no other program
    assert not np.array_equal(first[1], first[2])
    assert all(np.array_equal(a, b) for a, b in zip(asked(), first, strict=True))
    assert stored(tmp_path) == written


ASKED = """
import sys
import jax, jax.numpy as jnp, numpy as np
from numpyro_impl.compiled import MEANWHILE, stored
def function(x):
    return jnp.cumsum(jnp.linalg.cholesky(x @ x.T + jnp.eye(3))[:, 1:] * x[:, ::-1][:, :2], axis=0) + x[0, 0]
x = np.arange(9.0, dtype=np.float32).reshape(3, 3)
if sys.argv[1] == "by us, out of its cache":
    MEANWHILE.clear()
build = lambda: (jax.jit(function).lower(x).compile(), None)
run = build()[0] if sys.argv[1] == "by JAX" else stored(("a function", x.shape), "cpu", build)[0]
print(np.asarray(run(x)).tolist())
"""


@pytest.mark.long
@pytest.mark.parametrize("early", [[], ["by us, out of its cache"]], ids=["kept well", "kept badly"])
def test_what_lies_in_the_cache_of_jax_is_built_anew(tmp_path: Path, early: list[str]) -> None:
    """An executable that JAX has read back lacks its functions when it is written again, and cannot be run."""
    environment = child_environment(1) | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path)}

    def asked(who: str) -> str:
        command = [sys.executable, "-c", ASKED, who]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first = asked("by JAX")
    assert [path for path in tmp_path.iterdir() if path.is_file()]
    badly = [(asked(who), stored(tmp_path)) for who in early]
    assert asked("by us") == first
    written = stored(tmp_path)
    assert len(written) == 1
    assert all(output == first and files.keys() == written.keys() for output, files in badly)
    assert all(files != written for _, files in badly)  # found wanting, and built again
    assert asked("by us") == first
    assert stored(tmp_path) == written
