"""A fit as an ArviZ DataTree: built from plain arrays, written to netCDF, read back.

Files open in plain ``arviz.from_netcdf``, in the old ArviZ (0.x, as InferenceData) and in the new (1.x, as
DataTree) alike. The same arrays and attributes give the same tree: no clock time is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.writing import write

if TYPE_CHECKING:
    from xarray import Dataset, DataTree

Dims = tuple[str, ...]
Groups = dict[str, dict[str, tuple[Dims, np.ndarray]]]

SAMPLE_DIMS = ("chain", "draw")
SAMPLED_GROUPS = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "warmup_")
    for name in (
        "posterior",
        "sample_stats",
        "log_likelihood",
        "log_prior",
        "posterior_predictive",
        "predictions",
        "prior",
        "prior_predictive",
        "sample_stats_prior",
        "unconstrained_posterior",
    )
)
# One value a draw of the posterior, so these must have its chains and draws.
DRAW_BY_DRAW = ("sample_stats", "log_likelihood", "log_prior", "unconstrained_posterior")

# A variable of one name has other dimensions in other groups, hence the keys with a group in them.
MIXTURE_DIMS: dict[str, Dims] = {
    "theta": ("component",),
    "beta": ("component", "dim"),
    "z": ("row",),
    "x": ("row", "dim"),
    "log_likelihood/x": ("row",),
    "responsibilities": ("row", "component"),
    "raw_component": ("chain", "draw", "component"),
}

UNSTORABLE = re.compile(r"[/\x00-\x1f\x7f]")  # netCDF divides groups by a slash

# Beyond this length an axis gets no integer index: ten million rows would cost 80 MB to say 0, 1, 2, ...
LONGEST_INDEX = 10_000


def to_datatree(
    groups: Mapping[str, Mapping[str, Any]],
    attrs: Mapping[str, Any],
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Any] | None = None,
) -> DataTree:
    """Build an ArviZ DataTree from nested arrays.

    Args:
        groups: group -> variable -> array. Groups of draws (``posterior``, ``sample_stats``,
            ``log_likelihood``, ``posterior_predictive``, ...) hold (chain, draw, ...); every other group
            (``observed_data``, ``assignments``, ...) has neither axis.
        attrs: what makes the run repeatable: strings and numbers as they are; dictionaries, lists, booleans
            and None as JSON (``attribute`` reads all of them back).
        dims: the names of the axes after chain and draw, by variable, or by ``group/variable`` where a name
            means different things in different groups. An axis without one is ``<variable>_dim_<i>``.
        coords: labels along a named axis; integers from 0 where absent.

    A variable whose name no file can hold, or that an axis has, gets one that is nearest to it (``scope/a`` is
    ``scope.a``, ``draw`` is ``draw_``); the attribute ``site_names`` leads back.

    Returns:
        An ``xarray.DataTree`` with ``attrs`` on its root.

    Raises:
        InputError: an array has too few axes, names that do not fit it, or draws that do not match.
    """
    from xarray import DataTree

    if not groups:
        raise InputError("A posterior needs at least one group; got none.")
    names = storable_names([name for variables in groups.values() for name in variables])
    changed = {stored: name for name, stored in names.items() if stored != name}
    if changed:
        groups = {
            group: {names[name]: value for name, value in variables.items()}
            for group, variables in groups.items()
        }
        attrs = {**attrs, "site_names": changed}
        dims = {_renamed(key, names): axes for key, axes in (dims or {}).items()}
    datasets = {
        name: _dataset(name, variables, dims or {}, coords or {}) for name, variables in groups.items()
    }
    for name in DRAW_BY_DRAW:
        if name in datasets and "posterior" in datasets:
            _same_draws(name, datasets[name], datasets["posterior"])
    tree = DataTree.from_dict({f"/{name}": dataset for name, dataset in datasets.items()})
    tree.attrs.update({key: _encoded(key, value) for key, value in attrs.items()})
    return tree


def attribute(tree: DataTree, key: str, default: Any = None) -> Any:
    """The root attribute ``key``, decoded if it is JSON; ``default`` if it is absent."""
    value = tree.attrs.get(key, default)
    if isinstance(value, np.generic):  # what netCDF gives back for a number
        value = value.item()
    # Only what ``to_datatree`` encodes: a version such as "1.10" is text that happens to parse.
    if isinstance(value, str) and (value[:1] in ("{", "[") or value in ("true", "false", "null")):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def group(tree: DataTree, name: str) -> Dataset:
    """One group of ``tree`` as a dataset; an empty one if the tree has no such group.

    Raises:
        InputError: ``name`` is ``posterior``, and there is none: nothing can be said of such a file.
    """
    from xarray import Dataset

    if name in tree.children:
        return tree.children[name].to_dataset(inherit=False)
    if name == "posterior":
        found = ", ".join(tree.children) or "no group at all"
        raise InputError(f"A fit must have a group named posterior; got {found}.")
    return Dataset()


def to_groups(tree: DataTree) -> Groups:
    """The inverse of ``to_datatree``: group -> variable -> (names of the axes, array)."""
    return {
        name: {
            str(variable): (tuple(map(str, values.dims)), np.asarray(values.values))
            for variable, values in group(tree, name).data_vars.items()
        }
        for name in tree.children
    }


def save(tree: DataTree, path: str | Path, overwrite: bool = False) -> Path:
    """Write ``tree`` to a netCDF4 file that any ArviZ opens; a crash leaves no half-written file.

    Args:
        tree: from ``to_datatree``.
        path: the file, in a folder that exists.
        overwrite: replace a file that is already there.

    Returns:
        The path.

    Raises:
        InputError: the folder does not exist, or the file does and ``overwrite`` is False.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"The folder of an output file must exist; {path.parent} does not.")
    if path.is_dir():
        raise InputError(f"An output file must not be a folder; {path} is one.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} already exists; give another name, or ask for it to be overwritten.")
    try:
        write(path, lambda temporary: tree.to_netcdf(temporary, engine="netcdf4"))
    except RuntimeError as error:  # of the netCDF library: a full disk, a name that no netCDF file can hold
        raise OSError(f"{path} cannot be written: {error}") from error
    return path


def load(path: str | Path) -> DataTree:
    """Read a netCDF file of ``save``, or of ArviZ, into memory, and close it.

    Raises:
        InputError: there is no such file, or it is not a netCDF file.
    """
    from xarray import open_datatree

    path = Path(path)
    if not path.is_file():
        raise InputError(f"A posterior is read from a netCDF file; {path} is not a file.")
    try:
        with open_datatree(path, engine="netcdf4") as tree:
            return tree.load()
    except OSError as error:
        raise InputError(f"A posterior is read from a netCDF file; {path} is not one ({error}).") from None


def _dataset(
    group_name: str,
    variables: Mapping[str, Any],
    dims: Mapping[str, Sequence[str]],
    coords: Mapping[str, Any],
) -> Any:
    sample_dims = SAMPLE_DIMS if group_name in SAMPLED_GROUPS else ()
    from xarray import Dataset

    arrays = {name: _storable(np.asarray(array)) for name, array in variables.items()}
    names: dict[str, Sequence[str]] = {}
    for name, array in arrays.items():
        what = f"{group_name}/{name}"
        if array.dtype.kind not in "biufU":
            raise InputError(f"{what} must hold numbers, booleans or text; got dtype {array.dtype}.")
        if array.ndim < len(sample_dims):
            raise InputError(f"{what} must have shape (chain, draw, ...); got shape {array.shape}.")
        own = dims.get(what, dims.get(name))
        if own is None:
            continue
        if len(own) != array.ndim - len(sample_dims):
            expected = (*sample_dims, *own)
            raise InputError(f"{what} must have the axes ({', '.join(expected)}); got shape {array.shape}.")
        names[name] = own
    _one_length_each(group_name, arrays, sample_dims, names)
    used = {axis for own in names.values() for axis in own}
    own_coords = {axis: labels for axis, labels in coords.items() if axis in used}
    axes = {
        name: (*sample_dims, *names.get(name, _numbered(name, array.ndim - len(sample_dims), arrays)))
        for name, array in arrays.items()
    }
    lengths = {
        axis: size
        for name, array in arrays.items()
        for axis, size in zip(axes[name], array.shape, strict=True)
    }
    indices = {axis: np.arange(size) for axis, size in lengths.items() if size <= LONGEST_INDEX}
    try:
        return Dataset(
            {name: (axes[name], array) for name, array in arrays.items()}, coords=indices | own_coords
        )
    except ValueError as error:
        raise InputError(f"The labels of group {group_name} must fit its axes: {error}") from None


def _renamed(key: str, names: Mapping[str, str]) -> str:
    """A variable, or ``group/variable``, under the name that it is stored by."""
    if key in names:
        return names[key]
    group, _, variable = key.partition("/")
    return f"{group}/{names[variable]}" if variable in names else key


def storable_names(names: Iterable[str]) -> dict[str, str]:
    """name -> one that a netCDF file and a dataset's axes leave free; most stay as they are."""
    every = list(dict.fromkeys(names))
    stored: dict[str, str] = {}
    for name in sorted(
        every, key=lambda name: _storable_name(name) != name
    ):  # those that need no change first
        free = _storable_name(name)
        while free in stored.values() or (free != name and free in every):
            free += "_"
        stored[name] = free
    return stored


def _storable_name(name: str) -> str:
    free = UNSTORABLE.sub(".", name).strip() or "_"
    free = free if free[0].isalnum() or free[0] == "_" else f"_{free}"
    return f"{free}_" if free in SAMPLE_DIMS else free


def _numbered(name: str, count: int, taken: Collection[str]) -> tuple[str, ...]:
    """ArviZ's names for the axes that nobody has named; another where a variable has that name."""
    axes = [f"{name}_dim_{i}" for i in range(count)]
    return tuple(f"{axis}_" if axis in taken else axis for axis in axes)


def _storable(array: np.ndarray) -> np.ndarray:
    """netCDF knows neither half nor extended precision."""
    if array.dtype.kind != "f" or array.dtype.itemsize in (4, 8):
        return array
    return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)


def _one_length_each(
    group_name: str,
    arrays: Mapping[str, np.ndarray],
    sample_dims: Sequence[str],
    names: Mapping[str, Sequence[str]],
) -> None:
    """Two lengths of one axis would not fail in xarray: it pads the shorter variable with NaN."""
    lengths: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        for axis, size in zip((*sample_dims, *names.get(name, ())), array.shape, strict=False):
            first, expected = lengths.setdefault(axis, (name, size))
            if size != expected:
                raise InputError(
                    f"The axes of a group must have one length each; in {group_name}, {axis} has {expected} "
                    f"entries in {first} and {size} in {name}."
                )


def _same_draws(name: str, dataset: Any, posterior: Any) -> None:
    for axis in SAMPLE_DIMS:
        got, expected = dataset.sizes.get(axis), posterior.sizes.get(axis)
        if None not in (got, expected) and got != expected:
            raise InputError(f"{name} must have the posterior's {expected} entries along {axis}; got {got}.")


def _encoded(key: str, value: Any) -> str | int | float:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or value is None or isinstance(value, dict | list | tuple):
        return json.dumps(value)
    if isinstance(value, str | int | float):
        return value
    raise InputError(f"Attribute {key} must be text, a number or a JSON value; got {type(value).__name__}.")
