"""A finding's numbers as a picture: matplotlib draws it, the page colours it.

Every colour of a theme is written as a placeholder and becomes a CSS variable, so that one picture serves
light, dark and paper.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ppl_parity.errors import InputError
from ppl_parity.report import components, curves
from ppl_parity.report.palette import ALERT, BAND, INK, MUTED, NUMPYRO, PYRO, RULE, SIZE

# What is drawn with -> what the page makes of it.
THEME = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PYRO: "var(--pyro)",
    NUMPYRO: "var(--numpyro)",
    BAND: "var(--band)",
    ALERT: "var(--different)",
}

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
