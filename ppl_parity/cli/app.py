"""The subcommands, put together.

Whatever is slow to import (ArviZ, SciPy, Matplotlib) is imported inside the functions that need it.
"""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from ppl_parity.cli.bench import app as bench
from ppl_parity.cli.check import check
from ppl_parity.cli.doctor import doctor
from ppl_parity.cli.exits import Exits
from ppl_parity.cli.fit import fit
from ppl_parity.cli.freeze import freeze
from ppl_parity.cli.render import render
from ppl_parity.cli.sample import sample

app = typer.Typer(
    name="ppl-parity",
    cls=Exits,
    help="Is a NumPyro port the same model as its Pyro original? Check it, sample it, fit it with NUTS.",
    epilog="Exit status: 0 done; 2 bad input, nothing written; 4 a backend failed; 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ppl-parity {metadata.version('ppl-parity')}")
        raise typer.Exit


@app.callback(help=app.info.help)
def before(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What every command begins with."""


for command in (check, freeze, sample, fit, render, doctor):
    paragraphs = (command.__doc__ or "").split("\n\n")  # typer would keep the line breaks within them
    app.command(help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))(command)
app.add_typer(bench)
