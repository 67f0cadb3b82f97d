"""``ppl-parity check``: are the two models the same, where do they first differ, and how sure is that?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from ppl_parity.cli import options, outputs, pairs
from ppl_parity.errors import InputError

if TYPE_CHECKING:
    from ppl_parity.frozen.side import FrozenSide
    from ppl_parity.process.sides import Side


def check(
    pair: options.Pair = pairs.SHIPPED,
    *,
    level: options.Level = "standard",
    rungs: options.Rungs = None,
    budget: options.Budget = None,
    margin: options.Margin = 0.15,
    false_alarm: options.FalseAlarm = 0.01,
    keep_going: options.KeepGoing = False,
    seed: options.Seed = 0,
    pyro: options.PyroModel = None,
    numpyro: options.NumpyroModel = None,
    pyro_guide: options.PyroGuide = None,
    numpyro_guide: options.NumpyroGuide = None,
    data: options.CheckData = None,
    against: options.Against = None,
    columns: options.Columns = None,
    standardize: options.Standardize = None,
    dim: options.CheckedDim = None,
    components: options.Components = None,
    concentration: options.Concentration = None,
    prior_mean: options.PriorMean = None,
    prior_cov: options.PriorCov = None,
    noise_scale: options.NoiseScale = None,
    formulation: options.CheckedFormulation = None,
    out: options.OutFolder = None,
    html: options.Html = None,
    json: options.Json = None,
    force: options.Force = False,
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Say whether a Pyro model and its NumPyro port are the same, and where they first differ.

    Climbs the ladder: structure, density, enumeration, gradient, transform, dynamics, then forward samples,
    posteriors and assignments; where a pair has guides, these and their evidence lower bounds, too. Exit status:
    0 same, 1 different, 2 bad input, 3 unresolved, 4 not finished.
    """
    asked = locals()
    from ppl_parity.ladder import choose
    from ppl_parity.ladder.context import CheckSettings

    chosen = None if rungs is None else [name.strip() for name in rungs.split(",") if name.strip()]
    choose(level, chosen)
    settings = CheckSettings(
        seed=seed, false_alarm=false_alarm, margin=margin, budget=budget, keep_going=keep_going
    )
    shipped = pairs.shipped(asked)
    frozen = _frozen(against)
    files = _files(out)
    _check_outputs(out, files, html, json, force)
    read = [each and each.rpartition(":")[0] for each in (pyro, numpyro, pyro_guide, numpyro_guide, data)]
    outputs.check_distinct(html, json, *_flat(files), read=(pair, data, against, *read))

    from ppl_parity.cli import console
    from ppl_parity.cli.processes import backend_process
    from ppl_parity.report.terminal import TerminalReport

    screen = console.screen(json)
    pythons = {"pyro": pyro_python, "numpyro": numpyro_python}
    with ExitStack() as stack:
        live = {
            name: stack.enter_context(backend_process(name, pythons, debug=debug))
            for name in pairs.BACKENDS
            if frozen is None or name != frozen.name
        }
        # While both processes import their frameworks, this one imports what it needs.
        from ppl_parity.checking import climb_pair

        described = shipped or pairs.described(asked, live)
        with TerminalReport(screen) as terminal:
            report, context = climb_pair(
                described,
                live if frozen is None else {**live, frozen.name: cast("Side", frozen)},
                level=level,
                rungs=chosen,
                settings=settings,
                progress=terminal.progress,
                finished=terminal.finished,
            )
            terminal.print_report(report)
    if out is not None:  # now that there is something to put there
        out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for path in filter(None, (html, files["html"])):
        written.append(report.to_html(path))
    if files["json"] is not None:
        report.to_json(files["json"])
        written.append(files["json"])
    if report.posteriors is not None:
        from ppl_parity.cli.posteriors import save_both, show

        show(screen, report.posteriors)
        written += save_both(context, report, files["posteriors"], force)
    outputs.write_json(json, report.as_dict())
    console.written(screen, written, json)
    raise typer.Exit(report.exit_status)


def _frozen(against: Path | None) -> FrozenSide | None:
    if against is None:
        return None
    from ppl_parity.frozen.file import load_frozen
    from ppl_parity.frozen.side import FrozenSide

    return FrozenSide(load_frozen(against))


def _files(out: Path | None) -> dict[str, Any]:
    if out is None:
        return {"html": None, "json": None, "posteriors": {}}
    return {
        "html": out / "report.html",
        "json": out / "report.json",
        "posteriors": {name: out / f"{name}.nc" for name in pairs.BACKENDS},
    }


def _flat(files: Mapping[str, Any]) -> list[Path]:
    return [
        path for path in (files["html"], files["json"], *files["posteriors"].values()) if path is not None
    ]


def _check_outputs(
    out: Path | None, files: Mapping[str, Any], html: Path | None, json: str | None, force: bool
) -> None:
    outputs.check_json(json, force)
    if html is not None:
        outputs.check_file(html, "--html", [".html"], force)
    if out is None:
        return
    outputs.check_folder(out, "--out")
    for path in _flat(files):
        if path.exists() and not force:
            raise InputError(f"--out must not hold results already unless --force is given; {path} is there.")
