"""What crosses between a parent and a side: JSON for structure, and arrays as they lie in memory, in one message.

Neither pickles nor framework objects cross, so the two ends may run different Python and NumPy versions,
and a message read from elsewhere cannot run code.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from ppl_parity.backend.contract import Plate, Site, Trajectory
from ppl_parity.errors import InputError
from ppl_parity.process.references import (
    CallableReference,
    FileReference,
    HeldReference,
    MixtureReference,
    ModuleReference,
)
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
        HeldReference,
    )
}

CLOSED = "the other end has closed"
LENGTHS = struct.Struct("<QQ")  # of the JSON text, and of the list of arrays whose elements follow it


class WireError(InputError):
    """A value that may not cross: anything but arrays, plain Python values and the contract's classes."""


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message."""
    structure, arrays = pack(message)
    text = structure.encode()
    listed = json.dumps([(array.dtype.str, array.shape) for array in arrays]).encode()
    stream.write(LENGTHS.pack(len(text), len(listed)) + text + listed)
    for array in arrays:
        stream.write(_bytes(np.asarray(array, order="C")))
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: the other end has closed.
    """
    num_text, num_listed = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    text = _exactly(stream, num_text)
    arrays = [np.empty(shape, dtype) for dtype, shape in json.loads(_exactly(stream, num_listed))]
    for array in arrays:
        if stream.readinto(_bytes(array)) < array.nbytes:  # type: ignore[attr-defined]
            raise EOFError(CLOSED)
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
        raise EOFError(CLOSED)
    return data


def _bytes(array: np.ndarray) -> memoryview:
    """The elements of a contiguous array where they lie: a fit sends tens of megabytes."""
    return array.reshape(-1).view(np.uint8).data


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        if value.dtype.hasobject or value.dtype.kind == "V":
            raise WireError(
                "An array of Python objects, of records or of a type that is not NumPy's may not cross between "
                f"processes; got {value!r}."
            )
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
    if hasattr(value, "__array__") and not hasattr(value, "columns"):  # of torch, of JAX, a column of pandas'
        return _encode(np.asarray(value), arrays)
    advice = " Give its columns, as arrays." if hasattr(value, "columns") else ""
    raise WireError(
        f"Only arrays, numbers, strings, lists and dictionaries cross between processes; got {type(value)}.{advice}"
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
