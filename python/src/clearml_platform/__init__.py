"""Tracking, comparison, a model registry and pipelines on a self-hosted ClearML server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearml_platform.models import ClearMLModelManager
    from clearml_platform.pipeline import create_clearml_pipeline
    from clearml_platform.tracker import ClearMLTracker

__all__ = ["ClearMLModelManager", "ClearMLTracker", "create_clearml_pipeline"]
__version__ = "0.1.0"

# Imported when they are asked for: the SDK takes seconds, and most commands that only print help need none of it.
_HOMES = {
    "ClearMLModelManager": "clearml_platform.models",
    "ClearMLTracker": "clearml_platform.tracker",
    "create_clearml_pipeline": "clearml_platform.pipeline",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
