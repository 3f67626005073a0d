"""Versions of models side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from clearml_platform.models.versions import ModelVersion

# Metrics that are better when they are smaller, by the words of their names.
ERRORS = {"error", "loss", "mae", "mape", "mse", "msle", "perplexity", "rmse", "rmsle", "wer"}


def compared(models: Sequence[ModelVersion]) -> dict[str, Any]:
    """Return models, the parameters that differ, and metrics with their distance from the first model and the best.

    Values and deltas are in the order of the models, None where a model has none; ``best`` is the position of the best
    one.
    """
    return {
        "models": [model.to_json() for model in models],
        "parameters": {
            name: values for name, values in _side_by_side([model.parameters for model in models]) if _differ(values)
        },
        "metrics": {
            name: {"values": values, "deltas": _deltas(values), "best": _best(name, values)}
            for name, values in _side_by_side(
                [{name: value for name, value in model.metrics.items() if math.isfinite(value)} for model in models]
            )
        },
    }


def _side_by_side(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    return [(name, [row.get(name) for row in rows]) for name in sorted({name for row in rows for name in row})]


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _deltas(values: Sequence[float | None]) -> list[float | None]:
    first = values[0]
    return [None if value is None or first is None else value - first for value in values]


def _best(name: str, values: Sequence[float | None]) -> int | None:
    known = [(value, position) for position, value in enumerate(values) if value is not None]
    if not known:
        return None
    smaller = bool(ERRORS & set(re.split(r"[^a-z0-9]+", name.lower())))
    return min(known, key=lambda item: (item[0] if smaller else -item[0], item[1]))[1]
