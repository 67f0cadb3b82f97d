"""``ppl-parity bench pair``: how fast is each side of a pair of one's own? Asked once they are the same."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppl_parity.cli import options, outputs, pairs
from ppl_parity.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

TIMED = "What is timed"
LEAST_WARMUP = 200  # with less, a run of one draw is not worth a recording to Pyro, and one of many is


def pair(
    pair: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE.py|MODULE]",
            help="That defines pyro_model, numpyro_model and data(), as for check.",
        ),
    ] = None,
    *,
    level: Annotated[
        str,
        typer.Option(
            "--level",
            metavar="quick|standard",
            help="Of the check before: standard where the sides are parameterised differently.",
            rich_help_panel=options.LADDER,
        ),
    ] = "quick",
    only_gradients: Annotated[
        bool, typer.Option("--only-gradients", help="Leave NUTS out.", rich_help_panel=TIMED)
    ] = False,
    eager: Annotated[
        bool,
        typer.Option(
            "--eager",
            help="Time Pyro as it comes too, which runs the model's Python for each gradient.",
            rich_help_panel=TIMED,
        ),
    ] = False,
    num_chains: Annotated[
        int, typer.Option("--num-chains", help="Of a run of NUTS.", rich_help_panel=options.SAMPLER)
    ] = 1,
    num_warmup: Annotated[
        int, typer.Option("--num-warmup", help="At least 200.", rich_help_panel=options.SAMPLER)
    ] = 300,
    num_draws: Annotated[
        int,
        typer.Option(
            "--num-draws",
            help="Of a run; a side whose draws take less than its warmup makes more.",
            rich_help_panel=options.SAMPLER,
        ),
    ] = 300,
    num_seeds: Annotated[
        int, typer.Option("--num-seeds", help="Runs of each side.", rich_help_panel=options.SAMPLER)
    ] = 3,
    case_budget: Annotated[
        float,
        typer.Option(
            "--case-budget", metavar="SECONDS", help="Of timing a side's gradient.", rich_help_panel=TIMED
        ),
    ] = 2.0,
    patience: Annotated[
        float,
        typer.Option(
            "--patience", metavar="SECONDS", help="When one step is given up.", rich_help_panel=TIMED
        ),
    ] = 600.0,
    pyro: options.PyroModel = None,
    numpyro: options.NumpyroModel = None,
    data: options.CheckData = None,
    precision: options.Precision = "float64",
    device: options.Device = "cpu",
    json: options.Json = None,
    force: options.Force = False,
    machine: Annotated[
        str | None,
        typer.Option(
            "--machine", metavar="NAME", help="What to call this machine.", rich_help_panel=options.OUTPUT
        ),
    ] = None,
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Both sides of a pair of your own, if a check calls them the same: gradients, NUTS, cold and warm.

    Exit status: 0 timed, 1 the models are different, 2 bad input, 3 not shown to be the same, 4 not finished.
    """
    from benchmarks.pair.systems import Plan
    from ppl_parity.errors import one_of
    from ppl_parity.spec import SamplerSettings

    one_of("--level", level, ("quick", "standard"))
    if pair is None and not (pyro or numpyro):
        raise InputError(
            "bench pair needs a file or module that defines a pair, or --pyro, --numpyro and --data; the mixture's own "
            "formulations are timed by bench kernels and bench samplers."
        )
    if num_warmup < LEAST_WARMUP:
        raise InputError(f"--num-warmup must be at least {LEAST_WARMUP}; got {num_warmup}.")
    if num_seeds < 1:
        raise InputError(f"--num-seeds must be at least 1; got {num_seeds}.")
    for name, value in {"--case-budget": case_budget, "--patience": patience}.items():
        if not value > 0:
            raise InputError(f"{name} must be positive; got {value}.")
    SamplerSettings(num_chains=num_chains, num_draws=num_draws, precision=precision, device=device)
    outputs.check_json(json, force)
    plan = Plan(
        num_chains=num_chains,
        num_warmup=num_warmup,
        num_draws=num_draws,
        seeds=tuple(range(1, num_seeds + 1)),
        budget=case_budget,
        patience=patience,
        precision=precision,
        device=device,
        samplers=not only_gradients,
        eager=eager,
    )
    asked = {"pair": pair or pairs.SHIPPED, "pyro": pyro, "numpyro": numpyro, "data": data}
    pythons = {"pyro": pyro_python, "numpyro": numpyro_python}
    raise typer.Exit(_run(asked, plan, level, pythons, json, machine, debug=debug))


def _run(
    asked: dict[str, Any],
    plan: Any,
    level: str,
    pythons: dict[str, str | None],
    json: str | None,
    machine: str | None,
    *,
    debug: bool,
) -> int:
    from ppl_parity.cli import console
    from ppl_parity.cli.processes import backend_process
    from ppl_parity.report.terminal import TerminalReport

    screen = console.screen(json)
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(backend_process(name, pythons, plan.device, debug=debug))
            for name in pairs.BACKENDS
        }
        from benchmarks.pair.measuring import SCHEMA, measure
        from ppl_parity.checking import climb_pair
        from ppl_parity.findings import EXIT_STATUS, KNOWN

        described = pairs.described(asked, sides)
        with TerminalReport(screen) as terminal:
            report, context = climb_pair(
                described,
                sides,
                level=level,
                rungs=_with_the_bound(described, level),
                progress=terminal.progress,
                finished=terminal.finished,
            )
            terminal.print_report(report)
        screen.print()
        known = any(f.detail.startswith(KNOWN) for rung in report.rungs for f in rung.findings)
        if report.verdict != "same" or known:
            why = _refusal(report.verdict, level, known=known)
            screen.print(why, soft_wrap=True)
            outputs.write_json(
                json, {"schema": SCHEMA, "pair": report.pair, "why": why, "check": report.as_dict()}
            )
            return report.exit_status or EXIT_STATUS["unresolved"]
        with screen.status("") as status:
            say = status.update if screen.is_terminal else _log
            result = measure(context, plan, pythons, say, machine, show=partial(_show, screen))
    outputs.write_json(json, result | {"check": report.as_dict()})
    console.written(screen, [], json)
    return report.exit_status


def _with_the_bound(pair: Any, level: str) -> tuple[str, ...] | None:
    """The rungs of a pair with guides, whose gradient of the bound is timed: it is compared at any level."""
    from ppl_parity.findings import LEVELS

    return tuple(dict.fromkeys((*LEVELS[level], "elbo"))) if pair.guides else None


def _log(doing: str) -> None:
    """A line where nobody watches a status: a log shows then how far it is."""
    print(f"{doing} ...", file=sys.stderr, flush=True)


def _refusal(verdict: str, level: str, *, known: bool) -> str:
    if known and verdict == "same":
        return "Nothing was timed: the two differ where known_differences says so, and are two models."
    if verdict == "different":
        return "Nothing was timed: a ratio of the times of two different models would say nothing."
    advice = "; --level standard lets samples decide" if level == "quick" else ""
    return f"Nothing was timed: the two were not shown to be the same model{advice}."


def _show(screen: Console, result: dict[str, Any], part: str) -> None:
    from benchmarks.pair.tables import rows
    from benchmarks.tables import show
    from ppl_parity.cli import console

    found = rows(result, part)
    where = f"{result['machine']['name']}, {result['machine']['cores']} cores"
    console.table(screen, show(found, f"{result['pair']} on {where}, {result['settings']['precision']}"))
    for note in found[2]:
        screen.print(f"{note.rstrip('.')}.", soft_wrap=True)
    screen.print()
