"""What each framework sees and does, asked in a process of its own; and what of that does not fit together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.version import Version

from ppl_parity.cores import usable
from ppl_parity.doctor.check import Check, Status
from ppl_parity.doctor.packages import SLOW_SCATTER
from ppl_parity.process.sides import SIDES
from ppl_parity.process.spawning import child_environment

PATIENCE = 180.0  # seconds; importing a framework from a cold disk takes many
SLOW = 20.0  # times the dense product's time; the regression makes it 100 to 200


def checks(pythons: Mapping[str, str | None]) -> Iterator[Check]:
    """Each backend by itself, then both together."""
    found = {name: probe(name, pythons.get(name)) for name in SIDES}
    for name, facts in found.items():
        yield from of_backend(name, facts)
    yield scatter(found["numpyro"])
    yield gpus(found, driver("name"))


def probe(name: str, python: str | None = None) -> dict[str, Any]:
    """What ``probes`` says of one backend; ``error`` if it says nothing."""
    command = [python or sys.executable, "-m", "ppl_parity.doctor.probes", name]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=child_environment(usable(), python),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    lines = result.stdout.splitlines()
    if result.returncode != 0 or not lines:
        return {"error": (result.stderr.strip().splitlines() or ["it ended without a word"])[-1]}
    return json.loads(lines[-1])


def of_backend(name: str, facts: dict[str, Any]) -> Iterator[Check]:
    """One backend's own state."""
    if "missing" in facts:
        yield Check(
            name, "ok", f"{name} is not installed here ({facts['missing']}); 'ppl-parity[{name}]' brings it."
        )
        return
    if "error" in facts:
        yield Check(name, "problem", f"{name} cannot be loaded: {facts['error']}.")
        return
    if facts["float64"] != "float64":
        yield Check(name, "problem", f"{name} computes in {facts['float64']} where float64 is asked for.")
    elif facts["flushes"]:
        yield Check(name, "problem", f"Importing {name} made the processor flush small numbers to zero.")
    else:
        devices = ", ".join(facts["devices"])
        yield Check(name, "ok", f"{name} computes in float64 where it is asked to, and sees {devices}.")
    status: Status = "ok" if facts["kernel"].startswith("native") else "warning"
    yield Check(name, status, f"{name}'s fused mixture on the CPU: {facts['kernel'].rstrip('.')}.")
    if facts["tf32"]:
        yield Check(
            name, "problem", f"{name} multiplies matrices in TF32 on a GPU by default: {facts['tf32']}."
        )


def scatter(facts: dict[str, Any]) -> Check:
    """The float32 scatter-add of jaxlib 0.10.2 to 0.11.0 on a GPU (jax issue 38806)."""
    version = facts.get("jaxlib")
    if version is None:
        return Check("scatter-add", "ok", "JAX is not here to be slow.")
    affected = SLOW_SCATTER.contains(Version(version), prereleases=True)
    times = facts.get("scatter_ratio")
    if times is None:
        what = (
            "is one of those whose float32 scatter-add is slow on a GPU (jax issue 38806)"
            if affected
            else "is not"
        )
        tail = ", but JAX sees no GPU" if affected else " one whose scatter-add is slow on a GPU"
        return Check("scatter-add", "ok", f"jaxlib {version} {what}{tail}.")
    if times > SLOW:
        return Check(
            "scatter-add",
            "problem",
            f"On the GPU, jaxlib {version} takes {times:.0f} times as long for the gradient of a gather as for the "
            "same by a matrix product (jax issue 38806): NUTS on models with indices crawls. Take jaxlib 0.10.1 or "
            "one after 0.11.0; the fused mixture does not use it.",
        )
    return Check(
        "scatter-add", "ok", f"The gradient of a gather takes {times:.1f} times a matrix product on the GPU."
    )


def gpus(found: Mapping[str, dict[str, Any]], named: list[str]) -> Check:
    """Whether a GPU is seen by both frameworks, or by none where there is none."""
    here = [name for name in found if "devices" in found[name]]
    seeing = [name for name in here if "gpu" in found[name]["devices"]]
    if seeing and len(seeing) < len(here):
        blind = ", ".join(name for name in here if name not in seeing)
        return Check(
            "GPU",
            "warning",
            f"{', '.join(seeing)} sees a GPU and {blind} does not: their times are of two devices.",
        )
    if named and not seeing:
        return Check(
            "GPU",
            "warning",
            f"The driver names {named[0]}, and no backend sees it; 'ppl-parity[gpu]' brings CUDA.",
        )
    return Check("GPU", "ok", f"A GPU is seen by {', '.join(seeing)}." if seeing else "There is no GPU.")


def driver(*facts: str) -> list[str]:
    """The GPUs that the driver names, with these facts of each; without a driver there are none."""
    try:
        command = ["nvidia-smi", f"--query-gpu={','.join(facts)}", "--format=csv,noheader"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return (
        [line.strip() for line in result.stdout.splitlines() if line.strip()]
        if result.returncode == 0
        else []
    )
