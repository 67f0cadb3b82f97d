"""The house of CONTRIBUTING.md: no floor imports one above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Bottom up; what stands on one line may import each other no more than downwards, either.
FLOORS = """
    errors words listing writing cores orbits families spec
    draws backend tolerances data reference statistics native starts gpu process
    numpyro_impl pyro_impl fitting
    findings pair ladder frozen report preparing checking
    doctor benchmarks cli __main__
""".split()
# What a method loads when it is called, and a door of its own to the command line.
ALLOWED = {
    ("ppl_parity.findings", "report"),
    ("benchmarks.__main__", "cli"),
}


def room(module: str) -> str:
    """The package, or the file, that a module belongs to."""
    first, *rest = module.split(".")
    return rest[0] if first == "ppl_parity" and rest else first


def imports() -> Iterator[tuple[str, str]]:
    """Every import of our own in our own code, at the top of a file or within a function: who, and what."""
    for package in ("ppl_parity", "numpyro_impl", "pyro_impl", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                else:
                    continue
                for name in names:
                    if name.split(".")[0] in ("ppl_parity", "numpyro_impl", "pyro_impl", "benchmarks"):
                        yield module, name


def test_nothing_imports_upwards() -> None:
    seen = 0
    for module, imported in imports():
        here, there = room(module), room(imported)
        if here == there or "ppl_parity" in (here, there) or "lent" in module:
            continue
        seen += 1
        if (module, there) not in ALLOWED:
            assert FLOORS.index(there) < FLOORS.index(here), f"{module} imports {imported}, which is above it"
    assert seen > 500


def test_every_room_has_its_floor() -> None:
    own = {
        p.stem for p in (ROOT / "ppl_parity").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    assert own - {"__init__"} <= set(FLOORS)
