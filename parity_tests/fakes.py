"""A backend of one small model, exact and fast, with faults to order: for tests of what the ladder decides.

    mu ~ Normal(prior_mean, 1),    w ~ Exponential(1),    y_i ~ Normal(mu, 1), i = 1..4

Its posterior is known, so its "NUTS" draws from it, with whatever is asked to be wrong.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.signal import lfilter

from ppl_parity.backend.contract import Arrays, Site
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import CheckSettings, Context
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.pair.points import Point
from ppl_parity.process.references import CallableReference

Y = np.array([0.3, -0.2, 0.9, 0.4])


@dataclass
class Faults:
    """What is wrong with a fake backend.

    Attributes:
        prior_mean: of mu, in density and sampler alike: another model.
        sampler_shift, sampler_scale: of prior draws of mu only: a sampler that does not match its log prob.
        posterior_shift: of posterior draws of mu, in posterior sd. ignore_data: the posterior is the prior.
        rho: autocorrelation of the chains. stuck: sd by which the chains' means are apart.
        diverging: share of draws. correlation: of the posterior's mu and w.
        nan: share of prior draws of w. improper: the prior cannot be drawn from. undrawable: y cannot.
        flat: the density does not depend on w.
        marginal: added to the posterior probability of z = 1.
    """

    prior_mean: float = 0.0
    sampler_shift: float = 0.0
    sampler_scale: float = 1.0
    posterior_shift: float = 0.0
    ignore_data: bool = False
    rho: float = 0.0
    stuck: float = 0.0
    diverging: float = 0.0
    correlation: float = 0.0
    nan: float = 0.0
    improper: bool = False
    undrawable: bool = False
    refuses: bool = False
    flat: bool = False
    marginal: float = 0.0


class FakeProgram:
    """The model's program; see ``contract.Program``."""

    def __init__(self, faults: Faults, data: Mapping[str, Any]) -> None:
        self.faults, self.y = faults, np.asarray(data["y"], dtype=float)

    def sites(self, values: Mapping[str, np.ndarray] | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        return tuple(sites().values())

    def prior_samples(self, *, num_draws: int, seed: int, kept: Collection[str] = ()) -> Arrays:
        if self.faults.improper:
            raise InputError("fake: an improper prior has no draws.")
        rng, faults = np.random.default_rng(seed), self.faults
        self._refuse_y(kept)
        own = faults.prior_mean + faults.sampler_shift + faults.sampler_scale * rng.normal(size=num_draws)
        w = rng.exponential(size=num_draws)
        w[rng.uniform(size=num_draws) < faults.nan] = np.nan
        y = own[:, None] + rng.normal(size=(num_draws, len(self.y)))
        drawn = {"mu": own, "w": w, "z": rng.integers(0, 2, size=num_draws), "y": y}
        return {name: value for name, value in drawn.items() if name not in kept}

    def predictive_samples(
        self, draws: Mapping[str, np.ndarray], *, seed: int, kept: Collection[str] = ()
    ) -> Arrays:
        rng = np.random.default_rng(seed)
        self._refuse_y(kept)
        return {} if kept else {"y": draws["mu"][:, None] + rng.normal(size=(len(draws["mu"]), len(self.y)))}

    def _refuse_y(self, kept: Collection[str]) -> None:
        if self.faults.undrawable and "y" not in kept:
            raise InputError("fake: the sampler of 'y' (Normal) failed: TypeError: no integers")

    def site_log_probs(self, values: Mapping[str, np.ndarray]) -> Arrays:
        mu, w = np.asarray(values["mu"]), np.asarray(values["w"])
        return {
            "mu": _normal(mu, self.faults.prior_mean),
            "w": np.where(w > 0, -w, -np.inf),
            "y": _normal(self.y, mu),
        }

    def log_density(self, values: Mapping[str, np.ndarray]) -> float:
        return float(sum(np.sum(value) for value in self.site_log_probs(values).values()))

    def log_likelihood(self, draws: Mapping[str, np.ndarray]) -> Arrays:
        return {"y": _normal(self.y, draws["mu"][:, None])}

    def discrete_marginals(self, values: Mapping[str, np.ndarray]) -> Arrays:
        one = 1 / (1 + np.exp(-float(values["mu"]))) + self.faults.marginal
        return {"z": np.array([1 - one, one])}

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        return {"mu": np.zeros(num_chains), "w": np.zeros(num_chains)}

    def potential_and_gradient(self, unconstrained: Mapping[str, np.ndarray]) -> tuple[float, Arrays]:
        slopes = {name: np.asarray(value) for name, value in unconstrained.items()}
        if self.faults.flat:
            slopes["w"] = np.zeros(())
        return float(sum(0.5 * np.sum(slope**2) for slope in slopes.values())), slopes

    def unconstrain(self, values: Mapping[str, np.ndarray]) -> Arrays:
        return {"mu": np.asarray(values["mu"]), "w": np.log(values["w"])}

    def constrain(self, unconstrained: Mapping[str, np.ndarray]) -> Arrays:
        return {"mu": unconstrained["mu"], "w": np.exp(unconstrained["w"])}


class FakeSide:
    """The backend; see ``sides.Side``."""

    def __init__(self, name: str, faults: Faults) -> None:
        self.name, self.faults, self.runs = name, faults, 0
        self.timeouts: list[float] = []

    def another(self) -> FakeSide:
        return FakeSide(self.name, self.faults)

    def __enter__(self) -> FakeSide:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def program(self, model: Any, data: Mapping[str, Any], **options: Any) -> FakeProgram:
        return FakeProgram(self.faults, data)

    def sample_posterior(self, model: Any, data: Mapping[str, Any], settings: Any, **options: Any):
        self.runs += 1
        self.timeouts.append(options["timeout"])
        faults = self.faults
        if faults.refuses:
            raise InputError(f"{self.name}: NUTS cannot sample this model.")
        rng = np.random.default_rng([settings.seed, SIDES.index(self.name)])
        shape = (settings.num_chains, settings.num_draws)
        first, second = (chains(rng, *shape, faults.rho) for _ in range(2))
        second = faults.correlation * first + np.sqrt(1 - faults.correlation**2) * second
        y = np.asarray(data["y"])
        n = 0 if faults.ignore_data else len(y)
        mean, sd = (faults.prior_mean + n * y.mean()) / (1 + n), 1 / np.sqrt(1 + n)
        apart = faults.stuck * np.arange(settings.num_chains)[:, None]
        mu = mean + sd * (first + apart + faults.posterior_shift)
        diverging = rng.uniform(size=shape) < faults.diverging
        posterior = {"mu": mu, "w": stats.expon.isf(stats.norm.sf(second))}
        return {"posterior": posterior, "sample_stats": {"diverging": diverging, "lp": -(first**2) / 2}}, {}


def _normal(x: np.ndarray, mean: Any) -> np.ndarray:
    return -0.5 * (x - mean) ** 2 - 0.5 * np.log(2 * np.pi)


def chains(rng: np.random.Generator, num_chains: int, num_draws: int, rho: float) -> np.ndarray:
    """Stationary AR(1) chains (C, S) of N(0, 1) draws; an ESS of C S (1 - rho) / (1 + rho)."""
    noise = rng.normal(size=(num_chains, num_draws)) * np.sqrt(1 - rho**2)
    noise[:, 0] = rng.normal(size=num_chains)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise, axis=1))


def context(
    pyro: Faults | None = None, numpyro: Faults | None = None, *, seed: int = 0, budget: float = 60.0
) -> Context:
    """A climb of a pair of fakes, at the sampling rungs."""
    faults = {"pyro": pyro or Faults(), "numpyro": numpyro or Faults()}
    model = CallableReference(b"")
    pair = Pair("fake", {side: model for side in SIDES}, {side: {"y": Y} for side in SIDES})
    sides = {side: FakeSide(side, faults[side]) for side in SIDES}
    rng = np.random.default_rng(seed)
    points = [
        Point(f"prior {i}", {"mu": rng.normal(size=()), "w": rng.exponential(size=())}) for i in range(20)
    ]
    points = [Point(p.name, {n: np.asarray(v) for n, v in p.values.items()}) for p in points]
    return Context(
        pair=pair,
        settings=CheckSettings(seed=seed, budget=budget),
        sides=sides,  # type: ignore[arg-type]
        programs={side: FakeProgram(faults[side], {"y": Y}) for side in SIDES},  # type: ignore[misc]
        sites={side: sites() for side in SIDES},
        shared=("mu", "w"),
        points=points,
        alpha={"forward": 0.0033, "posterior": 0.0033},
        results={"verdicts": {"density": "same"}},
        deadline=time.monotonic() + budget,
    )


def sites() -> dict[str, Site]:
    """The fake model's sites."""
    described = [
        Site("mu", "latent", "Normal", (), (), "real", "float64", value=np.array(0.0)),
        Site("w", "latent", "Exponential", (), (), "positive", "float64", value=np.array(1.0)),
        Site("z", "latent", "Bernoulli", (), (), "boolean", "int64", enumerated=True, value=np.array(1)),
        Site("y", "observed", "Normal", (4,), (), "real", "float64", value=Y),
    ]
    return {site.name: site for site in described}
