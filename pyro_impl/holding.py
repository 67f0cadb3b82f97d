"""A model with given values of what its runs would draw anew: params, and the rows that a plate takes."""

from __future__ import annotations

from functools import wraps
from typing import Any

from pyro import poutine

from ppl_parity.backend.contract import Model, Values
from pyro_impl.runtime import to_framework


def hold(model: Model, values: Values) -> Model:
    """See ``contract.Backend.hold``."""

    @wraps(model)
    def held(*args: Any, **kwargs: Any) -> Any:
        given = to_framework(dict(values))
        with poutine.condition(data=given), poutine.substitute(data=given):
            return model(*args, **kwargs)

    return held
