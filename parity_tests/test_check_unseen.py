"""What not every rung can see, or not every side can draw: who settles it then, and what is left unresolved."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.written import Y, libraries, told, two_outcomes
from ppl_parity import check
from ppl_parity.errors import InputError
from ppl_parity.findings import Report
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import summary, three_lines

pytestmark = pytest.mark.pyro


@pytest.mark.parametrize(
    ("port", "sampled"),
    [
        ({"latent": None}, False),
        # Draws of what is shared are the same in all three; one shows that they no longer settle it.
        pytest.param({"latent": None}, True, marks=pytest.mark.slow),
        ({"latent": "beta", "how": "w_obs"}, False),
        ({"latent": "beta", "how": "factor"}, False),
    ],
    ids=["lost", "lost, with draws", "renamed", "a factor"],
)
def test_a_likelihood_that_no_rung_sees_is_not_called_the_same(
    sides: dict[str, Side], port: dict, sampled: bool
) -> None:
    models = two_outcomes("pyro"), two_outcomes("numpyro", **port)
    rungs = ["structure", "density"] + ["forward", "posterior"] * sampled
    report = check(*models, Y, rungs=rungs, sides=sides)
    assert report.verdict == "unresolved"
    assert {result.name: result.verdict for result in report.rungs}.get("posterior", "same") == "same"
    assert any("compared nowhere" in finding.detail for finding in told(report, "structure"))


@pytest.mark.long
def test_prior_draws_decide_nothing_where_one_side_has_a_factor(sides: dict[str, Side]) -> None:
    def left(y):
        pyro, dist = libraries("pyro")
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(x, 1.0), obs=y)

    def right(y):
        numpyro, dist = libraries("numpyro")
        x = numpyro.sample("x", dist.Normal(0.0, 2.0))
        numpyro.factor("prior", dist.Normal(0.0, 1.0).log_prob(x) - dist.Normal(0.0, 2.0).log_prob(x))
        numpyro.sample("y", dist.Normal(x, 1.0), obs=y)

    report = check(left, right, {"y": Y["y"]}, rungs=["structure", "density", "forward"], sides=sides)
    assert report.verdict == "same"
    remarks = [finding.detail for finding in told(report, "forward") if finding.notable]
    assert any("'prior' in numpyro alone" in remark for remark in remarks)


def test_an_improper_prior_is_checked(sides: dict[str, Side]) -> None:
    def flat(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            x = library.sample("x", dist.ImproperUniform(dist.constraints.positive, (2,), ()).to_event(1))
            library.sample("y", dist.Normal(x.sum(), 1.0), obs=y)

        return model

    assert check(flat("pyro"), flat("numpyro"), {"y": Y["y"]}, level="quick", sides=sides).verdict == "same"


@pytest.mark.long
def test_nothing_is_claimed_of_sites_beside_one_that_only_pyro_sums_over(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        p = pyro.sample("p", dist.Beta(2.0, 2.0))
        with pyro.plate("rows", len(y)):
            z = pyro.sample("z", dist.Bernoulli(p), infer={"enumerate": "parallel"})
            w = pyro.sample("w", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
            pyro.sample("y", dist.Normal(z + 3 * w, 1.0), obs=y)

    def port(scale: float) -> Callable:
        def model(y):
            numpyro, dist = libraries("numpyro")
            stack = importlib.import_module("jax.numpy").stack
            p = numpyro.sample("p", dist.Beta(2.0, 2.0))
            with numpyro.plate("rows", len(y)):
                w = numpyro.sample("w", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
                each = dist.Normal(stack([3.0 * w, 1 + 3.0 * w], -1), scale)
                numpyro.sample("y", dist.MixtureSameFamily(dist.Categorical(stack([1 - p, p])), each), obs=y)

        return model

    y = {"y": np.array([0.1, 2.0, 3.5])}
    rungs = ["structure", "density", "enumeration"]
    report = check(model, port(1.0), y, rungs=rungs, sides=sides)
    assert report.verdict == "same"
    assert summary(report.rungs[1]) == "left to the enumeration rung"
    marginal, whole = told(report, "enumeration")
    assert marginal.detail == "The conditional probabilities of 'w' agree."
    assert "pyro sums over 'w', 'z', numpyro over 'w'. No site was compared alone." in whole.detail

    report = check(model, port(1.5), y, rungs=rungs, sides=sides)
    assert report.first_difference is not None
    assert report.first_difference["site"] == "y"
    assert report.first_difference["detail"].endswith("The log probs of 'p', 'w' agree, which leaves 'y'.")

    report = check(model, port(1.0), y, rungs=rungs[:2], sides=sides)
    assert report.verdict == "unresolved"
    assert "add enumeration to the rungs" in three_lines(report)


def test_a_plate_that_one_side_alone_subsamples_is_another(sides: dict[str, Side]) -> None:
    def half(ppl: str, size: int | None = 2) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            mu = library.sample("mu", dist.Normal(0.0, 1.0))
            with library.plate("rows", len(y), subsample_size=size) as rows:
                library.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

        return model

    data = {"y": np.arange(4.0)}
    assert check(half("pyro"), half("numpyro"), data, level="quick", sides=sides).verdict == "same"
    first = check(half("pyro"), half("numpyro", None), data, level="quick", sides=sides).first_difference
    assert first is not None
    assert first["detail"] == "The plate 'rows' takes 2 of 4 rows in pyro and all of 4 rows in numpyro."


@pytest.mark.parametrize(("scale", "verdict"), [(4.0, "same"), (1.0, "different")])
def test_a_plate_that_is_handed_its_rows_is_a_scaled_plate_of_these(
    scale: float, verdict: str, sides: dict[str, Side]
) -> None:
    """Only Pyro has ``subsample=``; with fixed rows nothing in it is random, and NumPyro says ``scale``."""

    def original(y, rows):
        pyro, dist = libraries("pyro")
        mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 40, subsample=rows):
            pyro.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

    def port(y, rows):
        numpyro, dist = libraries("numpyro")
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.handlers.scale(scale=scale), numpyro.plate("rows", 10):
            numpyro.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

    data = {"y": np.arange(40.0) / 40, "rows": np.arange(0, 40, 4)}
    report = check(original, port, data, level="quick", sides=sides)
    assert report.verdict == verdict
    assert scale == 4.0 or "it is scaled by up to 4 in pyro and 1 in numpyro" in three_lines(report)


def cut_short(ppl: str, *, flat: bool) -> Callable:
    """Data in (0, t), and a prior of t where they leave some room: a distribution, or flat with a factor."""

    def model(x, y):
        library, dist = libraries(ppl)
        prior = dist.Gamma(100.0, 4.0)
        if flat:
            t = library.sample("t", dist.ImproperUniform(dist.constraints.positive, (), ()))
            library.factor("prior", prior.log_prob(t))
        else:
            t = library.sample("t", prior)
        with library.plate("rows", 3):
            library.sample("y", dist.Uniform(0.0, t), obs=y)

    return model


CUT = {"x": np.ones(2), "y": np.array([3.0, 15.0, 20.0])}


@pytest.mark.parametrize("flat", ["pyro", "numpyro"])
def test_one_sides_draws_serve_the_other_that_finds_none(sides: dict[str, Side], flat: str) -> None:
    models = [cut_short(ppl, flat=ppl == flat) for ppl in ("pyro", "numpyro")]
    assert check(*models, CUT, level="quick", sides=sides).verdict == "same"


def test_a_pair_without_a_point_is_refused_in_one_sentence(sides: dict[str, Side]) -> None:
    models = [cut_short(ppl, flat=True) for ppl in ("pyro", "numpyro")]
    with pytest.raises(
        InputError, match=r"no starting point .* in row 0, and in 2 more\. Do the data lie in its support\?$"
    ):
        check(*models, CUT, level="quick", sides=sides)


def counted(ppl: str, *, totals: str) -> Callable:
    """Counts whose totals are made of the data, or given as floats: neither can be drawn by NumPyro compiled."""

    def model(counts):
        library, dist = libraries(ppl)
        c = library.sample("c", dist.Gamma(2.0, 1.0).expand([3]).to_event(1))
        with library.plate("rows", len(counts)):
            if totals == "computed":
                library.sample("y", dist.DirichletMultinomial(c, total_count=counts.sum(-1)), obs=counts)
            else:
                library.sample("y", dist.Binomial(counts.sum(-1), c[0] / c.sum()), obs=counts[:, 0])

    return model


@pytest.mark.long
@pytest.mark.parametrize("totals", ["computed", "floats"])
def test_counts_with_totals_are_drawn_or_left_to_the_density(sides: dict[str, Side], totals: str) -> None:
    counts = np.random.default_rng(0).multinomial(12, [0.2, 0.3, 0.5], 6)
    data = {"counts": counts if totals == "computed" else counts.astype(float)}
    models = [counted(ppl, totals=totals) for ppl in ("pyro", "numpyro")]
    report = check(*models, data, rungs=["structure", "density", "forward"], sides=sides)
    assert report.verdict == "same"
    found = told(report, "forward")
    assert {f.site for f in found if f.resolution is not None} == {None, "c", *["y"] * (totals == "computed")}
    left = [f.detail for f in found if f.quantity == "draws"]
    assert len(left) == (totals == "floats")
    assert all("'y' cannot be drawn in numpyro" in detail for detail in left)


def summing_to_zero(ppl: str, *, weight: float = 1.0) -> Callable:
    """What is observed is made of latent sites, and is another number in each side's own draw."""

    def model(y, w):
        library, dist = libraries(ppl)
        z = library.sample("z", dist.Normal(0.0, 1.0).expand([4]).to_event(1))
        library.sample("total", dist.Normal(0.0, 0.1), obs=weight * z.sum())
        library.sample("y", dist.Normal(z[0], w), obs=y)

    return model


def test_what_is_observed_of_latent_sites_is_compared_at_shared_points(sides: dict[str, Side]) -> None:
    def checked(**port: float) -> Report:
        models = summing_to_zero("pyro"), summing_to_zero("numpyro", **port)
        return check(*models, Y, rungs=["structure", "density"], sides=sides)

    report = checked()
    assert report.verdict == "same", report.first_difference
    assert any(
        "'total' is computed from latent sites; it agrees" in f.detail for f in told(report, "structure")
    )
    first = checked(weight=1.5).first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("density", "total")
    assert "its value less its loc is" in first["hint"]
    assert "1.5 times pyro's" in first["hint"]


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "same"), (2.0, "different")])
def test_counts_that_cannot_be_summed_out_are_compared_by_their_log_probs(
    times: float, verdict: str, sides: dict[str, Side]
) -> None:
    """A latent Poisson has no end: there is no potential for the later rungs, and the joint density of its values."""

    def model(ppl: str, times: float) -> Callable:
        def counts(y):
            library, dist = libraries(ppl)
            rate = library.sample("rate", dist.Gamma(2.0, 1.0))
            with library.plate("N", len(y)):
                k = library.sample("k", dist.Poisson(times * rate))
                library.sample("y", dist.Normal(k, 1.0), obs=y)

        return counts

    report = check(
        model("pyro", 1.0), model("numpyro", times), {"y": np.arange(3.0)}, level="quick", sides=sides
    )
    assert report.verdict == verdict
    if verdict == "same":
        told_of = {rung.name: rung.findings[-1].detail for rung in report.rungs}
        assert told_of["gradient"].startswith(
            "'k' cannot be summed out on either side, so there is no potential"
        )
    else:
        assert report.first_difference is not None
        assert (report.first_difference["rung"], report.first_difference["site"]) == ("density", "k")
