"""Exact marginals of enumerated sites, by tilting each site's log probability and differentiating."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro.primitives import Messenger


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
    """Replace the distribution of each named site by its tilted one."""

    def __init__(self, fn: Any, tilts: dict[str, Any]):
        self.tilts = tilts
        super().__init__(fn)

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and msg["name"] in self.tilts:
            msg["fn"] = Tilted(msg["fn"], self.tilts[msg["name"]], msg["scale"])
