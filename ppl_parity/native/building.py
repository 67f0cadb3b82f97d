"""The two libraries as files: what was built at installation, else what is built when first needed.

This file imports the standard library alone: ``setup.py`` reads it too, before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-w")
SECONDS = 300  # that a compiler may take; it needs about twenty


class NoLibrary(Exception):
    """Why there is no native library here, in words that complete "array program: ..."."""


def sources(kind: str) -> list[Path]:
    """The files to compile: ``core`` (the kernel) or ``xla`` (its door into JAX)."""
    return sorted((HERE / "xla" if kind == "xla" else HERE).glob("*.cpp"))


def build_key(kind: str, jaxlib: str = "") -> str:
    """A hash of all that decides what the compiled library is, but for the compiler itself."""
    files = sorted([*HERE.glob("*.h"), *sources("core"), *sources("xla")])
    parts = [path.name.encode() + b"\0" + path.read_bytes() for path in files]
    parts += [kind.encode(), jaxlib.encode() if kind == "xla" else b"", " ".join(FLAGS).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def macros(kind: str, jaxlib: str = "") -> list[tuple[str, str]]:
    """Preprocessor definitions: a library says which sources it was compiled from."""
    return [("PPL_BUILD", f'"{build_key(kind, jaxlib)}"')]


def installed(kind: str) -> list[Path]:
    """Libraries that the installation compiled; they may be of older sources or of another jaxlib."""
    # In a folder that is no package: Python would take a library beside its modules for one of them.
    built = (HERE / "built").glob(f"_{kind}.*")
    return sorted(path for path in built if path.suffix in (".so", ".dylib", ".pyd"))


def cached(kind: str, jaxlib: str = "") -> Path:
    """Where a library that is built at need is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    system = "-".join([sys.platform, platform.machine(), *platform.libc_ver()])
    return Path(base) / "ppl-parity" / "native" / f"{kind}-{build_key(kind, jaxlib)}-{system}.so"


def build(kind: str, jaxlib: str = "", include: str | None = None) -> Path:
    """Compile a library into the cache and return its path; safe while another process does the same.

    Raises:
        NoLibrary: there is no compiler, it failed, or the cache cannot be written.
    """
    target = cached(kind, jaxlib)
    command = [compiler(), *FLAGS, *(f"-D{name}={value}" for name, value in macros(kind, jaxlib))]
    command += [f"-I{include}"] if include else []
    command += ["-shared", "-pthread", *map(str, sources(kind)), "-o"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Compiled beside its place and then moved there: another process sees all of it or nothing.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / target.name
            result = subprocess.run(
                [*command, str(made)], capture_output=True, text=True, timeout=SECONDS, check=False
            )
            if result.returncode != 0:
                lines = [line for line in result.stderr.splitlines() if "error" in line] or ["no message"]
                raise NoLibrary(f"the compiler {command[0]} failed ({lines[0].strip()})")
            made.replace(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoLibrary(f"the kernel could not be built in {target.parent} ({error})") from error
    return target


def compiler() -> str:
    """The C++ compiler: ``CXX``, else the first of the usual names on the PATH."""
    if os.name == "nt":
        raise NoLibrary("the native kernel is not written for Windows")
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise NoLibrary(f"no C++ compiler was found ({', '.join(names)})")
    return found
