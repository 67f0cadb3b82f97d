"""Write a model's graph to a file: as Graphviz source, or drawn by Graphviz's ``dot``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ppl_parity.errors import InputError

DRAWN = (".pdf", ".png", ".svg")


def write_graph(graph: Any, path: str | Path) -> Path:
    """Write a ``graphviz`` graph to ``path``; ``.gv`` is its source, the other suffixes are drawn by ``dot``.

    Raises:
        InputError: the suffix is unknown, or ``dot`` is needed and not installed.
    """
    path = Path(path)
    if path.suffix == ".gv":
        path.write_text(graph.source)
        return path
    if path.suffix not in DRAWN:
        raise InputError(f"A graph is written as .gv, {', '.join(DRAWN)}; got {path.name!r}.")
    if shutil.which("dot") is None:
        raise InputError(
            f"Drawing {path.name!r} needs Graphviz's program dot, which is not installed; .gv does not."
        )
    path.write_bytes(graph.pipe(format=path.suffix[1:]))
    return path
