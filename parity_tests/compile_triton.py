"""Compile both Triton programs for an sm_90 GPU, which need not be there, and print their PTX."""

from __future__ import annotations

import math

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pyro_impl.kernels import gpu_programs

H = 0.5 * math.log2(math.e)
POINTERS = {"value_ptr": "*fp64", "N": "i32", "steps": "i32"}  # all others point to float32


def ptx(program: triton.JITFunction, warps: int, **constants: float) -> str:
    """The program's PTX at these constants."""
    names = program.arg_names
    signature = {n: "constexpr" if n in constants else POINTERS.get(n, "*fp32") for n in names}
    values = {(names.index(name),): value for name, value in constants.items()}
    aligned = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n.endswith("_ptr")}
    source = ASTSource(program, signature, values, aligned)
    options = {"num_warps": warps, "num_stages": 2}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"]


if __name__ == "__main__":
    print(ptx(gpu_programs.lanes, 1, K=8, D=8, LEVELS=3, ROWS=32, TILES=2, H=H))
    print("// NEXT")
    print(ptx(gpu_programs.tiles, 4, D=64, HIGH=32, WIDE=64, ROWS=32, H=H))
