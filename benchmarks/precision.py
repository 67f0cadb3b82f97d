"""What NUTS makes of rounding: ``python -m benchmarks.precision --out FILE.jsonl --plot FILE.png``.

The mixture, sampled by NumPyro's NUTS from one start with one mass matrix, in float64 throughout; with float32 rows
and parameters and sums in float64, which ``--precision float32`` means; and in plain float32, which a process
without x64 would run: as an array program, and by the fused kernel, whose float64 sums are rounded when they come
out. The last two cannot hold the energy differences of many rows.
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
from ppl_parity.spec import MixtureSpec, SamplerSettings
from ppl_parity.starts import mode_start
from ppl_parity.statistics.diagnostics import ess

D = K = 8
NAMES = {
    "float64": "float64 throughout",
    "float32 rows": "float32 rows, sums in float64",
    "plain float32": "float32 throughout, fused kernel",
    "array program": "float32 throughout, array program",
}
PLAIN = ("plain float32", "array program")
MAX_TREE_DEPTH = 5  # of plain float32, whose step size may fall to nothing
MOST_ROWS = {"plain float32": 1_000_000, "array program": 100_000}  # minutes to hours beyond


def model_in(precision: str, spec: MixtureSpec) -> Any:
    """The fused mixture, which in plain float32 does not ask for float64 parameters and sums; or an array program."""
    import numpyro_impl
    from numpyro_impl.timing import matmul

    if precision == "array program":
        return matmul(spec)
    model = numpyro_impl.mixture(spec, "fused")
    if precision == "plain float32":
        model.float64_parameters = False
    return model


def run(precision: str, num_data: int, num_warmup: int, num_draws: int, num_chains: int) -> dict[str, Any]:
    """One fit: acceptance, step size, leapfrogs a draw and ESS a leapfrog.

    Args:
        precision: of ``NAMES``. num_data: N.
    """
    import numpyro_impl

    spec, truth = problems.data(num_data, D, K)
    start = mode_start(spec, truth["x"], num_chains, seed=0)
    settings = SamplerSettings(
        num_draws=num_draws,
        num_warmup=num_warmup,
        num_chains=num_chains,
        init="mode",
        adapt_mass=False,
        precision="float64" if precision == "float64" else "float32",
    )
    if precision in PLAIN:
        settings = replace(settings, max_tree_depth=MAX_TREE_DEPTH)
    began = time.perf_counter()
    groups, _ = numpyro_impl.sample_posterior(
        model_in(precision, spec),
        {"x": truth["x"]},
        settings,
        initial_values=start.values,
        inverse_mass=start.inverse_mass,
    )
    stats, beta = groups["sample_stats"], groups["posterior"]["beta"]
    middle = np.median([float(ess(beta[..., k, d], method="bulk")) for k in range(K) for d in range(D)])
    leapfrogs = float(stats["n_steps"].sum())
    step_sizes = stats["step_size"][:, -1]
    return {
        "precision": precision,
        "N": num_data,
        "num_warmup": num_warmup,
        "num_draws": num_draws,
        "num_chains": num_chains,
        "acceptance": float(stats["acceptance_rate"].mean()),
        "step_size": float(step_sizes.mean()),
        "step_size_of_chains": [float(step_sizes.min()), float(step_sizes.max())],
        "leapfrogs_a_draw": leapfrogs / (num_draws * num_chains),
        "ess_a_leapfrog": float(middle) / leapfrogs,
        "seconds": time.perf_counter() - began,
    }


def table(records: list[dict[str, Any]]) -> str:
    """The same in Markdown, each precision beside the others of its size."""
    head = ["rows", "precision", "acceptance", "step size (of chains)", "leapfrogs a draw", "ESS a leapfrog"]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    for r in records:
        low, high = r["step_size_of_chains"]
        numbers = [f"{r['acceptance']:.3f}", f"{r['step_size']:.3f} ({low:.3f} to {high:.3f})"]
        numbers += [f"{r['leapfrogs_a_draw']:.2f}", f"{r['ess_a_leapfrog']:.3f}"]
        lines.append(" | ".join([f"{r['N']:,}", NAMES[r["precision"]], *numbers]))
    return "\n".join(f"| {line} |" for line in lines)


def plot(records: list[dict[str, Any]], path: Path) -> None:
    """Acceptance, step size, leapfrogs a draw and ESS a leapfrog against N, a line for each precision."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    quantities = {
        "acceptance": "mean acceptance",
        "step_size": "step size",
        "leapfrogs_a_draw": "leapfrogs a draw",
        "ess_a_leapfrog": "median ESS a leapfrog",
    }
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
    for axis, (quantity, label) in zip(axes, quantities.items(), strict=True):
        for (precision, name), style in zip(NAMES.items(), ("o-", "s--", "x:", "v:"), strict=True):
            found = sorted((r["N"], r[quantity]) for r in records if r["precision"] == precision)
            axis.plot([n for n, _ in found], [y for _, y in found], style, label=name)
        axis.set(xlabel="rows N", xscale="log", title=label)
        if quantity == "leapfrogs_a_draw":
            axis.set_yscale("log")
        else:  # room above for half a marker
            axis.set_ylim(0, 1.02 if quantity == "acceptance" else 1.08 * max(r[quantity] for r in records))
    limit = 2**MAX_TREE_DEPTH - 1
    axes[2].axhline(limit, color="grey", linewidth=0.6)
    axes[2].set_ylim(top=1.3 * max(limit, *(r["leapfrogs_a_draw"] for r in records)))
    axes[2].annotate(
        "limit of plain float32",
        (0.03, 1.02 * limit),
        fontsize="x-small",
        color="grey",
        xycoords=("axes fraction", "data"),
        va="bottom",
    )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    figure.suptitle(f"NUTS on the mixture, D = K = {K}: one start, one mass matrix")
    figure.savefig(path, dpi=110)


def main(
    out: Annotated[Path, typer.Option("--out", help="JSON lines, written as results come.")],
    picture: Annotated[Path | None, typer.Option("--plot", help="A picture of them.")] = None,
    sizes: Annotated[str, typer.Option(help="Numbers of rows.")] = "1000,10000,100000,1000000,10000000",
    draws: Annotated[
        int, typer.Option(help="Kept draws of each chain, but fewer beyond a million rows.")
    ] = 200,
) -> None:
    """Fit at each size in each precision, and draw what came of it."""
    records = []
    for size in (int(word) for word in sizes.split(",")):
        for precision in NAMES:
            if size > MOST_ROWS.get(precision, size):
                continue
            few = size > 1_000_000
            iterations = (20, min(draws, 40)) if few else (50, draws)
            records.append(run(precision, size, *iterations, num_chains=2 if few else 4))
            typer.echo(json.dumps(records[-1]))
            with out.open("a") as file:
                file.write(json.dumps(records[-1]) + "\n")
    typer.echo(table(records))
    if picture is not None:
        plot(records, picture)


if __name__ == "__main__":
    np.seterr(all="ignore")
    typer.run(main)
