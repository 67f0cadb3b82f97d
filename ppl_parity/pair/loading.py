"""Load a pair from a file or a module: inside a side's process, for the parent loads no framework."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppl_parity.errors import InputError
from ppl_parity.pair.options import OPTIONS, checked
from ppl_parity.pair.pairs import SIDES, Pair
from ppl_parity.process.arguments import check_arguments
from ppl_parity.process.references import FileReference, ModuleReference
from ppl_parity.process.sides import Side


def load_pair(where: str, sides: Mapping[str, Side]) -> Pair:
    """The pair of a Python file, or of an importable module, that defines ``pyro_model``, ``numpyro_model``, ``data``.

    Args:
        where: ``path/to/file.py`` or ``package.module``.
        sides: open processes; the file is imported there, once in each.

    Raises:
        InputError: a name is missing, the file cannot be imported, ``data`` is not what a model can be given, or an
            option seems to be misspelt.
    """
    is_file = where.endswith(".py") or "/" in where
    if Path(where).is_dir():
        raise InputError(f"A pair must be a Python file or an importable module; {where!r} is a folder.")
    if is_file and not Path(where).is_file():
        raise InputError(f"A pair must be a Python file or an importable module; there is no file {where!r}.")
    path = str(Path(where).resolve())

    def reference(name: str) -> FileReference | ModuleReference:
        return FileReference(path, name) if is_file else ModuleReference(where, name)

    asker = sides.get("numpyro") or sides["pyro"]
    data = asker.call("evaluate", reference("data"))
    found = asker.call("attributes", reference("data"), list(OPTIONS))
    for name, option in asker.call("misspelt", reference("data"), list(OPTIONS)).items():
        raise InputError(
            f"An option must be one of {', '.join(OPTIONS)}; {where} sets {name!r} and never uses it. "
            f"Did you mean {option!r}?"
        )
    named = {side: f"{side}_guide" for side in SIDES}
    defined = asker.call("defined", reference("data"), list(named.values()))
    return Pair(
        name=Path(where).stem if is_file else where,
        models={side: reference(f"{side}_model") for side in SIDES},
        data=split_data(data, where),
        guides=every_or_none(
            {side: reference(name) for side, name in named.items() if side in sides and name in defined},
            sides,
            where,
        ),
        **checked(found, where),
    )


def every_or_none(guides: Mapping[str, Any], sides: Collection[str], where: str) -> dict[str, Any]:
    """The guides, of which a pair has one of each side that is run, or none.

    Raises:
        InputError: one side's is missing.
    """
    missing = [side for side in sides if side not in guides]
    if guides and missing:
        raise InputError(
            f"Each side that is run must have a guide, or none; {where} has none of {missing[0]} ({missing[0]}_guide)."
        )
    return dict(guides)


def load_parts(
    models: Mapping[str, str], data: str, sides: Mapping[str, Side], guides: Mapping[str, str] | None = None
) -> Pair:
    """A pair whose models and data stand in files of their own, each as ``FILE:NAME``.

    The data are made in the one process if the other's cannot, so that either environment may hold what they
    need.

    Args:
        models: side -> where its model is; a frozen side has none.
        data: where the function is that returns the data.
        sides: open processes.
        guides: side -> where its guide is, if there are any.
    """
    references = {name: _part(name, where) for name, where in {**models, "data": data}.items()}
    of_guides = {side: _part(f"{side}-guide", where) for side, where in (guides or {}).items()}
    askers = [sides[side] for side in reversed(SIDES) if side in sides]
    try:
        found = askers[0].call("evaluate", references["data"])
    except InputError:
        if len(askers) == 1:
            raise
        found = askers[1].call("evaluate", references["data"])
    for reference in {reference.path: reference for reference in references.values()}.values():
        _refuse_misspelt(reference, askers)
    options = _options_of_parts(references, askers)
    return Pair(
        **options,
        name=" and ".join(Path(where.rpartition(":")[0]).stem for where in models.values()),
        models={
            side: references.get(side, references[next(iter(models))]) for side in SIDES
        },  # a file's is not run
        data=split_data(found, data),
        guides=every_or_none(of_guides, sides, "the command"),
    )


def _options_of_parts(references: Mapping[str, FileReference], askers: list[Side]) -> dict[str, Any]:
    """What the files that the models and the data stand in say of the pair: one of them, or all the same."""
    found: dict[str, Any] = {}
    home: dict[str, str] = {}
    for reference in {reference.path: reference for reference in references.values()}.values():
        for name, value in _attributes(reference, askers).items():
            if name in found and not _equal(found[name], value):
                raise InputError(
                    f"{name} must be set in one file; {Path(home[name]).name} and "
                    f"{Path(reference.path).name} set others."
                )
            found[name], home[name] = value, reference.path
    return checked(found, " and ".join(sorted({Path(path).name for path in home.values()})))


def _refuse_misspelt(reference: FileReference, askers: list[Side]) -> None:
    for asker in askers:
        try:
            found = asker.call("misspelt", reference, list(OPTIONS))
        except InputError:
            continue
        for name, option in found.items():
            raise InputError(
                f"An option must be one of {', '.join(OPTIONS)}; {Path(reference.path).name} sets {name!r} and never "
                f"uses it. Did you mean {option!r}?"
            )
        return


def _equal(one: Any, other: Any) -> bool:
    """Whether two options are the same, whose numbers may be arrays."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return bool(one == other)


def _attributes(reference: FileReference, askers: list[Side]) -> dict[str, Any]:
    """The options of one file, from a process that can import it; of a file that none can, the models will say so."""
    for asker in askers:
        try:
            found = asker.call("attributes", reference, list(OPTIONS))
        except InputError:
            continue
        return {name: value for name, value in found.items() if value is not None}
    return {}


def _part(name: str, where: str) -> FileReference:
    path, separator, function = where.rpartition(":")
    if not separator or not path or not function:
        raise InputError(f"--{name} must be a file and a name in it, as FILE:NAME; got {where!r}.")
    return FileReference(str(Path(path).resolve()), function)


def split_data(data: Any, where: str) -> dict[str, dict[str, Any]]:
    """Check what ``data()`` returned, and give each side its own."""
    if not isinstance(data, Mapping):
        raise InputError(f"data() of {where} must return a dictionary of arrays; got {type(data).__name__}.")
    check_arguments(data)
    if set(data) == set(SIDES) and all(isinstance(value, Mapping) for value in data.values()):
        return {side: dict(data[side]) for side in SIDES}
    return {side: dict(data) for side in SIDES}
