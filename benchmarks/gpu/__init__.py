"""One command for any machine with a GPU: limits, the fused kernels at sizes that fill it, and NUTS on them.

It needs jax, torch, or both, with CUDA, and for NUTS numpyro; no other part of this project's dependencies.

cases.toml               what is measured, as data, the most wanted first
__main__.py              the command: a process for each library, results as they come, tables last
child.py                 what runs in such a process
doors.py                 the kernels without the rest of a backend
on_jax.py, on_torch.py   a library's limits, data and formulations, with one face
nuts.py                  ESS a second of many vectorised chains
tables.py                for people
"""
