"""A model with given values of what its runs would draw anew: params, and the rows that a plate takes."""

from __future__ import annotations

from functools import wraps
from typing import Any

import jax
import numpyro
from numpyro import handlers
from numpyro.primitives import _PYRO_STACK as STACK
from numpyro.primitives import Messenger

from numpyro_impl.runtime import to_framework
from ppl_parity.backend.contract import Model, Values


def hold(model: Model, values: Values) -> Model:
    """See ``contract.Backend.hold``."""

    @wraps(model)
    def held(*args: Any, **kwargs: Any) -> Any:
        with handlers.substitute(data=to_framework(dict(values))), EachArray():
            return model(*args, **kwargs)

    return held


class EachArray(Messenger):
    """Make of a statement of a tree of arrays, as a network's is, one of each array: ``net.layer.kernel``.

    Each may then have a value of its own, from whatever handler is outside of this one.
    """

    def __init__(self, fn: Any = None) -> None:
        super().__init__(fn)
        self._asked: set[str] = set()

    def __enter__(self) -> Any:
        self._asked.clear()
        return super().__enter__()

    def process_message(self, msg: Any) -> None:
        """Issue the statements, to the handlers outside alone: those inside have seen the whole one.

        ``flax_module`` first asks for a value, and then goes on with what it made, whatever its statement returns.
        """
        if msg["type"] != "param" or msg["value"] is not None:
            return
        made = not msg["args"]  # by a function of a key
        if not made and msg["args"][0] is None:
            self._asked.add(msg["name"])
            return
        place = next(i for i, handler in enumerate(STACK) if handler is self)
        inside = STACK[place:]
        del STACK[place:]
        try:
            whole = msg["fn"](**msg["kwargs"]) if made else msg["args"][0]
            if jax.tree_util.all_leaves([whole]):
                msg["value"] = whole if made else None
                return
            named, structure = jax.tree_util.tree_flatten_with_path(whole)
            leaves = [numpyro.param(name_of(msg["name"], path), leaf) for path, leaf in named]
        finally:
            STACK.extend(inside)
        msg["value"] = jax.tree_util.tree_unflatten(structure, leaves)
        if msg["name"] in self._asked:
            _update(whole, msg["value"])


def _update(whole: Any, by: Any) -> None:
    for key in whole if isinstance(whole, dict) else ():
        if isinstance(whole[key], dict):
            _update(whole[key], by[key])
        else:
            whole[key] = by[key]


def name_of(statement: str, path: Any) -> str:
    """What an array of a tree is called: the statement's name, and the keys that lead to it."""
    return f"{statement}.{jax.tree_util.keystr(path, simple=True, separator='.')}"
