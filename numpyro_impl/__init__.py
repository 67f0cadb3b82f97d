"""The NumPyro/JAX backend: it fulfils ``ppl_parity.backend.contract.Backend`` and re-exports nothing else."""

from numpyro_impl.assignments import pointwise_log_likelihood, responsibilities, sample_assignments
from numpyro_impl.evidence import automatic, elbo
from numpyro_impl.holding import hold
from numpyro_impl.mixture import mixture, render, sample_mixture
from numpyro_impl.nuts import fit, sample_posterior
from numpyro_impl.program import Program
from numpyro_impl.runtime import NAME, devices, versions
from ppl_parity.backend.contract import lend_docstrings as _lend_docstrings

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
