"""``ppl-parity bench``: how fast, for things that were shown to be the same. ``python -m benchmarks`` is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ppl_parity.cli import options
from ppl_parity.cli.bench_pair import pair
from ppl_parity.cli.exits import Exits
from ppl_parity.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.cases import Case
    from benchmarks.session import Session

app = typer.Typer(
    name="bench",
    cls=Exits,
    help="Time the formulations, the samplers and their peers, beside what this machine can do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

BENCH = "Benchmark"


def _option(*names: str, help: str, panel: str = BENCH, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


Cases = Annotated[
    str | None, _option("--cases", metavar="TOML", help="These cases in place of the shipped ones.")
]
Sizes = Annotated[
    str | None, _option("--sizes", metavar="S,M,..", help="Of the cases, these sizes: S, M, L, XL, W, H.")
]
Systems = Annotated[
    str | None,
    _option("--systems", metavar="A,B,..", help="Of the cases, these backends, peers or programs."),
]
Formulations = Annotated[
    str | None, _option("--formulations", metavar="A,B,..", help="Of the cases, these formulations.")
]
Device = Annotated[
    str | None,
    _option(
        "--device",
        metavar="NAME",
        panel=options.PLACE,
        help="cpu, gpu, or gpu:1: run the cases there. It must be there; nothing falls back in silence.",
    ),
]
CaseBudget = Annotated[
    float, _option("--case-budget", metavar="SECONDS", help="Warm-up and repeats of one case, together.")
]
Patience = Annotated[
    float, _option("--patience", metavar="SECONDS", help="When one step of a case is given up, and named.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="JSONL",
        help="Write every result there as it comes.",
        rich_help_panel=options.OUTPUT,
    ),
]
Resume = Annotated[
    bool,
    _option(
        "--resume", panel=options.OUTPUT, help="Go on with --out where it stopped; what is there is kept."
    ),
]
Plots = Annotated[
    Path | None,
    _option(
        "--plots",
        panel=options.OUTPUT,
        metavar="DIR",
        help="Draw times and samplers there: scaling.png, samplers.png.",
    ),
]
Machine = Annotated[
    str | None, _option("--machine", panel=options.OUTPUT, metavar="NAME", help="What to call this machine.")
]
PeersPython = Annotated[
    str | None,
    _option(
        "--peers-python",
        panel=options.PLACE,
        metavar="PATH",
        help="The Python that has the peers: 'ppl-parity\\[peers]' in an environment of its own.",
    ),
]


def _kernels(session: Session, cases: list[Case], device: str) -> None:
    from benchmarks.kernels import run_gradients, run_limits

    session.check_devices(cases)
    run_limits(session, sorted({case.dtype for case in cases}), device)
    run_gradients(session, cases)


def _samplers(session: Session, cases: list[Case], device: str) -> None:
    from benchmarks.commands import run_commands
    from benchmarks.samplers import run_samplers

    run_samplers(session, [case for case in cases if case.kernel == "sampler"])
    run_commands(session, [case for case in cases if case.kernel == "command"])


def _limits(session: Session, cases: list[Case], device: str) -> None:
    from benchmarks.kernels import run_limits

    run_limits(session, ("float32", "float64"), device)


COMMANDS: dict[str, tuple[str, Callable[[Session, list[Case], str], None]]] = {
    "limits": (
        "What this machine can do: copy bandwidth, matrix products, exponentials; each size's floor.",
        _limits,
    ),
    "kernels": ("One value and gradient, in every formulation and backend, beside the floor.", _kernels),
    "scaling": ("The same against the number of rows, dimensions, components and chains.", _kernels),
    "samplers": (
        "NUTS of both backends: ESS a second and what explains it, cold and warm; fit as a whole.",
        _samplers,
    ),
    "peers": ("The same of nutpie, BlackJAX, PyMC and Stan, each on its best formulation.", _samplers),
}


def _command(name: str) -> Callable[..., None]:
    def command(
        *,
        cases: Cases = None,
        sizes: Sizes = None,
        systems: Systems = None,
        formulations: Formulations = None,
        case_budget: CaseBudget = 2.0,
        patience: Patience = 600.0,
        out: Out = None,
        resume: Resume = False,
        force: options.Force = False,
        plots: Plots = None,
        machine: Machine = None,
        device: Device = None,
        peers_python: PeersPython = None,
        pyro_python: options.PyroPython = None,
        numpyro_python: options.NumpyroPython = None,
        debug: options.Debug = False,
    ) -> None:
        from benchmarks import cases as catalogue
        from benchmarks.records import Recorder
        from benchmarks.session import Session
        from ppl_parity.cli import console, outputs
        from ppl_parity.spec import SamplerSettings

        if resume and out is None:
            raise InputError("--resume needs --out, the file to go on with; got none.")
        if plots is not None:
            outputs.check_folder(plots, "--plots")
        chosen = catalogue.load(cases or name) if name != "limits" else []
        if device is not None:
            SamplerSettings(device=device)  # its rule for a device's name
            chosen = list(dict.fromkeys(catalogue.on_device(case, device) for case in chosen))
        wanted = catalogue.Selection(_words(sizes), _words(systems), _words(formulations))
        selected = [case for case in chosen if wanted.wants(case)]
        kernels = ("sampler", "command") if COMMANDS[name][1] is _samplers else ("gradient",)
        for case in selected:
            if case.kernel not in kernels:
                raise InputError(
                    f"bench {name} measures cases of kernel {' or '.join(kernels)}; one is {case.kernel!r}."
                )
        if chosen and not selected:
            raise InputError(
                "The selection must leave a case; --sizes, --systems and --formulations leave none."
            )
        place = device or "cpu"
        recorder = Recorder(out, resume=resume, force=force)
        screen = console.screen()
        pythons = {"peers": peers_python, "pyro": pyro_python, "numpyro": numpyro_python}
        with Session(recorder, pythons, case_budget, patience, _teller(screen), machine) as session:
            COMMANDS[name][1](session, selected, place)
        _show(screen, recorder.records)
        files = [] if out is None else [out]
        if plots is not None:
            from benchmarks.plots import write_plots

            files += write_plots(recorder.records, plots)
        console.written(screen, files)

    command.__doc__ = COMMANDS[name][0]
    return command


for _name, (_help, _) in COMMANDS.items():
    app.command(name=_name, help=_help)(_command(_name))


app.command()(pair)


@app.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def gpu(context: typer.Context) -> None:
    """Limits, kernels and NUTS on a GPU, the CPU of the same machine beside it; --out DIR."""
    from benchmarks.gpu.__main__ import main as measure

    raise typer.Exit(measure(context.args))


@app.command()
def show(
    results: Annotated[list[Path], typer.Argument(metavar="JSONL..", help="Files that bench wrote.")],
    *,
    plots: Plots = None,
    debug: options.Debug = False,
) -> None:
    """Print the tables of recorded results again, and draw them."""
    from benchmarks.records import read
    from ppl_parity.cli import console, outputs

    if plots is not None:
        outputs.check_folder(plots, "--plots")
    screen = console.screen()
    records = [record for path in results for record in read(path)]
    _show(screen, records)
    if plots is not None:
        from benchmarks.plots import write_plots

        console.written(screen, write_plots(records, plots))


@app.command()
def readme(
    path: Annotated[Path, typer.Argument(metavar="[README]", help="The file that holds the markers.")] = Path(
        "README.md"
    ),
    *,
    results: Annotated[
        list[Path] | None,
        _option("--results", metavar="JSONL", help="In place of those in benchmarks/results."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Make the README's tables anew from the recorded results."""
    from benchmarks.readme import RESULTS, update
    from ppl_parity.cli import console

    changed = update(path, results or sorted(RESULTS.glob("*.jsonl")))
    console.screen().print(f"{path} is {'changed' if changed else 'as it was'}.")


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _teller(screen: Console) -> Callable[[Any], None]:
    from benchmarks.tables import seconds

    def tell(news: Any) -> None:
        if isinstance(news, str):
            screen.print(news, end=" ... ", soft_wrap=True)
        elif news["kind"] == "limits":
            screen.print("done.")
        elif news["status"] != "ok":
            screen.print(f"{news['status']}: {news['why']}", soft_wrap=True)
        elif news["kind"] == "gradient":
            screen.print(f"{seconds(news['summary']['loop']['median'])} a gradient")
        elif news["kind"] == "command":
            screen.print(f"{news['first_seconds']:.1f} s, then {news['second_seconds']:.1f} s")
        else:
            screen.print(f"{news['cold_seconds']:.1f} s cold, {news['warm_seconds']:.2f} s warm")

    return tell


def _show(screen: Console, records: list[dict[str, Any]]) -> None:
    from benchmarks import tables
    from benchmarks.cases import SIZES
    from ppl_parity.cli import console

    shown = {
        "What this machine can do": tables.limit_rows(records, SIZES),
        "One value and gradient": tables.gradient_rows(records),
        "Samplers": tables.sampler_rows(records),
        "The whole command": tables.command_rows(records),
    }
    for title, rows in shown.items():
        if rows[1]:
            screen.print()
            console.table(screen, tables.show(rows, title))
            for note in rows[2]:
                screen.print(f"{note.rstrip('.')}.", soft_wrap=True)


def main() -> None:
    """``python -m benchmarks``."""
    from ppl_parity.process.leaving import end_on_signals

    end_on_signals()
    app(prog_name="python -m benchmarks")
