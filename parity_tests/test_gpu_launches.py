"""How a pass is cut into a GPU's programs, and which of two ways it takes."""

from __future__ import annotations

from typing import Any

import pytest

from ppl_parity.errors import InputError
from ppl_parity.gpu import crossover
from ppl_parity.gpu.launches import MOST, PROCESSORS, TERMS, block, plan, width


def test_a_launch_covers_all_rows_once() -> None:
    for N in (1, 31, 64, 65, 1000, 10**5, 10**6, 2 * 10**8):
        for D, K, chains in ((8, 8, 1), (8, 8, 64), (64, 32, 1), (128, 128, 16), (1, 1, 1)):
            launch = plan(N, D, K, chains)
            slab = launch.rows * launch.tiles * launch.steps
            assert slab * (launch.programs - 1) < N <= slab * launch.programs
            # Within one step more than was asked for: steps are whole.
            terms = launch.tiles * (1 if launch.lanes else launch.rows)
            assert (launch.steps - 1) * terms < TERMS
            assert launch.rows & (launch.rows - 1) == 0


@pytest.mark.parametrize("processors", [108, PROCESSORS, 148])
def test_a_launch_fills_every_processor_once(processors: int) -> None:
    for N, chains in ((10**7, 1), (10**7, 3), (10**6, 64)):
        programs = chains * plan(N, 8, 8, chains, processors).programs
        assert 0.95 * 8 * processors < programs <= 8 * processors
    assert 0.95 * 4 * processors < plan(10**6, 64, 32, 1, processors).programs <= 4 * processors


def test_more_rows_than_a_sum_may_take_are_whole_waves_more() -> None:
    for N, waves in ((10**8, 1), (2 * 10**8, 2), (10**9, 8)):
        programs = plan(N, 8, 8).programs
        assert 0.95 * waves * 8 * PROCESSORS < programs <= waves * 8 * PROCESSORS


def test_a_launch_fits_into_a_grid() -> None:
    N = 2**31 - 2**12
    assert max(plan(N, D, K).programs for D, K in ((1, 1), (8, 8), (64, 32), (128, 128))) <= 65_535


# Which way is taken


def test_the_faster_way_is_found_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.delenv(crossover.VARIABLE, raising=False)
    monkeypatch.setattr(crossover, "_found", {})
    calls: list[int] = []

    def prepare(rows: int) -> dict[str, Any]:
        calls.append(rows)
        return {"kernel": lambda count: time.sleep(2e-3 * count), "array": lambda count: None}

    for N in (1000, 1024, 600):
        assert crossover.choose("numpyro", "a device", (N, 8, 8), prepare) == "array"
    assert calls == [1024]
    assert crossover.found() == {("numpyro", "a device", 1024, 8, 8): "array"}
    crossover.choose("numpyro", "a device", (10**9, 8, 8), prepare)
    assert calls == [1024, crossover.MOST_ROWS]


def choose(monkeypatch: pytest.MonkeyPatch, **ways: Any) -> str:
    monkeypatch.delenv(crossover.VARIABLE, raising=False)
    monkeypatch.setattr(crossover, "_found", {})
    return crossover.choose("numpyro", "a device", (10, 8, 8), lambda rows: ways)


def broken(count: int) -> None:
    raise RuntimeError("no compiler")


def test_a_draw_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    def slow(count: int) -> None:
        time.sleep(1e-3 * count)

    assert choose(monkeypatch, kernel=slow, array=slow) == "kernel"


def test_a_way_that_cannot_run_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(count: int) -> None: ...

    with pytest.warns(UserWarning, match="no compiler"):
        assert choose(monkeypatch, kernel=broken, array=runs) == "array"
    assert choose(monkeypatch, kernel=runs, array=broken) == "kernel"
    with pytest.raises(RuntimeError, match="no compiler"):
        choose(monkeypatch, kernel=broken, array=broken)


@pytest.mark.parametrize(("word", "way"), [("pallas", "kernel"), ("triton", "kernel"), ("xla", "array")])
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, word: str, way: str) -> None:
    monkeypatch.setenv(crossover.VARIABLE, word)
    assert crossover.choose("numpyro", "a device", (10, 8, 8), lambda rows: {}) == way


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crossover.VARIABLE, "cuda")
    with pytest.raises(InputError, match=r"PPL_PARITY_GPU_KERNEL must be one of .*; got 'cuda'\."):
        crossover.asked()


def test_what_the_kernel_cannot_take_goes_to_the_array_program() -> None:
    import jax.numpy as jnp

    from numpyro_impl.kernels import gpu

    assert gpu.usable(jnp.zeros((4, 3)), 5)
    assert not gpu.usable(jnp.zeros((4, 3)), MOST + 1)
    assert not gpu.usable(jnp.zeros((4, MOST + 1)), 5)
    assert not gpu.usable(jnp.zeros((0, 3)), 5)
    assert not gpu.usable(jnp.zeros((4, 3), jnp.float16), 5)


@pytest.mark.parametrize(("D", "columns"), [(1, 1), (2, 2), (3, 1), (6, 2), (8, 4), (12, 4), (32, 4)])
def test_a_thread_loads_what_rows_are_made_of(D: int, columns: int) -> None:
    assert width(D) == columns


def test_sums_are_added_in_few_blocks() -> None:
    assert (block(1, 1), block(1000, 8), block(1056, 128)) == (1, 512, 32)
