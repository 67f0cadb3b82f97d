"""Rung 4: is the gradient the same on both sides, and the same as a numerical derivative of the potential?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ppl_parity.backend.contract import Arrays, Program
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding
from ppl_parity.ladder.changes.change import compared_in_full
from ppl_parity.ladder.context import Context, is_discrete
from ppl_parity.ladder.exact.coordinates import Position, dynamic_sites, moved_sites, positions
from ppl_parity.ladder.exact.precision import NARROW
from ppl_parity.listing import listed
from ppl_parity.pair.pairs import SIDES
from ppl_parity.process.sides import SideError
from ppl_parity.tolerances import allowed, library_limit

NAME = "gradient"

NUM_POSITIONS = 12
NUM_DERIVATIVES = 4  # positions at which the potential is also differentiated numerically
STEPS = 1e-5, 1e-4, 1e-3
NUDGE = 1e-15  # relative: a few roundings of a position
TINY, PROBES = 1e-6, 10  # steps within which a potential is a straight line but for its rounding
Slope = tuple[float, float, float]
"""The potential, its gradient along a direction, and how it changes there: the gradient itself where these agree."""

ROUNDING = {"float64": 1e-9, "float32": 1e-5}  # of the largest gradient at a point


def run(context: Context) -> Iterator[Finding]:
    """In unconstrained coordinates: on the simplex the two libraries' gradients differ by convention."""
    if change := compared_in_full(context):
        yield Finding(
            "same",
            "gradient",
            f"{change.told()}, so each gradient is held to its own numerical derivative only.",
            numbers={"summary": "each is its own density's"},
        )
        yield from _against_derivatives(change.context, positions(change.context, NUM_DERIVATIVES))
        return
    if context.reparameterised:
        yield from _each_by_itself(context)
        yield Finding("unresolved", "gradient", "The latent sites differ.", deferred=True)
        return
    if dynamic_sites(context):
        yield Finding("same", "gradient", "Left to the transform rung: a support moves with the point.")
        return
    found = positions(context, NUM_POSITIONS)
    if not found or not found[0].coordinates["pyro"]:
        yield Finding("same", "gradient", "There is no continuous latent site.", numbers={"nothing": True})
        return
    # A clamp has no slope, and each library has one of its own.
    clamped = context.results.get("clamped", set())
    found = [position for position in found if position.point.name not in clamped]
    if not found:
        yield Finding("same", "gradient", "At each point a library clamps a probability.", notable=True)
        return
    moved = moved_sites(context, found)
    if moved:
        yield Finding(
            "same",
            "gradient",
            f"The sides unconstrain {', '.join(map(repr, moved))} differently, so each gradient is held to "
            "its own numerical derivative only.",
            notable=True,
        )
    else:
        # First, for it names the site.
        yield from _against_each_other(context, found)
    yield from _against_derivatives(context, found[:NUM_DERIVATIVES])
    if context.frozen:
        yield Finding(
            "same",
            "numerical derivative",
            f"The numerical derivative of {context.frozen}'s potential is not in the frozen file; {context.live[0]}'s "
            "was held to its gradient.",
            notable=True,
        )


def _against_each_other(context: Context, found: list[Position]) -> Iterator[Finding]:
    largest = magnitude = 0.0
    # A family that is off by so much has a derivative that is off by as much, times its slope.
    limit = 10 * sum(library_limit(site) for side in SIDES for site in context.sites[side].values())
    rounding = ROUNDING[context.precision]
    digits = context.results.get("digits", {})  # point -> the share of them that the density has lost there
    # Both at one side's coordinates: what rounding did on the way there is not the gradient's.
    at = [position.coordinates[context.anchor] for position in found]
    asked = context.both(
        lambda side, program: [program.potential_and_gradient(context.pair.to_side(side, u)) for u in at]
    )
    all_gradients = {
        side: [context.pair.from_side(side, slope) for _, slope in asked[side]] for side in SIDES
    }
    count = 0
    for i, position in enumerate(found):
        if not any(np.isfinite(asked[side][i][0]) for side in SIDES):
            continue  # a density of zero has no slope
        count += 1
        gradients = {side: all_gradients[side][i] for side in SIDES}
        # Of another site's gradient that is no number nothing follows for this one's.
        finite = (np.abs(g[np.isfinite(g)]) for g in map(np.asarray, gradients["pyro"].values()))
        scale = max(float(np.max(g, initial=0.0)) for g in finite)
        for name, a in gradients["pyro"].items():
            b = gradients["numpyro"][name]
            with np.errstate(invalid="ignore"):
                allowance = allowed("gradient", a, b, context.precision) + limit * (1 + np.abs(a))
            allowance = allowance + (rounding + digits.get(position.point.name, 0.0)) * scale
            finding = _gap(name, a, b, allowance, position)
            if finding is not None and finding.size is not None:
                allowance = allowance + _by_a_nudge(context, at[i], name, all_gradients, i)
                finding = _gap(name, a, b, allowance, position)
            if finding is not None:
                potentials = [asked[side][i][0] for side in SIDES]
                scaled = _scaled_jacobian(context, at[i], potentials)
                yield replace(finding, hint=scaled) if scaled else _beside_the_density(context, finding)
                return
            with np.errstate(invalid="ignore"):
                gap = float(np.max(np.abs(a - b), initial=0.0))
            if gap > largest:
                largest, magnitude = gap, scale
    if not count:
        yield Finding(
            "unresolved",
            "gradient",
            "Neither density is a number at a shared point, so none has a gradient.",
            hint="look for a NaN in the data, or for data outside of their support: the density rung says where",
        )
        return
    yield Finding(
        "same",
        "gradient",
        f"Both gradients agree at {count} points.",
        size=largest,
        numbers={"magnitude": magnitude},
    )


def _by_a_nudge(
    context: Context, at: Arrays, name: str, gradients: dict[str, list[Arrays]], row: int
) -> np.ndarray | float:
    """How far the gradient moves with the last digits of the position: no more than that is the same there.

    Near the mode of a funnel, where a scale has gone to nothing, its slope is 1e7 and its curvature 1e15.
    """
    side = context.asked
    rng = np.random.default_rng(context.settings.seed)
    nudged = {
        key: value + NUDGE * np.maximum(1.0, np.abs(value)) * rng.choice([-1.0, 1.0], size=np.shape(value))
        for key, value in at.items()
    }
    moved = context.programs[side].potential_and_gradient(context.pair.to_side(side, nudged))[1]
    gap = np.abs(context.pair.from_side(side, moved)[name] - gradients[side][row][name])
    return float(np.max(np.nan_to_num(gap), initial=0.0))


def _scaled_jacobian(context: Context, at: Arrays, potentials: list[float]) -> str | None:
    """Whether the potentials part by NumPyro's own: it scales the log Jacobian of a latent site with its prior."""
    scales = {name: site.scale for name, site in context.sites["numpyro"].items() if site.kind == "latent"}
    side = context.asked
    jacobians = context.pair.from_side(
        side, context.programs[side].log_abs_det_jacobian(context.pair.to_side(side, at))
    )
    shares = {name: (1 - scales.get(name, 1.0)) * float(np.sum(value)) for name, value in jacobians.items()}
    parting = potentials[1] - potentials[0] + context.results.get("offset", 0.0)
    named = [name for name, share in shares.items() if share]
    if not named or not np.isclose(parting, sum(shares.values()), rtol=1e-6, atol=1e-8):
        return None
    return (
        f"the libraries' own: the prior of {listed(named)} is scaled (scale, or a plate that subsamples), and NumPyro "
        "scales the log Jacobian of its transform, too, which Pyro does not: NUTS draws from another density there; "
        "scale the likelihood alone"
    )


def _beside_the_density(context: Context, finding: Finding) -> Finding:
    """A gradient that differs has a cause of its own where the densities are the same, and else perhaps theirs."""
    if any(key.partition("/")[0] == "density" for key in context.pair.known_differences):
        return replace(finding, hint=f"what the densities differ in, which is known; or {finding.hint}")
    same = context.results.get("verdicts", {}).get("density") == "same"
    return replace(finding, hint=f"{finding.hint}, since the densities agree") if same else finding


def _gap(
    name: str, a: np.ndarray, b: np.ndarray, allowance: np.ndarray, position: Position
) -> Finding | None:
    broken = {"pyro": not np.all(np.isfinite(a)), "numpyro": not np.all(np.isfinite(b))}
    if broken["pyro"] != broken["numpyro"]:
        side = "pyro" if broken["pyro"] else "numpyro"
        return Finding(
            "different",
            "gradient",
            f"The gradient for {name!r} is not finite in {side} at {position.point.name}, where the density is.",
            site=name,
            point=position.point.name,
            hint="a masked row of NaN, a where whose other branch overflows, a sqrt or norm at 0, or a detached value",
        )
    if broken["pyro"]:
        return None
    gap = np.abs(a - b)
    if np.all(gap <= allowance):
        return None
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape)) if gap.ndim else ()
    return Finding(
        "different",
        "gradient",
        f"dU/d{name} is {a[index]:.8g} in pyro and {b[index]:.8g} in numpyro at {position.point.name}.",
        site=name,
        size=float(gap[index]),
        point=position.point.name,
        index=index,
        hint="a detached value or a custom derivative",
    )


def _against_derivatives(context: Context, found: list[Position]) -> Iterator[Finding]:
    """The derivative along a random direction, by central differences of the side's own potential."""
    if context.precision == NARROW:
        yield Finding(
            "same",
            "numerical derivative",
            "The gradients were not held to differences of the potentials: float32's rounding is larger than these.",
            notable=True,
        )
        return
    slopes = context.both(lambda side, program: _slopes(context, side, program, found))
    for i, position in enumerate(found):
        for side in context.live:
            if _is_another(slopes[side][i]):
                at = context.pair.to_side(side, position.coordinates[side])
                yield _off(context, side, at, position.point.name, slopes[side][i])
                return


def _each_by_itself(context: Context) -> Iterator[Finding]:
    """Where no point is one of both sides, each at prior draws of its own; nothing is said of one that has none."""
    for side in context.live:
        program, sites = context.programs[side], context.sites[side]
        names = [n for n, site in sites.items() if site.kind == "latent" and not is_discrete(site)]
        if not names or not all(
            s.enumerated for s in sites.values() if s.kind == "latent" and is_discrete(s)
        ):
            continue
        rng = np.random.default_rng(context.settings.seed)
        try:
            drawn = program.prior_samples(num_draws=NUM_DERIVATIVES, seed=context.settings.seed)
            drawn = {name: drawn[name] for name in context.pair.to_side(side, dict.fromkeys(names))}
            for i in range(NUM_DERIVATIVES):
                at = program.unconstrain({name: value[i] for name, value in drawn.items()})
                direction = {name: rng.standard_normal(np.shape(value)) for name, value in at.items()}
                found = _directional(program, at, direction)
                if _is_another(found):
                    yield _off(context, side, at, f"prior draw {i} of {side}", found)
                    return
        except (InputError, SideError):  # no prior draws, or no potential there
            continue


def _off(context: Context, side: str, at: Arrays, where: str, whole: Slope) -> Finding:
    """A gradient that is not that of its own density: along the first site that shows it by itself, if one does."""
    program = context.programs[side]
    rng = np.random.default_rng(context.settings.seed)
    found, along, site = whole, "along a random direction", None
    for name in at if len(at) > 1 else ():
        direction = {n: np.zeros(np.shape(v)) for n, v in at.items()}
        direction[name] = rng.standard_normal(np.shape(at[name]))
        alone = _directional(program, at, direction)
        if _is_another(alone):
            (site,) = context.pair.from_side(side, {name: None})
            found, along = alone, f"along a direction of {site!r}"
            break
    _, slope, numerical = found
    return Finding(
        "different",
        "numerical derivative",
        f"The {side} gradient {along} is {slope:.8g}, its potential changes by {numerical:.8g} at {where}.",
        site=site,
        size=abs(slope - numerical),
        point=where,
        hint=f"{side}'s derivative is not that of its own density: a detached value, or a kink here",
    )


def _slopes(context: Context, side: str, program: Program, found: list[Position]) -> list[Slope]:
    """At each position, along a random direction."""
    if side == context.frozen:
        return []
    rng = np.random.default_rng(context.settings.seed)
    slopes = []
    for position in found:
        at = context.pair.to_side(side, position.coordinates[side])
        direction = {name: rng.standard_normal(np.shape(value)) for name, value in at.items()}
        slopes.append(_directional(program, at, direction))
    return slopes


def _directional(program: Program, at: Arrays, direction: Arrays) -> Slope:
    value, gradient = program.potential_and_gradient(at)
    with np.errstate(invalid="ignore", over="ignore"):
        slope = sum(float(np.sum(gradient[name] * direction[name])) for name in at)
    differences = []
    for h in STEPS:
        ahead, behind = (program.potential(_along(at, direction, step)) for step in (h, -h))
        differences.append((ahead - behind) / (2 * h))
        if _is_slope(value, slope, differences[-1], h):
            break
    agrees = _is_slope(value, slope, differences[-1], h) or _comes_closer(slope, differences)
    if not agrees:
        noise = _noise(program, at, direction)
        gaps = [abs(slope - difference) * h for difference, h in zip(differences, STEPS, strict=True)]
        agrees = bool(np.any(np.array(gaps) <= noise + 1e-4 * abs(slope) * np.array(STEPS)))
    return value, slope, slope if agrees else differences[0]


def _is_another(found: Slope) -> bool:
    value, slope, numerical = found
    return bool(np.isfinite(value) and abs(value) <= 1e8 and np.isfinite(numerical) and numerical != slope)


def _noise(program: Program, at: Arrays, direction: Arrays) -> float:
    """By how much a potential is off by rounding here: near a simplex's edge digits are lost on the way.

    What a straight line leaves of it over steps that are too small for a curve; the line's own slope is no part of it.
    """
    steps = TINY * np.arange(PROBES)
    moved = np.array([program.potential(_along(at, direction, step)) for step in steps])
    if not np.all(np.isfinite(moved)):
        return 0.0
    moved = moved - moved[0]
    return float(np.max(np.abs(moved - np.polyval(np.polyfit(steps, moved, 1), steps))))


def _is_slope(value: float, slope: float, difference: float, step: float) -> bool:
    rounding = 1e-14 * abs(value) / step
    return bool(
        abs(slope - difference) <= rounding + float(allowed("numerical derivative", slope, difference))
    )


def _comes_closer(slope: float, differences: list[float]) -> bool:
    """Whether wider steps lead to the slope: near the edge of a support a potential has lost digits, which count the
    less the wider the step is. What is no derivative stays as far away."""
    gaps = np.abs(np.array(differences) - slope)
    return bool(np.all(gaps[1:] < gaps[:-1] / 3) and gaps[-1] < 0.02 * (1 + abs(slope)))


def _along(at: Arrays, direction: Arrays, step: float) -> Arrays:
    return {name: value + step * direction[name] for name, value in at.items()}
