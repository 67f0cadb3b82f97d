"""Is the posterior of the discrete sites the same, each framework having summed them out by its own means?

p(z_i = k | y, data) is exact at any y, so it is compared to rounding: at the shared points, and at posterior
draws of both sides, whose mean is the posterior of z itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ppl_parity import reference
from ppl_parity.backend.contract import Arrays
from ppl_parity.findings import Finding
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.together import Refused, together
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.process.references import MixtureReference
from ppl_parity.tolerances import allowed

NAME = "assignments"

NUM_DRAWS = 25  # posterior draws of each side


def run(context: Context) -> Iterator[Finding]:
    """Compare p(z | y, data) at shared points and posterior draws, and with the reference if there is one."""
    points = [*context.points, *_posterior_points(context)]
    enumerated = {side: {n for n, s in context.sites[side].items() if s.enumerated} for side in SIDES}
    names = sorted(enumerated["pyro"] & enumerated["numpyro"])
    for name in sorted(enumerated["pyro"] ^ enumerated["numpyro"]):
        side = "pyro" if name in enumerated["pyro"] else "numpyro"
        yield Finding(
            "same",
            "assignments",
            f"{name!r} is summed out by the {side} framework only, so its posterior exists there only; the "
            "density with it summed out is what is compared.",
            site=name,
            notable=True,
        )
    if names and not points:
        yield Finding(
            "unresolved",
            "assignments",
            f"There is no point at which the posterior of {', '.join(names)} can be asked of both sides.",
        )
    elif names:
        yield from _compare(context, names, points)
    if isinstance(context.pair.models["pyro"], MixtureReference):
        yield from _against_reference(context, points)
    elif not any(enumerated.values()):
        yield Finding(
            "same",
            "assignments",
            "There are no discrete sites that are summed out.",
            numbers={"nothing": True},
        )


def with_parameters(points: list[Point]) -> list[Point]:
    """The points at which the mixture's responsibilities are asked for."""
    return [point for point in points if {"theta", "beta"} <= set(point.values)][-2 * NUM_DRAWS :]


def thinned(side: str, posterior: Arrays, latent: Iterable[str]) -> list[Point]:
    """Some of a side's posterior draws, (C, S, ...), as points."""
    flat = {name: posterior[name].reshape(-1, *posterior[name].shape[2:]) for name in latent}
    count = len(next(iter(flat.values())))
    return [
        Point(f"posterior draw {row} of {side}", {name: value[row] for name, value in flat.items()})
        for row in np.linspace(0, count - 1, NUM_DRAWS).astype(int)
    ]


def _posterior_points(context: Context) -> list[Point]:
    """Thinned posterior draws of both sides, where both have all latent sites."""
    draws = context.results.get("posterior draws")
    if draws is None or context.reparameterised:
        return []
    latent = [n for n, s in context.sites["pyro"].items() if s.kind == "latent" and not is_discrete(s)]
    # A file cannot be asked at new draws: at its own it was asked when it was frozen.
    sides = (context.frozen,) if context.frozen else SIDES
    return [point for side in sides for point in thinned(side, draws[side], latent)]


def _compare(context: Context, names: list[str], points: list[Point]) -> Iterator[Finding]:
    def work(side: str) -> list[Arrays]:
        program = context.programs[side]
        found = [program.discrete_marginals(context.values(side, point, discrete=False)) for point in points]
        return [context.pair.from_side(side, one) for one in found]

    try:
        found = together(work, context.sides.values())
    except Refused as refused:
        yield Finding("unresolved", "assignments", f"The posterior of the discrete sites failed: {refused}")
        return
    context.results["assignments"] = {
        side: {name: _mean(points, found[side], name) for name in names} for side in SIDES
    }
    for name in names:
        yield _one_site(context, name, points, [found[side] for side in SIDES])


def _mean(points: list[Point], marginals: list[Arrays], name: str) -> np.ndarray | None:
    rows = [m[name] for point, m in zip(points, marginals, strict=True) if point.name.startswith("posterior")]
    return np.mean(rows, axis=0) if rows else None


def _one_site(context: Context, name: str, points: list[Point], found: list[list[Arrays]]) -> Finding:
    left, right = (np.squeeze(one[0][name]).shape for one in found)
    if left != right:
        return Finding(
            "different",
            "assignments",
            f"The posterior of {name!r} has shape {left} in pyro and {right} in numpyro (plates, then values).",
            site=name,
            hint="another number of states, or a plate on one side only",
        )
    gaps, limits = [], []
    for a, b in zip(*found, strict=True):
        a, b = np.squeeze(a[name]), np.squeeze(b[name])
        finite = np.isfinite(a) & np.isfinite(b)
        # Where both densities are -inf nothing has a posterior; where one is, the enumeration rung has said so.
        gaps.append(np.where(finite, np.abs(a - b), 0.0))
        limits.append(allowed("marginal", a, b))
    compared = sum(
        np.all(np.isfinite(a[name])) & np.all(np.isfinite(b[name])) for a, b in zip(*found, strict=True)
    )
    if not compared:
        return Finding(
            "unresolved",
            "assignments",
            f"The posterior of {name!r} is finite at no point on both sides.",
            site=name,
        )
    worst = int(np.argmax([gap.max() for gap in gaps]))
    index = tuple(int(i) for i in np.unravel_index(int(gaps[worst].argmax()), left))
    size, limit = float(gaps[worst].max()), float(limits[worst].max())
    if size > limit:
        a, b = (float(np.squeeze(one[worst][name])[index]) for one in found)
        return Finding(
            "different",
            "assignments",
            f"p({name} = {index[-1] if index else 0} | y, data) is {a:.6g} in pyro and {b:.6g} in numpyro at "
            f"{points[worst].name}.",
            site=name,
            size=size,
            resolution=limit,
            point=points[worst].name,
            index=index,
            hint="the sum over the discrete sites is right or wrong with it: see the enumeration rung",
        )
    return Finding(
        "same",
        "assignments",
        f"The posterior probabilities of {name!r} agree within {size:.1e} at {compared} points.",
        site=name,
        size=size,
        resolution=limit,
    )


def _against_reference(context: Context, points: list[Point]) -> Iterator[Finding]:
    """The mixture's responsibilities, by each backend's own function, against the exact ones."""
    chosen = with_parameters(points)
    x = np.asarray(context.pair.data["pyro"]["x"], dtype=np.float64)
    models = {side: context.pair.models[side] for side in SIDES}

    def work(side: str) -> np.ndarray:
        spec = models[side].spec  # type: ignore[union-attr]
        theta, beta = (np.stack([point.values[n] for point in chosen]) for n in ("theta", "beta"))
        return context.sides[side].responsibilities(spec, theta, beta, x)

    try:
        found = together(work, context.sides.values())
    except Refused as refused:
        yield Finding("unresolved", "responsibilities", f"The responsibilities failed: {refused}", site="z")
        return
    for side in SIDES:
        spec = models[side].spec  # type: ignore[union-attr]
        exact = np.mean(
            [
                reference.responsibilities(spec, point.values["theta"], point.values["beta"], x)
                for point in chosen
            ],
            axis=0,
        )
        gap = np.abs(found[side] - exact)
        limit = float(allowed("marginal", found[side], exact).max())
        index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
        size = float(gap.max(initial=0.0))
        yield Finding(
            "same" if size <= limit else "different",
            "responsibilities",
            f"{side}'s responsibilities are within {size:.1e} of the exact ones, as a mean over {len(chosen)} points.",
            site="z",
            size=size,
            resolution=limit,
            index=index,
            hint=None if size <= limit else f"{side}'s own responsibilities, not the model",
        )
