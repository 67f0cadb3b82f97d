"""``ppl-parity fit``: the mixture's posterior, by NUTS, as an ArviZ file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_parity.cli import inputs, options, outputs

if TYPE_CHECKING:
    from ppl_parity.cli.fitted import Fitted

SCHEMA = "ppl-parity/fit/1"


def fit(
    data: options.Data,
    out: options.Out,
    backend: options.Backend = "numpyro",
    components: options.Components = None,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    formulation: options.Formulation = "fused",
    standardize: options.Standardize = None,
    dim: options.CheckedDim = None,
    num_draws: options.NumDraws = 1000,
    num_warmup: options.NumWarmup = 1000,
    num_chains: options.NumChains = 4,
    seed: options.Seed = 0,
    init: options.Init = "kmeans",
    target_accept: options.TargetAccept = 0.8,
    max_tree_depth: options.MaxTreeDepth = 10,
    dense_mass: options.DenseMass = False,
    chain_method: options.ChainMethod = "auto",
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
    """Fit the mixture to data by NUTS, in one backend, and write an ArviZ file (netCDF).

    Your own data are taken in their own units unless you ask for --standardize: the noise scale is then 1, and
    beta has mean 0 and covariance I, unless you say otherwise. Draws in the file are raw; the table printed
    renames components so that a name means one cluster in every draw.
    """
    from ppl_parity.cli.console import console
    from ppl_parity.cli.processes import backend_process
    from ppl_parity.errors import one_of
    from ppl_parity.spec import FORMULATIONS

    inputs.backend_name(backend)
    one_of("--formulation", formulation, FORMULATIONS)
    given = inputs.hyperparameters(components, concentration, prior_mean, prior_cov, noise_scale)
    dataset, spec = inputs.data_and_spec(data, standardize, dim, given)
    settings, initial_values = inputs.starts(
        init,
        spec,
        {
            "num_draws": num_draws,
            "num_warmup": num_warmup,
            "num_chains": num_chains,
            "seed": seed,
            "target_accept": target_accept,
            "max_tree_depth": max_tree_depth,
            "dense_mass": dense_mass,
            "chain_method": chain_method,
            "precision": precision,
            "device": device,
        },
    )
    outputs.check_file(out, "--out", [".nc"], force)
    outputs.check_plots(plots, force)
    outputs.check_json(json, force)
    screen = console(json)
    python = inputs.python_of(backend, pyro_python, numpyro_python)

    from ppl_parity.cli import describe
    from ppl_parity.cli.console import facts
    from ppl_parity.cli.environment import environment
    from ppl_parity.cli.fitted import read_fit
    from ppl_parity.fits import fit_mixture
    from ppl_parity.posterior import attribute, save

    with backend_process(backend, python, debug=debug) as side:
        versions = side.versions()
        tree = fit_mixture(
            side,
            spec,
            dataset,
            settings,
            formulation=formulation,
            initial_values=initial_values,
            log_likelihood=log_likelihood,
            posterior_predictive=posterior_predictive,
            progress=sys.stderr.isatty(),
        )
        warnings = list(side.warnings)
    fitted = read_fit(tree)
    facts(
        screen,
        {
            "Data": describe.of_data(dataset),
            "Model": describe.of_model(spec),
            "Sampler": describe.of_sampler(backend, formulation, settings),
            "Run": describe.of_run(tree),
        },
    )
    show(screen, fitted, f"Posterior, {backend}")
    files = [save(tree, out, overwrite=force)]
    if left_out := attribute(tree, "left_out"):
        screen.print(f"Not in the file, because it would be large: {', '.join(left_out)}.")
    if plots is not None:
        from ppl_parity.report.plots import write_plots

        files += write_plots(tree, spec, plots, title=f"{dataset.name}, {backend}")
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "data": dataset.summary(),
        "spec": spec.as_dict(),
        "settings": settings.as_dict(),
        "run": describe.of_run_json(tree),
        **fitted.as_dict(),
        "warnings": warnings,
        "files": [str(path) for path in files],
        "environment": environment({backend: versions}),
    }
    outputs.write_json(json, report)
    finish(screen, files, json)


def show(screen: Any, fitted: Fitted, title: str) -> None:
    """Print a fit's table, and what is wrong with it."""
    from ppl_parity.cli.console import troubles
    from ppl_parity.cli.fitted import told
    from ppl_parity.report.tables import summary_table

    screen.print(summary_table(fitted.table_rows, title=title))
    screen.print()
    screen.print(f"Log predictive density of the data, summed over rows: {told(fitted)}.")
    troubles(screen, fitted.troubles)
    screen.print()


def finish(screen: Any, files: list[Path], json: str | None) -> None:
    """Name the files, the JSON among them."""
    from ppl_parity.cli.console import written

    written(screen, files + ([Path(json)] if json not in (None, "-") else []))
