"""The names of a fit's axes: a plate's own, where an axis is one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ppl_parity.backend.contract import Groups, Site

OF_DRAWS = ("posterior", "log_likelihood", "posterior_predictive")
TAKEN = ("chain", "draw")


def plate_dims(sites: Iterable[Site], groups: Groups) -> dict[str, list[str]]:
    """``group/variable`` -> the names of its axes, as ``draws.posterior.to_datatree`` takes them.

    An axis that is no plate's is ``<variable>_dim_<i>``, and so is one whose plate has a variable's name, or two sizes.
    What a model computes has no event to tell its axes by: it has plates' names where all of its axes are plates.

    Args:
        sites: of the model.
        groups: of the fit, each variable (chain, draw, ...) or, of observed data, (...).
    """
    sites = tuple(sites)
    sizes = {(plate.name, plate.size) for site in sites for plate in site.plates}
    names = [name for name, _ in sizes]
    taken = {*TAKEN, *(name for group in groups.values() for name in group)}
    usable = {name for name in names if name not in taken and names.count(name) == 1 and _is_storable(name)}
    found = {}
    for site in sites:
        named = _named(site, usable)
        for group, values in groups.items():
            if site.name not in values or not named:
                continue
            shape = np.shape(values[site.name])[2 if group in OF_DRAWS else 0 :]
            own = {axis - len(site_shape(site)): plate for axis, plate in named.items()}  # from the right
            dims = [f"{site.name}_dim_{i}" for i in range(len(shape))]
            for axis, (name, size) in own.items():
                if len(shape) + axis >= 0 and shape[axis] == size:
                    dims[axis] = name
            if len(set(dims)) == len(dims):
                found[f"{group}/{site.name}"] = dims
    return found


def site_shape(site: Site) -> tuple[int, ...]:
    """Of a value."""
    return site.batch_shape + site.event_shape


def _is_storable(name: str) -> bool:
    """A slash divides a file's groups."""
    return bool(name) and name.isprintable() and "/" not in name


def _named(site: Site, usable: set[str]) -> dict[int, tuple[str, int]]:
    """axis -> the plate's name and size."""
    shape = site_shape(site)
    cut = len(shape) if site.kind == "deterministic" else len(site.batch_shape)
    found = {
        cut + plate.dim: (plate.name, plate.size)
        for plate in site.plates
        if cut + plate.dim >= 0 and shape[cut + plate.dim] == plate.size
    }
    if site.kind == "deterministic" and len(found) != len(shape):
        return {}
    return {axis: plate for axis, plate in found.items() if plate[0] in usable}
