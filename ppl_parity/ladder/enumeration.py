"""Rung 3: is the density the same with discrete sites summed out, and are their conditional probabilities?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl_parity.findings import Finding
from ppl_parity.ladder.comparison import compare, name_of_constant
from ppl_parity.ladder.context import SIDES, Context
from ppl_parity.tolerances import allowed

NAME = "enumeration"


def run(context: Context) -> Iterator[Finding]:
    """Compare the enumerated log density and the exact marginals of the enumerated sites."""
    if context.reparameterised:
        yield Finding("unresolved", "log density", "The latent sites differ.", deferred=True)
        return
    enumerated = {
        side: {name for name, site in context.sites[side].items() if site.enumerated} for side in SIDES
    }
    if not enumerated["pyro"] | enumerated["numpyro"]:
        yield Finding("same", "log density", "Neither model has a site to sum out.")
        return
    one_sided = set(context.enumerated_on_one_side)
    if enumerated["pyro"] - one_sided != enumerated["numpyro"] - one_sided:
        yield Finding(
            "different",
            "enumeration",
            f"Pyro sums out {sorted(enumerated['pyro'])}, NumPyro {sorted(enumerated['numpyro'])}.",
            site=sorted(enumerated["pyro"] ^ enumerated["numpyro"])[0],
            hint="a site marked for enumeration on one side, or a distribution that cannot be enumerated",
        )
        return
    summed = sorted(enumerated["pyro"] | enumerated["numpyro"])
    points = list(context.points)
    values = context.both(
        lambda side, program: [
            program.log_density(context.values(side, point, discrete=False)) for point in points
        ]
    )
    found = compare("log density", values["pyro"], values["numpyro"], precision=context.precision)
    point = context.points[found.worst]
    if found.relation == "different":
        a, b = (values[side][found.worst] for side in SIDES)
        yield Finding(
            "different",
            "log density",
            f"With {', '.join(summed)} summed out, the log density is {a:.10g} in pyro and "
            f"{b:.10g} in numpyro at {point.name}, though it agrees with them given.",
            site=summed[0],
            size=found.size,
            point=point.name,
            hint="a mask on an enumerated site, a wrong axis in the sum, or a max_plate_nesting too small",
        )
        return
    if found.relation == "unusable":
        yield Finding("unresolved", "log density", "The enumerated density is finite at no shared point.")
        return
    if found.relation == "constant":
        yield Finding(
            "same",
            "log density",
            f"The enumerated densities differ by the constant {name_of_constant(found.offset, 1)}.",
            size=abs(found.offset),
            notable=True,
        )
    if not one_sided:
        yield from _marginals(context)
    yield Finding(
        "same",
        "log density",
        f"Summed over {', '.join(summed)}, it agrees at {len(context.points)} points.",
        size=found.size,
        numbers={"magnitude": found.magnitude},
    )


def _marginals(context: Context) -> Iterator[Finding]:
    largest = 0.0
    points = list(context.points)
    marginals = context.both(
        lambda side, program: [
            context.pair.from_side(
                side, program.discrete_marginals(context.values(side, point, discrete=False))
            )
            for point in points
        ]
    )
    for i, point in enumerate(points):
        both = {side: marginals[side][i] for side in SIDES}
        for name, a in both["pyro"].items():
            b = both["numpyro"][name]
            if a.shape != b.shape:
                yield Finding(
                    "different",
                    "marginal",
                    f"p({name} | rest) has shape {a.shape} in pyro and {b.shape} in numpyro.",
                    site=name,
                )
                return
            gap = np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b))
            if np.any(~(gap <= allowed("marginal", a, b, context.precision))):
                index = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(gap)), gap.shape))
                yield Finding(
                    "different",
                    "marginal",
                    f"p({name} | rest) is {a[index]:.6g} in pyro and {b[index]:.6g} in numpyro at {point.name}.",
                    site=name,
                    size=float(gap[index]),
                    point=point.name,
                    index=index,
                )
                return
            largest = max(largest, float(gap.max(initial=0.0)))
    yield Finding(
        "same", "marginal", "The conditional probabilities of the discrete sites agree.", size=largest
    )
