"""Sites whose axes lie otherwise, transposed or of length one: compared as one on every rung, and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.backend.contract import Plate, Site
from ppl_parity.errors import InputError
from ppl_parity.frozen.freezing import freeze
from ppl_parity.pair.own_values import own_values
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.views import View, find_turned, find_views, own, shown, shown_site
from ppl_parity.process.references import CallableReference
from ppl_parity.process.sides import Side
from ppl_parity.report.wording import three_lines


def _site(shape: tuple[int, ...], event: int = 0, **more: Any) -> Site:
    cut = len(shape) - event
    fixed: dict[str, Any] = {
        "name": "s",
        "kind": "latent",
        "family": "Normal",
        "support": "real",
        "dtype": "float64",
    }
    return Site(
        **{**fixed, "plates": (), **more},
        batch_shape=shape[:cut],
        event_shape=shape[cut:],
        value=np.zeros(shape),
    )


@pytest.mark.parametrize(
    ("pyro", "numpyro", "dropped"),
    [
        ((1,), (), {"pyro": (0,)}),
        ((), (1, 1), {"numpyro": (0, 1)}),
        ((4, 1), (4,), {"pyro": (1,)}),
        ((3,), (1, 3), {"numpyro": (0,)}),
        ((1, 1, 3), (1, 3), {"pyro": (0,)}),
        ((2, 1, 3, 1), (2, 3), {"pyro": (1, 3)}),
        ((3,), (3,), {}),
        ((1, 3), (3, 1), {"pyro": (0,), "numpyro": (1,)}),
        ((2, 1, 3), (2, 3, 1), {"pyro": (1,), "numpyro": (2,)}),
        ((2, 3), (3,), {}),
        ((6,), (2, 3), {}),
    ],
)
def test_only_axes_of_length_one_are_dropped(pyro, numpyro, dropped) -> None:
    seen = find_views({"pyro": {"s": _site(pyro)}, "numpyro": {"s": _site(numpyro)}}, {})
    assert {side: views["s"].dropped for side, views in seen.views.items() if views} == dropped
    shapes = []
    for side, shape in (("pyro", pyro), ("numpyro", numpyro)):
        values = {"s": np.arange(5 * np.prod(shape)).reshape(5, *shape), "t": np.zeros(2)}
        presented = shown(values, seen.views[side], 1)
        shapes.append(presented["s"].shape)
        np.testing.assert_array_equal(own(presented, seen.views[side], 1)["s"], values["s"])
        assert presented["t"] is values["t"]
    assert (shapes[0] == shapes[1]) is (bool(dropped) or pyro == numpyro)


def test_latent_integers_keep_their_axes() -> None:
    more = {"support": "integer_interval(0, 2)"}
    assert not find_views(
        {"pyro": {"s": _site((1,), **more)}, "numpyro": {"s": _site((), **more)}}, {}
    ).shapes


@pytest.mark.parametrize("support", ["real", "integer_interval(0, 2)"])
def test_data_keep_their_axes_where_their_distribution_has_another_shape(support: str) -> None:
    """(N, 1) under (N,) is how a likelihood becomes N times N."""
    one, other = (_site(shape, kind="observed", support=support) for shape in ((4, 1), (4,)))
    assert find_views({"pyro": {"s": one}, "numpyro": {"s": other}}, {}).views["pyro"]["s"].dropped == (1,)
    under = replace(one, batch_shape=(4,))
    assert not find_views({"pyro": {"s": under}, "numpyro": {"s": other}}, {}).shapes


def test_a_plate_of_one_goes_with_its_axis_and_the_others_move() -> None:
    plates = (Plate("outer", -2, 4, 4), Plate("one", -1, 1, 1))
    weights = np.arange(4.0)[:, None]
    found = shown_site(
        _site((4, 1, 3), event=1, plates=plates, weights=weights), {"s": View((0, 1, 2), (1,))}
    )
    assert found.weights is not None
    assert found.weights.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.plates == (Plate("outer", -1, 4, 4),)
    assert (found.batch_shape, found.event_shape) == ((4,), (3,))
    assert np.shape(found.value) == (4, 3)


def _pair(rename: dict[str, str]) -> Pair:
    return Pair("p", {}, {"pyro": {}, "numpyro": {}}, rename=rename)


def test_rename_says_what_is_transposed() -> None:
    pyro = {name: _site((2, 3), name=name) for name in ("a", "l.0.w", "l.1.w", "c", "d.T")}
    there = {name: _site((3, 2), name=name) for name in ("b", "v_0", "v_1", "c", "d.T")}
    there["k"] = _site((5, 4, 3, 2), name="k")
    rename = {"a": "b.T", "l.*.w": "v_*.T", "c.T": "c", "d.T": "d.T", "conv": "k.transpose(3, 2, -4, 1)"}
    pair, turned = find_turned(_pair(rename), {"pyro": pyro, "numpyro": there})
    assert pair.rename == {"a": "b", "l.*.w": "v_*", "c": "c", "d.T": "d.T", "conv": "k"}
    assert turned == {"b": None, "v_*": None, "c": None, "k": (3, 2, -4, 1)}
    named = {"a": there["b"], "l.0.w": there["v_0"], "l.1.w": there["v_1"], "c": there["c"]}
    conv = {"pyro": {**pyro, "conv": _site((2, 3, 5, 4))}, "numpyro": {**named, "conv": there["k"]}}
    seen = find_views(conv, turned)
    assert seen.views["numpyro"] == {
        **dict.fromkeys(("b", "v_0", "v_1", "c"), View((1, 0))),
        "k": View((3, 2, 0, 1)),
    }
    assert not seen.views["pyro"]
    assert seen.views["numpyro"]["k"].shown(np.zeros((7, 5, 4, 3, 2)), 1).shape == (7, 2, 3, 5, 4)


def test_a_matrix_whose_coordinates_are_a_vector_has_the_axes_of_its_batch() -> None:
    """A correlation's three numbers: (1, 3) beside (3,), and of a batch that is transposed (2, 4, 3)."""
    one = View((0, 1, 2), (0,))
    assert one.shown(np.zeros((5, 1, 3)), 1).shape == (5, 3)
    assert one.own(np.zeros((5, 3)), 1).shape == (5, 1, 3)
    batch, numbers_ = View((1, 0, 2, 3)), np.arange(24.0).reshape(2, 4, 3)
    np.testing.assert_array_equal(batch.shown(numbers_), numbers_.transpose(1, 0, 2))
    np.testing.assert_array_equal(batch.own(batch.shown(numbers_)), numbers_)
    alone = View((1, 0))
    assert alone.shown(np.arange(3.0)).tolist() == [0, 1, 2]
    assert alone.own(np.arange(3.0)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("shape", "name", "rule"),
    [
        ((3,), "b.T", "can transpose a site of two axes or more; 'b' has shape (3,)"),
        ((2, 3), "b.transpose(0, 0)", "every axis of 'b', of shape (2, 3), one place; got transpose(0, 0)"),
        ((2, 3), "b.transpose(0, 2, 1)", "every axis of 'b', of shape (2, 3), one place"),
    ],
)
def test_a_site_that_cannot_be_transposed_so_is_told(shape, name, rule) -> None:
    sites = {"pyro": {"a": _site(shape, name="a")}, "numpyro": {"a": _site(shape, name="b")}}
    own_sites = {"pyro": {"a": sites["pyro"]["a"]}, "numpyro": {"b": sites["numpyro"]["a"]}}
    _, turned = find_turned(_pair({"a": name}), own_sites)
    with pytest.raises(InputError) as told_:
        find_views(sites, turned)
    assert rule in str(told_.value)


def test_axes_that_mix_a_batch_with_an_event_are_one_events() -> None:
    plates = (Plate("outer", -2, 4, 4), Plate("inner", -1, 5, 5))
    params = {"loc": np.arange(5.0), "scale": np.array(2.0)}
    turned = shown_site(_site((4, 5), plates=plates, params=params), {"s": View((1, 0))})
    assert turned.plates == (Plate("outer", -1, 4, 4), Plate("inner", -2, 5, 5))
    assert (turned.batch_shape, turned.event_shape) == ((5, 4), ())
    np.testing.assert_array_equal(turned.params["loc"], np.repeat(np.arange(5.0)[:, None], 4, axis=1))
    assert turned.params["scale"].shape == ()
    mixed = shown_site(_site((4, 5), event=1, plates=plates[1:]), {"s": View((1, 0))})
    assert (mixed.batch_shape, mixed.event_shape, mixed.plates) == ((), (5, 4), ())


def test_a_given_point_is_taken_to_the_side_that_is_frozen() -> None:
    sites = {"b": _site((3, 2), name="b"), "s": _site((), name="s")}
    values = {"a": np.arange(6.0).reshape(2, 3), "s": np.ones(1)}
    found = own_values(_pair({"a": "b.T"}), "numpyro", sites, values)
    np.testing.assert_array_equal(found["b"], values["a"].T)
    assert found["s"].shape == ()


@pytest.mark.pyro
@pytest.mark.parametrize("scale", [pytest.param(1.0, marks=pytest.mark.long), 1.2])
def test_a_port_with_other_axes_is_compared_on_every_exact_rung(scale: float, sides: dict[str, Side]) -> None:
    def model(ppl: str) -> Callable:
        def written(x, y):
            library, dist = libraries(ppl)
            ones = numbers(ppl).ones
            if ppl == "pyro":
                b = library.sample("b", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
                s = library.sample("s", dist.HalfNormal(1.0).expand([1]).to_event(1))
                with library.plate("one", 1):
                    a = library.sample("a", dist.Normal(0.0, 2.0))
                w = library.sample("w", dist.Dirichlet(ones((1, 3))).to_event(1))[0]
                mean = x @ b
            else:
                b = library.sample("b", dist.Normal(0.0, 1.0).expand([2, 1]).to_event(2))
                s = library.sample("s", dist.HalfNormal(scale))
                a = library.sample("a", dist.Normal(0.0, 2.0))
                w = library.sample("w", dist.Dirichlet(ones(3)))
                mean = (x @ b)[:, 0]
            with library.plate("rows", len(y)):
                library.sample("y", dist.Normal(mean + a + w[0], s), obs=y)

        return written

    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    data = {"x": x, "y": x @ [1.0, -0.5] + 0.3 + 0.5 * rng.normal(size=20)}
    rungs = ["structure", "density", "gradient", "transform", "dynamics", "forward"]
    report = check(model("pyro"), model("numpyro"), data, rungs=rungs, sides=sides)
    shapes = {each.site: each.detail for each in told(report, "structure") if each.quantity == "shape"}
    assert set(shapes) == {"b", "s", "a", "w"}
    assert "(2,) in pyro and (2, 1) in numpyro" in shapes["b"]
    if scale == 1.0:
        assert report.verdict == "same", three_lines(report)
        assert all(rung.verdict == "same" and rung.findings for rung in report.rungs)
    else:
        assert report.verdict == "different"
        assert "its scale is 1 in pyro and 1.2 in numpyro" in three_lines(report)


def _layers(ppl: str, turn: bool = True) -> Callable:
    """A network of two layers, (out, in) in Pyro and (in, out) in NumPyro, a plated matrix, and a simplex of rows."""

    def written(x, y):
        library, dist = libraries(ppl)
        maths = numbers(ppl)
        pyro = ppl == "pyro"
        w = library.sample(
            "fc.weight" if pyro else "w",
            dist.Normal(0.0, 1.0).expand([4, 2] if pyro else [2, 4]).to_event(2),
        )
        v = library.sample("v", dist.Normal(0.0, 1.0).expand([1, 4] if pyro else [4, 1]).to_event(2))
        sizes = (("n", 3), ("m", 2)) if pyro else (("m", 2), ("n", 3))
        with library.plate(*sizes[0], dim=-2), library.plate(*sizes[1], dim=-1):
            a = library.sample("a", dist.Normal(0.0, 0.5))
        if not pyro:
            w, a = (w if turn else w[:, ::-1]), a.T
        hidden = maths.tanh(x @ (w.T if pyro else w))
        mean = hidden @ (v.T if pyro else v)
        with library.plate("rows", len(y)):
            library.sample("y", dist.Normal(mean[:, 0] + a[0, 1] - a[2, 0], 0.5), obs=y)

    return written


def _layers_data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(15, 2))
    return {"x": x, "y": np.tanh(x @ [1.0, -0.5]) + 0.5 * rng.normal(size=15)}


LAYERS = {"fc.weight": "w.T", "a": "a.T"}


@pytest.mark.long
@pytest.mark.pyro
def test_transposed_weights_are_compared_on_every_exact_rung(sides: dict[str, Side]) -> None:
    rungs = ["structure", "density", "gradient", "transform", "dynamics", "forward"]
    given = {
        "given": {"fc.weight": np.arange(8.0).reshape(4, 2), "v": np.ones((1, 4)), "a": np.eye(3)[:, :2]}
    }
    asked: dict[str, Any] = {"rename": LAYERS, "points": given, "sides": sides}
    report = check(_layers("pyro"), _layers("numpyro"), _layers_data(), rungs=rungs, **asked)
    assert report.verdict == "same", three_lines(report)
    assert all(rung.verdict == "same" and rung.findings for rung in report.rungs)
    shapes = {each.site: each.detail for each in told(report, "structure") if each.quantity == "shape"}
    assert "(4, 2) in pyro and (2, 4) in numpyro: one is the other's transpose" in shapes["fc.weight"]
    assert "(1, 4) in pyro and (4, 1) in numpyro: an axis of length one" in shapes["v"]
    wrong = check(_layers("pyro"), _layers("numpyro", turn=False), _layers_data(), level="quick", **asked)
    assert wrong.first_difference is not None
    assert wrong.first_difference["site"] == "y"
    assert "'fc.weight' reversed along its axis 0" in three_lines(wrong)


@pytest.mark.long
@pytest.mark.pyro
@pytest.mark.parametrize("side", ["pyro", "numpyro"])
def test_a_frozen_side_is_held_to_a_transposed_one(side: str, sides: dict[str, Side], tmp_path) -> None:
    models = {ppl: _layers(ppl) for ppl in sides}
    data = dict.fromkeys(sides, _layers_data())
    pair = Pair(
        "layers", {ppl: CallableReference.of(one) for ppl, one in models.items()}, data, rename=LAYERS
    )
    path = tmp_path / "frozen.npz"
    freeze(pair, side, sides[side], settings=None).save(path)
    given: dict[str, Any] = {**models, side: str(path)}
    quick: dict[str, Any] = {"rename": LAYERS, "level": "quick", "sides": sides}
    report = check(given["pyro"], given["numpyro"], _layers_data(), **quick)
    assert report.verdict == "same", three_lines(report)


@pytest.mark.pyro
def test_a_transpose_that_was_not_said_is_proposed(sides: dict[str, Side]) -> None:
    report = check(
        _layers("pyro"), _layers("numpyro"), _layers_data(), level="quick", rename={"a": "a.T"}, sides=sides
    )
    assert report.verdict == "unresolved"
    assert 'rename = {"fc.weight": "w.T"}' in three_lines(report)
    report = check(
        _layers("pyro"),
        _layers("numpyro"),
        _layers_data(),
        level="quick",
        rename={"fc.weight": "w.T"},
        sides=sides,
    )
    assert report.verdict == "different"
    assert 'rename = {"a": "a.T"}' in three_lines(report)


@pytest.mark.pyro
def test_a_square_matrix_that_is_the_others_transpose_is_told(sides: dict[str, Side]) -> None:
    def model(ppl: str) -> Callable:
        def written(x, y):
            library, dist = libraries(ppl)
            w = library.sample("w", dist.Normal(0.0, 1.0).expand([2, 2]).to_event(2))
            w = w.T if ppl == "pyro" else w
            with library.plate("rows", len(y)):
                library.sample("y", dist.Normal(numbers(ppl).tanh(x @ w)[:, 0], 0.5), obs=y)

        return written

    report = check(model("pyro"), model("numpyro"), _layers_data(), level="quick", sides=sides)
    assert report.verdict == "different"
    assert '\'w\' transposed; if that is meant, give rename = {"w": "w.T"}' in three_lines(report)


def column(ppl: str, *, observe: str, event: bool, times: float = 1.0) -> Callable:
    """One output of a layer, (N, 1) as torch's has it, or (N,)."""

    def model(x, y):
        library, dist = libraries(ppl)
        w = library.sample(
            "w", dist.Normal(numbers(ppl).zeros((2, 1) if event else 2), 1.0).to_event(1 + event)
        )
        mean = times * (x @ w)
        with library.plate("rows", len(y)):
            made = {"y": lambda: dist.Normal(mean, 1.0), "k": lambda: dist.Poisson(numbers(ppl).exp(mean))}[
                observe
            ]()
            library.sample("y", made.to_event(1) if event else made, obs=y[:, None] if event else y)

    return model


@pytest.mark.pyro
@pytest.mark.parametrize(
    ("observe", "times", "verdict"), [("y", 1.0, "same"), ("k", 1.0, "same"), ("y", 1.5, "different")]
)
def test_an_axis_of_length_one_of_data_is_no_other_model(
    observe: str, times: float, verdict: str, sides: dict[str, Side]
) -> None:
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=(5, 2)), "y": rng.poisson(1.0, size=5).astype(float)}
    pair = (
        column("pyro", observe=observe, event=True),
        column("numpyro", observe=observe, event=False, times=times),
    )
    rungs = (
        None if verdict == "different" or observe == "k" else ["structure", "density", "gradient", "forward"]
    )
    report = check(*pair, data, level="quick" if rungs is None else "standard", rungs=rungs, sides=sides)
    assert report.verdict == verdict, three_lines(report)
    assert any("an axis of length one" in finding.detail for finding in told(report, "structure"))
    if verdict == "different":
        assert report.first_difference is not None
        assert report.first_difference["site"] == "y"


@pytest.mark.pyro
def test_data_that_make_a_likelihood_n_times_n_are_told(sides: dict[str, Side]) -> None:
    def model(ppl: str, wrong: bool) -> Callable:
        def model(y):
            library, dist = libraries(ppl)
            mu = library.sample("mu", dist.Normal(numbers(ppl).zeros(4), 1.0).to_event(1))
            library.sample("y", dist.Normal(mu, 1.0), obs=y[:, None] if wrong else y)

        return model

    report = check(
        model("pyro", False), model("numpyro", True), {"y": np.arange(4.0)}, level="quick", sides=sides
    )
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert report.first_difference["site"] == "y"
