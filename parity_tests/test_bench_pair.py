"""A pair of one's own is timed only if it is the same model, and a ratio is made only of what was shown to be so."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import gradients, sampler
from benchmarks.pair import measuring, tables
from benchmarks.pair.quantities import MAX_RHAT, mixing, smallest
from benchmarks.pair.systems import Plan
from parity_tests import fakes
from parity_tests.fakes import Faults, chains
from ppl_parity.cli import bench_pair
from ppl_parity.cli.app import app
from ppl_parity.errors import InputError
from ppl_parity.ladder.context import Context

SECONDS = {"pyro": 3e-3, "eager pyro": 9e-3, "numpyro": 1e-3}  # of a leapfrog, and of a gradient


class FakeChild:
    """A process of the fake backend, whose clock is made up."""

    faults: Mapping[str, Faults] = {}
    slope = 1.0  # the timed gradient over the checked one, in Pyro
    slow = 0.01  # seconds of a warmup
    log: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, name: str, *, python: str | None, environment: Mapping[str, str]) -> None:
        self.name, self.side = name, name.split()[-1]
        assert (environment.get("PPL_PARITY_RECORD") == "0") == (name == "eager pyro")
        self.began = time.perf_counter()
        self.log.append(("start", name))

    def __enter__(self) -> FakeChild:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def call(self, function: str, timeout: float, **arguments: Any) -> Any:
        return getattr(self, function.partition(":")[2])(**arguments)

    def build(self, **_: Any) -> dict[str, Any]:
        return {"import_seconds": 0.0, "build_seconds": 0.0, "versions": {}, "devices": ["cpu"]}

    def begin(self, points: Mapping[str, np.ndarray], typical: Mapping[str, np.ndarray]) -> dict[str, Any]:
        factor = self.slope if self.side == "pyro" else 1.0
        values = sum(0.5 * value**2 for value in points.values())
        slopes = {name: factor * value for name, value in points.items()}
        return {"first_seconds": 0.1, "potential": "made up", "compiled_loop": False} | {
            "values": values,
            "gradients": slopes,
        }

    def measure(self, budget: float) -> dict[str, Any]:
        one = SECONDS[self.name]
        return {"single": [2 * one] * 5, "loop": [10 * one] * 5, "loop_count": 10}

    def begin_learning(self, model: Any, guide: Any) -> dict[str, Any]:
        assert (self.name, guide) in (("pyro", "a guide"), ("numpyro", "another"))
        return {"first_seconds": 0.2, "compiled_loop": False}

    def learn(self, budget: float) -> dict[str, Any]:
        return {"loop": [50 * SECONDS[self.name]] * 5, "loop_count": 50}

    def sample(self, settings: Any, starts: Mapping[str, np.ndarray] | None) -> dict[str, Any]:
        self.log.append(("sample", self.name))
        assert starts is not None
        assert {name: len(value) for name, value in starts.items()} == {"mu": 2, "w": 2}
        side = fakes.FakeSide(self.side, self.faults.get(self.side, Faults()))
        groups, _ = side.sample_posterior(None, {"y": fakes.Y}, settings, timeout=1.0)
        shape = (settings.num_chains, settings.num_draws)
        return {
            "posterior": groups["posterior"],
            "n_steps": np.full(shape, 7),
            "diverging": np.zeros(shape, dtype=bool),
            "potential": "made up",
            "potential_reason": "",
            "chain_method": "sequential",
            "seconds": self.slow + SECONDS[self.name] * 7 * settings.num_draws,
        }


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(measuring, "Child", FakeChild)
    for name, value in {"faults": {}, "slope": 1.0, "slow": 0.01, "log": []}.items():
        monkeypatch.setattr(FakeChild, name, value)
    return fakes.context()


PLAN = Plan(num_chains=2, num_draws=400, seeds=(1, 2), budget=0.01)


def test_what_is_the_same_has_its_ratios(context: Context) -> None:
    result = measuring.measure(context, replace(PLAN, eager=True))
    # Cold is from a process's start to its draws: no other side's work is in between.
    cold = [(what, name) for name in ("pyro", "eager pyro", "numpyro") for what in ("start", "sample")]
    assert FakeChild.log[:6] == cold
    ratios = result["ratios"]
    assert ratios["gradient"]["over"] == "numpyro"
    for name, times in {"pyro": 3.0, "eager pyro": 9.0}.items():
        assert ratios["gradient"]["of"][name]["median"] == pytest.approx(times)
        assert ratios["seconds_per_leapfrog"]["of"][name]["median"] == pytest.approx(times)
    nuts = result["systems"]["numpyro"]["nuts"]
    assert nuts["leapfrogs_per_draw"] == 7
    assert nuts["seconds_per_leapfrog_of_seeds"] == pytest.approx([1e-3 / 2] * 2)  # of two chains, at once
    assert result["mixing"]["ok"]
    headers, lines, notes = tables.rows(result)
    assert headers == ["", "pyro", "eager pyro", "numpyro", "pyro / numpyro", "eager pyro / numpyro"]
    assert lines[0][1:5] == ["3 ms", "9 ms", "1 ms", "3 (3 to 3)"]
    of_nuts = tables.rows(result, "NUTS")
    assert of_nuts[0] == headers
    assert of_nuts[1][0][1:4] == ["1.5 ms", "4.5 ms", "500 us"]
    assert all(len(line) == len(headers) for line in lines + of_nuts[1])
    assert not any("No ratio" in note or "diverged" in note for note in notes + of_nuts[2])


def test_gradients_are_shown_before_nuts_begins(context: Context) -> None:
    shown = []

    def show(result: dict[str, Any], part: str) -> None:
        shown.append((part, len(tables.rows(result, part)[1]), "mixing" in result))

    measuring.measure(context, PLAN, show=show)
    assert shown == [("gradient", 3, False), ("NUTS", 5, True)]
    del shown[:]
    measuring.measure(context, replace(PLAN, samplers=False), show=show)
    assert shown == [("gradient", 3, False)]


def test_steps_of_learning_are_timed_where_there_are_guides(context: Context) -> None:
    guides: Any = {"pyro": "a guide", "numpyro": "another"}
    context.pair = replace(context.pair, guides=guides)
    shown: list[str] = []
    plan = replace(PLAN, samplers=False, eager=True)
    result = measuring.measure(context, plan, show=lambda _, part: shown.append(part))
    assert shown == ["gradient", "SVI"]
    assert list(result["ratios"]["learning"]["of"]) == ["pyro"]  # nothing else is recorded of it
    headers, lines, notes = tables.rows(result, "SVI")
    assert lines[0] == ["SVI: a step, in a loop", "3 ms", "-", "1 ms", "3 (3 to 3)", "-"]
    assert len(lines[1]) == len(headers)
    assert not any("No ratio" in note for note in notes)


def _busy(times: int, single: list[float], loop: list[float]) -> Any:
    """``FakeChild.measure`` on a machine that was busy the first so many times that Pyro was timed."""
    calm, left = FakeChild.measure, [times]

    def measure(self: FakeChild, budget: float) -> dict[str, Any]:
        if self.name != "pyro" or not left[0]:
            return calm(self, budget)
        left[0] -= 1
        return {"single": single, "loop": [10 * one for one in loop], "loop_count": 10}

    return measure


SLOW_LOOP = ([1e-4] * 5, [4e-3] * 5)
SCATTERED = ([4e-2] * 5, [1e-3, 1e-3, 3e-3, 2e-2, 2e-2])


@pytest.mark.parametrize(
    ("busy", "why"),
    [
        (
            SLOW_LOOP,
            "a gradient of pyro took 4 ms in a loop and 100 us asked for alone, which can be no faster",
        ),
        (SCATTERED, "a gradient of pyro took 1 ms to 20 ms (80 % of its times)"),
    ],
)
def test_a_busy_machine_has_no_ratio_of_gradients(
    context: Context, monkeypatch: pytest.MonkeyPatch, busy: tuple[list[float], list[float]], why: str
) -> None:
    rounds = measuring.ROUNDS
    monkeypatch.setattr(FakeChild, "measure", _busy(2 * rounds, *busy))
    result = measuring.measure(context, replace(PLAN, samplers=False))
    assert result["ratios"]["gradient"]["why"] == f"the machine was busy with something else: {why}"
    _, lines, notes = tables.rows(result)
    assert lines[0][-1] == "-"
    assert notes[0] == f"No ratio of gradients: the machine was busy with something else: {why}"


def test_what_was_busy_for_a_moment_is_timed_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeChild, "measure", _busy(measuring.ROUNDS, *SLOW_LOOP))
    said: list[str] = []
    result = measuring.measure(context, replace(PLAN, samplers=False), say=said.append)
    assert result["ratios"]["gradient"]["of"]["pyro"]["median"] == pytest.approx(3.0)
    assert "pyro: its gradient again, 3 of 3" in said


def test_a_busy_machine_has_no_ratio_of_times_of_nuts(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = FakeChild.sample

    def sample(self: FakeChild, settings: Any, starts: Any) -> dict[str, Any]:
        run = calm(self, settings, starts)
        run["diverging"][:, :3] = self.name == "pyro"
        return run | {"seconds": run["seconds"] * (10 if self.name == "pyro" and settings.seed == 2 else 1)}

    monkeypatch.setattr(FakeChild, "sample", sample)
    result = measuring.measure(context, PLAN)
    assert (
        "a leapfrog of pyro took 1.5 ms with one seed and 15 ms" in result["ratios"]["seconds_per_ess"]["why"]
    )
    assert "of" in result["ratios"]["leapfrogs_per_ess"]
    _, lines, notes = tables.rows(result, "NUTS")
    assert [line[-1] == "-" for line in lines] == [True, True, False, True, True]
    assert notes[0].startswith("No ratio of NUTS's times: the machine was busy")
    total = 2 * 2 * result["systems"]["pyro"]["nuts"]["num_draws"]
    assert notes[-1] == f"pyro: 12 of {total:,} draws diverged"


def test_a_loop_in_python_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one is never left alone on a busy machine, and has no dispatch to spread."""
    counts = {}
    for compiled in (True, False):
        timed = SimpleNamespace(
            compiled_loop=compiled, once=lambda: time.sleep(5e-4), many=lambda count: time.sleep(5e-4 * count)
        )
        monkeypatch.setitem(gradients._prepared, "timed", timed)
        counts[compiled] = gradients.measure(0.05)["loop_count"]
    assert counts[True] > 5 * counts[False]
    assert counts[False] <= 4


@pytest.mark.pyro
def test_pyro_s_gradient_has_the_threads_of_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """NUTS gives it one: a second one, where it waits for a processor, makes a gradient 300 times as long."""
    torch = pytest.importorskip("torch")
    timing = importlib.import_module("pyro_impl.timing")
    threads = []

    def model() -> None:
        import pyro
        import pyro.distributions as dist

        threads.append(torch.get_num_threads())
        pyro.sample("a", dist.Normal(0.0, 1.0))

    monkeypatch.setenv("PPL_PARITY_RECORD", "0")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        timed = timing.of_program(importlib.import_module("pyro_impl").Program(model, {}), {"a": np.zeros(1)})
        threads.clear()
        timed.evaluate({"a": np.zeros(1)})
        timed.once()
        timed.many(3)
        assert set(threads) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_gradient_that_is_not_the_checked_one_has_no_time(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeChild, "slope", 1.001)
    result = measuring.measure(context, replace(PLAN, samplers=False))
    assert "pyro: what is timed is not what was checked" in result["ratios"]["gradient"]["why"]
    assert "gradient" not in result["systems"]["pyro"]
    _, lines, notes = tables.rows(result)
    assert lines[0] == ["a gradient, in a loop", "-", "1 ms", "-"]
    assert notes[0].startswith("No ratio of gradients: pyro: what is timed")


def test_chains_in_different_places_have_no_ratio(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeChild, "faults", {"pyro": Faults(posterior_shift=1.0)})
    result = measuring.measure(context, PLAN)
    why = result["ratios"]["seconds_per_ess"]["why"]
    assert why.startswith("the chains have not mixed: R-hat of 'mu'")
    assert "of" in result["ratios"]["gradient"]
    assert any(note.startswith("No ratio of NUTS: ") for note in tables.rows(result, "NUTS")[2])


def test_draws_that_take_less_than_their_warmup_have_no_ratio(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "MOST", 400)
    monkeypatch.setattr(FakeChild, "slow", 30.0)  # the draws take 2.8 s at least, as a machine's noise may
    result = measuring.measure(context, PLAN)
    assert "too little time" in result["ratios"]["seconds_per_leapfrog"]["why"]


def test_a_model_that_has_nothing_to_move_is_refused(context: Context) -> None:
    for side in context.sites:
        context.sites[side] = {n: s for n, s in context.sites[side].items() if n in ("z", "y")}
    with pytest.raises(InputError, match="needs continuous latent sites"):
        measuring.measure(context, PLAN)


def test_known_differences_are_two_models() -> None:
    assert "two models" in bench_pair._refusal("same", "quick", known=True)
    assert "two different models" in bench_pair._refusal("different", "quick", known=True)
    assert "--level standard" in bench_pair._refusal("unresolved", "quick", known=False)


def test_other_coordinates_have_no_ratio_of_gradients(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "moved_sites", lambda context, found: ["w"])
    why = measuring.measure(context, replace(PLAN, samplers=False))["ratios"]["gradient"]["why"]
    assert why == "the sides unconstrain 'w' differently"


def test_other_latent_sites_have_no_ratio_of_gradients(context: Context) -> None:
    context.points = []
    why = measuring.measure(context, replace(PLAN, samplers=False))["ratios"]["gradient"]["why"]
    assert "different latent sites" in why


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_chains_that_mix_are_seldom_called_apart(rho: float) -> None:
    """Three runs of 300 draws a side, all, or one in six of them, effective; three scalars. Of one in nine 13 % are."""
    alarms = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        runs = [[chains(rng, 3, 300, rho).T[None] for _ in range(3)] for _ in range(2)]
        alarms.append(not mixing(runs).ok)
    assert np.mean(alarms) <= 0.02


def test_chains_that_are_apart_are_told() -> None:
    rng = np.random.default_rng(0)

    def runs(shift: float) -> list[np.ndarray]:
        return [chains(rng, 1, 300, 0.0)[..., None] + shift for _ in range(3)]

    assert mixing([runs(0.0), runs(2.0)]).r_hat > MAX_RHAT
    small = mixing([runs(0.0), runs(0.4)])
    assert small.r_hat < MAX_RHAT < small.z_at_most < small.z
    still = mixing([[np.zeros((2, 50, 1))]] * 2)
    assert (still.ok, still.r_hat, still.z) == (True, 1.0, 0.0)
    assert not mixing([[np.zeros((2, 50, 1))], [np.ones((2, 50, 1))]]).ok


def test_the_smallest_ess_is_named() -> None:
    rng = np.random.default_rng(3)
    draws = np.stack([chains(rng, 2, 500, rho) for rho in (0.0, 0.9)], axis=-1)
    size, which = smallest(draws)
    assert which == 1
    assert 20 < size < 150


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "needs a file or module"),
        (["x.py", "--num-warmup", "10"], "at least 200"),
        (["x.py", "--num-seeds", "0"], "at least 1"),
        (["x.py", "--level", "full"], "--level must be"),
        (["x.py", "--case-budget", "0"], "must be positive"),
    ],
)
def test_bad_options_are_refused(options: list[str], said: str) -> None:
    ran = CliRunner().invoke(app, ["bench", "pair", *options])
    assert ran.exit_code == 2
    assert said in ran.output


PAIR = """
import numpy as np

def pyro_model(y):
    import pyro, pyro.distributions as dist
    m = pyro.sample("m", dist.Normal(0.0, 1.0))
    for i in range(2):
        pyro.sample(f"y_{i}", dist.Normal(m, 1.0), obs=y[i])

def numpyro_model(y):
    import numpyro, numpyro.distributions as dist
    m = numpyro.sample("m", dist.Normal(0.0, SCALE))
    with numpyro.plate("rows", 2):
        numpyro.sample("y", dist.Normal(m, 1.0), obs=y)

def data():
    return {"y": np.array([0.3, -0.1])}
"""


@pytest.mark.pyro
@pytest.mark.parametrize(("scale", "status"), [pytest.param(1.0, 0, marks=pytest.mark.long), (2.0, 1)])
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, status: int) -> None:
    pytest.importorskip("pyro")
    pytest.importorskip("numpyro")
    monkeypatch.setattr(sampler, "MOST", 200)  # NumPyro's draws are then not told from its warmup
    for name in ("MOST_OVER_ALONE", "MOST_SCATTER"):  # whatever the machine does beside
        monkeypatch.setattr(measuring, name, float("inf"))
    (tmp_path / "pair.py").write_text(PAIR.replace("SCALE", str(scale)))
    few = ["--num-warmup", "200", "--num-draws", "200", "--num-seeds", "1", "--case-budget", "0.2"]
    where = ["bench", "pair", str(tmp_path / "pair.py"), "--json", str(tmp_path / "out.json"), *few]
    ran = CliRunner().invoke(app, where)
    assert ran.exit_code == status, ran.output
    found = json.loads((tmp_path / "out.json").read_text())
    if status:
        assert found["check"]["verdict"] == "different"
        assert not {"ratios", "systems"} & set(found)
        assert "Nothing was timed" in ran.output
        return
    assert found["check"]["verdict"] == "same"
    assert found["ratios"]["gradient"]["of"]["pyro"]["median"] > 0
    for system in found["systems"].values():
        assert system["identity"]["same"]
        assert system["cold_seconds"] > 0
        assert system["nuts"]["num_draws"] == 200
    assert "pyro / numpyro" in ran.stdout
    assert "numpyro: its gradient, 3 of 3 ..." in ran.stderr
