"""A pair's times as a table, for a terminal; a ratio only where it may be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from benchmarks.tables import NONE, Rows, number, seconds
from ppl_parity.report.wording import count

BUSY = 0.5  # processes that wanted a core beside us, from which times are not to be trusted


def rows(result: Mapping[str, Any]) -> Rows:
    """What each side takes, and how many times more than the last one; notes say what else there is to know."""
    systems: dict[str, dict[str, Any]] = result["systems"]
    *others, last = systems
    headers = ["", *systems, *(f"{name} / {last}" for name in others)]
    lines = [
        _line("a gradient, in a loop", systems, _gradient("loop"), seconds, result, "gradient"),
        _line("a gradient, asked for alone", systems, _gradient("single"), seconds, result, None),
        _line("the first, compiled", systems, lambda one: one.get("first_seconds"), seconds, result, None),
    ]
    if "mixing" in result:
        lines += [
            _line(label, systems, read, show, result, key)
            for label, read, show, key in [
                (
                    "NUTS: a leapfrog",
                    _seeds("seconds_per_leapfrog", median),
                    seconds,
                    "seconds_per_leapfrog",
                ),
                ("leapfrogs a draw", lambda one: one["nuts"]["leapfrogs_per_draw"], number, None),
                (
                    "leapfrogs an effective draw",
                    _seeds("leapfrogs_per_ess", mean),
                    number,
                    "leapfrogs_per_ess",
                ),
                ("an effective draw", _seeds("seconds_per_ess", median), seconds, "seconds_per_ess"),
                ("cold process, to its draws", lambda one: one["cold_seconds"], seconds, None),
            ]
        ]
    return headers, lines, list(_notes(result))


def _gradient(kind: str) -> Any:
    return lambda one: one["gradient"][kind]["median"] if "gradient" in one else None


def _seeds(key: str, middle: Any) -> Any:
    return lambda one: middle(one["nuts"][f"{key}_of_seeds"])


def _line(
    label: str,
    systems: Mapping[str, Any],
    read: Any,
    show: Any,
    result: Mapping[str, Any],
    key: str | None,
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


def _notes(result: Mapping[str, Any]) -> Sequence[str]:
    systems: dict[str, dict[str, Any]] = result["systems"]
    plan, notes = result["settings"], []
    refused = [(key, found["why"]) for key, found in result["ratios"].items() if "why" in found]
    for why in dict.fromkeys(why for _, why in refused):
        of = "gradients" if ("gradient", why) in refused else "NUTS"
        notes.append(f"No ratio of {of}: {why}")
    kinds = ", ".join(f"{name}: {one['potential']}" for name, one in systems.items())
    notes.append(f"How the potential is computed: {kinds}")
    if "mixing" in result:
        each = ", ".join(f"{name} {one['nuts']['least']!r}" for name, one in systems.items())
        notes.append(
            f"NUTS: {count(plan['num_chains'], 'chain')}, {plan['num_warmup']} warmup iterations, "
            f"{count(len(plan['seeds']), 'seed')}; ESS is the smallest bulk ESS (of {each}); R-hat over all chains "
            f"{result['mixing']['r_hat']:.3f}"
        )
        if result["relabelled"]:
            notes.append(
                f"The components of {', '.join(map(repr, result['relabelled']))} are interchangeable; sums over them, "
                "which no renaming changes, stand for them"
            )
        for name, one in systems.items():
            if one["nuts"]["divergences"]:
                notes.append(f"{name}: {one['nuts']['divergences']} divergent draws")
    load = result["machine"]["load_average"]
    if load is not None and load > BUSY:
        notes.append(
            f"The machine was busy: a load of {load:.1f} when the check ended; times may be too long"
        )
    notes.append("In brackets the least and the most over rounds or seeds, the sides in turn")
    return notes
