"""From the words of the command line to the frozen classes that everything else takes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.cli.numbers import matrix, vector
from ppl_parity.errors import InputError, nearest, one_of
from ppl_parity.spec import INIT_STRATEGIES, MixtureSpec, SamplerSettings

if TYPE_CHECKING:
    from ppl_parity.backend.contract import Arrays
    from ppl_parity.data import Dataset


def hyperparameters(
    components: int | None,
    concentration: str | None,
    prior_mean: str | None,
    prior_cov: str | None,
    noise_scale: float | None,
) -> dict[str, Any]:
    """The arguments of MixtureSpec that were given, and no others."""
    given = {
        "num_components": components,
        "concentration": None if concentration is None else vector("--concentration", concentration),
        "prior_mean": None if prior_mean is None else vector("--prior-mean", prior_mean),
        "prior_cov": None if prior_cov is None else matrix("--prior-cov", prior_cov),
        "noise_scale": noise_scale,
    }
    return {name: value for name, value in given.items() if value is not None}


def data_and_spec(
    name_or_path: str,
    standardize: bool | None,
    dim: int | None,
    given: dict[str, Any],
    columns: str | None = None,
) -> tuple[Dataset, MixtureSpec]:
    """Load the data, and make the mixture for them.

    Raises:
        InputError: the data or the hyperparameters are refused, the columns are not ``dim``, or nothing says
            how many components there are.
    """
    from ppl_parity.data import load_data

    data = load_data(
        name_or_path, standardize=standardize, columns=None if columns is None else _names(columns)
    )
    if dim is not None and dim != data.dim:
        raise InputError(
            f"--dim must be the data's number of columns, {data.dim} for {data.name}; got {dim}."
        )
    if "num_components" not in given and "num_components" not in data.spec_hints:
        raise InputError(f"--components must be given for your own data; got none for {data.name}.")
    return data, data.spec(**given)


def starts(init: str, spec: MixtureSpec, settings: dict[str, Any]) -> tuple[SamplerSettings, Arrays | None]:
    """The sampler's settings, and the explicit starting values if ``init`` is a file of them.

    Args:
        init: a strategy's name, or the path of an .npz file.
        spec: the mixture that the values must fit.
        settings: the other arguments of SamplerSettings.

    Raises:
        InputError: no such strategy, or the file does not hold a start for every chain.
    """
    if init in INIT_STRATEGIES:
        return SamplerSettings(**settings, init=init), None
    path = Path(init)
    if path.suffix != ".npz":
        allowed = (*INIT_STRATEGIES, "an .npz file")
        hint = nearest(init, INIT_STRATEGIES)
        raise InputError(f"--init must be one of {', '.join(allowed)}; got {init!r}.{hint}")
    checked = SamplerSettings(**settings)
    return checked, _explicit(path, spec, checked.num_chains)


def backend_name(name: str) -> str:
    """``name`` if it is a backend's."""
    from ppl_parity.process.sides import SIDES

    return one_of("--backend", name, SIDES)


def _names(text: str) -> list[str]:
    """``a,"b, in mm"`` -> a and b, in mm: as the header of a file has them."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def _explicit(path: Path, spec: MixtureSpec, num_chains: int) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: np.asarray(file[name], dtype=np.float64) for name in ("theta", "beta")}
    except (OSError, KeyError, ValueError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip("'\"")
        raise InputError(
            f"--init must be a readable .npz file with arrays theta and beta; {path} is not: {reason}."
        ) from None
    K, D = spec.num_components, spec.dim
    for name, shape in {"theta": (num_chains, K), "beta": (num_chains, K, D)}.items():
        if values[name].shape != shape:
            raise InputError(
                f"{name} of --init must have shape {shape}, a row for each chain; got {values[name].shape}."
            )
        if not np.all(np.isfinite(values[name])):
            raise InputError(f"{name} of --init must be finite; {path} has other values.")
    if np.any(values["theta"] <= 0) or not np.allclose(values["theta"].sum(axis=1), 1):
        raise InputError(f"Every row of theta of --init must be positive and sum to 1; {path} has others.")
    return values
