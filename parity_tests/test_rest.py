"""The scalars that are not compared one by one: what stands out among them is found, and chance is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity_tests.written import libraries
from ppl_parity import check
from ppl_parity.ladder.context import CheckSettings
from ppl_parity.ladder.samples.judging import judge
from ppl_parity.ladder.samples.rest import rest_block
from ppl_parity.statistics.screening import most_apart
from ppl_parity.statistics.selection import select


def judged(seed: int, *, moved: float = 0.0, spread: float = 1.0) -> list[tuple[str, tuple[int, ...]]]:
    """What is told of 1,000 scalars in two sets of four autocorrelated chains, one of which differs at [637]."""
    rng = np.random.default_rng(seed)
    draws = {}
    for side, length in (("pyro", 400), ("numpyro", 1200)):
        noise = rng.standard_normal((4, length, 1000))
        for i in range(1, length):
            noise[:, i] = 0.5 * noise[:, i - 1] + np.sqrt(0.75) * noise[:, i]
        draws[side] = {"v": noise}
    draws["numpyro"]["v"][..., 637] = draws["numpyro"]["v"][..., 637] * spread + moved
    selection = select({"v": (1000,)}, 40)
    block = rest_block("posterior", "v", draws, selection, lambda a, b: np.ones(a.shape[-1], dtype=bool))
    assert block is not None
    assert (block.among, len(block.names)) == (960, 3)
    assert not {index for _, (index,) in block.names} & set(selection.flat["v"])
    return [(one.functional, one.index) for one in judge([block], alpha=0.005, margin=0.15, look=1).judged]


@pytest.mark.parametrize(
    ("change", "functional"),
    [({"moved": 0.5}, "mean"), ({"spread": 1.6}, "spread"), ({"moved": -3.0}, "mean")],
)
def test_one_of_a_thousand_that_differs_is_found(change: dict[str, float], functional: str) -> None:
    assert (functional, (637,)) in judged(0, **change)


@pytest.mark.long
def test_the_furthest_apart_of_many_that_are_the_same_is_chance() -> None:
    assert sum(bool(judged(seed)) for seed in range(20)) == 0


def test_the_most_apart_are_found_in_pieces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 4, 100, 50))
    b[..., [7, 31]] += 1.0
    whole = most_apart(a, b, 2)
    monkeypatch.setattr("ppl_parity.statistics.screening.MOST_NUMBERS", 4000)
    assert list(most_apart(a, b, 2)) == list(whole) == [7, 31]
    assert list(most_apart(np.zeros((4, 9, 3)), np.zeros((4, 9, 3)), 2)) == [0, 1]  # nothing moves


def test_a_site_of_which_all_are_compared_has_no_rest() -> None:
    draws = {side: {"v": np.zeros((4, 9, 3))} for side in ("pyro", "numpyro")}
    selection = select({"v": (3,)}, 40)
    assert rest_block("prior", "v", draws, selection, lambda a, b: np.ones(a.shape[-1], dtype=bool)) is None


GROUPS = 200


def groups(
    ppl: str, *, centred: bool, swapped: bool = False, weight: float = 1.0, visible: bool = True
) -> Callable:
    """One row a group, and one mean of all; a port may swap two groups' codes, or weigh a group's row otherwise."""

    def model(y):
        library, dist = libraries(ppl)
        code = np.arange(GROUPS)
        if swapped:
            code[[100, 103]] = code[[103, 100]]
        weights: Any = np.ones(GROUPS)
        weights[77] = weight
        if ppl == "pyro":
            import torch

            weights = torch.as_tensor(weights)
        scale = library.poutine.scale if ppl == "pyro" else library.handlers.scale
        mu = library.sample("mu", dist.Normal(0.0, 1.0))
        with library.plate("J", GROUPS):
            if centred:
                theta = library.sample("theta", dist.Normal(mu, 1.0))
            else:
                raw = library.sample("raw", dist.Normal(0.0, 1.0))
                theta = library.deterministic("theta", mu + raw) if visible else mu + raw
            with scale(scale=weights):
                library.sample("y", dist.Normal(theta[code], 0.7), obs=y)

    return model


# A recorded site would be compared exactly before a draw is made (``ladder/changes``).
DRAWS = ["structure", "forward", "posterior"]


def measurements() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    effects = 0.5 + rng.normal(size=GROUPS)
    effects[[100, 103]] = 2.5, -1.5
    return {"y": effects + 0.7 * rng.normal(size=GROUPS)}


@pytest.mark.pyro
@pytest.mark.slow
@pytest.mark.parametrize(
    ("port", "site"),
    [
        ({"swapped": True}, "theta"),
        ({"weight": 0.2}, "theta"),
        ({"weight": 0.2, "visible": False}, "y"),
    ],
)
def test_one_group_of_many_is_seen_where_the_latent_sites_differ(port: dict[str, Any], site: str) -> None:
    models = groups("pyro", centred=True), groups("numpyro", centred=False, **port)
    report = check(*models, measurements, rungs=DRAWS, settings=CheckSettings(budget=90.0))
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert report.first_difference["site"] == site


@pytest.mark.pyro
@pytest.mark.slow
def test_no_group_of_many_is_called_different_where_all_are_the_same() -> None:
    """Whether 200 chains' worth of R-hat comes below its limit in the time there is, is another question."""
    models = groups("pyro", centred=True), groups("numpyro", centred=False)
    settings = CheckSettings(budget=60.0)
    assert check(*models, measurements, rungs=DRAWS, settings=settings).first_difference is None
