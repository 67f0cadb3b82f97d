"""Mutants that change no density, with the reason; a check must not call them different."""

from __future__ import annotations

from fnmatch import fnmatch

PLATE = "every batch dimension comes from the parameters, and the plate only names it"
EVENT = "nothing is summed out, so where the batch ends and the event begins changes no number"
NARROW = "parity is judged in float64: float32 data are named and their drift is told, as no other model"
MIRRORED = "standard normal numbers are as likely with the other sign, and what is computed of them"
MARKOV = "it bounds the memory that the sum takes, not its result"

# (pair, operator, site), each a pattern -> why; a guide's pair is "pair/guide".
REASONS: list[tuple[tuple[str, str, str], str]] = [
    *(
        ((pair, "drop_plate", site), PLATE)
        for pair, site in [
            ("beta_binomial", "hits"),
            ("gamma_poisson", "y"),
            ("linear_regression", "y"),
            ("lkj_effects", "y"),
            ("logistic_regression", "y"),
            ("multivariate_regression", "y"),
            ("nested_plates", "y"),
            ("ordered_cutpoints", "y"),
            ("poisson_glm", "y"),
            ("standardised_predictor", "y"),
            ("student_regression", "y"),
            ("varying_slopes", "y"),
            ("zero_inflated_poisson", "y"),
            ("masked_data", "y"),
            ("weighted_data", "y"),
            ("fairness", "heads"),
            ("mean_field_regression", "y"),
            ("two_components/guide", "means"),
        ]
    ),
    *(
        ((pair, "drop_to_event", "*"), EVENT)
        for pair in (
            "linear_regression",
            "lkj_effects",
            "logistic_regression",
            "multivariate_regression",
            "varying_slopes",
            "mean_field_regression*",
        )
    ),
    (("varying_slopes", "flip_sign", "*"), MIRRORED),
    (
        ("ordered_cutpoints", "drop_to_event", "*"),
        "the ordered transform makes one event of the vector anyway",
    ),
    (("*", "cast_to_float32", "*"), NARROW),
    (("*", "forget_markov", "*"), MARKOV),
]


def unchanged(pair: str, operator: str, sites: tuple[str, ...]) -> str | None:
    """Why a mutant has the density of its pair; None if it has another one."""
    for key, reason in REASONS:
        for site in sites or ("",):
            if all(fnmatch(name, pattern) for name, pattern in zip((pair, operator, site), key, strict=True)):
                return reason
    return None
