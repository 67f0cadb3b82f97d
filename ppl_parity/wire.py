"""What crosses between a parent and a side: JSON for structure, NPY for arrays, in one framed message.

Neither pickles nor framework objects cross, so the two ends may run different Python and NumPy versions,
and a message read from elsewhere cannot run code.
"""

from __future__ import annotations

import dataclasses
import io
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ppl_parity.contract import Plate, Site, Trajectory
from ppl_parity.references import CallableReference, FileReference, MixtureReference, ModuleReference
from ppl_parity.spec import MixtureSpec, SamplerSettings

CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        Plate,
        Site,
        Trajectory,
        MixtureSpec,
        SamplerSettings,
        MixtureReference,
        FileReference,
        ModuleReference,
        CallableReference,
    )
}

LENGTHS = struct.Struct("<QQ")  # of the JSON text, and of the arrays behind it


class WireError(TypeError):
    """A value that may not cross: anything but arrays, plain Python values and the contract's classes."""


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message."""
    structure, arrays = pack(message)
    text = structure.encode()
    blob = io.BytesIO()
    for array in arrays:
        np.lib.format.write_array(blob, array, allow_pickle=False)
    stream.write(LENGTHS.pack(len(text), blob.tell()))
    stream.write(text)
    stream.write(blob.getbuffer())
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: the other end has closed.
    """
    num_text, num_blob = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    text = _exactly(stream, num_text)
    blob = io.BytesIO(_exactly(stream, num_blob))
    arrays = []
    while blob.tell() < num_blob:
        arrays.append(np.lib.format.read_array(blob, allow_pickle=False))
    return unpack(text, arrays)


def pack(message: Any) -> tuple[str, list[np.ndarray]]:
    """A message as JSON text, and the arrays that it names by their number."""
    arrays: list[np.ndarray] = []
    return json.dumps(_encode(message, arrays)), arrays


def unpack(text: str | bytes, arrays: list[np.ndarray], classes: Mapping[str, type] = CLASSES) -> Any:
    """The message that ``pack`` was given; ``classes`` are those that it may hold."""
    return _decode(json.loads(text), arrays, classes)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the other end has closed")
    return data


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        if value.dtype.hasobject:
            raise WireError(f"An array of Python objects may not cross between processes; got {value!r}.")
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1, "scalar": isinstance(value, np.generic)}
    if isinstance(value, bytes):
        return _encode(np.frombuffer(value, np.uint8), arrays) | {"bytes": True}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(item, arrays) for item in value]}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise WireError(
                f"A dictionary that crosses between processes needs string keys; got {list(value)}."
            )
        return {"dict": {key: _encode(item, arrays) for key, item in value.items()}}
    if type(value).__name__ in CLASSES:
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": _encode(fields, arrays)}
    raise WireError(
        f"Only arrays, numbers, strings, lists and dictionaries cross between processes; got {type(value)}."
    )


def _decode(value: Any, arrays: list[np.ndarray], classes: Mapping[str, type]) -> Any:
    if not isinstance(value, dict):
        return value
    if "bytes" in value:
        return arrays[value["array"]].tobytes()
    if "array" in value:
        array = arrays[value["array"]]
        return array[()] if value["scalar"] else array
    if "list" in value:
        return [_decode(item, arrays, classes) for item in value["list"]]
    if "tuple" in value:
        return tuple(_decode(item, arrays, classes) for item in value["tuple"])
    if "class" in value:
        return classes[value["class"]](**_decode(value["fields"], arrays, classes))
    return {key: _decode(item, arrays, classes) for key, item in value["dict"].items()}
