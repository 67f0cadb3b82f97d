"""``ppl-parity fit``: the mixture's posterior, by NUTS, as an ArviZ file."""

from __future__ import annotations

from ppl_parity.cli import inputs, options, outputs
from ppl_parity.cli.job import Job
from ppl_parity.spec import check_device

SCHEMA = "ppl-parity/fit/1"


def fit(
    *,
    backend: options.Backend = "numpyro",
    data: options.Data,
    columns: options.Columns = None,
    standardize: options.Standardize = None,
    dim: options.CheckedDim = None,
    components: options.Components = None,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    formulation: options.Formulation = "fused",
    num_draws: options.NumDraws = 1000,
    num_warmup: options.NumWarmup = None,
    num_chains: options.NumChains = 4,
    seed: options.Seed = 0,
    init: options.Init = "mode",
    target_accept: options.TargetAccept = None,
    max_tree_depth: options.MaxTreeDepth = 10,
    dense_mass: options.DenseMass = False,
    chain_method: options.ChainMethod = "auto",
    num_shards: options.NumShards = 1,
    out: options.Out,
    plots: options.Plots = None,
    json: options.Json = None,
    log_likelihood: options.LogLikelihood = None,
    assignments: options.Assignments = None,
    posterior_predictive: options.PosteriorPredictive = False,
    force: options.Force = False,
    precision: options.Precision = "float64",
    device: options.Device = "cpu",
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Fit the mixture to data by NUTS, in one backend, and write an ArviZ file (netCDF).

    Your own data stay in their own units unless you ask for --standardize. Unless you say otherwise, the
    noise scale is then 1, and the prior of beta has mean 0 and covariance I. The file holds raw draws; the
    table that is printed renames components, so that a name means one cluster in every draw.
    """
    asked = locals()
    inputs.backend_name(backend)
    check_device(device)

    from ppl_parity.cli.ahead import FOR_A_FIT
    from ppl_parity.cli.processes import backend_process

    pythons = {"pyro": pyro_python, "numpyro": numpyro_python}
    # The process starts first, and is ended again if what follows is refused: its imports are the longest wait.
    with backend_process(backend, pythons, device, imports=FOR_A_FIT, debug=debug) as side:
        job = Job.of(asked)
        outputs.check_file(out, "--out", [".nc"], force)
        outputs.check_plots(plots, force)
        outputs.check_json(json, force)
        outputs.check_distinct(out, json, read=(data, init))

        from ppl_parity.cli import console, describe
        from ppl_parity.cli.environment import environment

        screen = console.screen(json)
        tree = job.run(side, lambda: console.facts(screen, describe.of_job(job, backend)))
        versions = side.versions()
        side.end()
        from ppl_parity.cli.fitted import read_fit
        from ppl_parity.draws.posterior import save

        files = [save(tree, out, overwrite=force)]
        fitted = read_fit(tree, truth=job.data.truth)
        console.facts(screen, {"Run": describe.of_run(tree)})
        console.show_fit(screen, fitted, f"Posterior ({backend})")
    if plots is not None:
        from ppl_parity.report.plots import write_plots

        try:
            names = fitted.summary.relabelling
            title, pivot = f"{job.data.name}, {backend}", None if names is None else names.pivot
            truth = job.data.truth if fitted.recovery is not None else None
            files += write_plots(tree, job.spec, plots, title=title, pivot=pivot, truth=truth)
        except KeyboardInterrupt:
            console.written(screen, files)  # the fit is there, whatever became of its pictures
            raise
    report = {
        "schema": SCHEMA,
        **job.as_dict(),
        "run": describe.of_run_json(tree),
        **fitted.as_dict(),
        "warnings": side.warnings,
        "files": [str(path) for path in files],
        "environment": environment({backend: versions}),
    }
    outputs.write_json(json, report)
    console.written(screen, files, json)
