"""What a pair may say beside its models and data, checked: by itself, and against the sites once they are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Site
from ppl_parity.errors import InputError, nearest
from ppl_parity.findings import RUNGS
from ppl_parity.pair.pairs import SIDES, Pair

OPTIONS = ("rename", "max_plate_nesting", "points", "known_differences", "exchangeable")


COMPONENTS = (
    "latent",
    "deterministic",
)  # kinds of sites whose components may be declared to be interchangeable


def checked(found: Mapping[str, Any], where: str, also: Sequence[str] = ()) -> dict[str, Any]:
    """The options of a pair that are given, as ``Pair`` takes them.

    Args:
        found: option -> value; None is not given.
        where: whose they are, for a message.
        also: what else could have been meant.

    Raises:
        InputError: there is no such option, or it cannot have such a value.
    """
    options = {name: value for name, value in found.items() if value is not None}
    for name, value in options.items():
        if name not in OPTIONS:
            allowed = (*also, *OPTIONS)
            raise InputError(
                f"An option must be one of {', '.join(allowed)}; got {name!r}.{nearest(name, allowed)}"
            )
        if name in ("rename", "points", "known_differences") and not isinstance(value, Mapping):
            raise InputError(f"{name} of {where} must be a dictionary; got {type(value).__name__}.")
    for name in ("rename", "known_differences"):
        if not all(isinstance(word, str) for pair in options.get(name, {}).items() for word in pair):
            raise InputError(f"{name} of {where} must have texts on both sides; got {options[name]!r}.")
    for key in options.get("known_differences", {}):
        rung = key.partition("/")[0]
        if rung not in RUNGS:
            raise InputError(
                f"known_differences of {where} must begin with a rung, as rung or rung/site; got {key!r}."
                f"{nearest(rung, RUNGS)}"
            )
    if "points" in options:
        options["points"] = {name: _point(name, given, where) for name, given in options["points"].items()}
    if "exchangeable" in options:
        options["exchangeable"] = _names(options["exchangeable"], where)
    nesting = options.get("max_plate_nesting", 0)
    if isinstance(nesting, bool) or not isinstance(nesting, int | np.integer) or nesting < 0:
        raise InputError(f"max_plate_nesting of {where} must be an integer of at least 0; got {nesting!r}.")
    return options


def check_rename(pair: Pair, own: Mapping[str, Mapping[str, Site]]) -> None:
    """Refuse names that would make one of two sites, of which the last would be compared and the other not.

    Args:
        own: side -> site, under that side's names -> description.

    Raises:
        InputError: naming both.
    """
    led: dict[str, str] = {}
    for name, other in pair.rename.items():
        if other in led:
            raise InputError(
                f"rename must lead to each site of numpyro's once; {led[other]!r} and {name!r} both lead to {other!r}."
            )
        led[other] = name
    for name, other in pair.rename.items():
        if name in _in_the_way(pair, own) and own["numpyro"][name].kind != "deterministic":
            raise InputError(
                f"rename gives numpyro's {other!r} the name {name!r}, which another site of numpyro's model has; "
                "rename that one as well."
            )


def make_way(pair: Pair, own: Mapping[str, Mapping[str, Site]]) -> Pair:
    """The pair, with another name for a deterministic site that has the name to which a site is renamed.

    As where one side centres ``mu``, and the other has a latent ``mu_raw`` and computes ``mu`` of it.
    """
    return replace(pair, rename={**pair.rename, **{f"{n} (numpyro's)": n for n in _in_the_way(pair, own)}})


def _in_the_way(pair: Pair, own: Mapping[str, Mapping[str, Site]]) -> list[str]:
    """Names of Pyro's that two sites of NumPyro's would have: the renamed one, and one that has it by itself."""
    taken = set(pair.rename.values())
    return [
        name
        for name, other in pair.rename.items()
        if name != other and {name, other} <= set(own["numpyro"]) and name not in taken
    ]


def check_names(
    pair: Pair,
    sites: Mapping[str, Mapping[str, Site]],
    transposed: Collection[str] = (),
    learned: Callable[[], Mapping[str, Sequence[str]]] = lambda: dict.fromkeys(SIDES, ()),
) -> None:
    """Refuse an option that names what no model has.

    Args:
        sites: side -> site, under Pyro's names -> description.
        transposed: names of numpyro's that rename gave with a ``.T``.
        learned: side -> its params, under its own names; asked where a name is no site's.

    Raises:
        InputError: naming the option and the nearest site.
    """
    known = {
        side: [*found, *(plate.name for site in found.values() for plate in site.plates)]
        for side, found in sites.items()
    }
    own = [site.name for site in sites["numpyro"].values()]
    own += [plate.name for site in sites["numpyro"].values() for plate in site.plates]
    if any(name not in known["pyro"] or other not in own for name, other in pair.rename.items()):
        params = learned()
        known["pyro"] += params["pyro"]
        own += params["numpyro"]
    for name, other in pair.rename.items():
        if name not in known["pyro"]:
            turned = name in own and other in known["pyro"]
            raise InputError(
                f"rename must lead from a site of pyro's model, of {_list(known['pyro'])}; got {name!r}."
                + (
                    f" Turn it round: {{{other!r}: {name + '.T' * (other in transposed)!r}}}."
                    if turned
                    else nearest(name, known["pyro"])
                )
            )
        if other not in own:
            raise InputError(
                f"rename must lead to a site of numpyro's model, of {_list(own)}; got {other!r}.{nearest(other, own)}"
            )
    for name in pair.exchangeable:
        kinds = {side: found[name].kind for side, found in sites.items() if name in found}
        other = next((side for side, kind in kinds.items() if kind not in COMPONENTS), None)
        if other is not None and name in known["pyro"]:
            raise InputError(
                f"exchangeable must name latent or deterministic sites of both models; {name!r} is {kinds[other]} in "
                f"{other}."
            )
        if name not in known["pyro"]:
            raise InputError(
                f"exchangeable must name sites of pyro's model, of {_list(known['pyro'])}; got {name!r}."
                f"{nearest(name, known['pyro'])}"
            )
    for point, values in pair.points.items():
        for name, value in values.items():
            if name not in sites["pyro"]:
                raise InputError(
                    f"points[{point!r}] must name sites of pyro's model, of {_list([*sites['pyro']])}; got {name!r}."
                    f"{nearest(name, [*sites['pyro']])}"
                )
            shape = np.shape(np.asarray(sites["pyro"][name].value))
            if np.shape(value) != shape:
                raise InputError(
                    f"points[{point!r}][{name!r}] must have shape {shape}; got {np.shape(value)}."
                )


def _point(name: object, given: object, where: str) -> dict[str, np.ndarray]:
    if not isinstance(given, Mapping):
        raise InputError(
            f"points[{name!r}] of {where} must be a dictionary of numbers by site; got {type(given).__name__}."
        )
    values = {str(site): np.asarray(value) for site, value in given.items()}
    for site, value in values.items():
        if value.dtype.kind not in "biuf":
            raise InputError(f"points[{name!r}][{site!r}] of {where} must be numbers; got {given[site]!r}.")
    return values


def _names(given: object, where: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
        raise InputError(f"exchangeable of {where} must be a tuple of sites, as ('theta',); got {given!r}.")
    return tuple(map(str, given))


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
