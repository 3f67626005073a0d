"""events.*: what tasks report while they run."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from elasticsearch import NotFoundError
from elasticsearch.helpers import streaming_bulk

from ...stores import Table, now
from .. import event_store, task_status
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint

MAX_LONG = 2**63 - 1
BUCKETS = 10000
SUMMARY = ("metric", "variant", "value", "x_axis_label")


@endpoint("events.add")
def add(call: Call) -> dict[str, Any]:
    """Store one event."""
    return _add(call, [dict(call.data)])


@endpoint("events.add_batch")
def add_batch(call: Call) -> dict[str, Any]:
    """Store many events, one a line."""
    if not call.batch:
        raise error("batch_contains_no_items")
    return _add(call, call.batch)


@endpoint(
    "events.scalar_metrics_iter_histogram",
    Field("task", required=True),
    Field("key", default="iter", choices=("iter", "timestamp", "iso_time")),
    Field("samples", "int", default=2000, least=1, most=6000),
    Field("metrics", "list"),
    Field("model_events", "bool", default=False),
)
def scalar_metrics_iter_histogram(call: Call) -> dict[str, Any]:
    """Return the scalars of a task as lines of at most `samples` points each."""
    entity = call.data["task"]
    table = call.mongo.models if call.data["model_events"] else call.mongo.tasks
    if not table.get({"_id": entity, "company": {"$in": [call.company, ""]}}, ["_id"]):
        raise error("invalid_task_id", ids=[entity])
    field = "iter" if call.data["key"] == "iter" else "timestamp"
    conditions: list[dict[str, Any]] = [
        {"term": {"task": entity}},
        {"range": {"iter": {"gt": event_store.SINGLE_VALUE}}},
    ]
    if call.data["metrics"]:
        conditions.append({"bool": {"should": [_metric_condition(item) for item in call.data["metrics"]]}})
    intervals = _intervals(call, conditions, field)
    result: dict[str, Any] = {}
    for interval, lines in sorted(intervals.items()):
        for metric, variant, points in _lines(call, conditions, field, interval):
            if (metric, variant) in lines:
                xs = [_x(call.data["key"], point) for point in points]
                ys = [point["average"]["value"] for point in points]
                result.setdefault(metric, {})[variant] = {"name": variant, "x": xs, "y": ys}
    return result


def _add(call: Call, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Store events and bring the summaries in their tasks up to date."""
    problems: dict[str, int] = defaultdict(int)
    writable = _writable(call, events)
    actions, accepted = [], []
    for event in events:
        label = event.pop("x_axis_label", None)
        problem = _prepare(call, event, writable)
        if problem:
            problems[problem] += 1
            continue
        identifier = uuid.uuid4().hex if event["type"] == event_store.LOG else event_store.event_id(event)
        index = event_store.index_name(call.company, event["type"])
        actions.append({"_op_type": "index", "_index": index, "_id": identifier, "_source": event})
        accepted.append({**event, "x_axis_label": label})
    added = sum(1 for success, _ in streaming_bulk(call.server.events, actions, refresh=True) if success)
    for model_event, table in ((False, call.mongo.tasks), (True, call.mongo.models)):
        by_entity = defaultdict(list)
        for event in accepted:
            if event["model_event"] == model_event:
                by_entity[event["task"]].append(event)
        for entity, reported in by_entity.items():
            _summarize(call, table, entity, reported)
    if not added:
        raise error("events_not_added", **problems)
    return {"added": added, "errors": sum(problems.values()), "errors_info": dict(problems)}


def _writable(call: Call, events: Iterable[dict[str, Any]]) -> set[tuple[str, bool]]:
    """Return which tasks and models (True) take events. Those that are done do so only when asked to."""
    asked: dict[tuple[str, bool], bool] = {}
    for event in events:
        event["model_event"] = bool(event.get("model_event"))
        if event["model_event"] and event.get("model"):
            event["task"] = event.pop("model")
        allow_locked = bool(event.pop("allow_locked", False))
        key = (event.get("task") or "", event["model_event"])
        if key[0] and asked.setdefault(key, allow_locked) != allow_locked:
            problem = f"Inconsistent allow_locked setting in the passed events for {key[0]}"
            raise error("validation_error", problem)
    writable = set()
    for (entity, model), allow_locked in asked.items():
        if not entity:
            continue
        table = call.mongo.models if model else call.mongo.tasks
        state = table.get({"_id": entity, "company": call.company}, ["status", "ready"])
        locked = state and (state.get("ready") if model else state.get("status") in task_status.LOCKED)
        if state and (allow_locked or not locked):
            writable.add((entity, model))
    return writable


def _prepare(call: Call, event: dict[str, Any], writable: set[tuple[str, bool]]) -> str | None:
    """Complete an event in place; return what is wrong with it, if anything."""
    kind = event.get("type")
    if kind is None:
        return "Event must have a 'type' field"
    kind = event["type"] = str(kind).replace(" ", "_")
    if kind not in event_store.TYPES:
        return f"Invalid event type {kind}"
    if event["model_event"] and kind == event_store.LOG:
        return "Task log events are not supported for models"
    if event.get("task") is None:
        return "Event must have a 'task' field"
    if (event["task"], event["model_event"]) not in writable:
        return f"Invalid {'model' if event['model_event'] else 'task'} id {event['task']}"
    when = datetime.now(UTC)
    event["@timestamp"] = when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"
    event["timestamp"] = event.pop("ts", None) or event.get("timestamp") or int(when.timestamp() * 1000)
    event.setdefault("worker", call.header("Worker") or "<unknown>")
    if event.get("iter") is not None:
        event["iter"] = int(event["iter"])
        if abs(event["iter"]) > MAX_LONG:
            return f"Iteration number should not exceed {MAX_LONG}"
    if "values" in event:
        event["value"] = event.pop("values")
    event["metric"], event["variant"] = event.get("metric") or "", event.get("variant") or ""
    return None


def _summarize(call: Call, table: Table, entity: str, events: list[dict[str, Any]]) -> None:
    """Update a task's (or model's) last iteration and the summary of each scalar: last, least, most, first, mean."""
    ignored = call.config.get("services.events.ignore_iteration.metrics", [])
    iterations = [e["iter"] for e in events if e.get("iter") is not None and e["metric"] not in ignored]
    most = call.config.get("services.tasks.max_last_metrics", 2000)
    with table.lock:
        document = table.get(entity)
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
            path = (_hash(metric), _hash(variant))
            known = metrics.get(path[0], {}).get(path[1]) or {}
            changed[f"last_metrics.{path[0]}.{path[1]}"] = merge_summary(known, line)
        if table is call.mongo.tasks:
            changed["metric_stats"] = _metric_stats(events)
            if document["status"] == "in_progress" and document.get("started"):
                changed["active_duration"] = int((when - document["started"]).total_seconds())
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
        entry = stats.setdefault(_hash(event["metric"]), {"metric": event["metric"], "event_stats_by_type": {}})
        kinds = entry["event_stats_by_type"]
        newest = max(event["timestamp"], kinds.get(event["type"], {}).get("last_update", 0))
        kinds[event["type"]] = {"last_update": newest}
    return stats


def _hash(name: str) -> str:
    """Return the field name for a metric or variant, whose own may hold dots and dollars."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _metric_condition(item: dict[str, Any]) -> dict[str, Any]:
    must: list[dict[str, Any]] = [{"term": {"metric": item.get("metric")}}]
    if item.get("variants"):
        must.append({"terms": {"variant": item["variants"]}})
    return {"bool": {"must": must}}


def _search(call: Call, conditions: list[dict[str, Any]], inner: dict[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """Yield metric, variant and the inner aggregation of each line."""
    variants = {"terms": {"field": "variant", "size": BUCKETS // 10, "order": {"_key": "asc"}}, "aggs": inner}
    metrics = {"terms": {"field": "metric", "size": BUCKETS // 10, "order": {"_key": "asc"}}}
    metrics["aggs"] = {"variants": variants}
    try:
        answer = call.server.events.search(
            index=event_store.index_name(call.company, event_store.SCALAR),
            size=0,
            query={"bool": {"must": conditions}},
            aggs={"metrics": metrics},
        )
    except NotFoundError:
        return
    for metric in answer.get("aggregations", {}).get("metrics", {}).get("buckets", []):
        for variant in metric["variants"]["buckets"]:
            yield metric["key"], variant["key"], variant


def _intervals(call: Call, conditions: list[dict[str, Any]], field: str) -> dict[int, set[tuple[str, str]]]:
    """Return how wide the points of each line have to be, so that there are not more than asked for."""
    samples = call.data["samples"]
    inner = {
        "count": {"value_count": {"field": field}},
        "least": {"min": {"field": field}},
        "most": {"max": {"field": field}},
    }
    intervals: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for metric, variant, found in _search(call, conditions, inner):
        interval = 1
        if found["count"]["value"] >= samples:
            span = found["most"]["value"] - found["least"]["value"] + 1
            interval = max(1, math.ceil(span / samples))
        intervals[interval].add((metric, variant))
    return intervals


def _lines(
    call: Call, conditions: list[dict[str, Any]], field: str, interval: int
) -> Iterable[tuple[str, str, list[dict[str, Any]]]]:
    """Yield metric, variant and points of each line; a point is the average over an interval."""
    if field == "iter":
        buckets: dict[str, Any] = {"histogram": {"field": field, "interval": interval, "min_doc_count": 1}}
    else:
        buckets = {"date_histogram": {"field": field, "fixed_interval": f"{interval}ms", "min_doc_count": 1}}
    buckets["aggs"] = {"average": {"avg": {"field": "value"}}}
    for metric, variant, found in _search(call, conditions, {"points": buckets}):
        yield metric, variant, found["points"]["buckets"]


def _x(key: str, point: dict[str, Any]) -> int | str:
    if key == "iso_time":
        return str(point["key_as_string"])
    return int(point["key"])
