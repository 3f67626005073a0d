"""Experiments and models side by side: collected in a few requests, shown, and exported as a table or as a page."""

from __future__ import annotations

from clearml_platform.compare.collect import collect, of_models
from clearml_platform.compare.command import compare
from clearml_platform.compare.experiment import Artifact, Comparison, Experiment, Metric, Script
from clearml_platform.compare.export import write
from clearml_platform.compare.table import show

__all__ = [
    "Artifact",
    "Comparison",
    "Experiment",
    "Metric",
    "Script",
    "collect",
    "compare",
    "of_models",
    "show",
    "write",
]
