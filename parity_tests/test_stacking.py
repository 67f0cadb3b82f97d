"""Is a loop's ``h_0``, ``h_1``, ... compared as the one site of a scan or a plate, by every rung?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyro")
pytest.importorskip("numpyro")

from ppl_parity import check
from ppl_parity.backend.contract import Program, Site
from ppl_parity.checking import check_file, check_pair
from ppl_parity.errors import InputError
from ppl_parity.findings import Report
from ppl_parity.frozen.freezing import freeze
from ppl_parity.frozen.side import FrozenSide
from ppl_parity.pair.loading import load_pair
from ppl_parity.pair.own_values import own_values
from ppl_parity.pair.pairs import Pair
from ppl_parity.pair.stacked_side import StackedProgram, StackedSide
from ppl_parity.pair.stacking import (
    Stack,
    find_stacks,
    members,
    merge,
    merge_sites,
    merge_sums,
    merge_terms,
    presented,
    split,
)
from ppl_parity.process.sides import Side
from ppl_parity.spec import SamplerSettings

pytestmark = pytest.mark.pyro

PAIRS = Path(__file__).parent / "pairs" / "equivalent"
Y = np.array([0.3, -0.2, 0.9, 1.4, 0.1])


def site(name: str, shape: tuple[int, ...] = (), kind: str = "latent", **more) -> Site:
    value = np.zeros(shape)
    return Site(name, kind, "Normal", shape, (), "real", "float64", value=value, **more)  # type: ignore[arg-type]


def sites(**shapes: tuple[int, ...]) -> dict[str, Site]:
    return {name: site(name, shape) for name, shape in shapes.items()}


def pair(**options) -> Pair:
    return Pair("pair", {}, {}, **options)


def found(pyro: Mapping[str, Site], numpyro: Mapping[str, Site], **options) -> dict[str, tuple[Stack, ...]]:
    return find_stacks(pair(**options), {"pyro": pyro, "numpyro": numpyro})[1]


LOOP = sites(a=(), h_0=(2,), h_1=(2,), h_2=(2,))
SCAN = sites(a=(), h=(3, 2))


def test_numbered_sites_are_found_on_either_side() -> None:
    stack = (Stack("h", ("h_0", "h_1", "h_2"), (3,)),)
    assert found(LOOP, SCAN) == {"pyro": stack, "numpyro": ()}
    assert found(SCAN, LOOP) == {"pyro": (), "numpyro": stack}


@pytest.mark.parametrize("names", [("x1", "x2"), ("x[0]", "x[1]"), ("x.5", "x.6"), ("x-0", "x-1")])
def test_ways_to_number(names: tuple[str, str]) -> None:
    assert found({n: site(n) for n in names}, sites(x=(2,)))["pyro"] == (Stack("x", names, (2,)),)


@pytest.mark.parametrize(
    "names", [("x_0_decentered", "x_1_decentered"), ("x[0]_decentered", "x[1]_decentered")]
)
def test_a_number_within_a_name_is_that_of_a_reparameterised_step(names: tuple[str, str]) -> None:
    stack = Stack("x_decentered", names, (2,))
    assert found({n: site(n) for n in names}, sites(x_decentered=(2,)))["pyro"] == (stack,)


def test_numbers_are_numbers_and_not_texts() -> None:
    loop = {f"x_{i}": site(f"x_{i}") for i in [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]}
    assert found(loop, sites(x=(11,)))["pyro"] == (Stack("x", tuple(f"x_{i}" for i in range(11)), (11,)),)


@pytest.mark.parametrize(
    ("loop", "whole"),
    [
        (sites(h_0=(), h_2=()), sites(h=(2,))),  # a gap
        (sites(h_0=()), sites(h=(1,))),  # one site
        (sites(h_0=(2,), h_1=()), sites(h=(2, 2))),  # two shapes
        (sites(h_0=(2,), h_1=(2,)), sites(h=(2, 3))),  # another shape
        (sites(h_0=(), h_1=()), sites(g=(2,))),  # another name
        (sites(h_0=(), h_1=(), h=(2,)), sites(h=(2,))),  # it is there already
        (sites(h_0=(), h_1=()), sites(h=(2,), h_0=())),  # so is a step
        ({"h_0": site("h_0"), "h_1": site("h_1", kind="observed")}, sites(h=(2,))),
    ],
)
def test_what_is_no_stack_is_left(loop: dict[str, Site], whole: dict[str, Site]) -> None:
    assert found(loop, whole) == {"pyro": (), "numpyro": ()}


def test_another_number_of_steps_is_a_stack_whose_shape_differs() -> None:
    assert found(LOOP, sites(h=(4, 2)))["pyro"] == (Stack("h", ("h_0", "h_1", "h_2"), (3,)),)


def test_one_value_for_all_steps_is_a_stack_whose_shape_differs() -> None:
    loop = sites(mu=(), h_0=(), h_1=(), h_2=())
    assert found(loop, sites(mu=(), h=()))["pyro"] == (Stack("h", ("h_0", "h_1", "h_2"), (3,)),)
    for port in (sites(mu=(), h=(), k=()), {"h": site("h", kind="deterministic")}):
        assert found(loop, port)["pyro"] == ()
    assert found(sites(h_0=(), h_1=()), sites(h=()))["pyro"] == ()
    data = {f"y_{i}": site(f"y_{i}", kind="observed") for i in range(3)}
    assert (
        found(data, {"y": site("y", kind="observed")})["pyro"] == ()
    )  # a sufficient statistic of them, perhaps


def test_nested_loops_are_several_axes() -> None:
    loop = {f"b_{i}_{j}": site(f"b_{i}_{j}", (4,)) for j in (1, 2, 3) for i in (0, 1)}
    names = tuple(f"b_{i}_{j}" for i in (0, 1) for j in (1, 2, 3))
    assert found(loop, sites(b=(2, 3, 4)))["pyro"] == (Stack("b", names, (2, 3)),)
    for star in ("b_*", "b_*_*"):
        assert found(loop, sites(c=(2, 3, 4)), rename={star: "c"})["pyro"] == (Stack("c", names, (2, 3)),)
    assert found(loop, sites(b=(3, 2, 4)))["pyro"] == ()  # the axes are the other way round
    assert found(sites(b_0_1=(), b_0_2=()), sites(b_0=(2,)))["pyro"] == (
        Stack("b_0", ("b_0_1", "b_0_2"), (2,)),
    )


def test_a_plate_in_front_of_another_leaves_an_axis_of_one() -> None:
    assert found(sites(a_0=(), a_1=(), a_2=()), sites(a=(3, 1)))["pyro"] == (
        Stack("a", ("a_0", "a_1", "a_2"), (3, 1)),
    )


def test_a_chain_whose_first_step_may_have_another_name_is_left() -> None:
    loop = sites(x_0=(), x_1=(), x_2=())
    assert found(loop, sites(x_init=(), x=(2,)))["pyro"] == ()
    assert found(loop, sites(x=(2,)))["pyro"] == (Stack("x", ("x_0", "x_1", "x_2"), (3,)),)


def test_a_star_takes_no_site_that_both_sides_have() -> None:
    loop, scan = sites(h_scale=(), h_0=(), h_1=()), sites(h_scale=(), state=(2,))
    assert found(loop, scan, rename={"h_*": "state"})["pyro"] == (Stack("state", ("h_0", "h_1"), (2,)),)


def test_a_deterministic_site_that_collects_the_steps_gives_way() -> None:
    loop = {**sites(h_0=(), h_1=()), "h": site("h", (2,), kind="deterministic")}
    stacks = found(loop, sites(h=(2,)))["pyro"]
    assert stacks == (Stack("h", ("h_0", "h_1"), (2,)),)
    assert [(s.name, s.kind) for s in merge_sites(loop.values(), stacks)] == [("h", "latent")]
    values = {"h_0": np.zeros(()), "h_1": np.ones(()), "h": np.full(2, 9.0)}
    np.testing.assert_array_equal(merge(values, stacks)["h"], [0.0, 1.0])
    with pytest.raises(InputError, match="cannot be 'g', which is a site of its own"):
        found(sites(h_0=(), h_1=(), g=()), sites(g=(2,), k=()), rename={"h_*": "g"})


def test_a_point_of_the_user_s_is_frozen_under_the_side_s_own_names() -> None:
    loop, scan = sites(a=(), h_0=(), h_1=()), sites(a=(), state=(2,))
    apart = {"a": np.array(3.0), "h_0": np.array(1.0), "h_1": np.array(2.0)}
    starred = pair(rename={"h_*": "state"})
    assert set(own_values(starred, "pyro", loop, apart)) == {"a", "h_0", "h_1"}
    np.testing.assert_array_equal(own_values(starred, "numpyro", scan, apart)["state"], [1.0, 2.0])
    turned = pair(rename={"state": "h_*"})
    whole = {"a": np.array(3.0), "state": np.array([1.0, 2.0])}
    assert own_values(turned, "numpyro", loop, whole)["h_1"] == 2.0
    assert set(own_values(turned, "pyro", scan, whole)) == {"a", "state"}
    with pytest.raises(InputError, match="got 'b'"):
        own_values(starred, "pyro", loop, {"b": np.array(0.0)})


def test_an_element_has_its_member_s_name() -> None:
    stack = Stack("b", ("b_0_0", "b_0_1", "b_1_0", "b_1_1"), (2, 2))
    assert [stack.member(index) for index in ((0, 1), (1, 0, 5), (1,), (2, 0))] == [
        "b_0_1",
        "b_1_0",
        None,
        None,
    ]


def test_a_star_names_what_the_names_do_not() -> None:
    loop = sites(first=(), h_1=(), h_2=(), h_end=())
    scan = sites(start=(), state=(3,))
    rename = {"h_*": "state", "first": "start"}
    assert found(loop, scan, rename=rename)["pyro"] == (Stack("state", ("h_1", "h_2", "h_end"), (3,)),)
    turned, stacks = find_stacks(
        pair(rename={"start": "first", "state": "h_*"}), {"pyro": scan, "numpyro": loop}
    )
    assert stacks["numpyro"] == (Stack("state", ("h_1", "h_2", "h_end"), (3,)),)
    assert turned.rename == {"start": "first"}


def test_the_first_of_a_chain_may_be_a_site_of_its_own() -> None:
    loop = sites(h_0=(), h_1=(), h_2=())
    for rename in ({"h_0": "start"}, {"h_0": "start", "h_*": "h"}):
        assert found(loop, sites(start=(), h=(2,)), rename=rename)["pyro"] == (
            Stack("h", ("h_1", "h_2"), (2,)),
        )


def test_two_stars_rename_one_by_one() -> None:
    both = {"pyro": sites(h_0=(), h_1=()), "numpyro": sites(g_0=(), g_1=())}
    renamed, stacks = find_stacks(pair(rename={"h_*": "g_*"}), both)
    assert renamed.rename == {"h_0": "g_0", "h_1": "g_1"}
    assert stacks == {"pyro": (), "numpyro": ()}


def test_a_star_that_fits_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"of pyro's model.*'k_\*' fits none"):
        find_stacks(pair(rename={"k_*": "h"}), {"pyro": LOOP, "numpyro": SCAN})


STACKS = (Stack("h", ("h_0", "h_1"), (2,)),)


def test_values_are_split_and_merged_along_any_axis() -> None:
    values = {"a": np.arange(3.0), "h": np.arange(12.0).reshape(3, 2, 2)}
    apart = split(values, STACKS, axis=1)
    assert list(apart) == ["a", "h_0", "h_1"]
    np.testing.assert_array_equal(apart["h_1"], values["h"][:, 1])
    again = merge(apart, STACKS, axis=1)
    assert list(again) == ["a", "h"]
    np.testing.assert_array_equal(again["h"], values["h"])
    assert list(merge({"h_0": np.ones(2), "a": np.ones(1)}, STACKS)) == ["h_0", "a"]  # not all are there


def test_terms_are_summed_where_steps_have_other_shapes() -> None:
    terms = {"h_0": np.array(1.0), "h_1": np.array([1.0, 2.0])}
    np.testing.assert_array_equal(merge_terms(terms, STACKS)["h"], [1.0, 3.0])
    np.testing.assert_array_equal(merge_sums({"h_0": np.array(1.0), "h_1": np.array(2.0)}, STACKS)["h"], 3.0)


def test_what_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(
        InputError, match=r"h_0 and h_1 must have one shape to be 'h'; they have \(2,\), \(3,\)"
    ):
        merge({"h_0": np.ones(2), "h_1": np.ones(3)}, STACKS)
    with pytest.raises(InputError, match=r"'h' must have steps of shape \(2,\); its shape is \(3,\)"):
        split({"h": np.ones(3)}, STACKS)


def test_one_description_for_all_steps() -> None:
    steps = [site("h_0", (2,), params={"loc": np.zeros(())}), site("a"), site("h_1", (2,), scale=3.0)]
    steps[2] = Site(**{**steps[2].__dict__, "params": {"loc": np.ones(2), "scale": np.ones(2)}})
    first, second = merge_sites(steps, STACKS)
    assert (first.name, second.name) == ("h", "a")
    assert (first.batch_shape, first.scale, np.shape(first.value)) == ((2, 2), 3.0, (2, 2))
    np.testing.assert_array_equal(first.params["loc"], [[0.0, 0.0], [1.0, 1.0]])
    assert "scale" not in first.params  # the first step has none


def test_a_stacked_program_has_the_contract_s_methods() -> None:
    for name, method in inspect.getmembers(Program, inspect.isfunction):
        if not name.startswith("_"):
            own = inspect.signature(getattr(StackedProgram, name))
            assert list(own.parameters) == list(inspect.signature(method).parameters), name


def test_names_of_steps_and_of_what_they_are_presented_as() -> None:
    assert members(["a", "h"], STACKS) == ["a", "h_0", "h_1"]
    assert [presented(name, STACKS) for name in ("a", "h_1")] == ["a", "h"]


@pytest.mark.long
def test_what_cannot_be_drawn_of_a_loop_is_left_to_the_density(sides: dict[str, Side]) -> None:
    report = check(tries("pyro"), tries("numpyro", loop=True), TRIES, rungs=RUNGS, sides=sides)
    assert report.verdict == "same", report.first_difference
    assert any("the sampler of 'y_0'" in f.detail and f.site == "y" for f in report.rungs[-1].findings)


TRIES = {
    "trials": np.array([9.0, 7.0]),
    "y": np.array([4.0, 6.0]),
}  # counts as floats: NumPyro cannot draw them
RUNGS = ["structure", "density", "forward"]


def tries(ppl: str, *, loop: bool = False) -> Callable:
    def model(trials, y):
        import importlib

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        chance = framework.sample("chance", dist.Beta(2.0, 2.0))
        if loop:
            for i in range(len(y)):
                framework.sample(f"y_{i}", dist.Binomial(trials[i], probs=chance), obs=y[i])
        else:
            with framework.plate("rows", len(y)):
                framework.sample("y", dist.Binomial(trials, probs=chance), obs=y)

    return model


def chain(ppl: str, *, scanned: bool = False, factor: float = 0.9, length: int | None = None) -> Callable:
    """A hidden chain of positive numbers in a loop, or in a scan of NumPyro's."""

    def model(y):
        import importlib

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        state = framework.sample("start", dist.LogNormal(0.0, 1.0))
        if not scanned:
            for t in range(len(y)):
                state = framework.sample(f"state_{t}", dist.Gamma(2.0, 2.0 / (0.9 * state)))
                framework.sample(f"y_{t}", dist.Normal(state, 0.5), obs=y[t])
            return
        from numpyro.contrib.control_flow import scan

        def step(before, seen):
            now = framework.sample("state", dist.Gamma(2.0, 2.0 / (factor * before)))
            framework.sample("y", dist.Normal(now, 0.5), obs=seen)
            return now, None

        scan(step, state, y[:length])

    return model


def loop_of(ppl: str, *, once: bool = False) -> Callable:
    """A state for each row, or one for all of them."""

    def model(y):
        import importlib

        framework, dist = importlib.import_module(ppl), importlib.import_module(f"{ppl}.distributions")
        x = framework.sample("x", dist.Normal(0.0, 1.0)) if once else None
        for t in range(len(y)):
            x = x if once else framework.sample(f"x_{t}", dist.Normal(0.0, 1.0))
            framework.sample(f"y_{t}", dist.Normal(x, 0.5), obs=y[t])

    return model


def differs(report: Report) -> tuple[str, str]:
    assert report.first_difference is not None
    return report.first_difference["rung"], report.first_difference["site"]


def test_a_loop_and_a_scan_are_the_same(sides: dict[str, Side]) -> None:
    models = chain("pyro"), chain("numpyro", scanned=True)
    rungs = ["structure", "density", "gradient", "transform", "dynamics", "forward"]
    report = check(*models, {"y": Y}, rungs=rungs, sides=sides)
    assert report.verdict == "same", report.first_difference
    said = [f.detail for f in report.rungs[0].findings if f.quantity == "stack"]
    assert said[0] == "state_0 to state_4 of pyro (5) are compared as the steps of 'state' in numpyro."
    assert len(said) == 2


def test_a_scan_that_differs_is_found_at_its_step(sides: dict[str, Side]) -> None:
    wrong = chain("numpyro", scanned=True, factor=0.8)
    report = check(chain("pyro"), wrong, {"y": Y}, rungs=["structure", "density"], sides=sides)
    assert differs(report) == ("density", "state")
    assert report.first_difference is not None
    assert len(report.first_difference["index"]) == 1
    assert "its rate is" in report.first_difference["hint"]
    step = report.first_difference["index"][0]
    assert f"The step shown is 'state_{step}' in pyro." in report.first_difference["detail"]
    short = chain("numpyro", scanned=True, length=4)
    report = check(chain("pyro"), short, {"y": Y}, rungs=["structure", "density"], sides=sides)
    assert differs(report) == ("structure", "state")
    assert report.first_difference is not None
    assert "(5,) in pyro and (4,) in numpyro" in report.first_difference["detail"]
    assert "the loop in pyro has 5 steps and numpyro's site 4" in report.first_difference["hint"]
    report = check(loop_of("pyro"), loop_of("numpyro", once=True), {"y": Y}, level="quick", sides=sides)
    assert differs(report) == ("structure", "x")
    assert report.first_difference is not None
    assert (
        "numpyro has one value where the loop in pyro has one for each of 5"
        in report.first_difference["hint"]
    )


def test_a_loop_in_numpyro_is_drawn_from_as_one_site(sides: dict[str, Side]) -> None:
    from ppl_parity.process.references import CallableReference

    stacks = (Stack("state", tuple(f"state_{t}" for t in range(len(Y))), (len(Y),)),)
    side = StackedSide(sides["numpyro"], stacks)
    settings = SamplerSettings(num_draws=10, num_warmup=10, num_chains=2, seed=1, init="uniform")
    model = CallableReference.of(chain("numpyro"))
    starts = {"start": np.ones(2), "state": np.full((2, len(Y)), 0.5)}
    groups, _ = side.sample_posterior(model, {"y": Y}, settings, initial_values=starts)
    assert groups["posterior"]["state"].shape == (2, 10, len(Y))
    assert np.all(groups["posterior"]["state"] > 0)


@pytest.mark.long
def test_an_enumerated_scan_is_a_summed_loop(sides: dict[str, Side]) -> None:
    path = str(PAIRS / "enumerated_scan.py")
    report = check_file(path, rungs=["structure", "density", "enumeration"], sides=sides)
    assert report.verdict == "same", report.first_difference
    (marginal,) = [f for f in report.rungs[-1].findings if f.quantity == "marginal"]
    assert "agree" in marginal.detail
    assert marginal.size is not None
    assert marginal.size < 1e-10


@pytest.mark.long
def test_a_frozen_side_is_stacked_too(sides: dict[str, Side]) -> None:
    loaded = load_pair(str(PAIRS / "scan_or_loop.py"), sides)
    file = freeze(loaded, "pyro", sides["pyro"], settings=None)
    both = {"pyro": FrozenSide(file), "numpyro": sides["numpyro"]}
    report = check_pair(loaded, sides=both, level="quick")  # type: ignore[arg-type]
    assert report.verdict == "same", report.first_difference
    assert "20 leapfrog steps" in " ".join(f.detail for rung in report.rungs for f in rung.findings)
