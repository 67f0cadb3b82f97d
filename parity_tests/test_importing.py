"""Modules that wait for their first use: not loaded meanwhile, and like any other afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
import sys
from ppl_parity.importing import _Deferred, deferring, importing
def real(name):
    return name in sys.modules and not isinstance(sys.modules[name], _Deferred)
"""


def python(code: str) -> None:
    result = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("package", ["numpyro_impl", "ppl_parity.fits"])
def test_a_fit_s_imports_do_without(package: str) -> None:
    python(f"""
with importing():
    import {package}
    assert not real("numpy.f2py") and not real("scipy.fft")
assert "numpy.f2py" not in sys.modules and "scipy.fft" not in sys.modules
import numpy, scipy
assert scipy.fft.rfft([1.0, 2.0]).shape == (2,) and real("scipy.fft")
assert numpy.f2py.__name__ == "numpy.f2py" and real("numpy.f2py")
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
with deferring("scipy.linalg"):
    import scipy.linalg.cython_lapack
    assert not real("scipy.linalg")
from scipy.linalg import cholesky, cython_lapack
assert cholesky([[4.0]])[0][0] == 2.0 and cython_lapack is sys.modules["scipy.linalg.cython_lapack"]
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
