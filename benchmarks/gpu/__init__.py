"""One command for any machine with a GPU: limits, the fused kernels at sizes that fill it, and NUTS on them.

It needs jax, torch, or both, with CUDA, and for NUTS numpyro; no other part of this project's dependencies.

cases.toml               what is measured, as data, the most wanted first
plan.py                  which processes do it, in which order, and how long each may take
__main__.py              the command: results as they come, tables after each process
children.py, child.py    such a process, from outside and from within
measuring.py             a case: the right function, then its time
doors.py                 the kernels without the rest of a backend
on_jax.py, on_torch.py   a library's limits, data and formulations, with one face
graphs.py                torch's small kernels without the host between them
nuts.py                  ESS a second of many vectorised chains
tables.py, verdicts.py   for people
"""
