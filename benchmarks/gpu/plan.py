"""Which processes a run starts, in which order, and how long each may take."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

LIBRARIES = ("jax", "torch")

# What is asked, of which library, on which device, for how many seconds: the most wanted first, because the last
# ones are what a slow machine leaves out. Imports and compilation count.
CHILDREN = (
    ("limits", "jax", "gpu", 30.0),
    ("limits", "torch", "gpu", 30.0),
    ("kernel", "jax", "gpu", 140.0),
    ("kernel", "torch", "gpu", 60.0),
    ("samplers", "jax", "gpu", 110.0),
    ("samplers", "jax", "cpu", 70.0),
    ("kernel", "jax", "cpu", 50.0),
    ("others", "jax", "gpu", 80.0),
    ("others", "torch", "gpu", 50.0),
    ("kernel", "torch", "cpu", 50.0),
    ("large", "jax", "cpu", 60.0),
)

CASE_SECONDS = 1.5  # of repeats; what compiles comes on top
TINY = {"N": 2_000, "scale": 1 / 4096, "case_seconds": 0.02}  # of a run that only shows that all works
NUTS = {"N": 1_000_000, "D": 8, "K": 8, "num_warmup": 60, "num_draws": 60}
NUTS_CHAINS = {"gpu": 64, "cpu": 16}


def tasks(device: str, tiny: bool, samplers: bool) -> list[dict[str, Any]]:
    """What each process is given, in order: ``benchmarks.gpu.child`` reads it.

    Args:
        device: gpu, which has the CPU beside it, or cpu. ``tiny`` on a CPU does there what is meant for a GPU.
    """
    found = []
    for stage, library, place, seconds in CHILDREN:
        stands_in = device == "cpu" and tiny and place == "gpu"
        if place != device and device == "cpu" and not stands_in:
            continue
        if stage == "samplers" and not samplers:
            continue
        task = {
            "stage": stage,
            "library": library,
            "device": device if stands_in else place,
            "seconds": seconds,
            "cases": cases(place, stage, tiny),
            "case_seconds": TINY["case_seconds"] if tiny else CASE_SECONDS,
            "scale": TINY["scale"] if tiny else 1.0,
        }
        if stage == "samplers":
            task["samplers"] = NUTS | {"chains": NUTS_CHAINS[place]}
            if tiny:
                task["samplers"] |= {"N": TINY["N"], "chains": 2, "num_warmup": 10, "num_draws": 10}
        if task not in found:
            found.append(task)
    return found


def cases(device: str, stage: str, tiny: bool) -> list[dict[str, Any]]:
    """The cases of ``cases.toml`` for one device and stage, in order; ``tiny`` cuts rows and chains."""
    text = Path(__file__).with_name("cases.toml").read_text(encoding="utf-8")
    found = []
    for table in tomllib.loads(text)["case"]:
        lists = [value if isinstance(value, list) else [value] for value in table.values()]
        for values in itertools.product(*lists):
            case = dict(zip(table, values, strict=True))
            if tiny:
                case |= {"N": min(case["N"], TINY["N"]), "chains": min(case["chains"], 2)}
            if (case.pop("stage"), case.pop("device")) == (stage, device) and case not in found:
                found.append(case)
    return found
