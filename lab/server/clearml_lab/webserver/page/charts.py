"""Curves of scalars, as the points of a line in an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 240, 48
MARGIN = 3


@dataclass(frozen=True)
class Curve:
    """A line within WIDTH x HEIGHT, and the iterations that it spans."""

    points: str
    first: float
    last: float


def curve(line: Mapping[str, Sequence[Any]]) -> Curve | None:
    """Return the curve of a line with `x` and `y`; None when fewer than two of its points can be drawn."""
    pairs = [
        (float(x), float(y))
        for x, y in zip(line.get("x", ()), line.get("y", ()), strict=False)
        if isinstance(x, (int, float)) and isinstance(y, (int, float)) and math.isfinite(x) and math.isfinite(y)
    ]
    if len(pairs) < 2:
        return None
    xs, ys = zip(*pairs, strict=True)
    across, down = _spread(xs, MARGIN, WIDTH - MARGIN), _spread(ys, HEIGHT - MARGIN, MARGIN)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
    return Curve(points, min(xs), max(xs))


def _spread(values: Sequence[float], start: float, end: float) -> list[float]:
    """Place values between start and end, the lowest at the start; in the middle when all are the same."""
    low, span = min(values), max(values) - min(values)
    return [start + (end - start) * ((value - low) / span if span else 0.5) for value in values]
