"""events.*: scalars as lines that fit on a chart, raw, or as single values; and which metrics there are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from .. import event_search, event_store
from ..call import Call
from ..errors import error
from ..event_search import METRIC, METRICS, MODEL_EVENTS
from ..fields import Field
from ..registry import endpoint

KEYS = ("iter", "timestamp", "iso_time")
TASK = Field("task", required=True)
TASKS = Field("tasks", "list", of="str", shortest=1)
KEY = Field("key", default="iter", choices=KEYS, enum="ScalarKeyEnum")
SAMPLES = Field("samples", "whole", default=2000, least=1, most=6000)
KINDS = ("*", *event_store.TYPES)
MOST_RAW = 200_000
VECTOR = "training_stats_vector"
CHARTED: dict[str, Any] = {"range": {"iter": {"gt": event_store.SINGLE_VALUE}}}


@endpoint("events.scalar_metrics_iter_histogram", TASK, KEY, SAMPLES, METRICS, MODEL_EVENTS)
def scalar_metrics_iter_histogram(call: Call) -> dict[str, Any]:
    """Return the scalars of a task as lines of at most `samples` points each."""
    (owner,) = event_search.entities(call, call.data["task"], call.data["model_events"])
    return _histogram(call, owner)


@endpoint("events.multi_task_scalar_metrics_iter_histogram", TASKS, KEY, SAMPLES, METRICS, MODEL_EVENTS)
def multi_task_scalar_metrics_iter_histogram(call: Call) -> dict[str, Any]:
    """Return the scalars of tasks as lines side by side."""
    most = call.config.get("services.tasks.multi_task_histogram_limit", 100)
    if len(call.data["tasks"]) > most:
        problem = f"value '{call.data['tasks']}' length is bigger than allowed maximum '{most}'."
        raise error("validation_error", problem)
    metrics: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for owner in event_search.entities(call, call.data["tasks"], call.data["model_events"]):
        for metric, variants in _histogram(call, owner).items():
            for variant, line in variants.items():
                metrics[metric][variant][owner["_id"]] = {**line, "name": owner["name"]}
    return {"metrics": metrics}


@endpoint(
    "events.scalar_metrics_iter_raw",
    TASK,
    Field("batch_size", "whole"),
    KEY,
    Field("metric", shape=METRIC, required=True),
    Field("count_total", "bool", default=False),
    Field("scroll_id"),
    MODEL_EVENTS,
    version="2.16",
)
def scalar_metrics_iter_raw(call: Call) -> dict[str, Any]:
    """Return the scalars of one metric as they were reported, page by page."""
    data, total, position = call.data, None, None
    size = data["batch_size"] or event_search.MOST
    if size < 0:
        raise error("validation_error", "batch_size should be non negative number")
    if data["scroll_id"]:
        state = event_search.decode_scroll(call, data["scroll_id"])
        position, total = state.get("from_key_value"), state.get("total")
        if position is None:
            return {"returned": 0, "total": total, "scroll_id": data["scroll_id"], "variants": {}}
        size = data["batch_size"] or state["size"]
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    field, metrics = _field(data["key"]), [data["metric"]]
    if data["count_total"] and total is None:
        conditions = {"bool": {"must": event_search.of([owner], metrics)}}
        counted = event_search.search(
            call, event_store.SCALAR, [owner], size=0, query=conditions, track_total_hits=True
        )
        total = event_search.total(counted)
    events: list[dict[str, Any]] = []
    for _ in range(math.ceil(min(size, MOST_RAW) / event_search.MOST)):
        more, _count = event_search.page(
            call,
            event_store.SCALAR,
            owner,
            size=min(size, event_search.MOST),
            key=field,
            earlier=False,
            after=position,
            metrics=metrics,
        )
        if not more:
            break
        events += more
        position = str(events[-1][field])
    variants: dict[str, dict[str, list[Any]]] = {}
    for event in events:
        line = variants.setdefault(event["variant"], {"y": [], data["key"]: []})
        line["y"].append(event["value"])
        line[data["key"]].append(event[field])
    last = str(events[-1][field]) if events else None
    scroll = event_search.encode_scroll(call, from_key_value=last, total=total, size=size)
    return {"returned": len(events), "total": total, "scroll_id": scroll, "variants": variants}


@endpoint("events.get_task_single_value_metrics", TASKS, METRICS, MODEL_EVENTS)
def get_task_single_value_metrics(call: Call) -> dict[str, Any]:
    """Return the scalars that have no iteration."""
    owners = event_search.entities(call, call.data["tasks"], call.data["model_events"])
    conditions = [*event_search.of(owners, call.data["metrics"]), {"term": {"iter": event_store.SINGLE_VALUE}}]
    answer = event_search.search(
        call, event_store.SCALAR, owners, size=event_search.MOST, query={"bool": {"must": conditions}}
    )
    values: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in event_search.sources(answer):
        shown = {name: event.get(name) for name in ("metric", "variant", "value", "timestamp")}
        values[event["task"]].append(shown)
    names = {owner["_id"]: owner.get("name") for owner in owners}
    return {"tasks": [{"task": task, "task_name": names[task], "values": found} for task, found in values.items()]}


@endpoint("events.get_scalar_metric_data", TASK, Field("metric", required=True), MODEL_EVENTS)
def get_scalar_metric_data(call: Call) -> dict[str, Any]:
    """Return the last scalars of one metric, newest first."""
    (owner,) = event_search.entities(call, call.data["task"], call.data["model_events"])
    conditions = event_search.of([owner], [{"metric": call.data["metric"]}])
    newest = [{"iter": "desc"}]
    answer = event_search.search(
        call, event_store.SCALAR, [owner], size=500, query={"bool": {"must": conditions}}, sort=newest
    )
    events = event_search.sources(answer)
    return {"events": events, "returned": len(events), "total": event_search.total(answer), "scroll_id": None}


@endpoint("events.get_task_latest_scalar_values", TASK)
def get_task_latest_scalar_values(call: Call) -> dict[str, Any]:
    """Return the last values that are above zero, of each metric and variant."""
    (task,) = event_search.entities(call, call.data["task"], models=False)
    last = {"top_hits": {"size": 10, "sort": [{"iter": "desc"}], "_source": ["value", "iter"]}}
    inner = {"last": last, "time": {"max": {"field": "timestamp"}}}
    conditions = [*event_search.of([task]), {"range": {"value": {"gt": 0}}}]
    metrics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    latest = 0.0
    for metric, variant, found in event_search.lines(call, event_store.SCALAR, [task], conditions, inner):
        value = found["last"]["hits"]["hits"][0]["_source"]["value"]
        latest = max(latest, found["time"]["value"])
        metrics[metric].append({"name": variant, "last_value": value, "last_10_value": value})
    aggregations = {"last": {"max": {"field": "iter"}}}
    answer = event_search.search(
        call, "*", [task], size=0, query={"bool": {"must": event_search.of([task])}}, aggs=aggregations
    )
    iteration = answer.get("aggregations", {}).get("last", {}).get("value")
    return {
        "metrics": [{"name": name, "variants": variants} for name, variants in metrics.items()],
        "last_iter": int(iteration) if iteration is not None else 0,
        # The official server does not read these two before it shows them.
        "name": None,
        "status": "created",
        "last_timestamp": latest,
    }


@endpoint("events.get_scalar_metrics_and_variants", TASK, MODEL_EVENTS)
def get_scalar_metrics_and_variants(call: Call) -> dict[str, Any]:
    """Return which scalars there are."""
    return {"metrics": _variants(call, event_store.SCALAR)}


@endpoint("events.get_vector_metrics_and_variants", TASK, MODEL_EVENTS)
def get_vector_metrics_and_variants(call: Call) -> dict[str, Any]:
    """Return which vectors there are."""
    return {"metrics": _variants(call, VECTOR)}


@endpoint(
    "events.vector_metrics_iter_histogram",
    TASK,
    Field("metric", required=True),
    Field("variant", required=True),
    MODEL_EVENTS,
)
def vector_metrics_iter_histogram(call: Call) -> dict[str, Any]:
    """Return the vectors of one line."""
    data = call.data
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    line = [{"metric": data["metric"], "variants": [data["variant"]]}]
    conditions = {"bool": {"must": event_search.of([owner], line)}}
    answer = event_search.search(call, VECTOR, [owner], size=event_search.MOST, query=conditions, sort=["iter"])
    events = event_search.sources(answer)
    return {
        "metric": data["metric"],
        "variant": data["variant"],
        "vectors": [event["value"] for event in events],
        "iterations": [event["iter"] for event in events],
    }


@endpoint(
    "events.get_task_metrics", TASKS, MODEL_EVENTS, Field("event_type", required=True, choices=KINDS, enum="EventType")
)
def get_task_metrics(call: Call) -> dict[str, Any]:
    """Return which metrics each task reported."""
    kind, found = call.data["event_type"], []
    for owner in event_search.entities(call, call.data["tasks"], call.data["model_events"]):
        conditions = [*event_search.of([owner]), CHARTED]
        names = [metric for metric, _, _ in event_search.lines(call, kind, [owner], conditions, {})]
        found.append({"task": owner["_id"], "metrics": list(dict.fromkeys(names))})
    return {"metrics": found}


@endpoint(
    "events.get_multi_task_metrics",
    TASKS,
    MODEL_EVENTS,
    Field("event_type", choices=KINDS, enum="EventType", default="*"),
)
def get_multi_task_metrics(call: Call) -> dict[str, Any]:
    """Return which metrics and variants tasks reported together."""
    owners = event_search.entities(call, call.data["tasks"], call.data["model_events"])
    variants: dict[str, list[str]] = defaultdict(list)
    for metric, variant, _ in event_search.lines(call, call.data["event_type"], owners, event_search.of(owners), {}):
        variants[metric].append(variant)
    return {"metrics": [{"metric": metric, "variants": sorted(names)} for metric, names in sorted(variants.items())]}


def _variants(call: Call, kind: str) -> dict[str, list[str]]:
    (owner,) = event_search.entities(call, call.data["task"], call.data["model_events"])
    variants: dict[str, list[str]] = defaultdict(list)
    for metric, variant, _ in event_search.lines(call, kind, [owner], event_search.of([owner]), {}):
        variants[metric].append(variant)
    return variants


def _histogram(call: Call, owner: Mapping[str, Any]) -> dict[str, Any]:
    field = _field(call.data["key"])
    conditions = [*event_search.of([owner], call.data["metrics"]), CHARTED]
    result: dict[str, Any] = {}
    for interval, names in sorted(_intervals(call, owner, conditions, field).items()):
        inner = {"points": _points(field, interval)}
        for metric, variant, found in event_search.lines(call, event_store.SCALAR, [owner], conditions, inner):
            if (metric, variant) in names:
                points = found["points"]["buckets"]
                line = {
                    "name": variant,
                    "x": [_x(call.data["key"], point) for point in points],
                    "y": [point["average"]["value"] for point in points],
                }
                result.setdefault(metric, {})[variant] = line
    for metric in (owner.get("last_metrics") or {}).values():
        for known in metric.values():
            line = result.get(known["metric"], {}).get(known["variant"])
            if line and known.get("x_axis_label") is not None:
                line["x_axis_label"] = known["x_axis_label"]
    return result


def _intervals(
    call: Call, owner: Mapping[str, Any], conditions: Iterable[dict[str, Any]], field: str
) -> dict[int, set[tuple[str, str]]]:
    """Return how wide the points of each line have to be, so that there are not more than asked for."""
    inner = {
        "count": {"value_count": {"field": field}},
        "least": {"min": {"field": field}},
        "most": {"max": {"field": field}},
    }
    samples, intervals = call.data["samples"], defaultdict(set)
    for metric, variant, found in event_search.lines(call, event_store.SCALAR, [owner], list(conditions), inner):
        interval = 1
        if found["count"]["value"] >= samples:
            span = found["most"]["value"] - found["least"]["value"] + 1
            interval = max(1, math.ceil(span / samples))
        intervals[interval].add((metric, variant))
    return intervals


def _points(field: str, interval: int) -> dict[str, Any]:
    """Return the aggregation that makes points; each is the average over an interval."""
    if field == "iter":
        buckets: dict[str, Any] = {"histogram": {"field": field, "interval": interval, "min_doc_count": 1}}
    else:
        buckets = {"date_histogram": {"field": field, "fixed_interval": f"{interval}ms", "min_doc_count": 1}}
    return {**buckets, "aggs": {"average": {"avg": {"field": "value"}}}}


def _field(key: str) -> str:
    return "iter" if key == "iter" else "timestamp"


def _x(key: str, point: Mapping[str, Any]) -> int | str:
    return str(point["key_as_string"]) if key == "iso_time" else int(point["key"])
