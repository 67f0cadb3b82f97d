"""What a backend is: the one public description of what ``numpyro_impl`` and ``pyro_impl`` both offer.

Only NumPy arrays, Python numbers, strings and the frozen classes below cross this border; no key,
generator, tensor or context manager does. A *model* is opaque: a function of its own framework, called as
``model(**data)``. A test compares the file lists, names, parameter kinds and defaults of both packages
with what stands here, so this file is where a signature is changed first.

Every quantity is computed in the ``precision`` asked for, on the ``device`` asked for, and both are restored
afterwards: nothing here leaves a process-wide switch behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from ppl_parity.spec import MixtureSpec, SamplerSettings

Model = Callable[..., Any]
"""A model function of one framework, called with the data as keyword arguments."""

Values = Mapping[str, np.ndarray]
"""Site name -> value."""

Arrays = dict[str, np.ndarray]

Groups = dict[str, Arrays]
"""ArviZ group -> variable -> array; ``posterior`` and ``sample_stats`` lead with (chain, draw)."""

DISCRETE_SUPPORTS = ("boolean", "nonnegative_integer", "positive_integer", "integer_interval", "multinomial")
"""How the supports of integers begin."""

SiteKind = Literal["latent", "observed", "deterministic", "factor", "param"]


@dataclass(frozen=True)
class Plate:
    """A declared conditional independence: ``size`` copies along batch dimension ``dim`` (negative)."""

    name: str
    dim: int
    size: int
    subsample_size: int


@dataclass(frozen=True)
class Site:
    """One ``sample`` statement of a model, in words that are the same for both frameworks.

    Attributes:
        name: the site's name.
        kind: latent, observed, deterministic, or factor; or param, of a ``param`` statement.
        family: the distribution's name, without the wrappers and suffixes that only one framework has
            (``Categorical``, never ``CategoricalProbs``; the base of an ``Independent``).
        batch_shape, event_shape: of the outermost distribution, as the site uses it.
        support: the support's name in both frameworks' common vocabulary, with bounds where it has them:
            ``real``, ``positive``, ``interval(0, 1)``, ``simplex``, ``integer_interval(0, 2)``...
        dtype: of the site's value, as NumPy names it.
        plates: the plates around it, outermost first.
        enumerated: whether the density sums this site out.
        scale: the factor on its log probability (subsampling, ``scale`` handlers); 1 if there is none. Of an array
            of them the one furthest from 1.
        weights: that array; None where it is one number.
        masked: whether a mask removes some of its log probability.
        value: the value in a traced run of the model, with seed 0 unless another is asked for; the data at an
            observed site.
        params: the distribution's parameters at that run, by name, where they are arrays.
        bounds: the support's at that run, ``lower bound`` and ``upper bound``, of those that it has.
    """

    name: str
    kind: SiteKind
    family: str
    batch_shape: tuple[int, ...]
    event_shape: tuple[int, ...]
    support: str
    dtype: str
    plates: tuple[Plate, ...] = ()
    enumerated: bool = False
    scale: float = 1.0
    weights: np.ndarray | None = None
    masked: bool = False
    value: np.ndarray | None = None
    params: Arrays = field(default_factory=dict)
    bounds: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Trajectory:
    """A leapfrog trajectory of T steps from a given position and momentum.

    Attributes:
        position, momentum: site -> (T + 1, ...), unconstrained; the first row is what was given.
        potential: (T + 1,) U(q) = -log density in unconstrained coordinates.
        energy: (T + 1,) H = U(q) + p . M^-1 p / 2.
    """

    position: Arrays
    momentum: Arrays
    potential: np.ndarray
    energy: np.ndarray


class Program(Protocol):
    """Any model of one backend, bound to its data: what the ladder and the samplers ask of it.

    Write y for the latent continuous sites in their constrained spaces, z for the discrete latent sites,
    u for y in unconstrained coordinates, and T for the map u -> y.

    Args:
        model: a model function of this backend.
        data: its keyword arguments: NumPy arrays (converted to the framework's arrays of ``precision``;
            integers and booleans keep their kind) or plain Python values (passed as they are).
        precision: ``float64`` or ``float32``, for all arrays. A model function with a true attribute
            ``float64_parameters`` keeps its parameters and its density in float64, and ``precision`` is that
            of its data alone: sums over the data in float32 would leave nothing of an energy difference.
        device: ``cpu`` or ``gpu`` (``gpu:1`` for the second).
        max_plate_nesting: batch dimensions used by plates; None lets the framework find it.
        num_shards: devices that the rows of the mixture's x are spread over; only NumPyro can. In a run of
            several processes (``jax.distributed``) each of them gives its own rows.

    Raises:
        InputError: the model cannot be traced with these data; the message names the backend.
    """

    def __init__(
        self,
        model: Model,
        data: Mapping[str, Any],
        *,
        precision: str = "float64",
        device: str = "cpu",
        max_plate_nesting: int | None = None,
        num_shards: int = 1,
    ) -> None: ...

    def of_discrete(self) -> tuple[str, ...]:
        """The deterministic sites that move with a discrete latent one, and have no value where that is summed out."""
        ...

    def sites(self, values: Values | None = None, *, seed: int = 0) -> tuple[Site, ...]:
        """The model's sites in the order it visits them, at the given latent values if there are any.

        Args:
            values: latent sites, in constrained space; of the others the values are drawn.
            seed: of what is drawn, and of any random number that the model makes beside its sites.
        """
        ...

    def foreign_statements(self) -> tuple[str, ...]:
        """Statements of the other framework that the model runs, such as ``numpyro.factor('x')``.

        They have no effect in this one, and no error: a likelihood that is written so is missing.
        """
        ...

    def params(self, *, seed: int | None = None) -> tuple[Site, ...]:
        """The ``param`` statements that the model runs; each has its initial value where none is given.

        Args:
            seed: of values T(T^-1(initial) + normal noise) in place of the initial ones, T being the constraint's
                map (``learned.away``). A value that the model would not take, or that is no array of float64,
                stays as it is.

        Returns:
            sites of kind ``param``: ``value`` is the initial or the moved one, ``support`` the constraint.
        """
        ...

    def drawn_anew(self) -> Arrays:
        """What each run draws beside its sites: initial values of params, and which rows a plate takes.

        Returns:
            param, or plate -> its value in the run of seed 0. A param that is no array, as a network's tree of them, is
            left out.
        """
        ...

    def site_log_probs(self, values: Values) -> Arrays:
        """Elementwise log probability of every latent, observed and factor site, scaled and masked.

        Args:
            values: every latent site's value, discrete ones included, in constrained space; and those of params
                that shall not have their initial one.

        Returns:
            site -> array of the site's batch shape.

        Raises:
            InputError: a latent site is missing from ``values``, or a name there is none.
        """
        ...

    def log_joint(self, values: Values) -> float:
        """log p(y, z, data): the sum of all site log probabilities, with z given."""
        ...

    def log_density(self, values: Values) -> float:
        """log p(y, data) = log sum_z p(y, z, data), with z enumerated; y, and params, in constrained space."""
        ...

    def discrete_marginals(self, values: Values) -> Arrays:
        """p(z_i = k | y, data) for every enumerated site: site -> batch shape + (number of values,).

        Exact, by differentiating log sum_z p(y, z, data) exp(sum_i t_i[z_i]) in t at 0, so it holds for
        any dependence among the discrete sites.
        """
        ...

    def unconstrain(self, values: Values) -> Arrays:
        """u = T^-1(y), by the framework's own bijection for each site's support."""
        ...

    def constrain(self, unconstrained: Values) -> Arrays:
        """y = T(u), deterministic sites included."""
        ...

    def log_abs_det_jacobian(self, unconstrained: Values) -> Arrays:
        """site -> log |det dT/du|, a scalar a site."""
        ...

    def potential(self, unconstrained: Values) -> float:
        """U(u) = -log p(T(u), data) - log |det dT/du|, as the framework's own sampler defines it."""
        ...

    def potential_and_gradient(self, unconstrained: Values) -> tuple[float, Arrays]:
        """U(u) and dU/du by the framework's automatic differentiation."""
        ...

    def leapfrog(
        self,
        unconstrained: Values,
        momentum: Values,
        *,
        step_size: float,
        num_steps: int,
        inverse_mass: Values | None = None,
    ) -> Trajectory:
        """The leapfrog trajectory, by the framework's own integrator.

            p_{1/2} = p - (step/2) dU(q);  q' = q + step M^-1 p_{1/2};  p' = p_{1/2} - (step/2) dU(q')

        Args:
            unconstrained, momentum: starting q and p, site -> array.
            step_size: in units of the unconstrained coordinates.
            num_steps: T, at least 1.
            inverse_mass: diagonal of M^-1, shaped as the positions; None is the identity.
        """
        ...

    def initial(self, strategy: str, *, num_chains: int, seed: int) -> Arrays:
        """Starting points with finite potential and gradient, by the framework's own strategy.

        Args:
            strategy: ``uniform`` (each unconstrained coordinate in (-2, 2)) or ``prior``.

        Returns:
            site -> (num_chains, ...), unconstrained.
        """
        ...

    def prior_samples(self, *, num_draws: int, seed: int, kept: Collection[str] = ()) -> Arrays:
        """Independent joint draws of every site, observed ones included as if they were not observed.

        Args:
            kept: observed sites that keep their data in every draw, and are left out: of no use but where a
                library cannot draw from them.

        Returns:
            site -> (num_draws, ...), deterministic sites included.
        """
        ...

    def vector_jacobian(self, values: Values, vectors: Values, by: Collection[str]) -> Arrays:
        """v . df/dy_j for deterministic sites f, by automatic differentiation, in constrained space.

        Args:
            values: the latent sites' values, in constrained space, and those of params that shall not have their
                initial one; discrete sites may be left out and are then drawn.
            vectors: deterministic site -> (W, ...): W vectors v over all of these sites.
            by: the latent sites y_j, continuous ones; the others are held.

        Returns:
            site of ``by`` -> (W, ...).

        Raises:
            InputError: a value is missing, or a name there is none.
        """
        ...

    def predictive_samples(self, draws: Values, *, seed: int, kept: Collection[str] = ()) -> Arrays:
        """One replicate of every observed site for each draw of the latent ones.

        Args:
            draws: site -> (num_draws, ...), constrained; discrete latent sites may be left out and are
                then drawn from their conditional prior.
            kept: as for ``prior_samples``.

        Returns:
            observed site -> (num_draws, ...).
        """
        ...

    def log_likelihood(self, draws: Values) -> Arrays:
        """Elementwise log probability of every observed site for each draw, as it enters the density.

        So a ``scale`` multiplies it, and a row that is masked has 0: leave such rows out before a leave-one-out
        comparison counts them.

        Returns:
            observed site -> (num_draws, ...).

        Raises:
            InputError: the model has enumerated sites, for which no elementwise value exists in general.
        """
        ...


class Backend(Protocol):
    """A backend package: ``import numpyro_impl as backend``."""

    NAME: str
    Program: type[Program]

    @staticmethod
    def versions() -> dict[str, str]:
        """Distribution name -> version, of everything that can change this backend's numbers."""
        ...

    @staticmethod
    def devices() -> list[str]:
        """The devices that can be asked for here: always ``cpu``, and ``gpu`` if there is one."""
        ...

    @staticmethod
    def mixture(spec: MixtureSpec, formulation: str = "enumerated") -> Model:
        """The shipped mixture as a model function ``model(x=None, num_data=None)`` of this framework.

            theta ~ Dirichlet(alpha);      beta_k ~ MVN(mu, Sigma)
            z_i ~ Categorical(theta);      x_i ~ MVN(beta_{z_i}, s^2 I)

        Args:
            spec: the hyperparameters.
            formulation: ``enumerated`` (a site z, summed out by the PPL), ``marginal`` (a mixture
                distribution for each x_i) or ``fused`` (one site for all of x, value and gradient in one
                pass); the same density of (theta, beta), to rounding.

        Raises:
            InputError: no such formulation.
        """
        ...

    @staticmethod
    def hold(model: Model, values: Values) -> Model:
        """A model with these values of its params, and these rows of its plates, in place of what it would draw.

        Args:
            values: param -> its value, in constrained space; plate -> the indices of the rows that it takes.
        """
        ...

    @staticmethod
    def sample_mixture(
        spec: MixtureSpec,
        num_data: int,
        *,
        num_draws: int = 1,
        seed: int = 0,
        precision: str = "float64",
        device: str = "cpu",
    ) -> Arrays:
        """Ancestral samples of the generative process, in the order theta, beta, z, x.

        Returns:
            theta (S, K), beta (S, K, D), z (S, N) int64, x (S, N, D), for S = num_draws, N = num_data.
        """
        ...

    @staticmethod
    def responsibilities(
        spec: MixtureSpec,
        theta: np.ndarray,
        beta: np.ndarray,
        x: np.ndarray,
        *,
        precision: str = "float64",
        device: str = "cpu",
    ) -> np.ndarray:
        """r_ik = p(z_i = k | x_i, theta, beta) = softmax_k [log theta_k - |x_i - beta_k|^2 / (2 s^2)].

        Args:
            theta: (S, K). beta: (S, K, D). x: (N, D).

        Returns:
            (N, K), the mean over the S draws; S = 1 gives the responsibilities at one point. Memory stays
            at one draw's N x K.
        """
        ...

    @staticmethod
    def sample_assignments(
        spec: MixtureSpec,
        theta: np.ndarray,
        beta: np.ndarray,
        x: np.ndarray,
        *,
        seed: int = 0,
        precision: str = "float64",
        device: str = "cpu",
    ) -> np.ndarray:
        """Exact draws of z from p(z | x, theta, beta), one for each posterior draw.

        Args:
            theta: (S, K). beta: (S, K, D). x: (N, D).

        Returns:
            (S, N) int64.
        """
        ...

    @staticmethod
    def pointwise_log_likelihood(
        spec: MixtureSpec,
        theta: np.ndarray,
        beta: np.ndarray,
        x: np.ndarray,
        *,
        precision: str = "float64",
        device: str = "cpu",
    ) -> np.ndarray:
        """log p(x_i | theta, beta) with z summed out, for each draw and row.

        Args:
            theta: (S, K). beta: (S, K, D). x: (N, D).

        Returns:
            (S, N), in nats.
        """
        ...

    @staticmethod
    def render(model: Model, data: Mapping[str, Any], path: str | Path) -> Path:
        """Draw the model's graph with the framework's own renderer.

        Args:
            path: where to write; the suffix picks the format. ``.gv`` holds the graph's source and needs no
                Graphviz program; ``.pdf``, ``.png`` and ``.svg`` do.

        Raises:
            InputError: the suffix is none of these, or Graphviz's ``dot`` is not installed.
        """
        ...

    @staticmethod
    def sample_posterior(
        model: Model,
        data: Mapping[str, Any],
        settings: SamplerSettings,
        *,
        initial_values: Values | None = None,
        inverse_mass: np.ndarray | None = None,
        max_plate_nesting: int | None = None,
        progress: bool = False,
    ) -> tuple[Groups, dict[str, Any]]:
        """NUTS on the model, with the framework's own kernel; what ``fit`` puts into a DataTree.

        Args:
            initial_values: explicit starting points, site -> (num_chains, ...) in constrained space;
                None takes ``settings.init``.
            inverse_mass: the inverse mass matrix that every chain starts with, (P, P) or its diagonal (P,),
                over the P unconstrained numbers of a chain: sites in alphabetical order, each in C order.
                None is the identity.
            progress: draw a progress bar on standard error.

        Returns:
            groups ``posterior`` (deterministic sites included) and ``sample_stats`` (diverging, n_steps,
            tree_depth, acceptance_rate, step_size, energy, lp), each (chain, draw, ...); and the attributes
            that let the run be repeated.

        Raises:
            InputError: a setting that this backend or this model cannot use.
        """
        ...

    @staticmethod
    def automatic(guide: Model, data: Mapping[str, Any]) -> dict[str, Any]:
        """What a guide is that the framework makes of a model: what can be said of it in both frameworks.

        Returns:
            nothing for a guide that is written out; else its ``family``, as AutoNormal, the ``sites`` that it draws,
            where that can be known, and the initial ``scale``, and the ``rank``, where the family has one.
        """
        ...

    @staticmethod
    def elbo(
        model: Model,
        guide: Model,
        data: Mapping[str, Any],
        params: Sequence[Values],
        *,
        num_draws: int,
        seed: int,
        max_plate_nesting: int | None = None,
    ) -> tuple[np.ndarray, Arrays]:
        """Estimates of the evidence lower bound, and of its gradient, from a draw each, by the framework's own loss.

            log p(x, z) - log q(z),    z ~ q

        Discrete sites that the guide does not draw are summed out. In float64.

        Args:
            params: P settings of the params of model and guide, in constrained space, of the same names each; a param
                that is not there has its initial value.
            num_draws: S, of each setting.

        Returns:
            (P, S), and param -> (P, S, ...), the derivative in constrained space; no param where a site of the guide
            has no pathwise derivative.

        Raises:
            InputError: ``params`` names what neither learns, or a shape is another one.
        """
        ...

    @staticmethod
    def fit(
        model: Model,
        data: Mapping[str, Any],
        settings: SamplerSettings,
        *,
        initial_values: Values | None = None,
        inverse_mass: np.ndarray | None = None,
        max_plate_nesting: int | None = None,
        log_likelihood: bool = False,
        posterior_predictive: bool = False,
        progress: bool = False,
    ) -> Any:
        """NUTS on any model of this backend, as an ArviZ DataTree.

        Args:
            log_likelihood, posterior_predictive: add the group of that name.

        Returns:
            a DataTree with ``posterior``, ``sample_stats``, ``observed_data`` and what was asked for.
        """
        ...


def lend_docstrings(package: Mapping[str, Any]) -> None:
    """Give a backend's functions, and its program's methods, the docstrings that stand here: ``help`` shows them.

    Args:
        package: the names of a backend package.
    """
    program = package["Program"]
    for name, declared in vars(Backend).items():
        if isinstance(declared, staticmethod):
            package[name].__doc__ = declared.__doc__
    for name, declared in vars(Program).items():
        if callable(declared) and not name.startswith("_"):
            getattr(program, name).__doc__ = declared.__doc__
    program.__doc__ = Program.__doc__
