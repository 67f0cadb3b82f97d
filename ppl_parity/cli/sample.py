"""``ppl-parity sample``: ancestral samples of the mixture, from either backend."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Any

import numpy as np

from ppl_parity.cli import inputs, options, outputs
from ppl_parity.errors import InputError
from ppl_parity.spec import MixtureSpec, SamplerSettings
from ppl_parity.writing import write

SCHEMA = "ppl-parity/sample/1"


def sample(
    *,
    backend: options.Backend = "numpyro",
    num_data: options.NumData = 1000,
    dim: options.Dim = 2,
    components: options.Components = 3,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    num_draws: options.NumDraws = 1,
    seed: options.Seed = 0,
    out: options.Out,
    plot: options.Plot = None,
    json: options.Json = None,
    force: options.Force = False,
    precision: options.Precision = "float64",
    device: options.Device = "cpu",
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Sample the mixture's generative process: theta, then beta, then z, then x.

    Writes an .npz file with theta (K,), beta (K, D), z (N,) and x (N, D), which `fit --data` takes as it is;
    with --num-draws S above 1 each has a leading axis of S independent draws. The entries spec and settings
    are JSON text.
    """
    from ppl_parity.cli import console, describe
    from ppl_parity.cli.environment import environment
    from ppl_parity.cli.processes import backend_process

    inputs.backend_name(backend)
    given = inputs.hyperparameters(components, concentration, prior_mean, prior_cov, noise_scale)
    spec = MixtureSpec(dim=dim, **given)
    checked = SamplerSettings(num_draws=num_draws, seed=seed, precision=precision, device=device)
    if num_data < 1:
        raise InputError(f"--num-data must be at least 1; got {num_data}.")
    outputs.check_file(out, "--out", [".npz"], force)
    if plot is not None:
        outputs.check_file(plot, "--plot", [".png"], force)
    outputs.check_json(json, force)
    outputs.check_distinct(out, plot, json)

    settings = {
        "backend": backend,
        "num_data": num_data,
        "num_draws": checked.num_draws,
        "seed": checked.seed,
        "precision": precision,
        "device": device,
    }
    pythons = {"pyro": pyro_python, "numpyro": numpyro_python}
    with backend_process(backend, pythons, device, debug=debug) as side:
        versions = side.versions()
        draws = side.sample_mixture(
            spec, num_data, num_draws=num_draws, seed=seed, precision=precision, device=device
        )
    first = {name: values[0] for name, values in draws.items()}
    arrays = first if num_draws == 1 else draws
    write(out, lambda path: _save(path, arrays, spec, settings))
    files = [out]
    if plot is not None:
        from ppl_parity.report.mixture_plots import plot_samples

        files.append(plot_samples(first["x"], first["z"], first["beta"], plot))
    screen = console.screen(json)
    shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
    rows = {
        "Model": describe.of_model(spec),
        "Samples": f"{shapes}; {backend}, {precision} on {device}, seed {seed}",
    }
    if num_draws == 1:
        counts = np.bincount(first["z"], minlength=spec.num_components)
        rows["theta"] = ", ".join(f"{weight:.3f}" for weight in first["theta"])
        rows["Rows of x"] = ", ".join(map(str, counts)) + " from each component"
    console.facts(screen, rows)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "spec": spec.as_dict(),
        "settings": settings,
        "shapes": {name: list(values.shape) for name, values in arrays.items()},
        "files": [str(path) for path in files],
        "environment": environment({backend: versions}),
    }
    outputs.write_json(json, report)
    console.written(screen, files, json)


def _save(path: Path, arrays: dict[str, Any], spec: MixtureSpec, settings: dict[str, Any]) -> None:
    texts = {"spec": spec.as_dict(), "settings": settings}
    entries: dict[str, Any] = {name: json_module.dumps(text) for name, text in texts.items()}
    with path.open("wb") as file:  # given a name, NumPy would add a suffix to it
        np.savez(file, allow_pickle=False, **entries, **arrays)
