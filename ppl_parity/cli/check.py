"""``ppl-parity check``: both backends' posteriors of the shipped mixture, side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ppl_parity.cli import inputs, options, outputs

SCHEMA = "ppl-parity/check/1"
SHIPPED = "mixture"

Pair = Annotated[
    str, typer.Argument(metavar="[PAIR]", help="Which pair of models: mixture, the one that ships.")
]


def check(
    pair: Pair = SHIPPED,
    data: options.Data = "old-faithful",
    out: options.OutFolder = Path("results"),
    components: options.Components = None,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    formulation: options.Formulation = "fused",
    standardize: options.Standardize = None,
    dim: options.CheckedDim = None,
    num_draws: options.NumDraws = 500,
    num_warmup: options.NumWarmup = 300,
    num_chains: options.NumChains = 4,
    seed: options.Seed = 0,
    init: options.Init = "kmeans",
    target_accept: options.TargetAccept = 0.8,
    max_tree_depth: options.MaxTreeDepth = 10,
    dense_mass: options.DenseMass = False,
    chain_method: options.ChainMethod = "auto",
    plots: options.Plots = None,
    json: options.Json = None,
    force: options.Force = False,
    precision: options.Precision = "float64",
    device: options.Device = "cpu",
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Fit the shipped mixture by NUTS in Pyro and in NumPyro, and set the two posteriors side by side.

    Writes an ArviZ file of each fit. Both get the same data, settings and starting points; components have the
    same names in both columns of the table.
    """
    from ppl_parity.cli.console import console, facts, troubles
    from ppl_parity.errors import InputError, one_of
    from ppl_parity.sides import SIDES
    from ppl_parity.spec import FORMULATIONS

    if pair != SHIPPED:
        raise InputError(f"Only the shipped pair, {SHIPPED!r}, can be checked yet; got {pair!r}.")
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
    backends = sorted(SIDES, reverse=True)  # pyro, the original, first
    paths = {name: out / f"{Path(dataset.name).stem}-{name}.nc" for name in backends}
    folders = {name: None if plots is None else plots / name for name in backends}
