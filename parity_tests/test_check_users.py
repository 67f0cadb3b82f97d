"""What users have met: pairs whose verdict was wrong, or that could not be checked, as small as they could be made."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from typer.testing import CliRunner

from ppl_parity import check
from ppl_parity.cli.app import app
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding, Report
from ppl_parity.loading import load_pair
from ppl_parity.misspelt import misspelt
from ppl_parity.options import OPTIONS
from ppl_parity.references import FileReference
from ppl_parity.report.wording import summary, three_lines
from ppl_parity.sides import Side

pytestmark = pytest.mark.pyro

Y = {"y": np.array(0.7), "w": np.array(1.0)}


@pytest.fixture(scope="module")
def sides() -> Iterator[dict[str, Side]]:
    with Side("pyro", num_threads=1) as pyro, Side("numpyro", num_threads=1) as numpyro:
        yield {"pyro": pyro, "numpyro": numpyro}


def libraries(ppl: str) -> tuple[Any, Any]:
    return importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")


def told(report: Report, rung: str) -> list[Finding]:
    return [finding for result in report.rungs if result.name == rung for finding in result.findings]


def two_outcomes(ppl: str, *, latent: str | None = "b", how: str = "w") -> Callable:
    """y given a, and, unless ``latent`` is None, w given another latent site: observed under ``how``, or a factor."""

    def model(y, w):
        library, dist = libraries(ppl)
        a = library.sample("a", dist.Normal(0.0, 1.0))
        library.sample("y", dist.Normal(a, 1.0), obs=y)
        if latent is None:
            return
        b = library.sample(latent, dist.Normal(0.0, 1.0))
        if how == "factor":
            library.factor("w", dist.Normal(2 * b, 3.0).log_prob(w))
        else:
            library.sample(how, dist.Normal(b, 5.0 if how != "w" else 1.0), obs=w)

    return model


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


def test_digits_lost_near_the_edge_of_a_simplex_are_no_detached_value(sides: dict[str, Side]) -> None:
    def chain(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            eye = importlib.import_module({"pyro": "torch", "numpyro": "jax.numpy"}[ppl]).eye(4)
            with library.plate("rows", 4):
                p = library.sample("p", dist.Dirichlet(0.9 * eye + 0.1))
            library.sample("y", dist.Normal(p[..., 0].sum(), 1.0), obs=y)

        return model

    assert check(chain("pyro"), chain("numpyro"), {"y": Y["y"]}, level="quick", sides=sides).verdict == "same"


def test_a_detached_value_stays_one(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(x.detach(), 1.0), obs=y)

    def port(y):
        numpyro, dist = libraries("numpyro")
        stop = importlib.import_module("jax.lax").stop_gradient
        x = numpyro.sample("x", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(stop(x), 1.0), obs=y)

    report = check(model, port, {"y": Y["y"]}, level="quick", sides=sides)
    assert report.first_difference is not None
    assert report.first_difference["quantity"] == "numerical derivative"


def test_data_cast_to_float32_are_judged_as_that(sides: dict[str, Side]) -> None:
    x = {"x": np.linspace(0.0, 3.0, 7), "y": np.linspace(-1.0, 2.0, 7)}

    def model(x, y):
        pyro, dist = libraries("pyro")
        torch = importlib.import_module("torch")
        x, y = (torch.as_tensor(given).to(torch.float32) for given in (x, y))
        slope = pyro.sample("slope", dist.Normal(0.0, 2.0))
        with pyro.plate("rows", 7):
            pyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)

    def port(x, y):
        numpyro, dist = libraries("numpyro")
        slope = numpyro.sample("slope", dist.Normal(0.0, 2.0))
        with numpyro.plate("rows", 7):
            numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)

    assert check(model, port, x, level="quick", sides=sides).verdict == "same"


def test_rounding_of_a_huge_density_is_told_with_its_size(sides: dict[str, Side]) -> None:
    def sharp(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            a = library.sample("a", dist.Normal(0.0, 2.0))
            with library.plate("rows", len(y)):
                library.sample("y", dist.Normal(a, 1e-5), obs=y)

        return model

    y = {"y": np.random.default_rng(0).normal(size=2000)}
    report = check(sharp("pyro"), sharp("numpyro"), y, rungs=["density", "gradient"], sides=sides)
    assert report.verdict == "same"
    for rung in ("density", "gradient"):
        found = max(told(report, rung), key=lambda finding: finding.size or 0.0)
        assert found.size is not None
        assert 1e-3 < found.size < 1e-13 * found.numbers["magnitude"]
    assert re.search(
        r"largest difference \S+ in \S+e1\d \(density\), \S+ in \S+e1\d \(gradient\)", three_lines(report)
    )


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
    assert report.first_difference["site"] is None
    assert "No site was compared alone" in report.first_difference["detail"]

    report = check(model, port(1.0), y, rungs=rungs[:2], sides=sides)
    assert report.verdict == "unresolved"
    assert "add enumeration to the rungs" in three_lines(report)


def test_a_param_is_told_of(sides: dict[str, Side]) -> None:
    def model(y):
        pyro, dist = libraries("pyro")
        scale = pyro.param("scale", importlib.import_module("torch").tensor(1.5).double())
        pyro.sample("y", dist.Normal(pyro.sample("x", dist.Normal(0.0, 1.0)), scale), obs=y)

    def port(y, learned=False):
        numpyro, dist = libraries("numpyro")
        scale = numpyro.param("scale", 1.5) if learned else 1.5
        numpyro.sample("y", dist.Normal(numpyro.sample("x", dist.Normal(0.0, 1.0)), scale), obs=y)

    for learned, where in ((False, "pyro alone"), (True, "pyro and numpyro")):
        data = {"pyro": {"y": Y["y"]}, "numpyro": {"y": Y["y"], "learned": learned}}
        report = check(model, port, data, rungs=["structure", "density"], sides=sides)
        assert report.verdict == "same"
        assert any(
            f"'scale' is a param in {where};" in finding.detail for finding in told(report, "structure")
        )


def test_a_param_has_its_value_and_its_constraint(sides: dict[str, Side]) -> None:
    def model(ppl: str, value: float = 1.5, constraint: str = "positive") -> Callable:
        def run(y):
            library, dist = libraries(ppl)
            array = importlib.import_module({"pyro": "torch", "numpyro": "jax.numpy"}[ppl])
            within = getattr(dist.constraints, constraint)
            scale = library.param("scale", array.full((2,), value), constraint=within)
            library.sample("y", dist.Normal(library.sample("x", dist.Normal(0.0, 1.0)), scale[0]), obs=y)

        return run

    def first(**port) -> tuple[str, str] | None:
        found = check(
            model("pyro"), model("numpyro", **port), {"y": Y["y"]}, rungs=["structure"], sides=sides
        ).first_difference
        return None if found is None else (found["site"], found["quantity"])

    assert first() is None
    assert first(constraint="softplus_positive") is None
    assert first(constraint="real") == ("scale", "constraint")
    assert first(value=1.6) == ("scale", "initial value")


def test_a_subsampled_plate_is_refused_in_words(sides: dict[str, Side]) -> None:
    def half(ppl: str) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            mu = library.sample("mu", dist.Normal(0.0, 1.0))
            with library.plate("rows", len(y), subsample_size=2) as rows:
                library.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

        return model

    with pytest.raises(InputError, match=r"a plate must take all of its rows .* 'rows' takes 2 of 4"):
        check(half("pyro"), half("numpyro"), {"y": np.arange(4.0)}, level="quick", sides=sides)


def test_tensors_and_series_are_data(sides: dict[str, Side]) -> None:
    import pandas
    import torch

    models = two_outcomes("pyro"), two_outcomes("numpyro")
    data = {"y": torch.tensor(0.7, dtype=torch.float64), "w": pandas.Series([1.0])}
    with pytest.raises(InputError, match="Give its columns"):
        check(*models, data | {"w": pandas.DataFrame({"w": [1.0]})}, level="quick", sides=sides)
    assert check(*models, data, level="quick", sides=sides).verdict == "same"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"points": {"mine": 3}},
            r"points\['mine'\] of model must be a dictionary of numbers by site; got int",
        ),
        ({"points": {"mine": {"a": "x"}}}, r"points\['mine'\]\['a'\] of model must be numbers; got 'x'"),
        ({"points": {"mine": {"aa": 0.0}}}, r"points\['mine'\] must name sites .*; got 'aa'"),
        (
            {"points": {"mine": {"a": [0.0, 1.0]}}},
            r"points\['mine'\]\['a'\] must have shape \(\); got \(2,\)",
        ),
        (
            {"rename": {"alpha": "a"}},
            "rename must lead from a site of pyro's model, of a, y, b, w; got 'alpha'",
        ),
        (
            {"rename": {"a": "alpha"}},
            "rename must lead to a site of numpyro's model, of a, y, b, w; got 'alpha'",
        ),
        ({"rename": {"a": 1}}, "rename of model must have texts on both sides"),
        ({"known_differences": {"densty/y": "old"}}, "must begin with a rung.*Did you mean 'density'"),
        ({"exchangeable": "a"}, r"exchangeable of model must be a tuple of sites, as \('theta',\); got 'a'"),
        ({"exchangeable": ("c",)}, "exchangeable must name sites of pyro's model, of a, y, b, w; got 'c'"),
        ({"max_plate_nesting": -1}, "max_plate_nesting of model must be an integer of at least 0; got -1"),
        ({"levl": "quick"}, "An option must be one of .*; got 'levl'. Did you mean 'level'"),
    ],
    ids=str,
)
def test_options_of_a_pair_are_checked(sides: dict[str, Side], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(two_outcomes("pyro"), two_outcomes("numpyro"), Y, sides=sides, **options)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("renames = {'a': 'b'}", "rename"),
        ("point = {'mine': {'mu': 0.5}}", "points"),
        ("poins: dict = {'mine': {'mu': 0.5}}", "points"),
        ("known_difference = {'density/y': 'old'}", "known_differences"),
        ("exchangable = ('theta',)", "exchangeable"),
        ("plate_nesting = 1", "max_plate_nesting"),
    ],
)
def test_a_misspelt_option_of_a_file_is_told_of(
    sides: dict[str, Side], tmp_path: Path, line: str, option: str
) -> None:
    path = tmp_path / "port.py"
    path.write_text(f"pyro_model = numpyro_model = data = dict\n{line}\n")
    name = line.partition(" ")[0].rstrip(":")
    with pytest.raises(
        InputError, match=f"port.py sets '{name}' and never uses it. Did you mean '{option}'?"
    ):
        load_pair(str(path), sides)


@pytest.mark.parametrize(
    "code",
    [
        "pointwise = {'mine': {'mu': 0.5}}",
        "data = {'y': 1.0}",
        "points_of = {'a': 1}",
        "names = {'a': 'b'}",
        "point = 0.5",
        "renames = 'a'",
        "exchangeables = True",
        "plate_nesting = 1.5",
        "_renames = {'a': 'b'}",
        "RENAMES = {'a': 'b'}",
        "renames = {'a': 'b'}\nrename = renames",
        "renames = {'a': 'b'}\ndef data(): return dict(renames)",
        "points = {'mine': {'mu': 0.5}}\npoint = {'mu': 0.5}",
        "def renames(): return {'a': 'b'}",
        "from collections import ChainMap as renames",
        "def f():\n    renames = {'a': 'b'}",
    ],
)
def test_an_ordinary_name_of_a_file_is_no_misspelt_option(tmp_path: Path, code: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert misspelt(FileReference(str(path), "").load(SimpleNamespace(NAME="numpyro")), OPTIONS) == {}


def test_data_beside_a_pair_of_ones_own_are_refused(tmp_path: Path) -> None:
    (tmp_path / "port.py").write_text("pyro_model = numpyro_model = data = dict\n")
    found = CliRunner().invoke(app, ["check", str(tmp_path / "port.py"), "--data", "nothere.csv"])
    assert found.exit_code == 2
    assert "Error: --data must go with the mixture" in found.stderr


@pytest.mark.parametrize("pair", ["port.py", "--pyro a.py:model --numpyro b.py:model --data d.py:data"])
@pytest.mark.parametrize(
    "option",
    [
        "--components 2",
        "--concentration 1",
        "--prior-mean 0",
        "--prior-cov 9",
        "--noise-scale 0.4",
        "--formulation enumerated",
        "--dim 2",
        "--no-standardize",
    ],
)
def test_options_of_the_mixture_beside_a_pair_of_ones_own_are_refused(pair: str, option: str) -> None:
    found = CliRunner().invoke(app, ["check", *pair.split(), *option.split()])
    assert found.exit_code == 2
    assert found.stderr.startswith(f"Error: {option.split()[0]} must go with the mixture; a pair has its own")


def test_a_frozen_side_has_no_options_of_the_mixture_either(tmp_path: Path) -> None:
    words = ["freeze", "port.py", "--side", "pyro", "--out", str(tmp_path / "a.npz"), "-K", "2"]
    found = CliRunner().invoke(app, words)
    assert (found.exit_code, found.stderr.split(" must")[0]) == (2, "Error: --components")


def test_a_check_that_fails_has_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from ppl_parity.cli.exits import FAILED, Exits

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Exits.__mro__[1], "main", broken)
    with pytest.raises(SystemExit) as ended:
        Exits(name="ppl-parity").main(["check"])
    assert ended.value.code == FAILED == 4
    assert "a bug" in capsys.readouterr().err


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
    with pytest.raises(InputError, match=r"no starting point .* supports\.$"):
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


def gaps(ppl: str, *, filled: float | None, masked: bool = True) -> Callable:
    """Rows with missing values, which are masked after they were filled with a number, or left as they are."""

    def model(y):
        library, dist = libraries(ppl)
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        handlers = library.poutine if ppl == "pyro" else library.handlers
        a = library.sample("a", dist.Normal(0.0, 1.0))
        seen = ~xp.isnan(y)
        with library.plate("rows", len(y)), handlers.mask(mask=seen if masked else xp.ones_like(seen)):
            library.sample("y", dist.Normal(a, 1.0), obs=y if filled is None else xp.where(seen, y, filled))

    return model


@pytest.mark.parametrize(("filled", "masked"), [(5.0, True), (None, True), (5.0, False)])
def test_what_a_mask_hides_may_be_any_number(
    sides: dict[str, Side], filled: float | None, masked: bool
) -> None:
    models = gaps("pyro", filled=0.0, masked=masked), gaps("numpyro", filled=filled, masked=masked)
    data = {"y": np.array([0.3, np.nan, 1.2])}
    report = check(*models, data, rungs=["structure", "density"], sides=sides)
    (found,) = [f for f in told(report, "structure") if f.quantity == "observed values"]
    assert (report.verdict, found.index) == ("same" if masked else "different", (1,))
    assert f"0 in pyro and {'nan' if filled is None else 5} in numpyro" in found.detail


def test_missing_values_on_one_side_are_shown_where_they_are(sides: dict[str, Side]) -> None:
    models = gaps("pyro", filled=0.0, masked=False), gaps("numpyro", filled=None, masked=False)
    first = check(
        *models, {"y": np.array([0.3, np.nan, 1.2])}, rungs=["structure"], sides=sides
    ).first_difference
    assert first is not None
    assert (first["site"], first["index"]) == ("y", [1])
    assert "0 in pyro and nan in numpyro" in first["detail"]
    assert "missing values (NaN) in numpyro" in first["hint"]


def overflowing(ppl: str, *, slope: float) -> Callable:
    """exp(-slope u): NumPyro's way of computing it ends at u = 709, where exp(u) does."""

    def model():
        library, dist = libraries(ppl)
        u = library.sample("u", dist.LogNormal(0.0, 1.0))
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        library.factor("f", -slope * (u if ppl == "pyro" else u * xp.exp(u) / xp.exp(u)))

    return model


@pytest.mark.parametrize(("slope", "verdict"), [(1.0, "same"), (0.01, "different")])
def test_a_number_is_asked_only_where_a_posterior_could_be(
    sides: dict[str, Side], slope: float, verdict: str
) -> None:
    models = [overflowing(ppl, slope=slope) for ppl in ("pyro", "numpyro")]
    report = check(*models, {}, rungs=["density", "gradient", "transform"], sides=sides)
    assert report.verdict == verdict
    left_out = [f for f in told(report, "density") if "no posterior is there" in f.detail]
    assert len(left_out) == (verdict == "same")


def correlated(ppl: str, *, covariance: bool) -> Callable:
    """Rows with a Cholesky factor, or with the covariance that it makes, which at the edges loses its digits."""

    def model(y):
        library, dist = libraries(ppl)
        xp = importlib.import_module("torch" if ppl == "pyro" else "jax.numpy")
        chol = library.sample("chol", dist.LKJCholesky(3, xp.ones(())))
        how = {"covariance_matrix": chol @ chol.T} if covariance else {"scale_tril": chol}
        with library.plate("rows", len(y)):
            library.sample("y", dist.MultivariateNormal(xp.zeros(3), **how), obs=y)

    return model


def test_digits_lost_where_no_posterior_is_make_no_difference(sides: dict[str, Side]) -> None:
    models = correlated("pyro", covariance=False), correlated("numpyro", covariance=True)
    data = {"y": np.random.default_rng(0).normal(size=(12, 3))}
    report = check(*models, data, rungs=["density", "gradient", "dynamics"], sides=sides)
    assert report.verdict == "same"
    assert any("Not compared at" in f.detail for f in told(report, "density"))


def learnt(ppl: str, *, prior: bool) -> Callable:
    """A mean that is a param, or that has a prior."""

    def model(y, w):
        library, dist = libraries(ppl)
        zero = 0.0 * y
        m = library.sample("m", dist.Normal(zero, 1.0)) if prior else library.param("m", zero)
        a = library.sample("a", dist.Normal(m, 1.0))
        library.sample("y", dist.Normal(a, w), obs=y)

    return model


def test_a_param_is_no_latent_site(sides: dict[str, Side]) -> None:
    models = learnt("pyro", prior=False), learnt("numpyro", prior=True)
    first = check(*models, Y, rungs=["structure"], sides=sides).first_difference
    assert first is not None
    assert (first["site"], first["quantity"]) == ("m", "kind")
    assert "a param in pyro" in first["detail"]


def moved(ppl: str, *, port: bool) -> Callable:
    """A rate whose logarithm is affine in a normal; the port has location and scale the other way round."""

    def model(y, w):
        library, dist = libraries(ppl)
        how = (
            dist.transforms if ppl == "pyro" else importlib.import_module("numpyro.distributions.transforms")
        )
        places = (2.0, 0.5) if port else (0.5, 2.0)
        chain = [how.AffineTransform(*places), how.ExpTransform()]
        base = dist.Normal(y * 0.0, 1.0)
        rate = library.sample("rate", dist.TransformedDistribution(base, chain))
        library.sample("y", dist.Normal(rate, w), obs=y)

    return model


def test_what_a_transform_is_made_of_is_compared(sides: dict[str, Side]) -> None:
    models = moved("pyro", port=False), moved("numpyro", port=True)
    first = check(*models, Y, rungs=["density"], sides=sides).first_difference
    assert first is not None
    assert first["site"] == "rate"
    assert "transform 0 loc and transform 0 scale have changed places" in first["hint"]


def far_out(ppl: str, *, slope: float) -> Callable:
    """Waiting times; NumPyro's are of a class of one's own, whose log prob has no number beyond 709."""

    def model():
        library, dist = libraries(ppl)
        if ppl == "pyro":
            import torch

            library.sample("u", dist.Exponential(slope * torch.ones(30)).to_event(1))
            return
        import jax.numpy as jnp

        class Waiting(dist.Exponential):
            def log_prob(self, value):
                return jnp.log(self.rate) - self.rate * value * jnp.exp(value) / jnp.exp(value)

        library.sample("u", Waiting(slope * jnp.ones(30)).to_event(1))

    return model


@pytest.mark.parametrize(("slope", "verdict"), [(1.0, "same"), (0.01, "different")])
def test_a_map_may_reach_where_no_posterior_is(sides: dict[str, Side], slope: float, verdict: str) -> None:
    models = [far_out(ppl, slope=slope) for ppl in ("pyro", "numpyro")]
    assert check(*models, {}, rungs=["transform"], sides=sides).verdict == verdict
