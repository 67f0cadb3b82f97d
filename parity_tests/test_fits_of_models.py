"""What a fit of a user's own model leaves out or refuses, alike in both backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, numbers
from ppl_parity import diagnose, save
from ppl_parity.backend.axes import plate_dims
from ppl_parity.backend.contract import Plate, Site
from ppl_parity.errors import InputError
from ppl_parity.spec import SamplerSettings

Y = np.array([-2.5, -2.0, -1.8, 2.1, 2.5, 1.9, -2.2, 2.2])
SHORT = SamplerSettings(num_draws=20, num_warmup=20, num_chains=1, seed=3)
BOTH = [
    pytest.param("pyro", marks=pytest.mark.pyro),
    "numpyro",
]


def _mixture(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        weights = library.sample("w", dist.Dirichlet(numbers(ppl).ones(3)))
        library.deterministic("largest", weights.max())
        with library.plate("N", len(y)):
            z = library.sample("z", dist.Categorical(weights), infer={"enumerate": "parallel"})
            mean = library.deterministic("mean", 2.0 * z - 2.0)
            library.sample("y", dist.Normal(mean, 1.0), obs=y)

    return model


@pytest.mark.long
@pytest.mark.parametrize("ppl", BOTH)
def test_what_moves_with_a_site_that_is_summed_out_is_left_out_and_told(ppl: str) -> None:
    backend = import_module(f"{ppl}_impl")
    tree = backend.fit(_mixture(ppl), {"y": Y}, SHORT)
    assert set(tree["posterior"].data_vars) == {"w", "largest"}
    np.testing.assert_allclose(tree["posterior"]["largest"], tree["posterior"]["w"].max(axis=-1))
    assert json.loads(tree.attrs["left_out"]) == ["mean: it moves with a site that is summed out"]


@pytest.mark.parametrize("ppl", BOTH)
def test_a_subsampled_plate_is_not_fitted(ppl: str) -> None:
    def model(y):
        library, dist = libraries(ppl)
        mu = library.sample("mu", dist.Normal(0.0, 1.0))
        with library.plate("rows", len(y), subsample_size=2) as rows:
            library.sample("y", dist.Normal(mu, 1.0), obs=y[rows])

    with pytest.raises(InputError, match="'rows' takes 2 of 8 at random"):
        import_module(f"{ppl}_impl").fit(model, {"y": Y}, SHORT)


@pytest.mark.long
def test_a_count_that_has_no_support_to_sum_over_moves_what_hangs_on_it() -> None:
    import numpyro
    import numpyro.distributions as dist

    from numpyro_impl import Program

    def model(y):
        rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
        count = numpyro.sample("count", dist.Poisson(rate))
        numpyro.deterministic("twice", 2 * count)
        numpyro.deterministic("root", rate**0.5)
        trials = numpyro.sample("trials", dist.Binomial(np.array([3, 5]), 0.5).to_event(1))
        numpyro.deterministic("more", trials + 1)
        numpyro.sample("y", dist.Normal(count, 1.0), obs=y)

    found: dict[str, Any] = Program(model, {"y": np.array(2.0)}).constrain({"rate": np.array(0.0)})
    assert set(found) == {"rate", "root"}


@pytest.mark.parametrize("ppl", BOTH)
def test_what_depends_on_several_discrete_sites_together_is_seen(ppl: str) -> None:
    """A total of six coins is the same after many a change of them, and a number of changes after all are turned."""

    def model(y):
        library, dist = libraries(ppl)
        p = library.sample("p", dist.Beta(2.0, 2.0))
        library.deterministic("odds", p / (1 - p))
        with library.plate("rows", 6):
            z = library.sample("z", dist.Bernoulli(p), infer={"enumerate": "parallel"})
            library.sample("y", dist.Normal(4.0 * z - 2.0, 1.0), obs=y)
        library.deterministic("total", z.sum())
        library.deterministic("changes", (z[..., 1:] != z[..., :-1]).sum())

    program = import_module(f"{ppl}_impl").Program(model, {"y": Y[:6]})
    assert program.of_discrete() == ("changes", "total")
    assert set(program.constrain({"p": np.array(0.0)})) == {"p", "odds"}


def test_a_scan_over_states_keeps_what_hangs_on_none() -> None:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.contrib.control_flow import scan

    from numpyro_impl import Program

    def model(y):
        mu = numpyro.sample("mu", dist.Normal(jnp.zeros(2), 3.0).to_event(1))
        numpyro.deterministic("sum", mu.sum())

        def step(state, now):
            z = numpyro.sample("z", dist.Bernoulli(0.2 + 0.6 * state), infer={"enumerate": "parallel"})
            numpyro.deterministic("mean", mu[z])
            numpyro.sample("y", dist.Normal(mu[z], 1.0), obs=now)
            return z, None

        scan(step, 0, y)

    program = Program(model, {"y": Y})
    assert set(program.constrain({"mu": np.zeros(2)})) == {"mu", "sum"}


def _normal(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        mu = library.sample("mu", dist.Normal(0.0, 3.0))
        with library.plate("rows", len(y)):
            library.sample("y", dist.Normal(mu, 2.0), obs=y)

    return model


def _gamma(ppl: str) -> Callable:
    def model(y):
        library, dist = libraries(ppl)
        rate = library.sample("rate", dist.HalfNormal(1.0))
        with library.plate("rows", len(y)):
            library.sample("y", dist.Gamma(2.0, rate), obs=y)

    return model


@pytest.mark.parametrize("ppl", BOTH)
@pytest.mark.parametrize(
    ("model", "y", "told"),
    [
        (_normal, np.array([1.0, 2.0, np.nan]), "the data of 'y' are NaN in row 2. Leave such rows out"),
        (
            _gamma,
            np.array([1.0, -2.0, -1.0]),
            "the log prob of 'y' is -inf in row 1, and in 1 more. Do the data",
        ),
        (_normal, np.array(["a", "b"]), "The data's 'y' is an array of strings. Give whole numbers"),
        (_normal, np.array([1.0, None]), "The data's 'y' is an array of Python objects."),
    ],
)
def test_data_that_no_chain_can_begin_with_are_told_by_site_and_row(
    model: Callable, y: np.ndarray, told: str, ppl: str
) -> None:
    with pytest.raises(InputError) as error:
        import_module(f"{ppl}_impl").fit(model(ppl), {"y": y}, SHORT)
    assert told in str(error.value)


@pytest.mark.parametrize("ppl", BOTH)
def test_a_column_of_pandas_is_an_array_and_a_fit_is_diagnosed(ppl: str, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    backend, model = import_module(f"{ppl}_impl"), _normal(ppl)  # one model, which is compiled once
    tree, same = (backend.fit(model, {"y": y}, SHORT) for y in (Y, pandas.Series(Y)))
    np.testing.assert_array_equal(tree["posterior"]["mu"], same["posterior"]["mu"])
    found = " ".join(diagnose(tree))
    assert diagnose(save(tree, tmp_path / "fit.nc")) == diagnose(tree)
    with pytest.raises(InputError, match=r"A fit must be a DataTree, .*; got dict"):
        diagnose({})  # type: ignore[arg-type]
    assert "A chain has 20 draws" in found
    assert "There is one chain only" in found


class _Callable:
    """A model that is an object, as a module of torch's is."""

    def __call__(self, y):
        raise NotImplementedError


@pytest.mark.parametrize("ppl", BOTH)
def test_a_class_and_a_compiled_function_are_no_models(ppl: str) -> None:
    backend = import_module(f"{ppl}_impl")
    with pytest.raises(InputError, match=r"got the class _Callable: make one, _Callable\(\)"):
        backend.fit(_Callable, {"y": Y}, SHORT)
    if ppl == "numpyro":
        jitted = import_module("jax").jit(_normal(ppl))
        with pytest.raises(InputError, match=r"not what jax\.jit made of it"):
            backend.fit(jitted, {"y": Y}, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("ppl", BOTH)
def test_the_axes_of_a_fit_have_the_names_of_its_plates(ppl: str) -> None:
    def model(y):
        library, dist = libraries(ppl)
        mu = library.sample("mu", dist.Normal(0.0, 3.0))
        with library.plate("group", 2, dim=-2):
            a = library.sample("a", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
            with library.plate("rows", len(y), dim=-1):
                mean = library.deterministic("mean", mu + a[..., :1, 0] + 0 * y)
                library.sample("y", dist.Normal(mean, 2.0), obs=y)

    backend = import_module(f"{ppl}_impl")
    asked = {"log_likelihood": True, "posterior_predictive": True}
    tree = backend.fit(model, {"y": Y}, SHORT, **asked)
    dims = {name: values.dims[2:] for name, values in tree["posterior"].data_vars.items()}
    assert dims == {
        "mu": (),
        "a": ("group", "a_dim_1", "a_dim_2"),
        "mean": ("group", "rows"),
    }
    assert tree["observed_data"]["y"].dims == ("rows",)
    for group in ("log_likelihood", "posterior_predictive"):
        assert tree[group]["y"].dims == ("chain", "draw", "group", "rows")


def test_an_axis_has_no_name_that_another_has() -> None:
    def site(name: str, plate: str, size: int) -> Site:
        plates = (Plate(plate, -1, size, size),)
        return Site(name, "latent", "Normal", (size,), (), "real", "float64", plates, value=np.zeros(size))

    sites = [
        site("a", "rows", 2),
        site("b", "part", 2),
        site("c", "part", 3),
        site("d", "a", 4),
        site("e", "draw", 5),
        site("f", "x/y", 6),
    ]
    posterior = {one.name: np.zeros((1, 7, *one.batch_shape)) for one in sites}
    assert plate_dims(sites, {"posterior": posterior}) == {"posterior/a": ["rows"]}
