"""Which pair a command means: the shipped mixture on some data, a file, a module, or models in files of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppl_parity.errors import InputError

if TYPE_CHECKING:
    from ppl_parity.pair.pairs import Pair
    from ppl_parity.process.sides import Side

SHIPPED = "mixture"
BACKENDS = ("pyro", "numpyro")  # the original first


def shipped(asked: Mapping[str, Any]) -> Pair | None:
    """The mixture on the data that were asked for; None for a pair of the user's own.

    Raises:
        InputError: an option breaks a rule, or says of a pair of the user's own what only the mixture has.
    """
    separate = ("pyro", "numpyro", "pyro_guide", "numpyro_guide")
    if asked["pair"] != SHIPPED or any(asked.get(name) for name in separate):
        _refuse_the_mixtures(asked)
        return None
    from ppl_parity.cli import inputs
    from ppl_parity.cli.job import HYPERPARAMETERS
    from ppl_parity.errors import one_of
    from ppl_parity.pair.pairs import Pair
    from ppl_parity.process.references import MixtureReference
    from ppl_parity.spec import FORMULATIONS

    formulation = one_of("--formulation", asked["formulation"] or "enumerated", FORMULATIONS)
    given = inputs.hyperparameters(*(asked[name] for name in HYPERPARAMETERS))
    dataset, spec = inputs.data_and_spec(
        asked["data"] or "old-faithful", asked["standardize"], asked["dim"], given, asked["columns"]
    )
    reference = MixtureReference(spec, formulation)
    return Pair(
        name=f"mixture on {dataset.name}",
        models=dict.fromkeys(BACKENDS, reference),
        data={side: {"x": dataset.x} for side in BACKENDS},
    )


def described(asked: Mapping[str, Any], sides: Mapping[str, Side]) -> Pair:
    """A pair of the user's own: from one file or module, or each model from a file of its own.

    Args:
        asked: the command's options.
        sides: the processes that are open; a model of another side is not asked for.
    """
    from ppl_parity.pair.loading import load_pair, load_parts

    given = {side: asked.get(side) for side in BACKENDS}
    if not any(given.values()):
        if _guides(asked):
            raise InputError(
                "--pyro-guide and --numpyro-guide must go with --pyro and --numpyro; a file of both models defines "
                "pyro_guide and numpyro_guide."
            )
        if asked["data"]:
            raise InputError(
                "--data must go with the mixture or with --pyro and --numpyro; a pair has its own data()."
            )
        return load_pair(asked["pair"], sides)
    if asked["pair"] != SHIPPED:
        raise InputError(
            f"A pair must be one file, or separate files; got {asked['pair']!r} and these as well."
        )
    parts = {f"--{side}": given[side] for side in sides} | {"--data": asked["data"]}
    for side in BACKENDS:
        if given[side] and side not in sides:
            raise InputError(f"--{side} must be left out: the frozen file is the {side} side.")
    missing = [option for option, value in parts.items() if not value]
    if missing:
        raise InputError(f"A pair in separate files needs {', '.join(missing)} as well, as FILE:NAME.")
    guides = _guides(asked)
    for side in guides:
        if side not in sides:
            raise InputError(f"--{side}-guide must be left out: no model of {side}'s is run.")
    return load_parts(
        {side: str(given[side]) for side in BACKENDS if side in sides}, asked["data"], sides, guides
    )


def _guides(asked: Mapping[str, Any]) -> dict[str, str]:
    """Side -> where its guide is."""
    return {side: guide for side in BACKENDS if (guide := asked.get(f"{side}_guide"))}


def _refuse_the_mixtures(asked: Mapping[str, Any]) -> None:
    """Options that would change nothing are no harmless ones: who gives them believes that they do."""
    from ppl_parity.cli.job import HYPERPARAMETERS

    names = [name for name in ("columns", "dim", *HYPERPARAMETERS, "formulation") if asked[name] is not None]
    given = [f"--{name.replace('_', '-')}" for name in names]
    if asked["standardize"] is not None:
        given.insert(0, "--standardize" if asked["standardize"] else "--no-standardize")
    if given:
        raise InputError(f"{', '.join(given)} must go with the mixture; a pair has its own models and data.")
