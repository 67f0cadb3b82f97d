"""One side of a pair as a file: what was asked of it, and what it answered. An .npz without pickles."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ppl_parity.backend.contract import Arrays, Groups, Plate, Site, Trajectory
from ppl_parity.errors import InputError, one_of
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import PointKind, Walk
from ppl_parity.process import wire
from ppl_parity.writing import write

SCHEMA = "ppl-parity/frozen/1"
STRUCTURE = "structure"
CLASSES = {cls.__name__: cls for cls in (Plate, Site, Trajectory)}


@dataclass(frozen=True)
class Frozen:
    """What a side answered, under its own site names.

    Attributes:
        side: ``pyro`` or ``numpyro``.
        pair: the pair's name.
        versions: of everything that made the numbers.
        data: argument -> fingerprint.
        sites: the model's, at seed 0. foreign: statements of the other framework that it runs.
        params: its param statements.
        points: name -> latent values, constrained. kinds: name -> how the point was made.
        answers: what was asked, by ``key_of`` -> the answer, or ``{"refused": sentence}``.
        walks: leapfrog trajectories that were walked.
        prior: independent joint draws of every site, (S, ...); None where there are none, for ``prior_refused``.
        posterior: NUTS draws and their statistics; None where none were made, for ``posterior_refused``.
        settings: seed, sampler's settings.
        held: what each of its runs would have drawn anew, and the model was given: initial values, rows of plates.
        guide: its guide, frozen likewise; None where there is none, or where the library made it.
        automatic: what it is then (``contract.Backend.automatic``).
    """

    side: str
    pair: str
    versions: dict[str, str]
    data: dict[str, str]
    sites: tuple[Site, ...]
    foreign: tuple[str, ...] = ()
    params: tuple[Site | str, ...] = ()
    points: dict[str, Arrays] = field(default_factory=dict)
    kinds: dict[str, PointKind] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    walks: tuple[Walk, ...] = ()
    prior: Arrays | None = None
    prior_refused: str = ""
    posterior: Groups | None = None
    posterior_refused: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    held: Arrays = field(default_factory=dict)
    guide: Frozen | None = None
    automatic: dict[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """The fields, as plain values."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found["walks"] = [
            {name: value for name, value in vars(walk).items() if value is not None} for walk in self.walks
        ]
        found["guide"] = None if self.guide is None else self.guide.content()
        return found

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Frozen:
        """What ``content`` was made of."""
        walks = tuple(Walk(**walk) for walk in content.get("walks", ()))
        guide = content.get("guide")
        return cls(**{**content, "walks": walks, "guide": None if guide is None else cls.of(guide)})

    def save(self, path: Path) -> None:
        """Write the file; a crash leaves no half of one."""
        structure, arrays = wire.pack({"schema": SCHEMA, "content": self.content()})
        shapes = [[array.dtype.str, list(array.shape)] for array in arrays]
        header, _ = wire.pack({"structure": structure, "shapes": shapes})
        # A zip of thousands of tiny arrays is slow to read: one array a dtype.
        entries: dict[str, Any] = {STRUCTURE: header}
        for dtype in sorted({array.dtype.str for array in arrays}):
            parts = [array.ravel() for array in arrays if array.dtype.str == dtype]
            entries[f"values {dtype}"] = np.concatenate(parts)

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:  # given a name, NumPy would add a suffix to it
                np.savez_compressed(file, allow_pickle=False, **entries)

        write(path, save)


def load_frozen(path: str | Path) -> Frozen:
    """Read what ``ppl-parity freeze`` wrote.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            "A frozen model must be a file that 'ppl-parity freeze' wrote; "
            + (f"{str(path)!r} is a folder." if path.is_dir() else f"there is no file {str(path)!r}.")
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            header = wire.unpack(str(file[STRUCTURE]), [], {})
            found = wire.unpack(header["structure"], _arrays(file, header["shapes"]), CLASSES)
        schema = found["schema"]
        frozen = Frozen.of(found["content"]) if schema == SCHEMA else None
    except (OSError, EOFError, KeyError, IndexError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"A frozen model must be a file that 'ppl-parity freeze' wrote; {str(path)!r} is none."
        ) from error
    if frozen is None:
        raise InputError(
            f"A frozen model must be a frozen file of the form {SCHEMA}; {str(path)!r} is {schema!r}: freeze it again."
        )
    one_of("the frozen side", frozen.side, SIDES)
    return frozen


def _arrays(file: Mapping[str, np.ndarray], shapes: list[list[Any]]) -> list[np.ndarray]:
    flat = {dtype: file[f"values {dtype}"] for dtype in {dtype for dtype, _ in shapes}}
    used = dict.fromkeys(flat, 0)
    arrays = []
    for dtype, shape in shapes:
        start, size = used[dtype], int(np.prod(shape))
        arrays.append(flat[dtype][start : start + size].reshape(shape))
        used[dtype] = start + size
    return arrays


def key_of(name: str, *args: Any, **kwargs: Any) -> str:
    """A call's name and a digest of its arguments, in which only values and shapes count."""
    digest = hashlib.sha256()
    _feed(digest, [list(args), kwargs])
    return f"{name} {digest.hexdigest()[:32]}"


def fingerprint(data: Mapping[str, Any]) -> dict[str, str]:
    """Argument -> a digest of its value, whatever dtype it is stored in."""
    return {name: key_of("", value).strip() for name, value in data.items()}


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for name in sorted(value):
            _feed(digest, name)
            _feed(digest, value[name])
    elif isinstance(value, list | tuple) and not _numeric(value):
        digest.update(struct.pack("<q", len(value)))
        for item in value:
            _feed(digest, item)
    elif isinstance(value, str | bytes) or value is None:
        digest.update(repr(value).encode())
    else:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            digest.update(repr(array.tolist()).encode())
            return
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())


def _numeric(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biuf"
    except ValueError:
        return False
