"""Faults that no operator on a tree makes: mistakes of meaning, wrong samplers, and changes that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from parity_tests.mutation.mutants import Mutant, pair_files

WIDE = '''class Wide(ndist.Normal):
    """The density of a normal distribution, with draws three times as wide."""

    def sample(self, key, sample_shape=()):
        return self.loc + 3.0 * (super().sample(key, sample_shape) - self.loc)


'''
SLOW = '''class Slow(ndist.Exponential):
    """The density of an exponential distribution, with draws twice as large."""

    def sample(self, key, sample_shape=()):
        return 2.0 * super().sample(key, sample_shape)


'''


@dataclass(frozen=True)
class Edit:
    """Replace ``old`` by ``new``, once, in the NumPyro model of ``pair``; ``helper`` goes in front of it."""

    pair: str
    name: str
    old: str
    new: str
    sites: tuple[str, ...] = ()
    equivalent: str | None = None
    below: str | None = None
    also: tuple[str, ...] = ()
    helper: str = ""


EDITS = [
    Edit("nested_plates", "transposed_data", "obs=y", "obs=y.T", ("y",)),
    Edit("nested_plates", "other_scale", "Normal(school, within)", "Normal(school, between)", ("y",)),
    Edit("lkj_effects", "transposed_scaling", "spread[:, None]", "spread[None, :]", ("effect",)),
    Edit("lkj_effects", "uncorrelated", "spread[:, None] * chol", "jnp.diag(spread)", ("effect",)),
    Edit("multivariate_regression", "transposed_weights", "x @ weights", "x @ weights.T", ("y",)),
    Edit("multivariate_regression", "transposed_factor", "@ chol", "@ chol.T", ("y",)),
    Edit("masked_data", "inverted_mask", "mask=measured", "mask=~measured", ("y",)),
    Edit("masked_data", "mask_of_a_row", "mask=measured", "mask=measured.all(-1, keepdims=True)", ("y",)),
    Edit("zero_inflated_poisson", "complement", "(gate,", "(1 - gate,", ("y",)),
    Edit("custom_likelihood", "sign", "ended * log_rate - ", "-ended * log_rate - ", ("log_likelihood",)),
    Edit(
        "custom_likelihood",
        "factor_in_a_plate",
        '    numpyro.factor("',
        '    with numpyro.plate("rows", len(x)):\n        numpyro.factor("',
        ("log_likelihood",),
    ),
    Edit("weighted_data", "normalised_weights", "scale=weight", "scale=weight / weight.sum()", ("y",)),
    Edit("weighted_data", "first_weight_for_all", "scale=weight", "scale=weight[0]", ("y",)),
    Edit("hidden_markov", "transposed_transition", "transition[state]", "transition[:, state]", ("z_*",)),
    Edit(
        "mixture_of_gaussians", "reversed_weights", "Categorical(weight)", "Categorical(weight[::-1])", ("z",)
    ),
    Edit("mixture_of_gaussians", "shared_width", "width[z]", "width[0]", ("y",)),
    Edit("mixture_of_gaussians", "unenumerated", "centre[z]", "(weight @ centre)", ("y",)),
    Edit("dirichlet_multinomial", "lost_strength", "strength * share", "share", ("local",)),
    Edit(
        "autoregression",
        "lost_first_observation",
        '    numpyro.sample("y_0", ndist.Normal(state, 0.3), obs=y[0])\n',
        "",
        ("y_0",),
    ),
    Edit("autoregression", "walk", "persistence * state", "state", ("state_*",)),
    Edit("change_point", "off_by_one", "change > year[t]", "change >= year[t]", ("y_*",)),
    Edit("ordered_cutpoints", "sign", "slope * x", "-slope * x", ("y",)),
    Edit(
        "ordered_cutpoints",
        "unordered",
        "ndist.TransformedDistribution(base, ndist.transforms.OrderedTransform())",
        "base",
        ("cutpoints",),
    ),
    Edit(
        "two_outcomes", "brackets", "2.0 * (ability - difficulty)", "2.0 * ability - difficulty", ("passed",)
    ),
    Edit("logistic_regression", "lost_intercept", "intercept + x @ slope", "x @ slope", ("y",)),
    Edit("capture_recapture", "dead_before_capture", " + (1 - seen)", "", ("z_*",)),
    # Samplers that do not match their density: every deterministic rung agrees.
    Edit(
        "eight_schools_noncentred",
        "wide_sampler",
        'sample("raw", ndist.Normal',
        'sample("raw", Wide',
        ("raw", "theta", "y"),
        also=("forward",),
        helper=WIDE,
    ),
    Edit(
        "linear_regression",
        "wide_noise_sampler",
        "ndist.Normal(intercept",
        "Wide(intercept",
        ("y",),
        also=("forward",),
        helper=WIDE,
    ),
    Edit(
        "poisson_glm",
        "slow_sampler",
        "ndist.Exponential(2.0)",
        "Slow(2.0)",
        ("tau", "intercept", "y"),
        also=("forward",),
        helper=SLOW,
    ),
    # Changes that change no density.
    Edit(
        "dirichlet_multinomial",
        "total_from_data",
        "Multinomial(20,",
        "Multinomial(counts.sum(-1),",
        equivalent="every row of the data sums to 20",
    ),
    Edit(
        "weighted_data",
        "weights_in_two_parts",
        "scale=weight",
        "scale=weight / 2.0), handlers.scale(scale=2.0",
        equivalent="scales multiply",
    ),
    Edit(
        "student_regression",
        "location_scale",
        "ndist.StudentT(freedom, intercept + slope * x, scale)",
        "ndist.TransformedDistribution(ndist.StudentT(freedom), "
        "ndist.transforms.AffineTransform(intercept + slope * x, scale))",
        equivalent="the same distribution, by a change of variables",
    ),
    # Real differences that no float64 comparison at a few points can be asked to see.
    Edit(
        "linear_regression",
        "tiny",
        "ndist.Normal(0.0, 5.0)",
        "ndist.Normal(0.0, 5.0 + 1e-13)",
        below="a relative change of 2e-14 in one hyperparameter is less than the rounding of the log density",
    ),
]


def handwritten() -> Iterator[Mutant]:
    """Every edit, as a mutant."""
    sources = {pair: path.read_text() for pair, path in pair_files().items()}
    for edit in EDITS:
        head, mark, model = sources[edit.pair].partition("def numpyro_model(")
        assert model.count(edit.old) >= 1, f"{edit.pair}: nothing to edit: {edit.old!r}"
        changed = model.replace(edit.old, edit.new, 1)
        yield Mutant(
            pair=edit.pair,
            operator=edit.name,
            detail=f"{' '.join(edit.old.split())} -> {' '.join(edit.new.split()) or 'nothing'}",
            source=head + edit.helper + mark + changed,
            sites=edit.sites,
            equivalent=edit.equivalent,
            below=edit.below,
            also=edit.also,
        )
