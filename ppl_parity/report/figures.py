"""A finding's numbers as a picture: matplotlib draws it, the page colours it.

Every colour of a theme is written as a placeholder and becomes a CSS variable, so that one picture serves
light, dark and paper.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ppl_parity.errors import InputError

# What is drawn with -> what the page makes of it.
INK, MUTED, RULE = "#101112", "#606162", "#c0c1c2"
PYRO, NUMPYRO, BAND, ALERT = "#d55e00", "#0072b2", "#a0a1a2", "#b3144f"
THEME = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PYRO: "var(--pyro)",
    NUMPYRO: "var(--numpyro)",
    BAND: "var(--band)",
    ALERT: "var(--different)",
}
COLOURS = {"pyro": PYRO, "numpyro": NUMPYRO}
LABELS = {"pyro": "Pyro", "numpyro": "NumPyro"}
# The second is drawn above the first: where the two agree, both are still seen.
LINES: dict[str, dict[str, Any]] = {
    "pyro": {"color": PYRO, "linewidth": 1.8},
    "numpyro": {"color": NUMPYRO, "linewidth": 1.5, "linestyle": (0, (4, 2))},
}
SIZE = (5.0, 2.35)
WIDE = 9.4

_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 6,
    "axes.labelsize": 8,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": False,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "text.parse_math": False,  # a site may be called "a$b$c"
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "path.simplify": True,
}


def draw(numbers: Mapping[str, Any], name: str, identity: str) -> tuple[str, bool]:
    """Draw what ``numbers["plot"]`` names.

    Args:
        numbers: of a finding, as ``html.py`` describes them.
        name: of the quantity, for axes.
        identity: differs between the pictures of one page.

    Returns:
        The picture as an ``<svg>`` element, and whether it wants the whole width of the page.

    Raises:
        InputError: the numbers are not what the plot needs.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    from ppl_parity.report import components, curves

    kinds: dict[str, Callable[[Any, Mapping[str, Any], str], None]] = {
        "posterior": curves.posterior,
        "energy": curves.energy,
        "rows": curves.rows,
        "ranks": curves.ranks,
        "coclustering": components.coclustering,
        "mixture": components.mixture,
    }
    kind = str(numbers.get("plot"))
    if kind not in kinds:
        raise InputError(f"A plot must be one of {', '.join(kinds)}; got {kind!r}.")
    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": identity}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the page's fonts draw it, not matplotlib's
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        kinds[kind](figure, numbers, name)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})
    return _inline(buffer.getvalue(), f"{kind} plot of {name}"), figure.get_figwidth() > SIZE[0]


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


def _inline(text: str, label: str) -> str:
    """An SVG file as an element of a page: no prologue, no size of its own, no names that could clash."""
    from markupsafe import escape

    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)
    view = re.search(r'viewBox="[^"]*"', text)
    head = f'<svg {view.group() if view else ""} role="img" aria-label="{escape(label)}">'
    text = re.sub(r"<svg[^>]*>", lambda _: head, text, count=1).replace("xlink:href", "href")
    text = re.sub(r"\n\s*", "\n", text)
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), text)
    for colour, variable in THEME.items():
        text = text.replace(colour, variable)
    return text
