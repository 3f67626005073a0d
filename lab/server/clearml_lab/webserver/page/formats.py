"""How values are written on the page."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

NOTHING = "\N{EN DASH}"


def number(value: Any) -> str:
    """Write a metric's value in a few digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NOTHING if value is None else str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return f"{int(value)}"
    return f"{value:.5g}" if math.isfinite(value) else str(value)


def duration(seconds: float | None) -> str:
    """Write a time span with its two largest units."""
    if seconds is None:
        return NOTHING
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def size(count: int | None) -> str:
    """Write a number of bytes."""
    if not count:
        return NOTHING if count is None else "0 B"
    power = min(int(math.log(count, 1024)), 4)
    return f"{count / 1024**power:.{1 if power else 0}f} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}"


def moment(value: Any) -> datetime | None:
    """Read a time as the API gives it."""
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def clock(when: datetime) -> str:
    """Write a time, as it is in UTC."""
    return when.strftime("%Y-%m-%d %H:%M")


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """Write how long ago a time was."""
    if when is None:
        return NOTHING
    passed = (now or datetime.now(UTC)) - when
    return "just now" if passed < timedelta(seconds=5) else f"{duration(passed.total_seconds())} ago"


def words(status: str) -> str:
    """Write a status of the API in words."""
    return status.replace("_", " ")
