"""``ppl-parity freeze``: one side of a pair as a file, to check its port against without its framework."""

from __future__ import annotations

from ppl_parity.cli import options, outputs, pairs
from ppl_parity.errors import one_of


def freeze(
    pair: options.Pair = pairs.SHIPPED,
    *,
    side: options.FrozenSide,
    out: options.Out,
    draws: options.Draws = True,
    num_draws: options.NumDraws = 2000,
    num_warmup: options.NumWarmup = None,
    num_chains: options.NumChains = 4,
    seed: options.Seed = 0,
    pyro: options.PyroModel = None,
    numpyro: options.NumpyroModel = None,
    pyro_guide: options.PyroGuide = None,
    numpyro_guide: options.NumpyroGuide = None,
    data: options.CheckData = None,
    columns: options.Columns = None,
    standardize: options.Standardize = None,
    dim: options.CheckedDim = None,
    components: options.Components = None,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    formulation: options.CheckedFormulation = None,
    force: options.Force = False,
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Freeze one side of a pair to a file, before it is ported or its framework goes.

    The file holds the sites, and at shared points the log probs, densities, unconstrained coordinates,
    Jacobians and gradients; trajectories, prior draws and posterior draws; the guide, if there is one, likewise;
    versions and the data's fingerprint.
    `check --against` holds the other side to it.
    """
    asked = locals()
    one_of("--side", side, pairs.BACKENDS)
    from ppl_parity.spec import SamplerSettings

    settings = SamplerSettings(
        num_draws=num_draws,
        num_warmup=500 if num_warmup is None else num_warmup,
        num_chains=num_chains,
        seed=seed,
        init="uniform",
    )
    outputs.check_file(out, "--out", [".npz"], force)
    described = pairs.shipped(asked)

    from rich.text import Text

    from ppl_parity.cli import console
    from ppl_parity.cli.processes import backend_process
    from ppl_parity.frozen.freezing import freeze as frozen_side
    from ppl_parity.frozen.freezing import told

    screen = console.screen()
    with (
        backend_process(side, {"pyro": pyro_python, "numpyro": numpyro_python}, debug=debug) as process,
        screen.status("") as status,
    ):
        frozen = frozen_side(
            described or pairs.described(asked, {side: process}),
            side,
            process,
            settings=settings if draws else None,
            seed=seed,
            progress=lambda doing: status.update(Text(doing)),
        )
    frozen.save(out)
    console.facts(screen, told(frozen))
    console.written(screen, [out])
