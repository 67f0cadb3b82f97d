"""Both posteriors of a check: side by side, components aligned."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.listing import listed
from ppl_parity.process.references import MixtureReference
from ppl_parity.statistics.rounding import ROUNDING
from ppl_parity.statistics.summary import Row, Summary, diagnose, summarize

if TYPE_CHECKING:
    from xarray import DataTree

    from ppl_parity.backend.contract import Arrays
    from ppl_parity.ladder.context import Context


@dataclass(frozen=True)
class Difference:
    """One scalar of two posteriors: (b - a), its MCSE, both in the pooled posterior sd, and their ratio."""

    a: Row
    b: Row
    difference_sd: float
    mcse_sd: float
    z: float


@dataclass(frozen=True)
class Posteriors:
    """What NUTS drew on both sides.

    Args:
        pyro, numpyro: a row a scalar, NumPyro's components named as Pyro's are.
        named: the sites whose components the posterior rung has named alike.
        troubles: of each side, what is wrong with its draws, in words.
    """

    pyro: Summary
    numpyro: Summary
    named: tuple[str, ...]
    troubles: Mapping[str, list[str]]

    @property
    def title(self) -> str:
        """What stands above the table."""
        of = f", the components of {listed(self.named)} named alike" if self.named else ""
        return f"Both posteriors{of}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``schema.json`` describes them."""
        return {
            "rows": [
                {
                    "name": row.a.name,
                    "pyro": _numbers(row.a),
                    "numpyro": _numbers(row.b),
                    "difference": row.difference_sd,
                    "mcse": row.mcse_sd,
                    "z": row.z,
                }
                for row in compare(self.pyro, self.numpyro)
            ],
            "relabelled": self.pyro.relabelling is not None or bool(self.named),
            "left_out": self.pyro.omitted | self.numpyro.omitted,
            "troubles": dict(self.troubles),
        }


def side_by_side(context: Context) -> Posteriors | None:
    """Summarise the draws that a climb has left behind; None where NUTS did not run."""
    draws = context.results.get("posterior draws")
    if draws is None:
        return None
    # A mixture's components are named here; those of other models as the rung has named them.
    components = context.results["exchangeable"]
    mixture = isinstance(context.pair.models["pyro"], MixtureReference)
    named = () if mixture or components is None else tuple(components.axes)
    shown = context.results["posterior renamed"] if named else draws
    trees = {side: tree(context, side, shown) for side in draws}
    first = summarize(trees["pyro"])
    second = summarize(trees["numpyro"], None if first.relabelling is None else first.relabelling.pivot)
    summaries = {"pyro": first, "numpyro": second}
    return Posteriors(
        first, second, named, {side: diagnose(trees[side], summaries[side]) for side in summaries}
    )


def tree(
    context: Context, side: str, draws: Mapping[str, Arrays], versions: Mapping[str, Any] | None = None
) -> DataTree:
    """The draws of one side with their statistics and data, as ArviZ has them.

    Args:
        context: of a climb that has reached the posteriors.
        side: ``pyro`` or ``numpyro``.
        draws: by side, ``context.results["posterior draws"]``.
        versions: by side, to be kept with them.
    """
    mixture = isinstance(context.pair.models[side], MixtureReference)
    attributes: dict[str, Any] = {
        "backend": side,
        "pair": context.pair.name,
        "check_seed": context.settings.seed,
    }
    if versions is not None:
        attributes["versions"] = json.dumps(versions[side])
    if mixture:
        attributes["spec"] = json.dumps(context.pair.models[side].spec.as_dict())  # type: ignore[union-attr]
    groups = {
        "posterior": draws[side],
        "sample_stats": context.results["posterior stats"][side],
        "observed_data": {
            name: site.value
            for name, site in context.sites[side].items()
            if site.kind == "observed" and site.value is not None
        },
    }
    return to_datatree(groups, attributes, dims=MIXTURE_DIMS if mixture else None)


def compare(a: Summary, b: Summary) -> list[Difference]:
    """Set the scalars that two summaries share side by side.

        z = (mean_b - mean_a) / sqrt(mcse_a^2 + mcse_b^2),   sd = sqrt((sd_a^2 + sd_b^2) / 2)

    Args:
        a: from ``summarize``.
        b: with components named alike: ``summarize(tree_b, pivot=a.relabelling.pivot)``.

    Returns:
        One ``Difference`` for each name that both have, in the order of ``a``.
    """
    others = {row.name: row for row in b}
    return [_difference(row, others[row.name]) for row in a if row.name in others]


def _difference(a: Row, b: Row) -> Difference:
    sd = math.sqrt((a.sd**2 + b.sd**2) / 2)
    mcse = math.hypot(a.mcse_mean, b.mcse_mean)
    gap, size = b.mean - a.mean, max(abs(a.mean), abs(b.mean))
    if max(abs(gap), sd) <= ROUNDING * size:  # one constant, in two orders of its operations
        gap = sd = mcse = 0.0
    return Difference(a, b, _ratio(gap, sd), _ratio(mcse, sd), _ratio(gap, mcse))


def _ratio(value: float, unit: float) -> float:
    """Infinite for two constants that differ, however little; NaN where too few draws give no MCSE."""
    if unit == 0:
        return math.copysign(math.inf, value) if value else 0.0
    return value / unit


def _numbers(row: Row) -> dict[str, float]:
    return {key: value for key, value in dataclasses.asdict(row).items() if key not in ("name", "constant")}
