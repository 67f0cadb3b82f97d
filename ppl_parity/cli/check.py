"""``ppl-parity check``: both backends' posteriors of the shipped mixture, side by side."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ppl_parity.cli import options, outputs
from ppl_parity.cli.job import Job
from ppl_parity.errors import InputError

SCHEMA = "ppl-parity/check/1"
SHIPPED = "mixture"
BACKENDS = ("pyro", "numpyro")  # the original first

Pair = Annotated[
    str, typer.Argument(metavar="[PAIR]", help="Which pair of models: mixture, the one that ships.")
]


def check(
    pair: Pair = SHIPPED,
    *,
    data: options.Data = "old-faithful",
    standardize: options.Standardize = None,
    dim: options.CheckedDim = None,
    components: options.Components = None,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    formulation: options.Formulation = "fused",
    num_draws: options.NumDraws = 500,
    num_warmup: options.NumWarmup = 300,
    num_chains: options.NumChains = 4,
    seed: options.Seed = 0,
    init: options.Init = "kmeans",
    target_accept: options.TargetAccept = 0.8,
    max_tree_depth: options.MaxTreeDepth = 10,
    dense_mass: options.DenseMass = False,
    chain_method: options.ChainMethod = "auto",
    out: options.OutFolder = Path("results"),
    plots: options.Plots = None,
    json: options.Json = None,
    log_likelihood: options.LogLikelihood = None,
    posterior_predictive: options.PosteriorPredictive = False,
    force: options.Force = False,
    precision: options.Precision = "float64",
    device: options.Device = "cpu",
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Fit the shipped mixture by NUTS in Pyro and in NumPyro, and set the two posteriors side by side.

    Writes an ArviZ file of each fit. Both get the same data, settings and starting points, and a component
    has the same name in both.
    """
    asked = locals()
    if pair != SHIPPED:
        raise InputError(f"Only the shipped pair, {SHIPPED!r}, can be checked yet; got {pair!r}.")
    job = Job.of(asked)
    paths = {name: out / f"{Path(job.data.name).stem}-{name}.nc" for name in BACKENDS}
    folders = {name: None if plots is None else plots / name for name in BACKENDS}
    outputs.check_folder(out, "--out")
    for name in BACKENDS:
        if paths[name].parent.is_dir():
            outputs.check_file(paths[name], "--out", None, force)
        outputs.check_plots(folders[name], force)
    outputs.check_json(json, force)

    from ppl_parity.cli import console, describe
    from ppl_parity.cli.environment import environment
    from ppl_parity.cli.fitted import read_fit
    from ppl_parity.cli.processes import backend_process
    from ppl_parity.posterior import save
    from ppl_parity.report.tables import compare, comparison_table

    screen, progress = console.screen(json), console.screen("-")
    pythons = {"pyro": pyro_python, "numpyro": numpyro_python}
    trees, files = {}, []
    with ExitStack() as stack:
        # Both must be there before either of them works for a minute.
        sides = {
            name: stack.enter_context(backend_process(name, pythons, device, debug=debug))
            for name in BACKENDS
        }
        versions = {name: sides[name].versions() for name in BACKENDS}
        console.facts(screen, describe.of_job(job, " and in ".join(BACKENDS)))
        # One after the other: each uses every core for its chains, and both at once were slower.
        for name in BACKENDS:
            progress.print(f"Sampling in {name} ...", style="dim")
            trees[name] = job.run(sides[name])
            out.mkdir(parents=True, exist_ok=True)
            files.append(save(trees[name], paths[name], overwrite=force))
    original = read_fit(trees["pyro"])
    relabelling = original.summary.relabelling
    port = read_fit(trees["numpyro"], None if relabelling is None else relabelling.pivot)
    fits = {"pyro": original, "numpyro": port}
    console.facts(screen, {name: describe.of_run(trees[name]) for name in BACKENDS})
    title = f"Two posteriors of {job.data.name}"
    console.table(screen, comparison_table(original.table_rows, port.table_rows, BACKENDS, title=title))
    for name in BACKENDS:
        console.predictive(screen, fits[name], name)
    for name in BACKENDS:
        console.troubles(screen, fits[name].troubles, name)
    screen.print()
    for name, folder in folders.items():
        if folder is not None:
            from ppl_parity.report.plots import write_plots

            files += write_plots(trees[name], job.spec, folder, title=f"{job.data.name}, {name}")
    report = {
        "schema": SCHEMA,
        **job.as_dict(),
        "posteriors": {
            name: {"run": describe.of_run_json(trees[name]), **fits[name].as_dict()} for name in BACKENDS
        },
        "differences": [
            {"name": d.a.name, "difference_sd": d.difference_sd, "mcse_sd": d.mcse_sd, "z": d.z}
            for d in compare(original.table_rows, port.table_rows)
        ],
        "warnings": {name: sides[name].warnings for name in BACKENDS},
        "files": [str(path) for path in files],
        "environment": environment(versions),
    }
    outputs.write_json(json, report)
    console.written(screen, files, json)
