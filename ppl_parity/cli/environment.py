"""What a result records about where it was computed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any


def environment(versions: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """This package, the system, and each backend's package versions, ready for JSON."""
    return {
        "ppl_parity": metadata.version("ppl-parity"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "num_cpus": os.cpu_count(),
        "backends": {name: dict(found) for name, found in versions.items()},
    }
