"""A model with given values of what its runs would draw anew: params, and the rows that a plate takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from types import SimpleNamespace
from typing import Any

import torch
from pyro import poutine

from ppl_parity.backend.contract import Model, Values
from pyro_impl.runtime import to_framework


def hold(model: Model, values: Values) -> Model:
    """See ``contract.Backend.hold``."""

    @wraps(model)
    def held(*args: Any, **kwargs: Any) -> Any:
        given = to_framework(dict(values))
        with poutine.condition(data=given), poutine.substitute(data=as_params(given)):
            return model(*args, **kwargs)

    return held


def as_params(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Values that ``poutine.substitute`` may put in the place of params, those in a subsampling plate included.

    Such a plate takes its rows of a param, and notes them at what the param store would have made the value of.
    """
    for value in values.values():
        value._pyro_unconstrained_param = SimpleNamespace()  # type: ignore[attr-defined]
    return dict(values)
