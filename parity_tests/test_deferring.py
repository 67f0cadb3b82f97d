"""Modules that wait for their first use: not loaded meanwhile, and like any other afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
import sys
from ppl_parity.process.deferring import OF_A_BACKEND, OF_NUMPY, _StandIn, defer, deferring
def real(name):
    return name in sys.modules and not isinstance(sys.modules[name], _StandIn)
"""


def python(code: str) -> None:
    result = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("package", ["numpyro_impl", "ppl_parity.fitting.fits"])
def test_a_fit_s_imports_do_without(package: str) -> None:
    python(f"""
with deferring(*OF_A_BACKEND):
    import {package}
    assert not any(map(real, OF_A_BACKEND))
assert not set(OF_A_BACKEND) & set(sys.modules)
import numpy, scipy
assert scipy.fft.rfft([1.0, 2.0]).shape == (2,) and real("scipy.fft")
assert numpy.f2py.__name__ == "numpy.f2py" and real("numpy.f2py")
""")


def test_the_processes_of_a_fit_do_without() -> None:
    python("""
from ppl_parity.process.worker import Server
Server("numpyro_impl").warm_up()
assert "numpyro" in sys.modules and not set(OF_A_BACKEND) & set(sys.modules)
""")
    python("""
from ppl_parity.cli import main
sys.argv[1:] = ["--help"]
import ppl_parity.process.leaving
ppl_parity.process.leaving.leave = lambda status: None
main()
import scipy.special, numpy
assert not any(map(real, OF_NUMPY))
numpy.testing.assert_equal(1, 1)
assert real("numpy.testing")
""")


def test_what_holds_the_stand_in_is_led_to_the_module() -> None:
    python("""
with deferring("scipy.fft", "scipy.sparse", "scipy.sparse.linalg"):
    import scipy.fft as held
    import scipy.sparse.linalg as below
    assert not real("scipy.fft") and not real("scipy.sparse")
assert held.rfft([1.0, 2.0]).shape == (2,)
assert below.spsolve.__name__ == "spsolve"
import scipy.sparse.linalg
assert scipy.sparse.linalg.spsolve is below.spsolve and scipy.sparse.csr_matrix
""")


def test_used_within_the_block() -> None:
    python("""
with deferring("scipy.sparse", "scipy.sparse.linalg"):
    from scipy.sparse.linalg import spsolve
    assert real("scipy.sparse.linalg") and real("scipy.sparse")
    import scipy.sparse.csgraph
    assert scipy.sparse.csgraph.shortest_path
assert real("scipy.sparse.linalg")
""")


def test_a_module_of_a_deferred_package() -> None:
    python("""
with deferring("scipy.linalg", entered=True):
    import scipy.linalg.cython_lapack as before
    assert not real("scipy.linalg")
import scipy.linalg, scipy.linalg.lapack
assert scipy.linalg.cholesky([[4.0]])[0][0] == 2.0 and real("scipy.linalg")
assert scipy.linalg.cython_lapack is before and scipy.linalg.lapack.dpotrf
""")


def test_a_module_that_needs_its_package() -> None:
    python("""
with deferring("scipy.linalg", entered=True):
    import scipy.linalg.lapack
    assert scipy.linalg.lapack.dpotrf and real("scipy.linalg")
assert scipy.linalg.lapack.get_lapack_funcs and scipy.linalg.blas.dgemm
""")


def test_a_stand_in_looks_like_a_module() -> None:
    python("""
import importlib.util
defer("scipy.fft", "scipy.sparse")
assert importlib.util.find_spec("scipy.sparse").name == "scipy.sparse" and not real("scipy.sparse")
from scipy.fft import *
assert rfft([1.0, 2.0]).shape == (2,)
import scipy.sparse.csgraph
assert scipy.sparse.csgraph.shortest_path and scipy.sparse.csr_matrix
""")


def test_beside_other_threads_imports_are_as_ever() -> None:
    python("""
import threading
done = threading.Event()
threading.Thread(target=done.wait).start()
with deferring("scipy.fft"):
    import scipy.fft
    assert real("scipy.fft")
assert real("scipy.fft")
done.set()
""")


def test_an_interrupt_leaves_no_stand_in() -> None:
    python("""
import ppl_parity.process.deferring
class Interrupted:
    find = ppl_parity.process.deferring.PathFinder.find_spec
    def find_spec(name, path):
        if name == "scipy.sparse":
            raise KeyboardInterrupt
        return Interrupted.find(name, path)
ppl_parity.process.deferring.PathFinder = Interrupted
try:
    with deferring("scipy.fft", "scipy.sparse"):
        raise AssertionError("entered")
except KeyboardInterrupt:
    assert "scipy.fft" not in sys.modules
""")


def test_what_is_loaded_or_not_there_stays_as_it_is() -> None:
    python("""
import scipy.fft
with deferring("scipy.fft", "scipy.no_such_module", "no_such_package.module"):
    assert real("scipy.fft") and "scipy.no_such_module" not in sys.modules
assert real("scipy.fft")
try:
    import scipy.no_such_module
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("found")
""")
