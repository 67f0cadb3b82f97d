"""The Pyro/PyTorch backend: it fulfils ``ppl_parity.contract.Backend`` and re-exports nothing else."""

from pyro_impl.mixture import mixture, render, responsibilities, sample_assignments, sample_mixture
from pyro_impl.nuts import fit, sample_posterior
from pyro_impl.program import Program
from pyro_impl.runtime import NAME, devices, versions

__all__ = [
    "NAME",
    "Program",
    "devices",
    "fit",
    "mixture",
    "render",
    "responsibilities",
    "sample_assignments",
    "sample_mixture",
    "sample_posterior",
    "versions",
]
