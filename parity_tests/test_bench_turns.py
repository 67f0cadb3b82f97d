"""A peer and the fit measured in turn: the ratio that is made of it, and that it is the one shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import cases, turns
from benchmarks.sampler import SEEDS, Pair
from benchmarks.targets import target_rows
from benchmarks.turns import in_turn, ratio
from ppl_parity.errors import InputError

SAME = {"identity": [{"same": True}]}


def rates_of(seconds: list[float], ess: float) -> dict[str, Any]:
    return {
        "seconds_per_leapfrog": float(np.median(seconds)),
        "seconds_per_leapfrog_of_seeds": seconds,
        "ess_per_leapfrog": ess,
    }


def test_a_slow_minute_for_both_changes_no_ratio() -> None:
    fit, peer = rates_of([1.0, 1.0, 1.0, 1.0], 0.3) | SAME, rates_of([5.0, 5.0, 5.0, 5.0], 0.2)
    assert ratio(fit, peer) == pytest.approx(7.5)
    slow = np.array([1.0, 3.0, 3.0, 3.0])
    fit = rates_of(list(slow), 0.3) | SAME
    assert ratio(fit, rates_of(list(5 * slow), 0.2)) == pytest.approx(7.5)


def test_one_run_of_minutes_beside_several_of_seconds() -> None:
    fit = rates_of([1.0, 9.0, 1.1, 1.2], 0.3) | SAME
    assert ratio(fit, rates_of([46.0], 0.3)) == pytest.approx(40.0)


def test_no_ratio_of_what_is_not_the_same_or_not_resolved() -> None:
    fit, peer = rates_of([1.0], 0.3), rates_of([5.0], 0.2)
    assert ratio(fit | {"identity": [{"same": False}]}, peer) is None
    assert ratio(fit | SAME, peer | {"seconds_per_leapfrog": None}) is None


class Told:
    """A sampler of which only the order of its runs is kept."""

    def __init__(self, name: str, order: list[tuple[str, int, int]]) -> None:
        self.name, self.order = name, order

    def sample(self, num_draws: int, seed: int = SEEDS[0]) -> dict[str, Any]:
        self.order.append((self.name, num_draws, seed))
        rng = np.random.default_rng(seed)
        return {
            "theta": rng.dirichlet(np.full(3, 50.0), size=(1, num_draws)),
            "beta": np.arange(6.0).reshape(3, 2) * 10 + rng.standard_normal((1, num_draws, 3, 2)),
            "n_steps": np.full((1, num_draws), 7),
            "diverging": np.zeros((1, num_draws), bool),
            "seconds": 1.0 + num_draws,
        }

    def pair(self, num_draws: int, seed: int) -> Pair:
        return self.sample(num_draws, seed), self.sample(1, seed)

    def identity(self) -> Any:
        class Same:
            def as_dict(self) -> dict[str, Any]:
                return {"same": True}

        return Same()


class Session:
    """Its processes are nothing."""

    def fresh(self, name: str, environment: dict[str, str]) -> Any:
        from contextlib import nullcontext

        assert (name, environment) == ("fit", {})
        return nullcontext()


def test_runs_of_a_peer_and_of_the_fit_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[tuple[str, int, int]] = []
    monkeypatch.setattr(turns, "Sampler", lambda session, case, child: Told(case.backend, order))
    case = cases.Case("sampler", "nutpie", "tiled-jax", *cases.SIZES["S"], "float32")
    peer = Told("nutpie", order)
    own = peer.pair(400, SEEDS[0])
    runs, beside = in_turn(Session(), case, peer, own, SEEDS)  # type: ignore[arg-type]
    assert len(runs) == len(SEEDS) == len(beside["seconds_per_leapfrog_of_seeds"])
    long = [(name, seed) for name, draws, seed in order if draws > 1][-2 * len(SEEDS) + 1 :]
    assert [name for name, _ in long] == ["fit", *["nutpie", "fit"] * (len(SEEDS) - 1)]
    assert [seed for _, seed in long] == [1, 2, 2, 3, 3, 4, 4]
    assert beside["case"]["formulation"] == "numpyro"
    runs, beside = in_turn(Session(), case, peer, own, SEEDS[:1])  # type: ignore[arg-type]
    assert (len(runs), beside["num_seeds"]) == (1, len(SEEDS))


def test_where_the_fit_is_not_installed_the_peer_is_measured_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: Any) -> None:
        raise InputError("'numpyro' is not installed.")

    monkeypatch.setattr(turns, "Sampler", missing)
    case = cases.Case("sampler", "nutpie", "tiled-jax", *cases.SIZES["S"], "float32")
    peer = Told("nutpie", [])
    runs, beside = in_turn(Session(), case, peer, peer.pair(400, SEEDS[0]), SEEDS)  # type: ignore[arg-type]
    assert len(runs) == len(SEEDS)
    assert "not installed" in beside["why"]
    assert ratio(beside, rates_of([5.0], 0.2)) is None


def test_the_target_is_what_was_measured_in_turn() -> None:
    def sampler(backend: str, formulation: str, rate: float, **more: Any) -> dict[str, Any]:
        case = cases.Case("sampler", backend, formulation, *cases.SIZES["L"], "float32")
        about = {"kind": "sampler", "key": case.key, "case": case.as_dict(), "size": "L", "status": "ok"}
        rates = {"ess_per_second": rate, "ess_per_leapfrog": 0.3, "cold_seconds": 3.0}
        return about | {"system": case.system} | rates | more

    def shown(records: list[dict[str, Any]]) -> str:
        headers, rows, _ = target_rows(records)
        (row,) = (row for row in rows if row[0] == "ESS/s of fit numpyro over nutpie")
        return row[headers.index("L")]

    fit, slower = sampler("fit", "numpyro", 800.0), sampler("nutpie", "marginal-jax", 40.0)
    peer = sampler("nutpie", "tiled-jax", 100.0)
    assert shown([fit, peer, slower]) == "8 (>= 10) **no**"
    assert shown([fit, peer | {"beside": {"ratio": 10.5}}, slower]) == "10.5 (>= 10) yes"
    assert shown([fit, peer, slower | {"beside": {"ratio": 25.0}}]) == "8 (>= 10) **no**"
