"""A fit as the command line asks for it: checked as a whole before any backend starts, then run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppl_parity.cli import inputs
from ppl_parity.errors import one_of
from ppl_parity.spec import FORMULATIONS, MixtureSpec, SamplerSettings

if TYPE_CHECKING:
    from xarray import DataTree

    from ppl_parity.backend.contract import Arrays
    from ppl_parity.data import Dataset
    from ppl_parity.process.sides import Side

# Options that MixtureSpec, and that SamplerSettings, take under their own names.
HYPERPARAMETERS = ("components", "concentration", "prior_mean", "prior_cov", "noise_scale")
SETTINGS = (
    "num_draws",
    "num_warmup",
    "num_chains",
    "seed",
    "target_accept",
    "max_tree_depth",
    "dense_mass",
    "precision",
    "device",
    "chain_method",
    "num_shards",
)


@dataclass(frozen=True, eq=False)
class Job:
    """What to fit, and how; any backend can run it."""

    data: Dataset
    spec: MixtureSpec
    settings: SamplerSettings
    initial_values: Arrays | None
    formulation: str
    log_likelihood: bool | None
    assignments: bool | None
    posterior_predictive: bool
    short_warmup: bool
    long_steps: bool

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Job:
        """Check a subcommand's options, by their names.

        Raises:
            InputError: one of them breaks a rule.
        """
        one_of("--formulation", asked["formulation"], FORMULATIONS)
        given = inputs.hyperparameters(*(asked[name] for name in HYPERPARAMETERS))
        data, spec = inputs.data_and_spec(
            asked["data"], asked["standardize"], asked["dim"], given, asked["columns"]
        )
        settings, initial_values = inputs.starts(
            asked["init"], spec, {name: asked[name] for name in SETTINGS if asked[name] is not None}
        )
        return cls(
            data,
            spec,
            settings,
            initial_values,
            asked["formulation"],
            asked["log_likelihood"],
            asked["assignments"],
            asked["posterior_predictive"],
            short_warmup=asked["num_warmup"] is None,
            long_steps=asked["target_accept"] is None,
        )

    def run(self, side: Side, begun: Callable[[], None]) -> DataTree:
        """Fit in one backend's own process; ``begun`` is called once that process has shown that it works."""
        from ppl_parity.fitting.fits import fit_mixture
        from ppl_parity.fitting.rounding import RoundingWarning

        def shown() -> None:
            side.devices()
            begun()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundingWarning)  # ``describe`` and the troubles say it
            return fit_mixture(
                side,
                self.spec,
                self.data,
                self.settings,
                formulation=self.formulation,
                initial_values=self.initial_values,
                log_likelihood=self.log_likelihood,
                assignments=self.assignments,
                posterior_predictive=self.posterior_predictive,
                short_warmup=self.short_warmup,
                long_steps=self.long_steps,
                progress=sys.stderr.isatty(),
                begun=shown,
            )

    def as_dict(self) -> dict[str, Any]:
        """What was asked, for JSON."""
        return {
            "data": self.data.summary(),
            "spec": self.spec.as_dict(),
            "settings": self.settings.as_dict() | {"formulation": self.formulation},
        }
