"""torch: what it can do on a device, data made there, and the formulations of one value and gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gpu import doors, graphs
from benchmarks.gpu.measuring import Timed
from benchmarks.gpu.problem import free_memory

Given = tuple[Any, Any, Any]
"""log theta (C, K) and beta (C, K, D) in float64, x (N, D) in float32."""


def settle() -> None:
    """What is global to a process that measures and ends."""
    torch.set_float32_matmul_precision("highest")


class Library:
    """See ``benchmarks.gpu.child``. device: gpu or cpu."""

    name = "torch"

    def __init__(self, device: str) -> None:
        if device == "gpu" and not torch.cuda.is_available():
            raise LookupError(f"torch {torch.__version__} sees no GPU")
        self.device, self._place = device, torch.device("cuda" if device == "gpu" else "cpu")
        self.kernels = doors.kernels("pyro_impl")

    def describe(self) -> dict[str, Any]:
        """Versions and the device."""
        name = torch.cuda.get_device_name(self._place) if self.device == "gpu" else "cpu"
        kernel = self.kernels.describe(self.device)
        return {"versions": {"torch": torch.__version__}, "device_name": name, "kernel": kernel}

    def free_bytes(self) -> float:
        """What is free of a CPU's memory; on a GPU too much is tried and refused, which harms nothing."""
        return free_memory() if self.device == "cpu" else math.inf

    def limits(self, scale: float) -> dict[str, Callable[[], tuple[Callable[[], Any], float]]]:
        """What prepares what to run, and how much that is: bytes copied, floating-point operations, exponentials."""
        count, order = int(scale * (1 << 30)), max(64, int(8192 * scale ** (1 / 3)) // 64 * 64)

        def copy() -> Any:
            x = torch.ones(count, device=self._place)
            y = torch.empty_like(x)
            return lambda: self._wait(y.copy_(x)), 8.0 * count

        def matmul() -> Any:
            a = torch.randn((order, order), device=self._place)
            c = torch.empty_like(a)
            return lambda: self._wait(torch.matmul(a, a, out=c)), 2.0 * order**3

        def exp() -> Any:
            x = torch.ones(count, device=self._place)
            y = torch.empty_like(x)
            return lambda: self._wait(torch.exp(x, out=y)), float(count)

        return {"copy": copy, "matmul": matmul, "exp": exp}

    def rows(self, centres: np.ndarray, N: int) -> Any:
        """x (N, D): rows around ``centres`` (K, D), drawn on the device."""
        if self.device == "gpu":
            torch.cuda.empty_cache()  # what another size has left does not fit this one
        K, D = centres.shape
        place: dict[str, Any] = {
            "generator": torch.Generator(self._place).manual_seed(N),
            "device": self._place,
        }
        x = torch.randn((N, D), **place)
        means = torch.tensor(centres, dtype=torch.float32, device=self._place)
        x += means[torch.randint(0, K, (N,), **place)]
        return x

    def points(self, points: tuple[np.ndarray, np.ndarray]) -> tuple[Any, ...]:
        """Where the function is evaluated, on the device."""
        return tuple(torch.tensor(point, device=self._place) for point in points)

    def judge(self, given: Given, start: int, rows: int) -> tuple[np.ndarray, ...]:
        """The array program in float64 on some rows."""
        log_theta, beta, x = given
        return self.numbers(self._array((log_theta, beta, x[start : start + rows].double())))

    def evaluate(self, formulation: str, given: Given) -> tuple[np.ndarray, ...]:
        """Value (C,), n (C, K), slope (C, K, D)."""
        return self.numbers(self._function(formulation)(given))

    def timed(self, formulation: str, given: Given) -> Timed:
        """One call as it is; many as replays of a CUDA graph, or as calls where there is none."""
        evaluate = self._function(formulation)
        run, way, note = (lambda: evaluate(given)), "calls", ""
        if self.device == "gpu":
            try:
                run, way = self._replay(evaluate, given), "CUDA graph"
            except (
                Exception
            ) as error:  # a memory too small for the copy that a graph keeps, or a call that waits
                note = f"no CUDA graph: {type(error).__name__}: {str(error)[:200]}"

        def many(count: int) -> int:
            for _ in range(count):
                run()
            self._wait(None)
            return count

        return Timed(lambda: self._wait(evaluate(given)), many, way, note)

    @staticmethod
    def _replay(evaluate: Callable[[Given], Any], given: Given) -> Callable[[], Any]:
        """A graph's replay, which was shown to compute what the call does."""
        replay, results = graphs.captured(lambda: evaluate(given))
        for mine, expected in zip(results[:2], evaluate(given)[:2], strict=True):
            if not torch.allclose(mine, expected, rtol=1e-5):
                raise ValueError("its numbers are others")
        return replay

    @staticmethod
    def numbers(results: Any) -> tuple[np.ndarray, ...]:
        """As NumPy arrays."""
        return tuple(result.detach().cpu().numpy() for result in results)

    def _function(self, formulation: str) -> Callable[[Given], Any]:
        ours = {"kernel": self._kernel, "array": self._array}
        return ours.get(formulation) or (lambda given: _differentiated(formulation, given))

    def _kernel(self, given: Given) -> Any:
        log_theta, beta, x = given
        if self.device == "gpu":
            return self.kernels.gpu.kernel_chains(log_theta, beta, x, 1.0)
        each = [self.kernels.one_pass(a, b, x, 1.0) for a, b in zip(log_theta, beta, strict=True)]
        return [torch.stack(results) for results in zip(*each, strict=True)]

    def _array(self, given: Given) -> Any:
        return self.kernels.gpu.array_chains(*given, 1.0)

    def _wait(self, result: Any) -> Any:
        if self.device == "gpu":
            torch.cuda.synchronize(self._place)
        return result


def _differentiated(formulation: str, given: Given) -> Any:
    function = {"matmul": _matmul, "expanded": _expanded}[formulation]
    log_theta, beta = (point.clone().requires_grad_() for point in given[:2])
    value = function(log_theta, beta, given[2])
    n, slope = torch.autograd.grad(value.sum(), (log_theta, beta))
    return value, n, slope


def _matmul(log_theta: Any, beta: Any, x: Any) -> Any:
    bias = (log_theta - 0.5 * torch.sum(beta**2, dim=-1)).to(x.dtype)
    product = torch.matmul(x, beta.to(x.dtype).transpose(-1, -2))
    rows = torch.logsumexp(product + bias[:, None], dim=-1) - 0.5 * torch.sum(x**2, dim=-1)
    return torch.sum(rows, dim=-1, dtype=beta.dtype) - 0.5 * x.numel() * math.log(2 * math.pi)


def _expanded(log_theta: Any, beta: Any, x: Any) -> Any:
    gap = x[:, None] - beta.to(x.dtype)[:, None]
    terms = log_theta.to(x.dtype)[:, None] - 0.5 * torch.sum(gap**2, dim=-1)
    rows = torch.logsumexp(terms, dim=-1)
    return torch.sum(rows, dim=-1, dtype=beta.dtype) - 0.5 * x.numel() * math.log(2 * math.pi)
