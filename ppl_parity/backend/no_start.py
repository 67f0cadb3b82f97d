"""What to say where chains cannot begin anywhere: which site has no density, and in which row."""

from __future__ import annotations

import numpy as np

from ppl_parity.backend.contract import Program
from ppl_parity.errors import InputError


def why_no_start(side: str, program: Program, strategy: str) -> InputError:
    """What to say where no starting point has a density: which site has none, at a draw from the prior."""
    said = f"{side}: no starting point has a finite potential and gradient, in 100 tries by the strategy {strategy!r}"
    try:
        sites = {site.name: site for site in program.sites()}
        values = {
            n: np.asarray(s.value) for n, s in sites.items() if s.kind == "latent" and s.value is not None
        }
        found = program.site_log_probs(values)
    except InputError as error:  # Pyro's distributions refuse what lies outside of their support
        return InputError(f"{said}. {error}")
    for name, log_prob in found.items():
        bad = np.argwhere(~np.isfinite(log_prob))
        if not len(bad):
            continue
        place = tuple(map(int, bad[0]))
        row = f" in row {', '.join(map(str, place))}" if place else ""
        count = f", and in {len(bad) - 1} more" if len(bad) > 1 else ""
        data = np.asarray(sites[name].value)
        if sites[name].kind == "observed" and np.any(np.isnan(data.astype(float))):
            first = ", ".join(map(str, np.argwhere(np.isnan(data.astype(float)))[0]))
            return InputError(
                f"{said}: the data of {name!r} are NaN{f' in row {first}' if first else ''}. Leave such rows out, or "
                "give a number there and mask them."
            )
        hint = (
            "Do the data lie in its support?" if sites[name].kind == "observed" else "Look at its parameters."
        )
        return InputError(
            f"{said}: the log prob of {name!r} is {np.asarray(log_prob)[place]:g}{row}{count}. {hint}"
        )
    return InputError(f"{said}. Try another one, or look at the supports of the model's sites.")
