"""An axis of length one that one side alone has: compared as one site on every rung, and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries, numbers, told
from ppl_parity import check
from ppl_parity.backend.contract import Plate, Site
from ppl_parity.pair.squeezed import expand, find_squeezing, squeeze, squeeze_site
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
        ((1, 3), (3, 1), {}),
        ((2, 3), (3,), {}),
        ((6,), (2, 3), {}),
    ],
)
def test_only_axes_of_length_one_are_dropped(pyro, numpyro, dropped) -> None:
    found = find_squeezing({"pyro": {"s": _site(pyro)}, "numpyro": {"s": _site(numpyro)}})
    assert {side: axes["s"] for side, axes in found.dropped.items() if axes} == dropped
    for side, axes in dropped.items():
        shape, other = (pyro, numpyro) if side == "pyro" else (numpyro, pyro)
        values = {"s": np.arange(5 * np.prod(shape)).reshape(5, *shape), "t": np.zeros(2)}
        shown = squeeze(values, {"s": axes}, 1)
        assert shown["s"].shape == (5, *other)
        np.testing.assert_array_equal(expand(shown, {"s": axes}, 1)["s"], values["s"])
        assert shown["t"] is values["t"]


def test_integers_and_observed_sites_keep_their_axes() -> None:
    for more in ({"support": "integer_interval(0, 2)"}, {"kind": "observed"}):
        found = find_squeezing({"pyro": {"s": _site((1,), **more)}, "numpyro": {"s": _site((), **more)}})
        assert not found.shapes


def test_a_plate_of_one_goes_with_its_axis_and_the_others_move() -> None:
    plates = (Plate("outer", -2, 4, 4), Plate("one", -1, 1, 1))
    shown = squeeze_site(_site((4, 1, 3), event=1, plates=plates), {"s": (1,)})
    assert shown.plates == (Plate("outer", -1, 4, 4),)
    assert (shown.batch_shape, shown.event_shape, shown.value.shape) == ((4,), (3,), (4, 3))


@pytest.mark.pyro
@pytest.mark.parametrize("scale", [1.0, 1.2])
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
