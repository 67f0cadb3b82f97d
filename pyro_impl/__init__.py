"""The Pyro/PyTorch backend: it fulfils ``ppl_parity.backend.contract.Backend`` and re-exports nothing else."""

from ppl_parity.backend.contract import lend_docstrings as _lend_docstrings
from pyro_impl.assignments import pointwise_log_likelihood, responsibilities, sample_assignments
from pyro_impl.evidence import automatic, elbo
from pyro_impl.holding import hold
from pyro_impl.mixture import mixture, render, sample_mixture
from pyro_impl.nuts import fit, sample_posterior
from pyro_impl.program import Program
from pyro_impl.runtime import NAME, devices, versions

__all__ = [
    "NAME",
    "Program",
    "automatic",
    "devices",
    "elbo",
    "fit",
    "hold",
    "mixture",
    "pointwise_log_likelihood",
    "render",
    "responsibilities",
    "sample_assignments",
    "sample_mixture",
    "sample_posterior",
    "versions",
]

_lend_docstrings(globals())
