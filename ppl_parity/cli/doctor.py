"""``ppl-parity doctor``: what in this environment would make the numbers wrong."""

from __future__ import annotations

import dataclasses

import typer

from ppl_parity.cli import options, outputs
from ppl_parity.words import counted

SCHEMA = "ppl-parity/doctor/1"
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    *,
    json: options.Json = None,
    force: options.Force = False,
    pyro_python: options.PyroPython = None,
    numpyro_python: options.NumpyroPython = None,
    debug: options.Debug = False,
) -> None:
    """Say what in this environment would make numbers wrong, or times.

    Looks at the cores, the load, the clock, variables and flags, versions known to conflict, caches, the native
    kernel and GPUs. Exit status: 0 nothing that makes numbers wrong, 1 a problem.
    """
    outputs.check_json(json, force)

    from rich.table import Table
    from rich.text import Text

    from ppl_parity.cli import console
    from ppl_parity.doctor import examine

    screen = console.screen(json)
    found = []
    table = Table.grid(padding=(0, 2))
    for check in examine({"pyro": pyro_python, "numpyro": numpyro_python}):
        found.append(check)
        table.add_row(
            Text(check.status, STYLES[check.status]), Text(check.topic, "bold"), Text(check.sentence)
        )
    screen.print(table)
    problems = sum(check.status == "problem" for check in found)
    warnings = sum(check.status == "warning" for check in found)
    screen.print(f"\n{counted(problems, 'problem')}, {counted(warnings, 'warning')}.")
    outputs.write_json(json, {"schema": SCHEMA, "checks": [dataclasses.asdict(check) for check in found]})
    raise typer.Exit(1 if problems else 0)
