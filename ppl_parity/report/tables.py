"""Posteriors on a terminal: one as a table, two side by side. Both fit into 100 columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from ppl_parity.report.posteriors import Difference, compare
from ppl_parity.statistics.summary import MAX_RHAT, MIN_ESS_PER_CHAIN, Row, Summary, rhat_words

# More rows than this are no longer read; the worst are kept and the caption says how many there were.
MAX_ROWS = 40
MAX_NAME = 22
MAX_NUMBER = 12  # characters of a mean; a longer one is rounded, to one digit of its sd at least
MOST_NUMBER = 18  # beyond which it is rounded whatever its sd
# |z| of a difference that is worth a look; the verdict, with its false-alarm rate, is not made here.
NOTABLE_Z = 3.0

T = TypeVar("T", Row, Difference)


def summary_table(summary: Summary, title: str = "Posterior", max_rows: int = MAX_ROWS) -> Table:
    """One posterior: mean, sd, MCSE, ESS and R-hat of each scalar, trouble in red.

    Args:
        summary: from ``summarize``.
        title: above the table.
        max_rows: of more scalars than this, those with the highest R-hat and lowest ESS are shown.
    """
    table = _table(title, (row.name for row in summary))
    for heading in ("mean", "sd", "MCSE", "ESS bulk", "ESS tail", "R-hat"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = _worst(summary.rows, max_rows, lambda row: _above(row.r_hat) * 1e6 - _number_or(row.ess_bulk, 1e6))
    least = MIN_ESS_PER_CHAIN * summary.num_chains
    for row in rows:
        table.add_row(
            Text(row.name),
            *_mean_sd(row, digits=3),
            _number(row.mcse_mean),
            _ess(row.ess_bulk, least),
            _ess(row.ess_tail, least),
            _rhat(row.r_hat),
        )
    table.caption = " ".join([*_shown(len(rows), len(summary)), *summary.notes])
    return table


def comparison_table(
    a: Summary,
    b: Summary,
    names: tuple[str, str] = ("pyro", "numpyro"),
    title: str = "Two posteriors",
    max_rows: int = MAX_ROWS,
) -> Table:
    """Two posteriors side by side, the difference in posterior standard deviations, and its z.

    Args:
        a: from ``summarize``.
        b: with components named alike: ``summarize(tree_b, pivot=a.relabelling.pivot)``.
        names: what to call the two.
        title: above the table.
        max_rows: of more scalars than this, those of the largest |z| are shown.
    """
    side = comparison_cells(a, b, names, max_rows)
    table = _table(title, (row.name for row in a))
    for heading in side.headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in side.rows:
        table.add_row(*row)
    table.caption = side.caption
    return table


@dataclass(frozen=True)
class Cells:
    """A table's words, wherever it stands: headings but for the names', rows with the name first, and a caption."""

    headings: tuple[str, ...]
    rows: list[list[Text]]
    caption: str


def comparison_cells(
    a: Summary, b: Summary, names: tuple[str, str] = ("pyro", "numpyro"), max_rows: int = MAX_ROWS
) -> Cells:
    """The words of ``comparison_table``, which see; of what is to be seen in red the style is red."""
    headings = (
        f"{names[0]}\nmean",
        "\nsd",
        f"{names[1]}\nmean",
        "\nsd",
        "diff.\nin sd",
        "MCSE\nin sd",
        "\nz",
        "ESS\nboth",
        "R-hat\nboth",
    )
    everything = compare(a, b)
    rows = _worst(everything, max_rows, lambda row: abs(row.z))
    cells = [
        [
            Text(row.a.name),
            *_mean_sd(row.a, digits=2),
            *_mean_sd(row.b, digits=2),
            _formatted(row.difference_sd, "+.2f"),
            _formatted(row.mcse_sd, ".2f"),
            _formatted(row.z, "+.1f", bad=abs(row.z) > NOTABLE_Z),
            Text.assemble(
                _ess(row.a.ess_bulk, MIN_ESS_PER_CHAIN * a.num_chains),
                " ",
                _ess(row.b.ess_bulk, MIN_ESS_PER_CHAIN * b.num_chains),
            ),
            Text.assemble(_rhat(row.a.r_hat, 2), " ", _rhat(row.b.r_hat, 2)),
        ]
        for row in rows
    ]
    caption = _shown(len(rows), len(everything))
    caption.append(f"diff. = {names[1]} - {names[0]}, in posterior sd; z = diff. / its MCSE; ESS is bulk.")
    if a.relabelling is not None:
        caption.append(f"Components were relabelled in both, {names[1]}'s to match {names[0]}'s.")
    only = {row.name for row in a} ^ {row.name for row in b}
    if only:
        caption.append(f"In one of the two only: {', '.join(sorted(only)[:5])}{' ...' * (len(only) > 5)}.")
    return Cells(headings, cells, " ".join(caption))


def _table(title: str, names: Iterable[str]) -> Table:
    table = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
    )
    # Without a least width rich shortens every column alike; a longer name goes on in the next line, for its end is
    # what tells it from the others.
    width = min(MAX_NAME, max(map(len, names), default=0))
    table.add_column("parameter", overflow="fold", min_width=width, max_width=MAX_NAME)
    return table


def _worst(rows: Sequence[T], limit: int, badness: Callable[[T], float]) -> list[T]:
    """The ``limit`` worst rows, in the order in which they came; NaN counts as worst of all."""
    if len(rows) <= limit:
        return list(rows)
    scores = [_number_or(badness(row), math.inf) for row in rows]
    kept = sorted(range(len(rows)), key=lambda i: -scores[i])[:limit]
    return [rows[i] for i in sorted(kept)]


def _shown(shown: int, total: int) -> list[str]:
    return [f"The worst {shown} of {total} scalars."] if shown < total else []


def _above(r_hat: float) -> float:
    return max(0.0, _number_or(r_hat, 1.0) - MAX_RHAT)


def _number_or(value: float, default: float) -> float:
    return default if math.isnan(value) else value


def _mean_sd(row: Row, digits: int) -> tuple[Text, Text]:
    """Both with the decimals that give the sd ``digits`` significant ones: more are noise."""
    if not (row.sd > 0 and math.isfinite(row.sd) and math.isfinite(row.mean)):
        return _number(row.mean), _number(row.sd)
    decimals = digits - 1 - math.floor(math.log10(row.sd))
    # Of a mean that is long, fewer of the sd's digits, down to one: two that are apart must not look the same.
    shortest = max(0, decimals - digits + 1)
    while decimals > shortest and len(f"{row.mean:.{decimals}f}") > MAX_NUMBER:
        decimals -= 1
    if len(f"{row.mean:.{max(0, decimals)}f}") > MOST_NUMBER:
        return _number(row.mean), _number(row.sd)
    if decimals > 6:
        return Text(f"{row.mean:.{digits + 1}g}"), Text(f"{row.sd:.{digits}g}")
    return Text(f"{row.mean:.{max(0, decimals)}f}"), Text(f"{row.sd:.{max(0, decimals)}f}")


def _formatted(value: float, pattern: str, bad: bool = False) -> Text:
    return Text("-") if math.isnan(value) else Text(f"{value:{pattern}}", style="red" if bad else "")


def _number(value: float) -> Text:
    return _formatted(value, ".3g")


def _ess(value: float, least: float) -> Text:
    return _formatted(value, ".0f", bad=value < least)


def _rhat(value: float, decimals: int = 3) -> Text:
    if math.isnan(value):
        return Text("-")
    return Text(rhat_words(value, decimals), style="red" if value > MAX_RHAT else "")
