"""From the path in a URL to a file below the upload folder, and never out of it."""

from __future__ import annotations

from pathlib import Path


def resolve(folder: Path, path: str) -> Path | None:
    """Return the file that `path` means, or None when it is the folder itself or lies outside of it.

    The path is already decoded. It is resolved as the file system does, so a symbolic link does not lead out either.
    """
    if "\x00" in path:
        return None
    root = folder.resolve()
    target = (root / path.lstrip("/")).resolve()
    return target if root in target.parents else None
