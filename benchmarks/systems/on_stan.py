"""Stan's NUTS (pystan), the density vectorised over rows."""

# pyright: reportMissingImports=false
# Peers live in an environment of their own.
from __future__ import annotations

import shutil
from importlib import metadata
from typing import Any

import numpy as np
import stan
from httpstan.cache import model_directory

from ppl_parity.errors import InputError, one_of
from ppl_parity.spec import MixtureSpec

# The logsumexp over K is K - 1 vectorised ones over N, each with one node of Stan's reverse mode.
PROGRAM = """
data {
  int N; int D; int K;
  matrix[N, D] x;
  vector[K] alpha; vector[D] mu; matrix[D, D] prior_tril;
  real s;
}
transformed data {
  real constant = -0.5 * sum(columns_dot_self(x)) / square(s) - 0.5 * N * D * log(2 * pi() * square(s));
}
parameters {
  simplex[K] theta;
  matrix[K, D] beta;
}
model {
  theta ~ dirichlet(alpha);
  for (k in 1:K) to_vector(beta[k]) ~ multi_normal_cholesky(mu, prior_tril);
  {
    matrix[N, K] terms = x * beta' / square(s);
    vector[K] shift = log(theta) - 0.5 * rows_dot_self(beta) / square(s);
    vector[N] total = terms[, 1] + shift[1];
    for (k in 2:K) total = log_sum_exp(total, terms[, k] + shift[k]);
    target += constant + sum(total);
  }
}
"""


def versions() -> dict[str, str]:
    """Distribution name -> version."""
    return {name: metadata.version(name) for name in ("pystan", "httpstan", "numpy")}


class System:
    """See ``benchmarks.systems``; the formulation is ``vectorised``."""

    def __init__(self, formulation: str, spec: MixtureSpec, x: np.ndarray, dtype: str, device: str) -> None:
        one_of("formulation of stan", formulation, ("vectorised",))
        if device != "cpu" or dtype != "float64":
            raise InputError(f"stan runs here on the CPU in float64; got {device}, {dtype}.")
        self._data: dict[str, Any] = {
            "N": len(x),
            "D": spec.dim,
            "K": spec.num_components,
            "x": np.asarray(x),
            "alpha": spec.concentration,
            "mu": spec.prior_mean,
            "prior_tril": np.linalg.cholesky(spec.prior_cov),
            "s": spec.noise_scale,
        }
        self._built: dict[int, Any] = {}
        self.settings = {
            "first step size": "found by search",
            "mass": "diagonal, adapted in windows",
            "precision": "float64",
            "threads": "1 process a chain",
        }

    def log_density(self, theta: np.ndarray, beta: np.ndarray) -> np.ndarray:
        """See ``benchmarks.systems``."""
        model = self._model(0)
        values = []
        for t, b in zip(theta, beta, strict=True):
            u = model.unconstrain_pars({"theta": t.tolist(), "beta": b.tolist()})
            values.append(model.log_prob(u, adjust_transform=False))
        return np.array(values, dtype=np.float64)

    def sample(
        self, theta: np.ndarray, beta: np.ndarray, *, num_warmup: int, num_draws: int, seed: int
    ) -> dict[str, Any]:
        """See ``benchmarks.systems``."""
        starts = [{"theta": t.tolist(), "beta": b.tolist()} for t, b in zip(theta, beta, strict=True)]
        chains, model = len(starts), self._model(seed)
        # httpstan remembers fits, and would answer the same question again without sampling.
        shutil.rmtree(model_directory(model.model_name) / "fits", ignore_errors=True)
        fit = model.sample(num_chains=chains, num_warmup=num_warmup, num_samples=num_draws, init=starts)

        def by_chain(name: str) -> np.ndarray:
            values = np.asarray(fit[name])  # (..., draw * chain), the chain running fastest
            values = values.reshape(*values.shape[:-1], -1, chains)
            return np.moveaxis(values, (-1, -2), (0, 1))

        one = {name: by_chain(name)[..., 0] for name in ("n_leapfrog__", "divergent__")}
        kept = {name: by_chain(name) for name in ("theta", "beta")}
        return kept | {
            "n_steps": one["n_leapfrog__"].astype(int),
            "diverging": one["divergent__"].astype(bool),
        }

    def _model(self, seed: int) -> Any:
        if seed not in self._built:
            self._built[seed] = stan.build(PROGRAM, data=self._data, random_seed=seed)
        return self._built[seed]
