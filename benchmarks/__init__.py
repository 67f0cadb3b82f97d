"""How fast each formulation and each sampler is, beside this machine's limits, for things shown to be the same.

cases.py, cases/*.toml   what is measured, as data
problems.py              a size's data, shared points, and the reference's values there
child.py, worker.py      a process for each backend or peer, and what answers in it
timer.py                 the one timer: warm-up, repeats until a budget is spent, every raw time kept
identity.py              nothing is compared in speed before it was shown to be the same density
limits.py                what this machine can do: copy bandwidth, matrix products, exponentials
kernels.py, samplers.py  the two kinds of case, run and recorded
pair/                    both sides of a pair of anybody's own, once a check has called them the same
systems/                 samplers with one face: the two backends, and their peers
records.py               JSON lines, written as they come; where an interrupted run goes on
tables.py, plots.py, readme.py    for people
"""
