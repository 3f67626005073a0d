"""From the path in a URL to a file below the upload folder, and never out of it."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST_NAME = 255  # bytes; file systems take no more


def resolve(folder: Path, path: str) -> Path | None:
    """Return the file that `path` means, or None when it cannot be one, is the folder itself, or lies outside of it.

    The path is already decoded. It is resolved as the file system does, so a symbolic link does not lead out either.
    """
    if "\x00" in path or any(len(os.fsencode(part)) > LONGEST_NAME for part in path.split("/")):
        return None
    root = folder.resolve()
    target = (root / path.lstrip("/")).resolve()
    return target if root in target.parents else None
