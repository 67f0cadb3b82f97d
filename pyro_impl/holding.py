"""A model with given values of what its runs would draw anew: params, and the rows that a plate takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy
from functools import wraps
from types import SimpleNamespace
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger

from ppl_parity.backend.contract import Model, Values
from pyro_impl.runtime import to_framework

# What may hold a module's parameter itself, as Normal(self.loc, 1.0) does, and not a number that was computed of it.
OPENED = (torch.distributions.Distribution, torch.distributions.Transform, torch.nn.Module)


def hold(model: Model, values: Values) -> Model:
    """See ``contract.Backend.hold``."""

    @wraps(model)
    def held(*args: Any, **kwargs: Any) -> Any:
        given = to_framework(dict(values))
        with poutine.condition(data=given), poutine.substitute(data=as_params(given)):
            return model(*args, **kwargs)

    return held


class Weights(Messenger):
    """Give a module's own parameters other values inside the block: it uses those, whatever a statement returns.

    A derivative is to be taken inside of it, too, where ``own`` has the parameters by name.
    """

    def __init__(self, values: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self._values = values
        self._before: dict[str, torch.Tensor] = {}
        self.own: dict[str, torch.nn.Parameter] = {}

    def _pyro_param(self, msg: Any) -> None:
        parameter = next((each for each in msg["args"] if isinstance(each, torch.nn.Parameter)), None)
        name = msg["name"]
        if parameter is None or name not in self._values:
            return
        if name not in self.own:
            self.own[name], self._before[name] = parameter, parameter.data
            parameter.data = self._values[name].detach().to(parameter.dtype).clone()
        msg["value"] = parameter

    def _pyro_sample(self, msg: Any) -> None:
        # It is asked for its log prob, and what is recorded for its value, after the block has ended.
        own = self.own.values()
        msg["fn"] = _copied(msg["fn"], own)
        if msg["value"] is not None:
            msg["value"] = _copied(msg["value"], own)

    def __exit__(self, *error: Any) -> Any:
        for name, parameter in self.own.items():
            parameter.data = self._before[name]
        return super().__exit__(*error)


def as_params(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Values that ``poutine.substitute`` may put in the place of params, those in a subsampling plate included.

    Such a plate takes its rows of a param, and notes them at what the param store would have made the value of.
    """
    for value in values.values():
        value._pyro_unconstrained_param = SimpleNamespace()  # type: ignore[attr-defined]
    return dict(values)


def _copied(thing: Any, parameters: Collection[torch.Tensor]) -> Any:
    """The thing itself where it holds none of them; else a copy of it, through which a derivative still goes.

    Args:
        thing: a tensor, a distribution, or what one is made of.
        parameters: by identity.
    """
    return _opened(thing, {id(parameter) for parameter in parameters}, {}) if parameters else thing


def _opened(thing: Any, own: set[int], known: dict[int, Any]) -> Any:
    if id(thing) in known:
        return known[id(thing)]
    known[id(thing)] = thing  # of what holds itself
    made = thing
    if isinstance(thing, torch.Tensor):
        made = thing.clone() if id(thing) in own else thing
    elif isinstance(thing, dict):
        found = {key: _opened(value, own, known) for key, value in thing.items()}
        if any(found[key] is not thing[key] for key in found):
            made = copy(thing)
            made.update(found)
    elif type(thing) in (list, tuple):
        parts = [_opened(value, own, known) for value in thing]
        if any(part is not value for part, value in zip(parts, thing, strict=True)):
            made = type(thing)(parts)
    elif isinstance(thing, OPENED):
        found = {key: _opened(value, own, known) for key, value in vars(thing).items()}
        if any(found[key] is not value for key, value in vars(thing).items()):
            made = copy(thing)
            vars(made).update(found)
    known[id(thing)] = made
    return made
