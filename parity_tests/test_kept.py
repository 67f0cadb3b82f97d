"""Compiled functions that outlive their process: read back as they were, and built again where they cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numpyro")

from ppl_parity.data import load_data
from ppl_parity.references import MixtureReference
from ppl_parity.sides import Side, SideError
from ppl_parity.spec import SamplerSettings

SETTINGS = SamplerSettings(num_draws=20, num_warmup=20, num_chains=2, seed=3)
DATA = load_data("old-faithful")
SPEC = DATA.spec(num_components=2)
X = DATA.x[:40]

Draws = dict[str, np.ndarray]


def sampled(folder: Path, *, chains: int = 2, formulations: tuple[str, ...] = ("fused",)) -> list[Draws]:
    """Draws by a process of its own, which keeps what it compiles in ``folder``."""
    settings = replace(SETTINGS, num_chains=chains)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
        with Side("numpyro", num_threads=2) as side:
            return [
                side.sample_posterior(MixtureReference(SPEC, formulation), {"x": X}, settings)[0]["posterior"]
                for formulation in formulations
            ]


def stored(folder: Path) -> dict[str, int]:
    """name -> when it was written; to build anew is to write anew."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "programs").iterdir()}


def equal(left: list[Draws], right: list[Draws]) -> bool:
    return all(
        np.array_equal(a[n], b[n]) for a, b in zip(left, right, strict=True) for n in ("theta", "beta")
    )


def test_the_next_process_reads_it_back_and_draws_the_same(tmp_path: Path) -> None:
    formulations = ("fused", "marginal", "enumerated")
    first = sampled(tmp_path, formulations=formulations)
    written = stored(tmp_path)
    assert len(written) == 3
    assert equal(sampled(tmp_path, formulations=formulations), first)
    assert stored(tmp_path) == written
    # Another number of chains, which run on another number of devices, is another program.
    sampled(tmp_path, chains=1)
    written = stored(tmp_path)
    assert len(written) == 4
    sampled(tmp_path, chains=1)
    assert stored(tmp_path) == written


def test_what_cannot_be_read_is_built_again(tmp_path: Path) -> None:
    first = sampled(tmp_path)
    (path,) = (tmp_path / "programs").iterdir()
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    assert equal(sampled(tmp_path), first)
    (again,) = (tmp_path / "programs").iterdir()
    assert again == path
    assert not again.read_bytes().startswith(half)


def test_what_ends_a_process_ends_one_only(tmp_path: Path) -> None:
    first = sampled(tmp_path)
    (path,) = (tmp_path / "programs").iterdir()
    path.write_bytes(b"cposix\n_exit\n(I7\ntR.")  # a pickle that ends whoever reads it
    with pytest.raises(SideError, match="exited with 7"):
        sampled(tmp_path)
    assert equal(sampled(tmp_path), first)
