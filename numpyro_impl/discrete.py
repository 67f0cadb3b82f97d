"""Exact marginals of enumerated sites, by tilting each site's log probability and differentiating."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro.primitives import Messenger

PREVIOUS = "_PREV_"  # NumPyro's mark


class Tilted(dist.Distribution):
    """A discrete distribution with t[..., v] added to the log probability of its v-th value.

    Not normalised on purpose: the derivative of the log normaliser in t is the marginal. The site's scale
    is on the probability alone, so the tilt is divided by it beforehand.
    """

    arg_constraints: ClassVar = {}
    has_enumerate_support = True

    def __init__(self, base: Any, tilt: Any, scale: Any = None):
        self.base, self.tilt = base, tilt if scale is None else tilt / jnp.asarray(scale)[..., None]
        self.first = jnp.ravel(base.enumerate_support(expand=False))[0]
        super().__init__(batch_shape=base.batch_shape, event_shape=base.event_shape, validate_args=False)

    @property
    def support(self):
        return self.base.support

    def sample(self, key, sample_shape=()):
        return self.base.sample(key, sample_shape)

    def enumerate_support(self, expand=True):
        return self.base.enumerate_support(expand=expand)

    def log_prob(self, value):
        index = jnp.expand_dims(value - self.first, -1) == jnp.arange(self.tilt.shape[-1])
        return self.base.log_prob(value) + jnp.sum(jnp.where(index, self.tilt, 0.0), axis=-1)


class tilt(Messenger):
    """Replace the distribution of each named site by its tilted one.

    Of a site in an enumerated ``scan`` NumPyro unrolls the first steps, as sites of their own with ``_PREV_`` once
    or more before the name, and gives the others a leading axis of time.
    """

    def __init__(self, fn: Any, tilts: dict[str, Any]):
        self.tilts = tilts
        self.unrolled: dict[str, int] = {}
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        name = msg.get("name") or ""
        site = name.removeprefix(PREVIOUS * name.count(PREVIOUS))
        if msg["type"] != "sample" or site not in self.tilts:
            return
        tilt = self.tilts[site]
        if name != site:
            back = name.count(PREVIOUS)
            tilt = tilt[self.unrolled.setdefault(site, back) - back]
        elif _has_time(msg):
            tilt = _aligned(tilt[self.unrolled.get(site, 0) :], msg)
        msg["fn"] = Tilted(msg["fn"], tilt, msg["scale"])


def _has_time(msg: dict[str, Any]) -> bool:
    names = (msg["infer"].get("dim_to_name") or {}).values()
    return any(name.startswith("_time_") for name in names)


def _aligned(tilt: Any, msg: dict[str, Any]) -> Any:
    """The steps' axis where the site has it: left of the enumerated dimensions, which are left of the plates."""
    ndim = max(len(msg["fn"].batch_shape), jnp.ndim(msg["value"]))
    return jnp.reshape(tilt, (tilt.shape[0], *(1,) * (ndim + 1 - tilt.ndim), *tilt.shape[1:]))
