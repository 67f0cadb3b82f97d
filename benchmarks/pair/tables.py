"""A pair's times as a table, for a terminal; a ratio only where it may be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, median
from typing import Any

from benchmarks.tables import NONE, Rows, number, seconds
from ppl_parity.report.wording import count

BUSY = 0.5  # processes that wanted a core beside us, from which times are not to be trusted


def rows(result: Mapping[str, Any], part: str = "gradient") -> Rows:
    """What each side takes, and how many times more than the last one; notes say what else there is to know.

    Args:
        result: of ``measuring.measure``, as far as it goes.
        part: of ``measuring.PARTS``.
    """
    systems: dict[str, dict[str, Any]] = result["systems"]
    *others, last = systems
    headers = ["", *systems, *(f"{name} / {last}" for name in others)]
    kinds, notes = {
        "gradient": (GRADIENT, _gradient_notes),
        "NUTS": (NUTS, _nuts_notes),
        "SVI": (SVI, _svi_notes),
    }[part]
    lines = [_line(label, read, show, key, systems, result) for label, read, show, key in kinds]
    return headers, lines, list(notes(result))


def _gradient(kind: str) -> Any:
    return lambda one: one["gradient"][kind]["median"] if "gradient" in one else None


def _seeds(key: str, middle: Any) -> Any:
    return lambda one: middle(one["nuts"][f"{key}_of_seeds"])


# What a line is called, how it is read from a system and shown, and the ratio that it has.
GRADIENT = [
    ("a gradient, in a loop", _gradient("loop"), seconds, "gradient"),
    ("a gradient, asked for alone", _gradient("single"), seconds, None),
    ("the first, compiled", lambda one: one.get("first_seconds"), seconds, None),
]
NUTS = [
    ("NUTS: a leapfrog", _seeds("seconds_per_leapfrog", median), seconds, "seconds_per_leapfrog"),
    ("leapfrogs a draw", lambda one: one["nuts"]["leapfrogs_per_draw"], number, None),
    ("leapfrogs an effective draw", _seeds("leapfrogs_per_ess", mean), number, "leapfrogs_per_ess"),
    ("an effective draw", _seeds("seconds_per_ess", median), seconds, "seconds_per_ess"),
    ("cold process, to its draws", lambda one: one["cold_seconds"], seconds, None),
]

SVI = [
    ("SVI: a step, in a loop", lambda one: _learning(one, "loop", "median"), seconds, "learning"),
    ("the first, compiled", lambda one: _learning(one, "first_seconds"), seconds, None),
]


def _learning(one: Mapping[str, Any], *keys: str) -> float | None:
    found: Any = one.get("learning")
    for key in keys:
        found = None if found is None else found[key]
    return found


def _line(
    label: str, read: Any, show: Any, key: str | None, systems: Mapping[str, Any], result: Mapping[str, Any]
) -> list[str]:
    told = result["ratios"].get(key, {}).get("of", {})
    return [label, *(_shown(read(one), show) for one in systems.values())] + [
        _range(told.get(name)) for name in list(systems)[:-1]
    ]


def _shown(value: float | None, show: Any) -> str:
    return NONE if value is None or not value < float("inf") else show(value)


def _range(found: Mapping[str, float] | None) -> str:
    """``12.1 (11.8 to 12.9)``."""
    if found is None:
        return NONE
    return f"{number(found['median'])} ({number(found['least'])} to {number(found['most'])})"


def _gradient_notes(result: Mapping[str, Any]) -> Iterator[str]:
    yield from _refused(result, "gradients", ("gradient",))
    systems: dict[str, dict[str, Any]] = result["systems"]
    kinds = ", ".join(f"{name}: {one['potential']}" for name, one in systems.items())
    yield f"How the potential is computed: {kinds}"
    load = result["machine"]["load_average"]
    if load is not None and load > BUSY:
        yield f"The machine was busy: a load of {load:.1f} when the check ended; times may be too long"
    yield "In brackets the least and the most over rounds or seeds, the sides in turn"
    if result["subsampled"]:
        yield "NUTS was not timed: a plate takes some of its rows, of which there is no posterior"


def _svi_notes(result: Mapping[str, Any]) -> Iterator[str]:
    yield from _refused(result, "SVI", ("learning",))
    yield (
        "A step is a draw of the guide, its gradient and Adam's step, by each library's own SVI: a loop of svi.step in "
        "Pyro, svi.update in a compiled loop in NumPyro"
    )


def _nuts_notes(result: Mapping[str, Any]) -> Iterator[str]:
    systems: dict[str, dict[str, Any]] = result["systems"]
    plan, ratios = result["settings"], result["ratios"]
    every = "why" in ratios["leapfrogs_per_ess"]
    keys = [key for key in ratios if key not in ("gradient", "learning")]
    yield from _refused(result, "NUTS" if every else "NUTS's times", keys)
    each = ", ".join(f"{name} {one['nuts']['least']!r}" for name, one in systems.items())
    yield (
        f"NUTS: {count(plan['num_chains'], 'chain')}, {plan['num_warmup']} warmup iterations, "
        f"{count(len(plan['seeds']), 'seed')}; ESS is the smallest bulk ESS (of {each}); R-hat over all chains "
        f"{result['mixing']['r_hat']:.3f}"
    )
    if plan["num_chains"] > 1:
        yield "A leapfrog is one of all chains: its time is that of a run over the leapfrogs of all of them"
    if result["relabelled"]:
        yield (
            f"The components of {', '.join(map(repr, result['relabelled']))} are interchangeable; sums over them, "
            "which no renaming changes, stand for them"
        )
    for name, one in systems.items():
        nuts = one["nuts"]
        if nuts["divergences"]:
            total = plan["num_chains"] * nuts["num_draws"] * len(plan["seeds"])
            yield f"{name}: {nuts['divergences']:,} of {total:,} draws diverged"


def _refused(result: Mapping[str, Any], what: str, keys: Sequence[str]) -> Iterator[str]:
    reasons = [result["ratios"][key].get("why") for key in keys]
    for why in dict.fromkeys(filter(None, reasons)):
        yield f"No ratio of {what}: {why}"
