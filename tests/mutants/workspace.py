"""A copy of the repository: faults are put there, never into the work tree."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.table import Mutant

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Copy what git tracks, as it is in the work tree now; the copy is a repository as well, for tests that ask git."""
    with tempfile.TemporaryDirectory(prefix="clearml-mutants-") as name:
        copy = Path(name) / "repository"
        for path in _git("ls-files", "-z", cwd=ROOT).split("\0"):
            source, target = ROOT / path, copy / path
            if path and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        _git("init", "--quiet", cwd=copy)
        _git("add", "--all", cwd=copy)
        (copy / ".venv").symlink_to(ROOT / ".venv")
        yield copy


def _git(*arguments: str, cwd: Path) -> str:
    # Git itself sets variables that lead to another repository when it runs a hook.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *arguments], cwd=cwd, env=clean, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def fault(copy: Path, mutant: Mutant) -> Iterator[None]:
    """Have a fault in the copy while the block runs."""
    path = copy / mutant.file
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied_to(original), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(original, encoding="utf-8")
