"""Exact marginals of enumerated sites, by tilting each site's log probability and differentiating."""

from __future__ import annotations

from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from pyro.distributions.util import scale_and_mask
from pyro.ops.indexing import Vindex
from pyro.poutine.messenger import Messenger


class Tilted(dist.TorchDistribution):
    """A discrete distribution with t[..., v] added to the log probability of its v-th value.

    Not normalised on purpose: the derivative of the log normaliser in t is the marginal. The site's scale
    and mask are on the probability alone, so they are taken over from the site.
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment]
    has_enumerate_support = True

    def __init__(self, base: Any, tilt: torch.Tensor, scale: Any = 1.0, mask: Any = None):
        self.base, self.tilt, self.scale, self.mask_of_site = base, tilt, scale, mask
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def support(self):
        return self.base.support

    def sample(self, sample_shape=()):
        return self.base.sample(sample_shape)

    def enumerate_support(self, expand=True):
        return self.base.enumerate_support(expand=expand)

    def log_prob(self, value):
        log_prob = scale_and_mask(self.base.log_prob(value), self.scale, self.mask_of_site)
        return log_prob + Vindex(self.tilt)[..., self._index(value)]

    def _index(self, value):
        support = self.base.enumerate_support(expand=False)
        event_dim = self.base.event_dim
        event_shape = support.shape[support.dim() - event_dim :]
        same = support.reshape(len(support), *(1,) * (value.dim() - event_dim), *event_shape) == value
        for _ in range(event_dim):
            same = same.all(-1)
        return same.long().argmax(0)


class tilt(Messenger):
    """Replace the distribution of each named site by its tilted one."""

    def __init__(self, tilts: dict[str, torch.Tensor]):
        self.tilts = tilts
        super().__init__()

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.tilts:
            msg["fn"] = Tilted(msg["fn"], self.tilts[msg["name"]], msg["scale"], msg["mask"])
            msg["scale"], msg["mask"] = 1.0, None
