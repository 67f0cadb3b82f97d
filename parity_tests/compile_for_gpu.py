"""Compile both backends' GPU programs for sm_90, which need not be there, and print what became of them.

It is a process of its own: Triton reads at import whether it is to compile or to interpret.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend

from parity_tests.gpu_doors import pallas_programs
from ppl_parity.gpu.launches import block, padded, plan, power
from pyro_impl.kernels.gpu.ends import finish, prepare
from pyro_impl.kernels.gpu.lanes import lanes
from pyro_impl.kernels.gpu.launch import STAGES
from pyro_impl.kernels.gpu.tiles import tiles

TARGET = GPUTarget("cuda", 90, 32)
INTEGERS = ("N", "K", "steps", "every", "taken", "programs")
DOUBLES = ("log_theta", "beta", "value_sums", "value")  # and, of ``finish``, n and slope


def of_pyro(D: int, K: int) -> dict[str, Any]:
    """Pyro's programs for a size, by name."""
    launch = plan(10**6, D, K)
    high, stored = (K, D) if launch.lanes else (padded(K), padded(D))
    of_pass: dict[str, Any] = {"D": D, "ROWS": launch.rows, "H": 0.5 * math.log2(math.e)}
    if launch.lanes:
        of_pass |= {"K": K, "WIDTH": D & -D, "TILES": launch.tiles, "STAGES": STAGES}
    else:
        of_pass |= {"HIGH": high, "WIDE": stored}
    of_sums = {"HIGH": high, "BLOCK": block(launch.programs, stored), "CONSTANT": 1.0}
    sides = {"D": D, "WIDE": power(stored), "STORED": stored, "VARIANCE": 1.7}
    program = lanes if launch.lanes else tiles
    return {
        "prepare": _of_source(prepare, 4, TURNED=not launch.lanes, SAMPLE=64, **sides),
        program.__name__: _of_source(program, launch.warps, **of_pass),
        "finish": _of_source(finish, 4, ("n", "slope"), **of_sums, **sides),
    }


def of_numpyro(D: int, K: int) -> dict[str, Any]:
    """NumPyro's, from what JAX hands to XLA, which compiles it with a Triton of its own."""
    return {
        name.removeprefix("mixture_"): _of_text(*found) for name, found in pallas_programs(1, D, K).items()
    }


def _of_source(program: Any, warps: int, doubles: tuple[str, ...] = (), **constants: Any) -> Any:
    names = program.arg_names
    signature = {}
    for name in names:
        pointer = "*fp64" if name.removesuffix("_ptr") in (*DOUBLES, *doubles) else "*fp32"
        signature[name] = "constexpr" if name in constants else "i32" if name in INTEGERS else pointer
    values = {(names.index(name),): value for name, value in constants.items()}
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if name.endswith("_ptr")}
    source = ASTSource(program, signature, values, aligned)
    return triton.compile(source, target=TARGET, options={"num_warps": warps, "num_stages": 2})


def _of_text(text: str, warps: int) -> Any:
    options = {"num_warps": warps, "num_stages": 2}
    with tempfile.NamedTemporaryFile("w+", suffix=".ttir") as file:
        Path(file.name).write_text(text, encoding="utf-8")
        # What Triton does first, and leaves out for a file: without it a product is not yet a multiply-add.
        backend = make_backend(TARGET)
        context = ir.context()
        ir.load_dialects(context)
        backend.load_dialects(context)
        module = ir.parse_mlir_module(file.name, context)
        module.context = context
        module = backend.make_ttir(module, {}, backend.parse_options(options), TARGET.arch)
        Path(file.name).write_text(str(module), encoding="utf-8")
        return triton.compile(file.name, target=TARGET, options=options)


def machine_code(kernel: Any) -> dict[str, int]:
    """Registers and bytes of spills a thread, and how many instructions its longest loop has, of which kinds."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(kernel.asm["cubin"])
        usage = _said(triton.knobs.nvidia.cuobjdump.path, "-res-usage", file.name)
        code = _said(triton.knobs.nvidia.nvdisasm.path, "-c", file.name)
    registers, stack = (int(re.findall(rf"{word}:(\d+)", usage)[-1]) for word in ("REG", "STACK"))
    loop = max(_loops(code), key=len, default=[])
    kinds = {"multiply-adds": "FFMA", "shuffles": "SHFL"}
    counts = {kind: sum(op == word for op in loop) for kind, word in kinds.items()}
    return {
        "registers": registers,
        "bytes of spills": stack,
        "instructions in the longest loop": len(loop),
        **counts,
    }


def _loops(code: str) -> list[list[str]]:
    """The operations between each label and a branch back to it."""
    labels: dict[str, int] = {}
    operations: list[str] = []
    loops = []
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(operations)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9]+)(.*)", line):
            operations.append(found[1])
            if found[1] == "BRA" and (back := re.search(r"\.L_x_\d+", found[2])) and back[0] in labels:
                loops.append(operations[labels[back[0]] :])
    return loops


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """The two sizes that the benchmarks are about: figures, or with --json the texts as well."""
    said: dict[str, dict[str, Any]] = {}
    for backend, programs in (("pyro", of_pyro), ("numpyro", of_numpyro)):
        for D, K in ((8, 8), (64, 32)):
            for name, kernel in programs(D, K).items():
                texts = {text: kernel.asm[text] for text in ("ptx", "ttgir")}
                said[f"{backend} {name} {D} {K}"] = texts | {"machine": machine_code(kernel)}
    if "--json" in sys.argv[1:]:
        print(json.dumps(said))
    else:
        for name, found in said.items():
            figures = ", ".join(f"{count} {figure}" for figure, count in found["machine"].items())
            print(f"{name:24}{figures}")


if __name__ == "__main__":
    main()
