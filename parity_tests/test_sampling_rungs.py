"""What the sampling rungs decide of two fake backends: right ones pass, and each fault is called what it is."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from parity_tests.fakes import FakeProgram, FakeSide, Faults, context
from ppl_parity.errors import InputError
from ppl_parity.findings import Finding, Report, RungResult, worst
from ppl_parity.ladder.context import CheckSettings, Context
from ppl_parity.ladder.rungs import assignments, calibration, forward, posterior
from ppl_parity.ladder.samples import derived, exchangeable
from ppl_parity.ladder.samples.convergence import converged, finding
from ppl_parity.ladder.samples.exchangeable import Components
from ppl_parity.ladder.samples.refit import replaceable, with_data
from ppl_parity.ladder.samples.sampling import Chains, patience
from ppl_parity.pair.pairs import SIDES
from ppl_parity.pair.points import Point
from ppl_parity.report.wording import three_lines
from ppl_parity.statistics.selection import without_shared_limits


def climbed(findings: Iterable[Finding]) -> tuple[str, list[Finding], Finding | None]:
    """The verdict, all findings, and the first difference."""
    found = list(findings)
    first = next((finding for finding in found if finding.verdict == "different"), None)
    return worst(finding.verdict for finding in found), found, first


# forward


def test_forward_says_same_with_its_resolution() -> None:
    verdict, found, _ = climbed(forward.run(context()))
    assert verdict == "same"
    mean = next(f for f in found if f.site == "mu" and "mean" in f.quantity)
    assert mean.resolution is not None
    assert 0.1 < mean.resolution < 0.2
    assert "would have been found with a probability of 80 %" in mean.detail


def test_forward_names_the_library_whose_sampler_does_not_match_its_log_prob() -> None:
    _, _, first = climbed(forward.run(context(numpyro=Faults(sampler_scale=1.3))))
    assert first is not None
    assert first.site == "mu"
    assert first.hint is not None
    assert "the densities agree" in first.hint
    assert "it is numpyro's own" in first.hint
    _, _, first = climbed(forward.run(context(pyro=Faults(sampler_shift=0.4))))
    assert first is not None
    assert "it is pyro's own" in str(first.hint)


def test_forward_blames_no_library_for_another_model() -> None:
    other = context(numpyro=Faults(prior_mean=0.5))
    other.results["verdicts"]["density"] = "different"
    _, _, first = climbed(forward.run(other))
    assert first is not None
    assert first.site == "mu"
    assert first.hint is None
    # Each side's draws follow its own log prob, and the message would say so.
    other.results["verdicts"]["density"] = "same"
    _, _, first = climbed(forward.run(other))
    assert first is not None
    assert "neither side's draws" in str(first.hint)


def test_forward_says_what_it_cannot_compare() -> None:
    verdict, found, _ = climbed(forward.run(context(Faults(nan=0.05), Faults(nan=0.05))))
    assert verdict == "unresolved"
    assert any("'w' are not finite" in f.detail for f in found)
    report = Report("fake", "unresolved", (RungResult("forward", "unresolved", 0.1, tuple(found)),), {}, {})
    assert "more time gives no finite ones" in three_lines(report)
    assert "--budget" not in three_lines(report)
    verdict, _, first = climbed(forward.run(context(numpyro=Faults(nan=0.05))))
    assert verdict == "different"
    assert first is not None
    assert "not finite" in first.detail


@pytest.mark.parametrize("other", [Faults(improper=True), Faults()], ids=["both", "one"])
def test_forward_draws_data_at_shared_points_where_a_prior_is_improper(other: Faults) -> None:
    verdict, found, _ = climbed(forward.run(context(Faults(improper=True), other)))
    assert verdict == "same"
    assert "improper prior" in found[0].detail
    assert found[0].notable
    assert {f.site for f in found} == {None, "y"}


@pytest.mark.parametrize(
    ("pyro", "compared"),
    [(Faults(undrawable=True), {None, "mu", "w", "z"}), (Faults(undrawable=True, improper=True), {None})],
)
def test_forward_leaves_a_site_that_cannot_be_drawn_to_the_density(pyro: Faults, compared: set) -> None:
    verdict, found, _ = climbed(forward.run(context(pyro)))
    assert verdict == "same"
    left = next(f for f in found if f.quantity == "draws")
    assert left.notable
    assert "'y' cannot be drawn in pyro, so it keeps its data" in left.detail
    assert "no integers" in left.detail
    assert {f.site for f in found if f is not left} == compared
    verdict, _, first = climbed(forward.run(context(pyro, Faults(sampler_shift=0.4))))
    assert (verdict, first and first.site) == (("different", "mu") if "mu" in compared else ("same", None))


@pytest.mark.parametrize("pyro", [Faults(undrawable=True), Faults(improper=True)])
def test_forward_leaves_nothing_to_a_density_that_was_not_compared(pyro: Faults) -> None:
    climb = context(pyro)
    climb.results["verdicts"] = {}
    assert climbed(forward.run(climb))[0] == "unresolved"


# posterior


def test_posterior_says_same_with_its_resolution() -> None:
    climb = context()
    verdict, found, _ = climbed(posterior.run(climb))
    assert verdict == "same"
    assert any("the log density" in f.detail for f in found)
    assert climb.results["posterior draws"]["numpyro"]["mu"].shape[0] == 4


def test_posterior_names_the_site_and_the_size() -> None:
    verdict, found, first = climbed(posterior.run(context(numpyro=Faults(posterior_shift=0.4))))
    assert verdict == "different"
    assert first is not None
    assert first.site == "mu"
    assert first.size is not None
    assert 0.25 < first.size < 0.55
    assert not any(f.site == "w" and f.verdict == "different" for f in found)


def test_draws_that_are_not_finite_are_no_slow_chains() -> None:
    draws = np.random.default_rng(0).normal(size=(4, 800, 2))
    draws[0, :3, 1] = np.nan
    names = [("mu", ()), ("r", ())]
    told = finding("pyro", converged(draws), names, "4 chains of 800 draws")
    assert (told.verdict, told.site) == ("unresolved", "r")
    assert told.detail == "pyro: some of 4 chains of 800 draws are not finite at 'r'."
    assert told.hint is not None
    assert "more time gives no finite ones" in told.hint
    draws[..., 0] += 9 * np.arange(4)[:, None]
    assert (
        "1 of the finite scalars have not converged"
        in finding("pyro", converged(draws), names, "they").detail
    )


def test_chains_that_never_moved_have_not_converged() -> None:
    """Each of their scalars is constant, as what a model computes of nothing may be."""
    draws, lp = np.ones((1, 3, 2)), np.full((1, 3), -7.0)
    assert np.all(converged(draws).usable)
    assert not np.any(converged(draws, lp).usable)
    said = finding("pyro", converged(draws, lp), [("mu", ()), ("r", ())], "1 chain of 3 draws")
    assert said.verdict == "unresolved"
    assert "no proposal was accepted: the chains never moved" in said.detail
    assert np.all(converged(draws, lp + np.arange(3)).usable)  # something else moved
    few = finding(
        "pyro", converged(np.random.default_rng(0).normal(size=(1, 3, 2))), [("mu", ()), ("r", ())], "few"
    )
    assert "have not converged at" in few.detail  # they moved, and are too few for an R-hat


def test_an_open_posterior_says_which_draws_are_not_finite() -> None:
    class Broken(FakeSide):
        def sample_posterior(self, *args, **options):
            groups, more = super().sample_posterior(*args, **options)
            groups["posterior"]["w"][0, :3] = np.inf
            return groups, more

    climb = context(budget=1.0)
    climb.sides["pyro"] = Broken("pyro", Faults())  # type: ignore[assignment]
    verdict, found, _ = climbed(posterior.run(climb))
    assert verdict == "unresolved"
    mean = next(f for f in found if f.quantity == "posterior mean" and f.site == "w")
    assert mean.detail == "The posterior mean of 'w' cannot be judged: some draws of 'w' are not finite."
    assert mean.hint is not None
    assert "more time gives no finite ones" in mean.hint


def test_posterior_sees_a_correlation_that_no_scalar_shows() -> None:
    verdict, found, first = climbed(posterior.run(context(numpyro=Faults(correlation=0.5))))
    assert verdict == "different"
    assert first is not None
    assert all(f.site is None for f in found if f.verdict == "different")


def test_posterior_without_time_is_unresolved_and_with_time_draws_until_it_knows() -> None:
    slow = Faults(rho=0.8)
    verdict, found, _ = climbed(posterior.run(context(slow, slow, budget=1e-6)))
    assert verdict == "unresolved"
    assert any(f.quantity == "convergence" for f in found)
    climb = context(slow, slow, budget=300.0)
    verdict, _, _ = climbed(posterior.run(climb))
    assert verdict == "same"
    assert climb.sides["pyro"].runs > 1  # type: ignore[attr-defined]


def test_chains_in_different_places_are_never_same_and_never_different() -> None:
    for shift in (0.0, 3.0):
        faults = Faults(stuck=2.0), Faults(stuck=2.0, posterior_shift=shift)
        verdict, found, first = climbed(posterior.run(context(*faults, budget=1e-6)))
        assert verdict == "unresolved"
        assert first is None
        assert found[0].site == "mu"
        assert "R-hat" in found[0].detail
        assert not any(f.verdict == "same" and f.site in ("mu", "w") for f in found)


def test_where_a_form_diverges_whose_density_is_the_same_no_other_form_is_asked_for() -> None:
    climb = context(Faults(posterior_shift=0.4, diverging=0.02), budget=1e-6)
    climb.results["change of variables"] = SimpleNamespace(told=lambda: "numpyro computes 'mu' of 'z'"), None
    hints = {f.hint for f in posterior.run(climb) if f.verdict == "unresolved"}
    assert any(
        "numpyro computes 'mu' of 'z', and the densities are the same" in hint for hint in hints if hint
    )
    climb.results["verdicts"]["density"] = "unresolved"
    hints = {f.hint for f in posterior.run(climb) if f.verdict == "unresolved"}
    assert any("re-parameterise" in hint for hint in hints if hint)


def test_divergences_excuse_a_small_difference_and_no_large_one() -> None:
    faults = Faults(posterior_shift=0.4, diverging=0.02)
    verdict, found, _ = climbed(posterior.run(context(numpyro=faults, budget=1e-6)))
    assert verdict == "unresolved"
    assert any("numpyro's draws diverged" in f.detail for f in found)
    assert found[-1].quantity == "divergences"
    assert "one side only" in found[-1].detail
    verdict, _, _ = climbed(posterior.run(context(numpyro=replace(faults, posterior_shift=1.5), budget=1e-6)))
    assert verdict == "different"


def test_a_posterior_without_an_end_is_not_sampled() -> None:
    climb = context(numpyro=Faults(flat=True))
    verdict, found, _ = climbed(posterior.run(climb))
    assert verdict == "unresolved"
    assert "does not depend on 1 of the numbers of 'w'" in found[0].detail
    assert all(side.runs == 0 for side in climb.sides.values())  # type: ignore[attr-defined]


def test_a_sampler_is_ended_soon_after_the_budget() -> None:
    climb = context(budget=20.0)
    climbed(posterior.run(climb))
    assert 0 < max(max(side.timeouts) for side in climb.sides.values()) < 20.0 + 61.0  # type: ignore[attr-defined]


class Slow(FakeProgram):
    """Each log density takes a hundredth of a second."""

    def log_density(self, values) -> float:
        time.sleep(0.01)
        return super().log_density(values)


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(16.0, 60, 200), (-3.0, 20, 20), (9000.0, 1600, 1600)]
)
def test_densities_of_draws_take_a_part_of_the_time_that_is_left(
    seconds: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived, "LEAST_DRAWS", 20)
    monkeypatch.setattr(derived, "LEAST_SECONDS", 0.1)
    climb = context()
    climb.programs = {side: Slow(Faults(), {"y": np.zeros(1)}) for side in SIDES}  # type: ignore[misc]
    draws = {"mu": np.zeros((4, 1000)), "w": np.ones((4, 1000))}
    found = derived.affordable(climb, Chains(draws=dict.fromkeys(SIDES, draws)), seconds)
    assert least <= found <= most


def test_a_side_that_cannot_sample_is_unresolved_with_its_reason() -> None:
    verdict, found, _ = climbed(posterior.run(context(numpyro=Faults(refuses=True))))
    assert verdict == "unresolved"
    assert "numpyro: NUTS cannot sample" in found[0].detail


# exchangeable components


class Symmetric(FakeProgram):
    """beta (2, D) and theta (2,): the density knows no order of the components, unless ``favourite``."""

    favourite = 0.0

    def log_density(self, values) -> float:
        theta, beta = values["theta"], values["beta"]
        likelihood = np.logaddexp(*(np.log(theta) - 0.5 * np.sum((beta - 1.0) ** 2, axis=-1)))
        return float(-np.sum(beta**2) + likelihood + self.favourite * beta[0, 0])


def symmetric(favourite: float) -> Context:
    climb = context()
    site = climb.sites["pyro"]["mu"]
    theta = replace(site, name="theta", support="simplex", value=np.array([0.3, 0.7]))
    beta = replace(site, name="beta", value=np.zeros((2, 3)))
    climb.sites = {side: {"theta": theta, "beta": beta} for side in SIDES}
    climb.shared = ("theta", "beta")
    rng = np.random.default_rng(0)
    climb.points = [
        Point(f"prior {i}", {"theta": rng.dirichlet([1.0, 1.0]), "beta": rng.normal(size=(2, 3))})
        for i in range(5)
    ]
    program = Symmetric(Faults(), {"y": np.zeros(1)})
    program.favourite = favourite
    climb.programs = {side: program for side in SIDES}  # type: ignore[misc]
    return climb


def test_interchangeable_components_are_found_and_others_are_not() -> None:
    found = exchangeable.find(symmetric(0.0))
    assert found is not None
    assert found.axes == {"theta": (0,), "beta": (0,)}
    assert not found.declared
    assert exchangeable.find(symmetric(1e-3)) is None
    declared = symmetric(1e-3)
    declared.pair = replace(declared.pair, exchangeable=("beta",))
    found = exchangeable.find(declared)
    assert found is not None
    assert found.declared


def test_relabelling_and_invariants_undo_label_switching() -> None:
    rng = np.random.default_rng(1)
    draws = {}
    for side, flips in zip(SIDES, ((0, 0, 1, 1), (1, 0, 1, 1)), strict=True):
        theta = rng.dirichlet([60.0, 40.0], size=(4, 100))
        beta = np.array([[-3.0, 0.0], [3.0, 1.0]]) + 0.3 * rng.normal(size=(4, 100, 2, 2))
        for chain, flip in enumerate(flips):
            if flip:
                theta[chain], beta[chain] = theta[chain, :, ::-1], beta[chain, :, ::-1]
        draws[side] = {"theta": theta, "beta": beta}
    components = Components({"theta": (0,), "beta": (0,)}, 2, True)
    named = exchangeable.renamed(components, draws, None)
    for side in SIDES:
        np.testing.assert_allclose(named[side]["beta"].mean(axis=(0, 1))[:, 0], [-3.0, 3.0], atol=0.2)
        assert np.ptp(named[side]["theta"].mean(axis=1), axis=0).max() < 0.1
        raw, again = (exchangeable.invariants(components, d[side]) for d in (draws, named))
        assert set(raw) == {
            "sum of beta",
            "sum of squares of beta",
            "sum of squares of theta",
            "sum of theta times beta",
        }
        for name in raw:
            np.testing.assert_allclose(raw[name], again[name], err_msg=name)


def test_one_infinity_of_both_sides_is_the_same() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 4))
    a[:, 1] = b[:, 1] = -np.inf
    a[:, 2], b[:, 2] = np.inf, -np.inf
    a[0, 3] = b[0, 3] = np.nan  # of one draw only, which is no constant
    left, right = without_shared_limits(a, b)
    assert np.all(left[:, 1] == 0)
    assert np.all(right[:, 1] == 0)
    for i in (0, 2, 3):
        np.testing.assert_array_equal(left[:, i], a[:, i])
        np.testing.assert_array_equal(right[:, i], b[:, i])
    both = without_shared_limits(np.full((2, 3, 1), np.nan), np.full((4, 3, 1), np.nan))
    assert all(np.all(x == 0) for x in both)


# assignments


def test_assignments_compare_exact_probabilities() -> None:
    assert climbed(assignments.run(context()))[0] == "same"
    verdict, _, first = climbed(assignments.run(context(numpyro=Faults(marginal=1e-6))))
    assert verdict == "different"
    assert first is not None
    assert first.site == "z"
    assert first.point
    none = context()
    for side in SIDES:
        none.sites[side] = {n: s for n, s in none.sites[side].items() if n != "z"}
    verdict, found, _ = climbed(assignments.run(none))
    assert verdict == "same"
    assert "no discrete sites" in found[0].detail


# calibration


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer simulations, of fewer draws: the fakes are exact."""
    monkeypatch.setattr(calibration, "LOOKS", (10, 25))
    monkeypatch.setattr(calibration, "NUM_DRAWS", 60)
    monkeypatch.setattr(calibration, "MARGIN", 0.9)


def test_calibration_is_given_more_time_unless_told_otherwise() -> None:
    usual = CheckSettings()
    assert usual.seconds(["posterior", "calibration"]) > usual.seconds(["posterior"])
    assert CheckSettings(budget=5).seconds(["calibration"]) == 5


@pytest.mark.usefixtures("quick")
def test_calibration_passes_what_is_right_and_sees_a_missing_likelihood() -> None:
    assert climbed(calibration.run(context()))[0] == "same"
    lost = Faults(ignore_data=True)
    verdict, found, _ = climbed(calibration.run(context(lost, lost)))
    # Both sides make the same mistake, and no parameter's rank sees it.
    assert verdict == "different"
    assert all("log likelihood" in f.detail for f in found if f.verdict == "different")


@pytest.mark.usefixtures("quick")
def test_crosswise_calibration_sees_that_two_calibrated_models_differ() -> None:
    _, found, first = climbed(calibration.run(context(numpyro=Faults(prior_mean=4.0))))
    assert first is not None
    assert "simulated in pyro, fitted in numpyro" in first.detail
    assert not any(
        "fitted in pyro" in f.detail and "and fitted" in f.detail and f.verdict == "different" for f in found
    )


@pytest.mark.usefixtures("quick")
def test_calibration_without_time_or_with_a_factor_is_unresolved() -> None:
    assert climbed(calibration.run(context(budget=1e-6)))[0] == "unresolved"
    climb = context()
    climb.sites["pyro"]["extra"] = replace(climb.sites["pyro"]["mu"], name="extra", kind="factor")
    verdict, found, _ = climbed(calibration.run(climb))
    assert verdict == "unresolved"
    assert "'extra' is a factor" in found[0].detail


def test_a_chain_that_hardly_moved_has_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    assert calibration._thinned(rng.normal(size=(250, 2))) is not None
    assert calibration._thinned(np.cumsum(rng.normal(size=(250, 2)), axis=0)) is None
    assert calibration._thinned(np.zeros((250, 2))) is None
    monkeypatch.setattr(calibration, "LEAST_ESS", 1000.0)
    verdict, found, _ = climbed(calibration.run(context()))
    assert verdict == "unresolved"
    assert "or fewer than 1000 effective draws" in found[0].detail


def test_simulated_data_go_where_the_data_stand() -> None:
    climb = context()
    assert replaceable(climb, "pyro") == {"y": "y"}
    data = with_data(climb, "pyro", {"y": np.arange(4)})
    assert data["y"].dtype == np.float64
    assert data["y"].tolist() == [0, 1, 2, 3]
    # Whole numbers may be the data of a continuous site; what is simulated is not rounded to them.
    whole = {"y": climb.pair.data["pyro"]["y"].round().astype(int)}
    climb.pair = replace(climb.pair, data=dict.fromkeys(SIDES, whole))
    for side in SIDES:
        site = replace(climb.sites[side]["y"], value=whole["y"])
        climb.sites[side] = {**climb.sites[side], "y": site}
    drawn = whole["y"] + 0.25
    assert with_data(climb, "pyro", {"y": drawn})["y"].tolist() == drawn.tolist()
    counts = replace(climb.sites["pyro"]["y"], support="nonnegative_integer")
    climb.sites["pyro"] = {**climb.sites["pyro"], "y": counts}
    assert with_data(climb, "pyro", {"y": drawn.round()})["y"].dtype == whole["y"].dtype
    climb.pair = replace(climb.pair, data={side: {"y": np.zeros(4), "other": 3} for side in SIDES})
    with pytest.raises(InputError, match="no argument is exactly its values"):
        replaceable(climb, "pyro")


@pytest.mark.parametrize(("budget", "grace"), [(5.0, 20.0), (30.0, 30.0), (600.0, 60.0)])
def test_a_sampler_is_waited_for_as_long_again_as_its_budget(budget: float, grace: float) -> None:
    assert patience(context(budget=budget)) == pytest.approx(budget + grace, abs=1.0)
