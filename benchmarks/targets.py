"""What was aimed at, and the ratio that was measured: one row a target, from recorded results and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import SIZES, Case
from benchmarks.records import Record, latest
from benchmarks.tables import NONE, Rows, limits_of, number, per_gradient

BACKENDS = ("numpyro", "pyro")
FASTER = {"numpyro": 150, "pyro": 100}  # than the same framework's textbook program, at L
LEGEND = "In brackets what was aimed at; `-`: not measured, or not to be compared, and the tables say which"
PEERS = ("nutpie", "pymc", "stan")  # each on its fastest formulation


def target_rows(records: Sequence[Record]) -> Rows:
    """One row a ratio: what is wanted of it, and what was measured at each size."""
    found = [
        *_floors(records),
        *_gradients(records),
        *_samplers(records),
        *_cold(records),
        *_commands(records),
    ]
    sizes = [size for size in SIZES if any(target.size == size for target in found)]
    rows = []
    for what in dict.fromkeys(target.what for target in found):
        own = {target.size: target for target in found if target.what == what}
        rows.append([what, *(own[size].cell if size in own else "" for size in sizes)])
    return ["ratio, or seconds", *sizes], rows, [LEGEND]


@dataclass(frozen=True)
class Target:
    """A ratio a / b at one size that should be at least, or at most, a number; None is not measured."""

    what: str
    size: str
    wanted: float
    a: float | None
    b: float | None
    at_most: bool = False

    @property
    def cell(self) -> str:
        """The ratio beside what is wanted, and whether it is that."""
        wanted = f"({'<=' if self.at_most else '>='} {self.wanted:g})"
        if self.a is None or not self.b:
            return f"{NONE} {wanted}"
        value = self.a / self.b
        reached = value <= self.wanted if self.at_most else value >= self.wanted
        return f"{number(value)} {wanted} {'yes' if reached else '**no**'}"


def _floors(records: Sequence[Record]) -> list[Target]:
    times, limits = _times(records), limits_of(records).get(("float32", "cpu"))
    return [
        Target(
            f"a gradient, {backend} fused, over the machine's floor",
            size,
            2,
            times.get((size, backend, "fused")),
            None if limits is None else limits.floor(*SIZES[size]),
            at_most=True,
        )
        for backend in BACKENDS
        for size in ("M", "L", "XL", "W")
    ]


def _gradients(records: Sequence[Record]) -> list[Target]:
    times = _times(records)
    rows = [
        Target(
            f"{backend} textbook over {backend} fused, a gradient",
            "L",
            FASTER[backend],
            times.get(("L", backend, "enumerated")),
            times.get(("L", backend, "fused")),
        )
        for backend in BACKENDS
    ]
    rows += [
        Target(
            f"an EM iteration of scikit-learn over {backend} fused",
            size,
            50,
            times.get((size, "scikit-learn", "em")),
            times.get((size, backend, "fused")),
        )
        for backend in BACKENDS
        for size in ("L", "XL")
    ]
    return rows


def _samplers(records: Sequence[Record]) -> list[Target]:
    ours = "fit numpyro"
    rows = []
    for size in ("S", "M", "L"):
        for peer in (*PEERS, "blackjax"):
            wanted = 1 if size == "S" else 2 if peer == "blackjax" else 10
            rows.append(
                Target(f"ESS/s of {ours} over {peer}", size, wanted, *_faster(records, size, ours, peer))
            )
    for size, wanted in (("M", 1), ("L", 1), ("H", 1.5)):
        ordinary = _best(records, size, "numpyro fused", "ess_per_leapfrog")
        mine = _best(records, size, ours, "ess_per_leapfrog")
        what = f"ESS a leapfrog of {ours}, a warmup of 100, over an ordinary one of 300"
        rows.append(Target(what, size, wanted, mine, ordinary))
    for size, wanted in (("S", 10), ("M", 20)):
        textbook = _best(records, size, "pyro enumerated PPL_PARITY_RECORD=0", "ess_per_second")
        mine = _best(records, size, "fit pyro", "ess_per_second")
        rows.append(Target("ESS/s of fit pyro over pyro textbook, eager", size, wanted, mine, textbook))
    return rows


def _cold(records: Sequence[Record]) -> list[Target]:
    rows = []
    for size in ("S", "M", "L"):
        mine = _best(records, size, "fit numpyro", "cold_seconds", best=min)
        for peer in ("blackjax", *PEERS):
            theirs = _best(records, size, peer, "cold_seconds", best=min)
            rows.append(Target(f"a cold process of {peer} over one of fit numpyro", size, 1, theirs, mine))
    return rows


def _commands(records: Sequence[Record]) -> list[Target]:
    """Of one chain of 300 draws, as in the samplers' table."""
    found = {}
    for record in latest(records, "command"):
        case = Case.of_dict(record["case"])
        wanted = Case("command", "numpyro", "fused", *SIZES["S"], "float64", options=(("num_draws", 300),))
        if case == wanted and record["status"] == "ok":
            found = record
    return [
        Target(
            f"seconds of the {which} command fit numpyro, whole",
            "S",
            wanted,
            found.get(f"{which}_seconds"),
            1.0,
            at_most=True,
        )
        for which, wanted in (("first", 3.0), ("second", 1.5))
    ]


def _times(records: Sequence[Record]) -> dict[tuple[str, str, str], float | None]:
    """(size, backend, formulation) -> seconds of a gradient in float32 on the CPU, None if not to be compared."""
    found = {}
    for record in latest(records, "gradient"):
        case = Case.of_dict(record["case"])
        if (case.dtype, case.device, case.chains, case.environment) == ("float32", "cpu", 1, ()):
            found[record["size"], case.backend, case.formulation] = per_gradient(record)
    return found


def _faster(records: Sequence[Record], size: str, ours: str, peer: str) -> tuple[float | None, float | None]:
    """Two rates to make a ratio of, the peer by its fastest formulation: measured in turn with it, where it was."""
    theirs = _best(records, size, peer, "ess_per_second")
    for record in _measured(records, size, peer):
        if record["ess_per_second"] == theirs and theirs and record.get("beside", {}).get("ratio"):
            return record["beside"]["ratio"] * theirs, theirs
    return _best(records, size, ours, "ess_per_second"), theirs


def _best(records: Sequence[Record], size: str, system: str, name: str, best: Any = max) -> float | None:
    """The best of a system's precisions and formulations; None if none was measured."""
    found = [record[name] for record in _measured(records, size, system)]
    return best((value for value in found if value is not None), default=None)


def _measured(records: Sequence[Record], size: str, system: str) -> list[Record]:
    return [
        record
        for record in latest(records, "sampler")
        if record["size"] == size
        and record["status"] == "ok"
        and f"{record['system']} ".startswith(f"{system} ")
    ]
