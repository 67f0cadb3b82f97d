"""Where in a user's own code an exception began: the one line of a traceback that the user can mend."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parents[1]
OURS = tuple(f"{HERE.parent / name}{os.sep}" for name in (HERE.name, "pyro_impl", "numpyro_impl"))
# By name as well as by place: an editable installation lies anywhere.
LIBRARIES = {"torch", "pyro", "jax", "jaxlib", "numpyro", "funsor", "numpy", "scipy"}
FRAMEWORKS = {"pyro": {"pyro", "torch"}, "numpyro": {"numpyro", "jax", "jaxlib"}}
INSTALLED = {"site-packages", "dist-packages"}
STANDARD = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))


def own_line(error: BaseException) -> str | None:
    """``file:line`` of the innermost frame of an exception that is neither a library's nor ours; None if none is.

    A file under the working directory is named from there, any other by its name alone, a cell of a notebook as
    ``<ipython-input>``.
    """
    own = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_own(frame)]
    if not own:
        return None
    frame, line = own[-1]
    return f"{_name(frame.f_code.co_filename)}:{line}"


def site_at_work(error: BaseException) -> str | None:
    """The site whose log probability a library was computing; None where its frames do not say so.

    Both libraries compute log probabilities after the model has run, so no frame of these is the user's.
    """
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        site = frame.f_locals.get("site")
        if _library(frame) in LIBRARIES and isinstance(site, dict) and isinstance(site.get("name"), str):
            return site["name"]
    return None


def innermost(error: BaseException) -> str:
    """The statement that raised an exception, as its source has it; empty where that cannot be read."""
    found = traceback.extract_tb(error.__traceback__)
    return (found[-1].line or "").strip() if found else ""


def other_framework(side: str, error: BaseException) -> str | None:
    """The framework of the other side, if an exception began in it and it was the model that called it."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if _is_own(frame):
            return None
        for name, libraries in FRAMEWORKS.items():
            if name != side and _library(frame) in libraries:
                return name
    return None


def _library(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_own(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    if path.startswith(
        "<"
    ):  # a notebook's or a prompt's; a library's generated code has names like this, too
        return path.startswith("<ipython") or frame.f_globals.get("__name__") == "__main__"
    if _library(frame) in LIBRARIES or INSTALLED & set(Path(path).parts):
        return False
    return not path.startswith(OURS + STANDARD)


def _name(path: str) -> str:
    if path.startswith("<"):
        return path
    place = Path(path)
    if place.parent.name.startswith("ipykernel_"):  # a cell; the number that is its file's name is nobody's
        return "<ipython-input>"
    here = Path.cwd()
    return str(place.relative_to(here)) if place.is_relative_to(here) else place.name
