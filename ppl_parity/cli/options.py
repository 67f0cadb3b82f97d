"""Every option, defined once: the same word means the same in every subcommand.

An option whose default is None here was not given: a bundled data set's own default, or MixtureSpec's, then
applies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ppl_parity.findings import RUNGS
from ppl_parity.spec import CHAIN_METHODS, FORMULATIONS, INIT_STRATEGIES, PRECISIONS

MODEL, DATA, SAMPLER, LADDER = "Model", "Data", "Sampler", "Ladder"
OUTPUT, PLACE = "Output", "Where it runs"
BUNDLED = "old-faithful, iris, penguins"  # the data package names them too, but takes long to import


def _integer(text: str | int) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"an integer is needed; got {text!r}.") from None


def _number(text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"a number is needed; got {text!r}.") from None


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


Backend = Annotated[
    str,
    _option(
        "--backend",
        panel="Options",
        metavar="NAME",
        help="numpyro or pyro; each is installed by the extra of its name.",
    ),
]

# --- model ------------------------------------------------------------------------------------------------

Components = Annotated[
    int | None,
    _option(
        "--components",
        "-K",
        panel=MODEL,
        parser=_integer,
        metavar="K",
        help="Number of components. Required for your own data; bundled data, and files of sample, bring their own.",
    ),
]
Concentration = Annotated[
    str | None,
    _option(
        "--concentration",
        panel=MODEL,
        metavar="A|A1,..,AK",
        help="Of the Dirichlet prior of theta: a positive number, or K of them. Default 1.",
    ),
]
PriorMean = Annotated[
    str | None,
    _option(
        "--prior-mean",
        panel=MODEL,
        metavar="M|M1,..,MD",
        help="Mean of the normal prior of beta, in the unit of the data: a number, or D of them. Default 0.",
    ),
]
PriorCov = Annotated[
    str | None,
    _option(
        "--prior-cov",
        panel=MODEL,
        metavar="V|V1,..,VD|ROW;..;ROW",
        help="Covariance of the prior of beta (variances, not standard deviations): a number v for v I, D "
        "numbers for a diagonal, or a matrix whose rows are separated by ';'. Default 1.",
    ),
]
NoiseScale = Annotated[
    float | None,
    _option(
        "--noise-scale",
        panel=MODEL,
        parser=_number,
        metavar="S",
        help="Standard deviation of the data around their component, known and the same for all. Default 1 "
        "for your own data, whatever their unit; a bundled set brings the one that suits it.",
    ),
]
Formulation = Annotated[
    str,
    _option(
        "--formulation",
        panel=MODEL,
        metavar="NAME",
        help=f"How the density is written: {', '.join(FORMULATIONS)}. The same posterior; fused is fastest.",
    ),
]
CheckedFormulation = Annotated[
    str | None,
    _option(
        "--formulation",
        panel=MODEL,
        metavar="NAME",
        help=f"How the mixture's density is written: {', '.join(FORMULATIONS)}. Default enumerated.",
    ),
]

# --- data -------------------------------------------------------------------------------------------------

Data = Annotated[
    str,
    _option(
        "--data",
        panel=DATA,
        metavar="NAME|FILE",
        help=f"A bundled set ({BUNDLED}) or a .csv, .npy, .npz or .parquet file of N rows and D columns.",
    ),
]
OptionalData = Annotated[
    str | None,
    _option("--data", panel=DATA, metavar="NAME|FILE", help="As in fit; without it, --num-data and --dim."),
]
CheckData = Annotated[
    str | None,
    _option(
        "--data",
        panel=DATA,
        metavar="NAME|FILE|FILE:NAME",
        help="Of the mixture, as in fit (default old-faithful); with --pyro and --numpyro, the function that "
        "returns their data.",
    ),
]
Standardize = Annotated[
    bool | None,
    _option(
        "--standardize/--no-standardize",
        panel=DATA,
        help="Bring each column to mean 0 and standard deviation 1. Default: yes for bundled sets, no "
        "for your own data.",
    ),
]
Columns = Annotated[
    str | None,
    _option(
        "--columns",
        panel=DATA,
        metavar="A,B,..",
        help="The columns to take, by name; default: all, which must then be numbers. Without names they are "
        "x1, x2, ...",
    ),
]
NumData = Annotated[int, _option("--num-data", "-N", panel=DATA, parser=_integer, metavar="N", help="Rows.")]
Dim = Annotated[int, _option("--dim", "-D", panel=DATA, parser=_integer, metavar="D", help="Columns.")]
CheckedDim = Annotated[
    int | None,
    _option(
        "--dim",
        "-D",
        panel=DATA,
        parser=_integer,
        metavar="D",
        help="Columns that the data must have; default: as they are.",
    ),
]

# --- sampler ----------------------------------------------------------------------------------------------

NumDraws = Annotated[
    int,
    _option(
        "--num-draws",
        panel=SAMPLER,
        parser=_integer,
        metavar="S",
        help="Draws kept (of each chain, in a fit).",
    ),
]
NumWarmup = Annotated[
    int | None,
    _option(
        "--num-warmup",
        panel=SAMPLER,
        parser=_integer,
        metavar="W",
        help="Adaptation iterations before them; in a fit, default 1000, or 100 after --init mode where that "
        "start brings its mass matrix.",
    ),
]
NumChains = Annotated[
    int,
    _option(
        "--num-chains",
        panel=SAMPLER,
        parser=_integer,
        metavar="C",
        help="Independent chains; 4 or more show trouble.",
    ),
]
Seed = Annotated[
    int,
    _option(
        "--seed", panel=SAMPLER, parser=_integer, metavar="INT", help="The same seed gives the same draws."
    ),
]
Init = Annotated[
    str,
    _option(
        "--init",
        panel=SAMPLER,
        metavar="NAME|NPZ",
        help=f"Where chains start: {', '.join(INIT_STRATEGIES)}, or an .npz file with theta (C, K) and beta "
        "(C, K, D), a row for each chain.",
    ),
]
TargetAccept = Annotated[
    float | None,
    _option(
        "--target-accept",
        panel=SAMPLER,
        parser=_number,
        metavar="P",
        help="Acceptance that the step size is adapted to; default 0.8, or after --init mode, where that start "
        "brings its mass matrix, that of trajectories of half an orbit or, in many dimensions, three quarters.",
    ),
]
MaxTreeDepth = Annotated[
    int,
    _option(
        "--max-tree-depth",
        panel=SAMPLER,
        parser=_integer,
        metavar="T",
        help="At most 2^T - 1 leapfrog steps a trajectory.",
    ),
]
DenseMass = Annotated[
    bool, _option("--dense-mass", panel=SAMPLER, help="Adapt a full mass matrix, not a diagonal one.")
]
NumShards = Annotated[
    int,
    _option(
        "--num-shards",
        panel=PLACE,
        parser=_integer,
        metavar="P",
        help="Devices that the rows of the data are spread over (numpyro only): all of them, or 1.",
    ),
]
ChainMethod = Annotated[
    str,
    _option(
        "--chain-method",
        panel=SAMPLER,
        metavar="NAME",
        help=f"How chains run: {', '.join(CHAIN_METHODS)}. auto takes what suits; the output says which.",
    ),
]

# --- ladder -----------------------------------------------------------------------------------------------

Level = Annotated[
    str,
    _option(
        "--level",
        panel=LADDER,
        metavar="NAME",
        help="quick (exact rungs, seconds), standard (adds sampling, minutes) or full (adds calibration).",
    ),
]
Rungs = Annotated[
    str | None,
    _option("--rungs", panel=LADDER, metavar="A,B,..", help=f"These rungs instead: {', '.join(RUNGS)}."),
]
Budget = Annotated[
    float | None,
    _option(
        "--budget",
        panel=LADDER,
        parser=_number,
        metavar="SECONDS",
        help="What the sampling rungs may take together, default 180, with calibration 900; what is not decided "
        "then is unresolved.",
    ),
]
Margin = Annotated[
    float,
    _option(
        "--margin",
        panel=LADDER,
        parser=_number,
        metavar="M",
        help="What 'same' excludes, with 95 % confidence: a difference of M or more in the mean or spread of "
        "anything drawn, in standard deviations of the draws (both sides' pooled), or of their squares: 0.15 is a "
        "spread 11 % larger. What would have been found is "
        "another number, the report's resolution. Calibration has a margin of its own.",
    ),
]
FalseAlarm = Annotated[
    float,
    _option(
        "--false-alarm",
        panel=LADDER,
        parser=_number,
        metavar="P",
        help="The probability, over all sampling rungs, of calling two equal models different.",
    ),
]
KeepGoing = Annotated[
    bool, _option("--keep-going", panel=LADDER, help="Climb on after the first difference.")
]
PyroModel = Annotated[
    str | None,
    _option("--pyro", panel=LADDER, metavar="FILE:NAME", help="The Pyro model, in a file of its own."),
]
NumpyroModel = Annotated[
    str | None,
    _option("--numpyro", panel=LADDER, metavar="FILE:NAME", help="The NumPyro model, likewise."),
]
PyroGuide = Annotated[
    str | None,
    _option(
        "--pyro-guide", panel=LADDER, metavar="FILE:NAME", help="With --pyro, the guide of its inference."
    ),
]
NumpyroGuide = Annotated[
    str | None,
    _option("--numpyro-guide", panel=LADDER, metavar="FILE:NAME", help="With --numpyro, likewise."),
]

Pair = Annotated[
    str,
    typer.Argument(
        metavar="[PAIR]",
        help="mixture (the pair that ships), a Python file, or package.module; it defines pyro_model, "
        "numpyro_model and data; pyro_guide and numpyro_guide, where there are guides.",
    ),
]
Against = Annotated[
    Path | None,
    _option(
        "--against",
        panel=LADDER,
        metavar="NPZ",
        help="What `freeze` wrote of one side: check the other side against it, without that framework.",
    ),
]
FrozenSide = Annotated[
    str, _option("--side", panel="Options", metavar="NAME", help="The side to freeze: pyro or numpyro.")
]
Draws = Annotated[
    bool,
    _option(
        "--draws/--no-draws",
        panel=SAMPLER,
        help="Freeze posterior draws too, by NUTS; without them a check cannot compare posteriors.",
    ),
]

# --- output -----------------------------------------------------------------------------------------------

Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="The file to write.", metavar="FILE", rich_help_panel=OUTPUT),
]
OutFolder = Annotated[
    Path | None,
    _option(
        "--out",
        "-o",
        panel=OUTPUT,
        metavar="DIR",
        help="Write report.html, report.json and, if NUTS ran, an ArviZ file of each side there.",
    ),
]
Html = Annotated[
    Path | None, _option("--html", panel=OUTPUT, metavar="FILE", help="Write the report as one HTML file.")
]
Force = Annotated[bool, _option("--force", "-f", panel=OUTPUT, help="Replace outputs that already exist.")]
Json = Annotated[
    str | None,
    _option(
        "--json",
        panel=OUTPUT,
        metavar="PATH|-",
        help="Write one JSON object; with - standard output holds nothing else.",
    ),
]
Plots = Annotated[
    Path | None,
    _option(
        "--plots",
        panel=OUTPUT,
        metavar="DIR",
        help="Write trace, rank, pair (of many numbers: forest) and mixture plots there, as PNG.",
    ),
]
Plot = Annotated[
    Path | None, _option("--plot", panel=OUTPUT, metavar="PNG", help="Draw the samples (the first draw's).")
]
LogLikelihood = Annotated[
    bool | None,
    _option(
        "--log-likelihood/--no-log-likelihood",
        panel=OUTPUT,
        help="Keep log p(x_i | theta, beta) of every draw and row. Default: unless draws x rows is large.",
    ),
]
Assignments = Annotated[
    bool | None,
    _option(
        "--assignments/--no-assignments",
        panel=OUTPUT,
        help="Keep z of every draw and row, and the mean responsibilities. Default: unless draws x rows is large; "
        "the mean, over a few draws, even then.",
    ),
]
PosteriorPredictive = Annotated[
    bool, _option("--posterior-predictive", panel=OUTPUT, help="Keep a replicate of the data for every draw.")
]

# --- where it runs ----------------------------------------------------------------------------------------

Precision = Annotated[
    str, _option("--precision", panel=PLACE, metavar="NAME", help=f"{' or '.join(reversed(PRECISIONS))}.")
]
Device = Annotated[
    str, _option("--device", panel=PLACE, metavar="NAME", help="cpu, gpu, or gpu:1 and so on.")
]
PyroPython = Annotated[
    str | None,
    _option("--pyro-python", panel=PLACE, metavar="PATH", help="The Python to run Pyro with, if another."),
]
NumpyroPython = Annotated[
    str | None,
    _option(
        "--numpyro-python", panel=PLACE, metavar="PATH", help="The Python to run NumPyro with, likewise."
    ),
]
Debug = Annotated[bool, _option("--debug", panel=PLACE, help="Show tracebacks and the backends' warnings.")]
