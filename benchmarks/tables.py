"""Results as tables: plain rows, for a terminal and for the README alike; a ratio only where it may be made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from benchmarks.cases import Case
from benchmarks.limits import Limits
from benchmarks.records import Record, latest
from ppl_parity.spec import SamplerSettings

NONE = "-"
Rows = tuple[list[str], list[list[str]], list[str]]
"""Headers, rows, and notes below."""


def limits_of(records: Iterable[Record]) -> dict[tuple[str, str], Limits]:
    """(dtype, device) -> limits, the last ones measured."""
    found = (Limits(**record["limits"]) for record in latest(records, "limits"))
    return {(limits.dtype, limits.device): limits for limits in found}


def limit_rows(records: Sequence[Record], sizes: dict[str, tuple[int, int, int]]) -> Rows:
    """What the device can do, and the floor of each size."""
    rows = []
    for limits in limits_of(records).values():
        floors = [seconds(limits.floor(*numbers)) for numbers in sizes.values()]
        rates = [f"{limits.bandwidth / 1e9:.1f} GB/s", f"{limits.gemm_rate / 1e9:.0f} GFLOP/s"]
        rows.append(
            [f"{limits.device}, {limits.dtype}", *rates, f"{limits.exp_seconds * 1e9:.3g} ns", *floors]
        )
    return ["device", "copy", "matrix product", "exp", *(f"floor {size}" for size in sizes)], rows, []


def gradient_rows(records: Sequence[Record]) -> Rows:
    """One row a case: time of a gradient, and its ratios to the floor, the textbook and the EM iteration."""
    limits = limits_of(records)
    found = latest(records, "gradient")
    times = {r["key"]: per_gradient(r) for r in found}
    rows, notes = [], []
    for record in found:
        case, time = Case.of_dict(record["case"]), times[record["key"]]
        lead = [record["size"], _named(record)]
        if time is None:
            rows.append([*lead, record["status"], *[NONE] * 7])
            notes.append(f"{record['size']}, {record['system']}: {record['status']}: {record['why']}")
            continue
        floor = limits.get((case.dtype, case.device.partition(":")[0]))
        single = record["summary"]["single"]
        numbers = (case.N, case.D, case.K, case.chains)
        rows.append(
            [
                *lead,
                seconds(time),
                NONE if floor is None else ratio(time, floor.floor(*numbers)),
                ratio(_baseline(found, times, case, case.backend, "enumerated"), time),
                ratio(_baseline(found, times, case, "scikit-learn", "em"), time),
                seconds(single["median"]),
                seconds(record["first_seconds"]),
                NONE if record.get("extra_bytes") is None else f"{record['extra_bytes'] / 2**20:.1f}",
                spread(record["summary"]["loop"]),
            ]
        )
    header = ["size", "what", "a gradient", "x floor", "x faster than textbook", "x faster than EM"]
    more = ["one call", "first call", "extra MiB", "80 % of runs"]
    return [*header, *more], rows, [*notes, *_busy(records, found)]


def sampler_rows(records: Sequence[Record]) -> Rows:
    """One row a sampler and size; the product of its rates is its ESS a second."""
    rows, notes = [], []
    found = latest(records, "sampler")
    for record in found:
        lead = [record["size"], _named(record)]
        if record["status"] != "ok":
            rows.append([*lead, record["status"], *[NONE] * 9])
            notes.append(f"{record['size']}, {record['system']}: {record['status']}: {record['why']}")
            continue
        rows.append(
            [
                *lead,
                number(record["ess_per_second"]),
                f"{record['cold_seconds']:.1f}",
                NONE if record["second_seconds"] is None else f"{record['second_seconds']:.1f}",
                seconds(record["seconds_per_leapfrog"]),
                number(record["leapfrogs_per_draw"]),
                number(record["ess_per_leapfrog"]),
                _of_seeds(record.get("ess_per_leapfrog_of_seeds", [])),
                str(record["divergences"]),
                number(record["warm_ess"] / record["warm_seconds"]),
                number(record.get("beside", {}).get("ratio")),
            ]
        )
        settings = "; ".join(f"{name}: {value}" for name, value in record["settings"].items())
        note = f"{_named(record)}: {settings}"
        notes += [] if note in notes else [note]
    header = ["size", "sampler", "ESS/s", "cold, s", "second process, s", "a leapfrog", "leapfrogs a draw"]
    more = ["ESS a leapfrog", "of all seeds", "divergences", "ESS/s, warmup counted", "fit in turn, x ESS/s"]
    return [*header, *more], rows, [*notes, *_busy(records, found)]


def _of_seeds(values: Sequence[float]) -> str:
    return NONE if len(values) < 2 else f"{number(min(values))} to {number(max(values))}"


def command_rows(records: Sequence[Record]) -> Rows:
    """One row a size: the whole of ``ppl-parity fit``, in the first process and in the next."""
    rows, notes = [], []
    found = latest(records, "command")
    for record in found:
        draws = dict(record["case"]["options"]).get("num_draws", SamplerSettings().num_draws)
        lead = [record["size"], f"{_named(record)}, {draws:,} draws a chain"]
        if record["status"] != "ok":
            rows.append([*lead, record["status"], *[NONE] * 3])
            notes.append(f"{record['size']}, {record['system']}: {record['status']}: {record['why']}")
            continue
        times = record["raw"]
        spreads = [f"{min(times[name]):.2f} to {max(times[name]):.2f}" for name in ("first", "second")]
        first, second = (f"{record[f'{name}_seconds']:.2f}" for name in ("first", "second"))
        rows.append([*lead, first, spreads[0], second, spreads[1]])
    header = ["size", "ppl-parity fit", "first, s", "of all", "second, s", "of all"]
    return header, rows, [*notes, *_busy(records, found)]


def per_gradient(record: Record) -> float | None:
    """Seconds of one value and gradient (of all chains): the loop's median; None if it may not be compared."""
    if record["status"] != "ok" or not all(i["same"] for i in record["identity"]):
        return None
    return record["summary"]["loop"]["median"]


def show(rows: Rows, title: str) -> Table:
    """For the terminal."""
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left")
    for header in rows[0]:
        table.add_column(header, no_wrap=True)
    for row in rows[1]:
        table.add_row(*row)
    return table


def markdown(rows: Rows) -> str:
    """For a README, notes below."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1]]
    text = "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
    return text + "".join(f"\n\n{note.rstrip('.')}." for note in rows[2])


def seconds(value: float | None) -> str:
    """Three digits, in the unit that suits."""
    if value is None:
        return NONE
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def spread(summary: dict[str, float]) -> str:
    """The 10 % and 90 % quantiles."""
    return f"{seconds(summary['q10'])} to {seconds(summary['q90'])}"


def number(value: float | None) -> str:
    """Three digits."""
    return NONE if value is None else f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def ratio(a: float | None, b: float | None) -> str:
    """a / b, where both may be compared."""
    return NONE if a is None or not b else number(a / b)


def _named(record: Record) -> str:
    """The system, its precision, and its device if that is another than the CPU."""
    case = record["case"]
    place = "" if case["device"] == "cpu" else f", {case['device']}"
    return f"{record['system']}, {case['dtype']}{place}"


def _busy(records: Sequence[Record], found: Sequence[Record]) -> list[str]:
    """A sentence if other programs ran beside the measurements."""
    cores = max((r["machine"]["cores"] for r in records if r["kind"] == "run"), default=0)
    load = max((r.get("load_average") or 0.0 for r in found), default=0.0)
    if not cores or load <= 1.5 * cores:
        return []
    return [f"Other programs ran beside some of these: the load average reached {load:.1f} on {cores} cores"]


def _baseline(
    found: Sequence[Record], times: dict[str, Any], case: Case, backend: str, formulation: str
) -> float | None:
    for record in found:
        other = Case.of_dict(record["case"])
        same = all(
            getattr(other, n) == getattr(case, n) for n in ("N", "D", "K", "dtype", "device", "chains")
        )
        if same and (other.backend, other.formulation, other.environment) == (backend, formulation, ()):
            return times[record["key"]]
    return None
