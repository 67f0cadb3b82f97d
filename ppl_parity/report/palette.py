"""What every plot of the page draws with: colours, lines, panels, and the numbers read from a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ppl_parity.errors import InputError

# Placeholders: ``figures.THEME`` says what the page makes of each.
INK, MUTED, RULE = "#101112", "#606162", "#c0c1c2"
PYRO, NUMPYRO, BAND, ALERT = "#d55e00", "#0072b2", "#a0a1a2", "#b3144f"
COLOURS = {"pyro": PYRO, "numpyro": NUMPYRO}
LABELS = {"pyro": "Pyro", "numpyro": "NumPyro"}
# The second is drawn above the first: where the two agree, both are still seen.
LINES: dict[str, dict[str, Any]] = {
    "pyro": {"color": PYRO, "linewidth": 1.8},
    "numpyro": {"color": NUMPYRO, "linewidth": 1.5, "linestyle": (0, (4, 2))},
}
SIZE = (5.0, 2.35)
WIDE = 9.4


def array(numbers: Mapping[str, Any], key: str, ndim: int | tuple[int, ...] = 1) -> np.ndarray:
    """One of a plot's arrays, as floats; strings such as "nan", which JSON makes of a NaN, are read.

    Raises:
        InputError: it is missing, empty, or of another number of axes.
    """
    if key not in numbers:
        raise InputError(f"A {numbers.get('plot')} plot needs {key!r}; got {sorted(map(str, numbers))}.")
    try:
        values = np.asarray(numbers[key], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{key!r} of a {numbers.get('plot')} plot must be numbers; {error}.") from error
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if values.ndim not in allowed or values.size == 0:
        axes = " or ".join(map(str, allowed))
        raise InputError(
            f"{key!r} of a {numbers.get('plot')} plot must have values and {axes} axes; got shape {values.shape}."
        )
    return values


def panels(figure: Any, count: int, columns: int, height: float | None = None) -> Sequence[Any]:
    """``count`` axes in rows of ``columns``; each row ``height`` inches, where it is given."""
    rows = -(-count // columns)
    if height is not None:
        figure.set_figheight(rows * height)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.set_axis_off()
    return grid[:count]


def legend(figure: Any, handles: Sequence[Any]) -> None:
    """Above the panels, where it hides nothing."""
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=2.2)
