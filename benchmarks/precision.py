"""What NUTS makes of rounding: ``python -m benchmarks.precision --out FILE.jsonl --plot FILE.png``.

The fused mixture, sampled by NumPyro's NUTS from one start with one mass matrix, in three precisions: float64
throughout; float32 rows with parameters and sums in float64, which ``--precision float32`` means; and plain
float32, which a process without x64 would run. The last cannot hold the energy differences of many rows.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import problems
from ppl_parity.arviz_compat import ess
from ppl_parity.spec import MixtureSpec, SamplerSettings
from ppl_parity.starts import mode_start

D = K = 8
NAMES = {
    "float64": "float64 throughout",
    "float32 rows": "float32 rows, sums in float64",
    "plain float32": "float32 throughout",
}
MAX_LEAPFROGS = {"plain float32": 2**7 - 1}  # of a draw: without a limit its runs would take hours


def model_in(precision: str, spec: MixtureSpec) -> Any:
    """The fused mixture; in plain float32 it does not ask for float64 parameters and sums."""
    import numpyro_impl

    model = numpyro_impl.mixture(spec, "fused")
    if precision == "plain float32":
        model.float64_parameters = False
    return model


def run(precision: str, num_data: int, num_warmup: int, num_draws: int) -> dict[str, Any]:
    """One fit: acceptance, step size, leapfrogs a draw and ESS a leapfrog.

    Args:
        precision: of ``NAMES``. num_data: N.
    """
    import numpyro_impl

    spec, truth = problems.data(num_data, D, K)
    start = mode_start(spec, truth["x"], 1, seed=0)
    settings = SamplerSettings(
        num_draws=num_draws,
        num_warmup=num_warmup,
        num_chains=1,
        init="mode",
        adapt_mass=False,
        precision="float64" if precision == "float64" else "float32",
    )
    if precision in MAX_LEAPFROGS:
        settings = replace(settings, max_tree_depth=MAX_LEAPFROGS[precision].bit_length())
    began = time.perf_counter()
    groups, _ = numpyro_impl.sample_posterior(
        model_in(precision, spec),
        {"x": truth["x"]},
        settings,
        initial_values=start.values,
        inverse_mass=start.inverse_mass,
    )
    stats, beta = groups["sample_stats"], groups["posterior"]["beta"]
    worst = min(float(ess(beta[..., k, d], method="bulk")) for k in range(K) for d in range(D))
    leapfrogs = float(stats["n_steps"].sum())
    return {
        "precision": precision,
        "N": num_data,
        "num_warmup": num_warmup,
        "num_draws": num_draws,
        "acceptance": float(stats["acceptance_rate"].mean()),
        "step_size": float(stats["step_size"][0, -1]),
        "leapfrogs_a_draw": leapfrogs / num_draws,
        "ess_a_leapfrog": worst / leapfrogs,
        "seconds": time.perf_counter() - began,
    }


def plot(records: list[dict[str, Any]], path: Path) -> None:
    """Step size, leapfrogs a draw and ESS a leapfrog against N, a line for each precision."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    quantities = {
        "step_size": "step size",
        "leapfrogs_a_draw": "leapfrogs a draw",
        "ess_a_leapfrog": "worst bulk ESS a leapfrog",
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for axis, (quantity, label) in zip(axes, quantities.items(), strict=True):
        for (precision, name), style in zip(NAMES.items(), ("o-", "s--", "x:"), strict=True):
            found = sorted((r["N"], r[quantity]) for r in records if r["precision"] == precision)
            axis.loglog([n for n, _ in found], [y for _, y in found], style, label=name)
        axis.set(xlabel="rows N", ylabel=label)
    axes[0].legend(fontsize="small")
    figure.suptitle(f"NUTS on the fused mixture, D = K = {K}: one start, one mass matrix, three precisions")
    figure.savefig(path, dpi=110)


def main(
    out: Annotated[Path, typer.Option("--out", help="JSON lines, written as results come.")],
    picture: Annotated[Path | None, typer.Option("--plot", help="A picture of them.")] = None,
    sizes: Annotated[str, typer.Option(help="Numbers of rows.")] = "1000,10000,100000,1000000,10000000",
    draws: Annotated[int, typer.Option(help="Kept draws, but fewer beyond a million rows.")] = 200,
) -> None:
    """Fit at each size in each precision, and draw what came of it."""
    records = []
    for size in (int(word) for word in sizes.split(",")):
        few = size > 1_000_000
        for precision in NAMES:
            records.append(run(precision, size, 20 if few else 50, min(draws, 40) if few else draws))
            typer.echo(json.dumps(records[-1]))
            with out.open("a") as file:
                file.write(json.dumps(records[-1]) + "\n")
    if picture is not None:
        plot(records, picture)


if __name__ == "__main__":
    np.seterr(all="ignore")
    typer.run(main)
