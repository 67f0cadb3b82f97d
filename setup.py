"""The native kernel, compiled at installation where that works; all else is in pyproject.toml.

Both libraries are optional: without a compiler the installation succeeds, and the first use builds them, or else
the array program runs. The door of XLA needs jaxlib's headers, which an isolated build does not have.
"""

import importlib.util
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("building", ROOT / "ppl_parity" / "native" / "building.py")
building = importlib.util.module_from_spec(spec)
spec.loader.exec_module(building)

# No package, so that Python takes no library for a module; git keeps no empty folder, and an editable
# installation copies the library into it.
(ROOT / "ppl_parity" / "native" / "built").mkdir(exist_ok=True)


def library(kind, jaxlib="", include=()):
    return Extension(
        f"ppl_parity.native.built._{kind}",
        [str(path.relative_to(ROOT)) for path in building.sources(kind)],
        define_macros=building.macros(kind, jaxlib),
        include_dirs=[*include],
        extra_compile_args=[*building.FLAGS],
        extra_link_args=["-pthread"],
        language="c++",
        optional=True,
    )


def libraries():
    found = [library("core")]
    try:
        import jax
        import jaxlib
    except ImportError:
        return found
    return [*found, library("xla", jaxlib.version.__version__, [jax.ffi.include_dir()])]


setup(ext_modules=libraries())
