"""What a task (or model) tells at once of all that it reported: its last iteration, and a summary of each scalar."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ..stores import Table, now
from . import event_store, task_status
from .call import Call


def update(call: Call, table: Table, entity: str, events: list[dict[str, Any]]) -> None:
    """Update a task's (or model's) last iteration and the summary of each scalar: last, least, most, first, mean."""
    ignored = call.config.get("services.events.ignore_iteration.metrics", [])
    iterations = [e["iter"] for e in events if e.get("iter") is not None and e["metric"] not in ignored]
    most = call.config.get("services.tasks.max_last_metrics", 2000)
    with table.lock:
        fields = ["status", "started", "project", "last_iteration", "last_metrics", "unique_metrics"]
        document = table.get(entity, fields)
        if not document:
            return
        when = now()
        changed: dict[str, Any] = {
            "last_update": when,
            "last_change": when,
            "last_changed_by": call.identity.user,
            "last_iteration": max([document.get("last_iteration") or 0, *iterations]),
        }
        names = list(document.get("unique_metrics") or [])
        metrics = document.get("last_metrics") or {}
        for (metric, variant), line in _by_line(events).items():
            name = f"{metric}/{variant}"
            if name not in names:
                if len(names) >= most:
                    continue
                names.append(name)
            path = (hashed(metric), hashed(variant))
            known = metrics.get(path[0], {}).get(path[1]) or {}
            changed[f"last_metrics.{path[0]}.{path[1]}"] = merge_summary(known, line)
        if table is call.mongo.tasks:
            changed["metric_stats"] = _metric_stats(events)
            changed.update(task_status.duration(document))
        changed["unique_metrics"] = names
        table.update(entity, {"$set": changed})
        if document.get("project"):
            call.mongo.projects.update(document["project"], {"$set": {"last_update": when}})


def _by_line(events: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the scalars of each metric and variant."""
    lines: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["type"] == event_store.SCALAR and isinstance(event.get("value"), (int, float)):
            lines[event["metric"], event["variant"]].append(event)
    return lines


def merge_summary(known: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of a line with more points in it. The mean is rounded as the official server does."""

    def position(event: dict[str, Any]) -> int:
        return event.get("iter") or 0

    last = max(events, key=lambda event: (position(event), event["timestamp"]))
    summary = {**known, "metric": last["metric"], "variant": last["variant"], "value": last["value"]}
    labels = [event["x_axis_label"] for event in events if event.get("x_axis_label") is not None]
    if labels:
        summary["x_axis_label"] = labels[-1]
    least = min(events, key=lambda event: event["value"])
    most = max(events, key=lambda event: event["value"])
    for name, event, better in (
        ("min", least, least["value"] < known.get("min_value", math.inf)),
        ("max", most, most["value"] > known.get("max_value", -math.inf)),
        ("first", min(events, key=position), "first_value" not in known),
    ):
        if better:
            summary[f"{name}_value"], summary[f"{name}_value_iteration"] = event["value"], position(event)
    count = known.get("count", 0)
    total = known.get("mean_value", 0.0) * count + sum(event["value"] for event in events)
    summary["count"] = count + len(events)
    summary["mean_value"] = round(total / summary["count"], 2)
    return summary


def _metric_stats(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    stats: dict[str, Any] = {}
    for event in events:
        entry = stats.setdefault(hashed(event["metric"]), {"metric": event["metric"], "event_stats_by_type": {}})
        kinds = entry["event_stats_by_type"]
        newest = max(event["timestamp"], kinds.get(event["type"], {}).get("last_update", 0))
        kinds[event["type"]] = {"last_update": newest}
    return stats


def hashed(name: str) -> str:
    """Return the field name for a metric or variant, whose own may hold dots and dollars."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
