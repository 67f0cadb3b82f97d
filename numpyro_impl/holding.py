"""A model with given values of what its runs would draw anew: params, and the rows that a plate takes."""

from __future__ import annotations

from functools import wraps
from typing import Any

from numpyro import handlers

from numpyro_impl.runtime import to_framework
from ppl_parity.backend.contract import Model, Values


def hold(model: Model, values: Values) -> Model:
    """See ``contract.Backend.hold``."""

    @wraps(model)
    def held(*args: Any, **kwargs: Any) -> Any:
        with handlers.substitute(data=to_framework(dict(values))):
            return model(*args, **kwargs)

    return held
