"""Files that a test writes."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Text into a file, byte by byte as it is; the path."""
    path.write_bytes(text.encode(encoding))
    return path
