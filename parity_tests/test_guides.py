"""Guides of variational inference are compared like models: their sites, densities, params, and what they draw."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from parity_tests.pairs.guides import fairness, latent_factors, local_params, mean_field_regression
from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.checking import check_file
from ppl_parity.errors import InputError
from ppl_parity.findings import Report
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines

pytestmark = pytest.mark.pyro
DATA = {"y": np.array([0.4, 1.3, 0.9])}
RUNGS = ("structure", "density", "guide")


def model(ppl: str, name: str = "w") -> Callable:
    def written(y):
        library, dist = libraries(ppl)
        w = library.sample(name, dist.Normal(0.0, 1.0))
        s = library.sample("s", dist.Gamma(2.0, 2.0))
        with library.plate("rows", 3):
            library.sample("y", dist.Normal(w, s), obs=y)

    return written


def guide(ppl: str, of_s: str = "gamma", name: str = "w", loc: str = "loc", **start: float) -> Callable:
    """A normal for w, and for s what ``of_s`` says."""

    def written(y):
        library, dist = libraries(ppl)
        array = {"pyro": "tensor", "numpyro": "array"}[ppl]

        def param(named, value, **options):
            return library.param(named, getattr(numbers(ppl), array)(value), **options)

        scale = param("scale", start.get("scale", 1.0), constraint=dist.constraints.positive)
        library.sample(name, dist.Normal(param(loc, start.get("loc", 0.0)), scale))
        rate = param("rate", 1.0, constraint=dist.constraints.positive)
        if of_s != "none":
            draws = {
                "gamma": lambda: dist.Gamma(3.0, rate),
                "inverse": lambda: dist.Gamma(3.0, 1 / rate),
                "exponential": lambda: dist.Exponential(rate),
            }
            library.sample("s", draws[of_s]())

    return written


def judged(sides: dict[str, Side], numpyro: Callable, **options: Any) -> Report:
    guides = {"pyro": guide("pyro"), "numpyro": numpyro}
    return check(
        model("pyro"), model("numpyro"), DATA, **{"guides": guides, "rungs": RUNGS, "sides": sides} | options
    )


def test_guides_of_one_density_are_the_same(sides: dict[str, Side]) -> None:
    report = judged(sides, guide("numpyro"))
    assert report.verdict == "same"
    (param,) = [each for each in told(report, "guide") if each.quantity == "param"]
    assert param.detail.startswith("'scale', 'loc', 'rate' are params in pyro and numpyro: at 6 other values")
    assert "guides, are the same" in str(report._repr_html_())
    assert not any("observed" in each.detail for each in told(report, "guide"))


@pytest.mark.parametrize(
    ("wrong", "site", "detail", "hint"),
    [
        ({"of_s": "none"}, "s", "The guide of pyro draws 's', and numpyro's does not", "lost"),
        (
            {"of_s": "inverse"},
            "s",
            "With the param 'rate' away from its initial value",
            "one over pyro's: a rate",
        ),
        ({"of_s": "exponential"}, "s", "The log prob of 's' is", "it is a Gamma in pyro and an Exponential"),
        ({"scale": 0.5}, "scale", "The initial value of the param 'scale' is 1 in pyro and 0.5", "start"),
    ],
)
def test_a_wrong_guide_is_named_at_its_site(
    sides: dict[str, Side], wrong: Any, site: str, detail: str, hint: str
) -> None:
    report = judged(sides, guide("numpyro", **wrong))
    first = report.first_difference
    assert first is not None
    assert (first["rung"], first["site"]) == ("guide", site)
    assert detail in first["detail"]
    assert hint in first["hint"]


def test_a_guide_of_another_shape_ends_nothing(sides: dict[str, Side]) -> None:
    def wide(y):
        numpyro, dist = libraries("numpyro")
        loc = numpyro.param("loc", y * 0)
        numpyro.sample("w", dist.Normal(loc, numpyro.param("scale", 1.0)))
        numpyro.sample("s", dist.Gamma(3.0, numpyro.param("rate", 1.0)))

    report = judged(sides, wide, keep_going=True)
    assert report.first_difference is not None
    assert "no point is one of both" in " ".join(each.detail for each in told(report, "guide"))


def test_the_conclusion_says_that_the_models_are_not_what_differs(sides: dict[str, Side]) -> None:
    from ppl_parity.report.wording import conclusion

    assert conclusion(judged(sides, guide("numpyro", of_s="none"))) == "The two guides differ"


@pytest.mark.long
def test_sites_and_params_may_have_other_names(sides: dict[str, Side]) -> None:
    guides = {"pyro": guide("pyro"), "numpyro": guide("numpyro", name="weight", loc="auto_loc")}
    both = model("pyro"), model("numpyro", "weight")
    options: Any = {"guides": guides, "rungs": RUNGS, "sides": sides}
    rename = {"w": "weight", "loc": "auto_loc"}
    named = check(*both, DATA, rename=rename, **options)
    assert named.verdict == "same"
    assert any(
        "'loc', 'rate' are params in pyro and numpyro: at 6" in each.detail for each in told(named, "guide")
    )
    first = check(*both, DATA, rename={"w": "weight"}, **options)
    assert first.verdict == "unresolved"  # a param of one side each: what it learns was not compared
    assert any("'loc' is a param in pyro alone" in each.detail for each in told(first, "guide"))
    assert "another name (rename)" in three_lines(first)
    with pytest.raises(InputError, match=r"rename must lead from a site of pyro's model, of w, .*got 'q'"):
        check(*both, DATA, rename=rename | {"q": "r"}, **options)


def test_what_each_run_draws_anew_is_one_value_on_both_sides(sides: dict[str, Side]) -> None:
    report = check_file(mean_field_regression.__file__, sides=sides, rungs=RUNGS)
    assert report.verdict == "same"
    said = [each.detail for each in told(report, "guide") if each.notable]
    assert "Each run draws the initial value of 'loc' anew: both sides are given one value of it." in said


def test_a_plate_that_takes_some_rows_takes_the_same_ones_in_models_and_guides(
    sides: dict[str, Side],
) -> None:
    report = check_file(latent_factors.__file__, sides=sides, rungs=(*RUNGS, "posterior"))
    assert report.verdict == "same"
    (plate,) = [each.detail for each in told(report, "structure") if each.quantity == "plate"]
    assert plate == (
        "The plate 'N' takes 8 of 24 rows at random: both sides are given the same ones, and NUTS does not run."
    )
    assert [each.quantity for each in told(report, "posterior")] == ["subsample"]


def test_a_param_of_each_row_is_moved_beneath_a_plate_that_takes_some(sides: dict[str, Side]) -> None:
    report = check_file(local_params.__file__, sides=sides, rungs=("guide",))
    assert report.verdict == "same"
    (param,) = [each.detail for each in told(report, "guide") if "other values" in each.detail]
    assert param.startswith(
        "'middle', 'loc', 'scale' are params in pyro and numpyro: at 6 other values the log"
    )


def test_a_plate_that_takes_another_number_of_rows_is_different(sides: dict[str, Side]) -> None:
    both = latent_factors.pyro_model, latent_factors.numpyro_model
    given = latent_factors.data()
    report = check(*both, {"pyro": given, "numpyro": given | {"size": 6}}, rungs=RUNGS[:2], sides=sides)
    assert report.first_difference is not None
    assert report.first_difference["detail"] == (
        "The plate 'N' takes 8 of 24 rows in pyro and 6 of 24 rows in numpyro."
    )


def test_a_library_s_own_guides_are_compared_by_their_kind(sides: dict[str, Side]) -> None:
    import numpyro.infer.autoguide as ours
    import pyro.infer.autoguide as theirs

    def report(numpyro: Any) -> Report:
        guides = {"pyro": theirs.AutoNormal(model("pyro")), "numpyro": numpyro}
        return judged(sides, numpyro, guides=guides, rungs=("guide", "elbo"))

    same = report(ours.AutoNormal(model("numpyro")))
    assert same.verdict == "same"
    assert "both are AutoNormal" in str(told(same, "guide")[0].numbers)
    assert told(same, "elbo")[0].numbers["summary"] == "the guides are the libraries' own"
    other = report(ours.AutoDiagonalNormal(model("numpyro"))).first_difference
    assert other is not None
    assert "is AutoNormal in pyro and AutoDiagonalNormal in numpyro" in other["detail"]
    wide = report(ours.AutoNormal(model("numpyro"), init_scale=0.5)).first_difference
    assert wide is not None
    assert "is 0.1 in pyro and 0.5 in numpyro" in wide["detail"]
    assert report(guide("numpyro")).verdict == "unresolved"


MADE = """
from parity_tests.test_guides import DATA, model
from numpyro.handlers import block
import numpyro.infer.autoguide as ours
import pyro.infer.autoguide as theirs

pyro_model, numpyro_model = model("pyro"), model("numpyro")
pyro_guide = theirs.AutoNormal(pyro_model)
numpyro_guide = ours.AutoNormal({0})


def data():
    return DATA
"""


@pytest.mark.parametrize(
    ("of", "verdict"), [("numpyro_model", "same"), ("block(numpyro_model, hide=['s'])", "different")]
)
def test_a_library_s_own_guide_draws_all_of_the_model(
    sides: dict[str, Side], tmp_path: Any, of: str, verdict: str
) -> None:
    path = tmp_path / f"made_{verdict}.py"
    path.write_text(MADE.format(of))
    report = check_file(str(path), rungs=("guide",), sides=sides)
    assert report.verdict == verdict
    if verdict == "different":
        assert report.first_difference is not None
        assert "are s, w in pyro and w in numpyro" in report.first_difference["detail"]


def test_guides_are_two_or_none(sides: dict[str, Side], tmp_path: Any) -> None:
    options: Any = {"sides": sides, "rungs": RUNGS}
    both = model("pyro"), model("numpyro")
    with pytest.raises(InputError, match=r"guides must be \{'pyro': function.*got \['pyro'\]"):
        check(*both, DATA, guides={"pyro": guide("pyro")}, **options)
    with pytest.raises(InputError, match=r"guides must be .*; got int"):
        check(*both, DATA, guides={"pyro": guide("pyro"), "numpyro": 3}, **options)  # type: ignore[dict-item]
    with pytest.raises(InputError, match="guide needs pyro_guide and numpyro_guide; written has none"):
        check(*both, DATA, **options)
    half = tmp_path / "half.py"
    half.write_text((open(fairness.__file__).read()).replace("def numpyro_guide", "def other_guide"))
    with pytest.raises(
        InputError, match=r"Each side that is run must have a guide.*half.py has none of numpyro"
    ):
        check_file(str(half), sides=sides)


def test_a_guide_that_cannot_be_run_is_said_to_be_one(sides: dict[str, Side]) -> None:
    def failing(y):
        raise ValueError("no such luck")

    with pytest.raises(InputError, match=r"Of the guides: numpyro: .*no such luck"):
        judged(sides, failing)


def made_of_noise(ppl: str, density: float = 1.0) -> Callable:
    """A guide that draws noise, and s = exp(noise) as a Delta with the density of that."""

    def written(y):
        library, dist = libraries(ppl)
        lib = numbers(ppl)
        loc = library.param("loc", y[0] * 0)
        library.sample("w", dist.Normal(loc, 1.0))
        u = library.sample("u", dist.Normal(loc, 0.7), infer={"is_auxiliary": True})
        library.sample("s", dist.Delta(lib.exp(u), log_density=-density * u))

    return written


def test_a_delta_that_each_side_computes_is_one_value(sides: dict[str, Side]) -> None:
    guides = {"pyro": made_of_noise("pyro"), "numpyro": made_of_noise("numpyro")}
    report = judged(sides, guides["numpyro"], guides=guides)
    assert report.verdict == "same"
    assert any("at 6 other values the log densities agree" in each.detail for each in told(report, "guide"))
    wrong = judged(
        sides, made_of_noise("numpyro", 0.0), guides=guides | {"numpyro": made_of_noise("numpyro", 0.0)}
    )
    assert wrong.first_difference is not None
    assert wrong.first_difference["site"] == "s"


def point_guess(ppl: str, twice: float = 1.0) -> Callable:
    """What is most probable: a Delta at a param for each site."""

    def written(y):
        library, dist = libraries(ppl)
        library.sample("w", dist.Delta(twice * library.param("w_map", y[0] * 0)))
        at = library.param("s_map", y[0] * 0 + 0.7, constraint=dist.constraints.positive)
        library.sample("s", dist.Delta(at))

    return written


def test_a_point_guess_is_compared_where_its_params_are_moved(sides: dict[str, Side]) -> None:
    guides = {"pyro": point_guess("pyro"), "numpyro": point_guess("numpyro")}
    report = judged(sides, guides["numpyro"], guides=guides, rungs=(*RUNGS, "elbo"))
    assert report.verdict == "same"
    assert any("at 6 other values the log densities agree" in each.detail for each in told(report, "guide"))
    first = judged(
        sides, point_guess("numpyro", 2.0), guides=guides | {"numpyro": point_guess("numpyro", 2.0)}
    )
    assert first.first_difference is not None  # at zero twice nothing is nothing
    assert first.first_difference["site"] == "w"


def network(ppl: str, *, bias: bool = True, detached: bool = False) -> Callable:
    """A guide whose location is computed of the data: by a layer of torch, or by params of the same names."""

    def layer() -> Callable:
        import torch

        kept = torch.nn.Linear(3, 1)
        kept.weight.data = torch.tensor([[0.4, -0.2, 0.1]])
        kept.bias.data = torch.zeros(1)
        return kept

    made = layer() if ppl == "pyro" else None

    def written(y):
        library, dist = libraries(ppl)
        if made is not None:
            loc = library.module("net", made)(y)[0]
        else:
            lib = numbers(ppl)
            weight = library.param("net$$$weight", lib.array([[0.4, -0.2, 0.1]]))
            shift = library.param("net$$$bias", lib.zeros(1))
            loc = (weight @ y + (shift if bias else 0.0))[0]
            loc = importlib.import_module("jax").lax.stop_gradient(loc) if detached else loc
        library.sample("w", dist.Normal(loc, 0.5))
        library.sample("s", dist.Gamma(3.0, 2.0))

    return written


@pytest.mark.long
def test_a_layer_of_torch_is_moved_and_differentiated(sides: dict[str, Side]) -> None:
    """A module uses its own weights, whatever a param statement returns."""

    def report(**wrong: Any) -> Report:
        guides = {"pyro": network("pyro"), "numpyro": network("numpyro", **wrong)}
        return judged(sides, guides["numpyro"], guides=guides, rungs=("density", "guide", "elbo"))

    same = report()
    assert same.verdict == "same"
    assert any("at 6 other values the log densities agree" in each.detail for each in told(same, "guide"))
    assert {"net$$$weight", "net$$$bias"} <= {each.site for each in told(same, "elbo")}
    lost = report(bias=False).first_difference
    assert lost is not None
    assert (lost["rung"], lost["site"], lost["hint"]) == ("guide", "w", "numpyro does not use 'net$$$bias'")
    stopped = report(detached=True).first_difference
    assert stopped is not None
    assert (stopped["rung"], stopped["site"]) == ("elbo", "net$$$weight")
