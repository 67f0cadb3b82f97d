"""Fit the mixture on one side: a good start, NUTS, and everything about z that follows afterwards."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ppl_parity import orbits
from ppl_parity.backend.chains import LARGEST_PER_ROW, by_chain
from ppl_parity.backend.contract import Groups, Values
from ppl_parity.data import Dataset, load_data
from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.errors import InputError
from ppl_parity.fitting.reached import below_mode
from ppl_parity.fitting.rounding import RoundingWarning, rounding_warning
from ppl_parity.fitting.second import is_better, ordinary, trouble
from ppl_parity.process.importing import import_ahead
from ppl_parity.process.references import MixtureReference
from ppl_parity.process.sides import Side
from ppl_parity.spec import MixtureSpec, SamplerSettings
from ppl_parity.starts import SHORT_WARMUP, Mode, kmeans_start, mode_start, unvisited
from ppl_parity.statistics.labels import apply, relabel

if TYPE_CHECKING:
    from xarray import DataTree

MOST_ROWS_AGAIN = (
    100_000  # beyond, a posterior is as round as its mode says, and an ordinary warmup takes minutes
)
FEW_DRAWS = 64  # of which the mean responsibilities of many rows are
LARGEST_MEAN = 2_000_000  # numbers, rows x components, up to which these are kept unasked
HUGE = 1e140  # whose square float64 still holds, with room for sums
# Noise scales from the mean: beyond, a start's information on beta and on theta are not one matrix.
MOST_SPREAD = 1e12


def fit_mixture(
    side: Side,
    spec: MixtureSpec,
    data: Dataset | ArrayLike,
    settings: SamplerSettings,
    *,
    formulation: str = "fused",
    initial_values: Values | None = None,
    log_likelihood: bool | None = None,
    assignments: bool | None = None,
    posterior_predictive: bool = False,
    short_warmup: bool = False,
    long_steps: bool = False,
    progress: bool = False,
    begun: Callable[[], None] = lambda: None,
) -> DataTree:
    """Fit the mixture by NUTS, then recover z from the responsibilities.

    Args:
        side: the backend's process.
        spec: the hyperparameters; data: what they are fitted to, as ``load_data`` returns it or takes it.
        settings: of the sampler; ``init="mode"`` starts each chain around a posterior mode, with the mass
            matrix that belongs there, ``init="kmeans"`` from its own k-means++.
        formulation: which density NUTS uses; what is added afterwards does not depend on it.
        initial_values: explicit starts, theta (C, K) and beta (C, K, D); they replace ``settings.init``.
        log_likelihood: keep log p(x_i | theta, beta) for every draw; None keeps it unless it is large.
        assignments: keep exact draws of z, and the mean responsibilities over all draws; None keeps them unless
            they are large, and of large ones the mean over a few draws, if that is not large itself.
        posterior_predictive: keep one replicate of x for every draw.
        short_warmup: let a start that brings a good mass matrix cut ``num_warmup`` down to what the step
            size needs.
        long_steps: let such a start replace ``target_accept`` by that of the orbit that pays
            (``ppl_parity.orbits``).
        progress: show the sampler's progress bar.
        begun: called when the chains' start is found, before anything is asked of the side, which may still be
            importing its framework.

    Returns:
        a DataTree with raw (not relabelled) draws, the axis ``dim`` labelled by the data's columns; the mean
        responsibilities in ``assignments`` are those of relabelled draws, since a mean over raw ones would mix
        components.
    """
    data = data if isinstance(data, Dataset) else load_data(data)
    if data.dim != spec.dim:
        raise InputError(
            f"The mixture's dim must be the number of the data's columns; it is {spec.dim}, and {data.name} has "
            f"{data.dim}: {', '.join(data.columns)}."
        )
    _check_scales(spec, data.x)
    num_draws = settings.num_chains * settings.num_draws
    small = num_draws * data.num_data <= LARGEST_PER_ROW
    warning = rounding_warning(spec, data.num_data, settings, formulation)
    if warning is not None:
        warnings.warn(warning, RoundingWarning, stacklevel=2)
    settings, start = _start(spec, data.x, settings, initial_values, short_warmup, long_steps)
    begun()
    import_ahead(("xarray",))  # half a second, while the side is at work
    model, given = MixtureReference(spec, formulation), {"x": data.x}
    groups, attributes = side.sample_posterior(model, given, settings, progress=progress, **start.options)
    if start.otherwise is not None and (what := trouble(groups, start.num_modes)):
        values = {"initial_values": start.options["initial_values"]}
        second = side.sample_posterior(model, given, start.otherwise, progress=progress, **values)
        if is_better(second[0], groups):
            second[1]["sampling_seconds"] += attributes["sampling_seconds"]
            (groups, attributes), settings = second, start.otherwise
            start = replace(start, note=f"{start.note}; but so {what}: drawn again after an ordinary warmup")
        else:
            attributes["sampling_seconds"] += second[1]["sampling_seconds"]
            start = replace(start, note=f"{start.note}; {what}, and an ordinary warmup did no better")
    posterior = groups["posterior"]
    options: dict[str, Any] = {"precision": settings.precision, "device": settings.device}
    flat = _flat(posterior["theta"], posterior["beta"])
    groups |= {"observed_data": {"x": np.asarray(data.x)}}
    if small if log_likelihood is None else log_likelihood:
        rows = side.pointwise_log_likelihood(spec, *flat, data.x, **options)
        groups["log_likelihood"] = by_chain({"x": rows}, settings)
    if posterior_predictive:
        program = side.program(MixtureReference(spec, "fused"), {"x": data.x}, **options)
        replicates = program.predictive_samples({"theta": flat[0], "beta": flat[1]}, seed=settings.seed)
        groups["posterior_predictive"] = by_chain(replicates, settings)
    kept = small if assignments is None else assignments
    if kept or (assignments is None and data.num_data * spec.num_components <= LARGEST_MEAN):
        groups = _with_assignments(side, spec, data.x, settings, groups, num_draws if kept else FEW_DRAWS)
    if kept:
        groups = _with_z(side, spec, data.x, settings, groups)
    of_each_row = {"z": kept} | {name: name in groups for name in ("log_likelihood", "assignments")}
    below = 0.0
    if settings.init != "mode" or initial_values is not None:
        below = below_mode(spec, data.x, groups, settings.seed)
    attributes |= {
        "spec": json.dumps(spec.as_dict()),
        "data": json.dumps(data.summary()),
        "formulation": formulation,
        "start": start.note,
        "left_out": json.dumps([name for name, there in of_each_row.items() if not there]),
        "below_a_mode": below,
        "unvisited": unvisited(spec, start.modes, *flat) if len(start.modes) > 1 else 0.0,
        "rounding": "" if warning is None else warning,
        "label_switching": "draws are raw; summaries relabel them, and so are assignments.responsibilities: their "
        "component k is component raw_component[chain, draw, k] of a draw",
    }
    groups["posterior"] = {
        name: groups["posterior"][name] for name in (*posterior, "z") if name in groups["posterior"]
    }
    return to_datatree(groups, attributes, dims=MIXTURE_DIMS, coords={"dim": list(data.columns)})


def _check_scales(spec: MixtureSpec, x: np.ndarray) -> None:
    """Refuse numbers whose squares float64 cannot hold, or not beside each other."""
    s, low, high = spec.noise_scale, x.min(axis=0, initial=np.inf), x.max(axis=0, initial=-np.inf)
    largest, spread = 0.0, 0.0
    if x.size:  # by the columns' ends: nothing as large as x is made
        largest = float(max(np.abs(low).max(), np.abs(high).max()))
        spread = (
            float(np.maximum(high - x.mean(axis=0), x.mean(axis=0) - low).max()) if largest < HUGE else 0.0
        )
    if not (1 / HUGE < s < HUGE and largest < HUGE and spread <= MOST_SPREAD * s):
        raise InputError(
            f"The noise scale must lie between {1 / HUGE:.0e} and {HUGE:.0e}, no row beyond, and none farther than "
            f"{MOST_SPREAD:.0e} noise scales from the mean: float64 holds no posterior there; got noise scale {s:g} "
            f"and rows up to {largest:.3g}, {spread:.3g} from their mean."
        )


@dataclass(frozen=True)
class _Start:
    """What a start hands to the sampler, what it did, and the settings to draw with again if that goes wrong."""

    note: str
    options: dict[str, Any] = field(default_factory=dict)
    otherwise: SamplerSettings | None = None
    num_modes: int = 1
    modes: tuple[Mode, ...] = ()


def _start(
    spec: MixtureSpec,
    x: np.ndarray,
    settings: SamplerSettings,
    initial_values: Values | None,
    short_warmup: bool,
    long_steps: bool,
) -> tuple[SamplerSettings, _Start]:
    if initial_values is not None:
        return settings, _Start("explicit values", {"initial_values": initial_values})
    if settings.init == "kmeans":
        values, note = kmeans_start(spec, x, settings.num_chains, settings.seed)
        return settings, _Start(note, {"initial_values": values})
    if settings.init != "mode":
        return settings, _Start(f"the framework's {settings.init} strategy")
    found = mode_start(spec, x, settings.num_chains, settings.seed)
    inverse_mass = found.inverse_mass
    again = settings.adapt_mass and settings.num_warmup and len(x) <= MOST_ROWS_AGAIN
    otherwise = ordinary(settings, long_steps) if again else None
    if found.trusted:
        num_warmup = min(settings.num_warmup, SHORT_WARMUP) if short_warmup else settings.num_warmup
        settings = replace(settings, adapt_mass=False, num_warmup=num_warmup)
        if long_steps:
            orbit, target_accept = orbits.aim(inverse_mass.shape[-1])
            settings = replace(settings, orbit=orbit, target_accept=target_accept)
    elif inverse_mass.ndim == 2 and not settings.dense_mass:
        inverse_mass = np.diag(inverse_mass).copy()
    options = {"initial_values": found.values, "inverse_mass": inverse_mass}
    return settings, _Start(found.note, options, otherwise, found.num_modes, found.modes)


def _with_z(
    side: Side, spec: MixtureSpec, x: np.ndarray, settings: SamplerSettings, groups: Groups
) -> Groups:
    theta, beta = groups["posterior"]["theta"], groups["posterior"]["beta"]
    options: dict[str, Any] = {"precision": settings.precision, "device": settings.device}
    z = side.sample_assignments(spec, *_flat(theta, beta), x, seed=settings.seed, **options)
    # The draws' own size would be eight times this one's.
    z = z.reshape(*theta.shape[:2], len(x)).astype(np.int16)
    return groups | {"posterior": groups["posterior"] | {"z": z}}


def _with_assignments(
    side: Side, spec: MixtureSpec, x: np.ndarray, settings: SamplerSettings, groups: Groups, most: int
) -> Groups:
    """With the mean responsibilities, over ``most`` draws at most."""
    theta, beta = groups["posterior"]["theta"], groups["posterior"]["beta"]
    options: dict[str, Any] = {"precision": settings.precision, "device": settings.device}
    named = relabel(theta, beta, lp=groups["sample_stats"]["lp"])
    theta, beta = _flat(apply(named, theta), apply(named, beta))
    chosen = np.linspace(0, len(theta) - 1, min(most, len(theta))).round().astype(int)
    mean = side.responsibilities(spec, theta[chosen], beta[chosen], x, **options)
    return groups | {
        "assignments": {
            "responsibilities": mean,
            # In each draw, which component the k of that mean is.
            "raw_component": named.permutations.astype(np.int16),
        },
    }


def _flat(theta: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return theta.reshape(-1, *theta.shape[2:]), beta.reshape(-1, *beta.shape[2:])
