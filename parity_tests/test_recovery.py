"""Files of samples: a fit takes the hyperparameters they were drawn with, and is held to their truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppl_parity.cli.fitted import read_fit
from ppl_parity.data import load_data
from ppl_parity.draws.posterior import MIXTURE_DIMS, to_datatree
from ppl_parity.spec import MixtureSpec
from ppl_parity.statistics.recovery import Recovery

SPEC = MixtureSpec(3, 2, [1.0, 2.0, 3.0], [1.0, -1.0], [[4.0, 1.0], [1.0, 9.0]], 0.5)
THETA = np.array([0.5, 0.2, 0.3])
BETA = np.array([[4.0, 0.0], [-4.0, 0.0], [0.0, 5.0]])


def written(folder: Path, **changed: Any) -> Path:
    """A file as ``ppl-parity sample`` writes it, with other entries in place of its own."""
    path = folder / "s.npz"
    x = np.random.default_rng(0).normal(size=(20, 2))
    entries = {
        "spec": json.dumps(SPEC.as_dict()),
        "theta": THETA,
        "beta": BETA,
        "z": np.zeros(20, int),
        "x": x,
    }
    np.savez(path, allow_pickle=False, **{**entries, **changed})
    return path


def test_samples_bring_what_they_were_drawn_with(tmp_path: Path) -> None:
    data = load_data(written(tmp_path))
    assert data.spec() == SPEC
    np.testing.assert_array_equal(data.truth["beta"], BETA)
    assert data.spec(noise_scale=2.0) == MixtureSpec(**{**SPEC.as_dict(), "noise_scale": 2.0})


def test_a_part_of_the_columns_has_its_part_of_prior_and_truth(tmp_path: Path) -> None:
    data = load_data(written(tmp_path), columns=["x2"])
    assert data.spec() == MixtureSpec(3, 1, [1.0, 2.0, 3.0], -1.0, 9.0, 0.5)
    np.testing.assert_array_equal(data.truth["beta"], BETA[:, 1:])


def test_of_standardised_samples_only_their_number_of_components_is_known(tmp_path: Path) -> None:
    data = load_data(written(tmp_path), standardize=True)
    assert data.spec_hints == {"num_components": 3}
    assert not data.truth


@pytest.mark.parametrize(
    "changed", [{"spec": "made by hand"}, {"spec": "{}"}, {"theta": THETA[:2]}, {"beta": np.array("text")}]
)
def test_entries_that_are_no_samples_are_no_hints(tmp_path: Path, changed: dict[str, Any]) -> None:
    data = load_data(written(tmp_path, **changed))
    assert not data.spec_hints
    assert not data.truth


def recovered(off: float, *, theta: np.ndarray = THETA, beta: np.ndarray = BETA) -> Recovery | None:
    """What is told of draws about BETA, ``off`` sd beside it at beta[1, 0], under names of their own in each chain."""
    rng = np.random.default_rng(3)
    places = BETA + 0.1 * rng.standard_normal((4, 400, 3, 2))
    places[..., 1, 0] += 0.1 * off
    weights = rng.dirichlet(500 * THETA, size=(4, 400))
    for chain in range(4):
        order = rng.permutation(3)
        places[chain], weights[chain] = places[chain][:, order], weights[chain][:, order]
    groups = {"posterior": {"theta": weights, "beta": places}}
    tree = to_datatree(groups, {"spec": SPEC.as_dict()}, MIXTURE_DIMS)
    fitted = read_fit(tree, truth={"theta": theta, "beta": beta})
    means = {row.name: row.mean for row in fitted.summary}
    assert fitted.recovery is None or all(abs(means[f"theta[{k}]"] - theta[k]) < 0.02 for k in range(3))
    return fitted.recovery


def test_components_are_named_as_the_truth_is_and_all_of_it_is_found() -> None:
    turned = [2, 0, 1]
    for found in (recovered(0.0), recovered(0.0, theta=THETA[turned], beta=BETA[turned])):
        assert found is not None
        assert found.inside == len(found.truth) == 9
        assert "9 of 9 scalars of theta and beta lie in their 90% intervals" in str(found)


def test_what_lies_far_off_is_named_with_its_distance() -> None:
    found = recovered(8.0)
    assert found is not None
    assert found.inside == 8
    assert found.sds["beta[1, 0]"] == pytest.approx(8.0, abs=0.3)
    assert f"the farthest is beta[1, 0], -4, {found.sds['beta[1, 0]']:.1f} sd from its mean." in str(found)


def test_the_truth_of_another_number_of_components_is_not_looked_at() -> None:
    assert recovered(0.0, theta=THETA[:2], beta=BETA[:2]) is None


def test_pictures_name_the_components_as_the_table_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ppl_parity.report import plots

    rng = np.random.default_rng(3)
    groups = {
        "posterior": {
            "theta": rng.dirichlet(500 * THETA, size=(4, 50)),
            "beta": BETA + 0.1 * rng.standard_normal((4, 50, 3, 2)),
        }
    }
    tree = to_datatree(groups, {"spec": SPEC.as_dict()}, MIXTURE_DIMS)
    fitted = read_fit(tree, truth={"theta": THETA, "beta": BETA})
    assert fitted.summary.relabelling is not None
    drawn = {}

    def keep(tree: Any, posterior: Any, *_: Any) -> list[Path]:
        drawn["theta"] = posterior["theta"].mean(("chain", "draw")).values
        return []

    monkeypatch.setattr(plots, "_sampler_plots", keep)
    plots.write_plots(tree, SPEC, tmp_path, pivot=fitted.summary.relabelling.pivot)
    np.testing.assert_allclose(drawn["theta"], THETA, atol=0.02)
    plots.write_plots(tree, SPEC, tmp_path)  # its own order, by the first coordinate, is another
    np.testing.assert_allclose(drawn["theta"], THETA[[1, 2, 0]], atol=0.02)
