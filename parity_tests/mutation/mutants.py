"""What a mutant is: a pair file with one deliberate fault, and what a check should make of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

PAIRS = Path(__file__).resolve().parent.parent / "pairs"


@dataclass(frozen=True)
class Mutant:
    """One fault in one pair.

    Attributes:
        pair: the correct pair's name.
        operator: what made it.
        detail: the change, as source.
        source: the whole pair file.
        sites: where it may rightly be blamed, by name or pattern (``y_*``); empty if no site is the place.
        equivalent: why the density is unchanged, so that a check must not call it different.
        below: why a check at this level cannot see it.
        also: rungs beyond a level that it shows on alone: ``forward``, of drawn samples, or ``elbo``.
    """

    pair: str
    operator: str
    detail: str
    source: str
    sites: tuple[str, ...] = ()
    equivalent: str | None = None
    below: str | None = None
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique among the mutants of one run, and a file's name."""
        digest = f"{hash_of(self.source):08x}"
        return f"{self.pair}__{self.operator}__{digest}"

    def blames(self, site: str | None) -> bool:
        """Whether ``site`` is where the fault is."""
        return site is not None and any(fnmatch(site, pattern) for pattern in self.sites)


def hash_of(text: str) -> int:
    """A number that stays the same from run to run, as ``hash`` does not."""
    import zlib

    return zlib.crc32(text.encode())


def pair_files() -> dict[str, Path]:
    """The correct pairs, by name, those with guides last; not those that are written in two ways."""
    return {path.stem: path for folder in (PAIRS, PAIRS / "guides") for path in sorted(folder.glob("*.py"))}


def constant_of(path: Path, name: str) -> object:
    """A literal that a pair file assigns at its top, read without importing the file; None if there is none."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [t.id for t in node.targets if isinstance(t, ast.Name)] == [name]:
            return ast.literal_eval(node.value)
    return None
