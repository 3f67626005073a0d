"""How busy workers' machines are, and how many workers there are: one document a figure, read back over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from elasticsearch.helpers import bulk

from .call import Call
from .errors import error

Conditions = list[dict[str, Any]]
WHOLE = 0.9  # the last interval counts only when so much of it is over


def store(call: Call, report: Mapping[str, Any]) -> None:
    """Write the figures of a status report to the index of the month."""
    index = f"{_prefix(call)}{datetime.now(UTC):%Y-%m}"
    actions = []
    for metric, value in report["machine_stats"].items():
        for position, figure in enumerate(value if isinstance(value, list) else [value]):
            document = {
                "timestamp": report["timestamp"],
                "worker": report["worker"],
                "category": metric.partition("_")[0],
                "metric": metric,
                "variant": str(position) if isinstance(value, list) else "total",
                "value": float(figure),
                "task": report["task"],
                "company_id": call.company,
            }
            actions.append({"_index": index, "_source": document})
    if actions:
        bulk(call.server.workers, actions, refresh=True)  # there, it can be read about a second later


def keys(call: Call, workers: Sequence[str] | None) -> dict[str, list[str]]:
    """Return which metrics there are, by their categories."""
    metrics = {"metrics": {"terms": {"field": "metric"}}}
    aggregations = {"categories": {"terms": {"field": "category"}, "aggs": metrics}}
    answer = _search(call, _of(workers), aggregations)
    if not answer["hits"]["total"]["value"]:
        problem = f"No statistic metrics found for the company {call.company} and workers {workers or []}"
        raise error("worker_stats_not_found", problem)
    categories = answer["aggregations"]["categories"]["buckets"]
    return {category["key"]: [metric["key"] for metric in category["metrics"]["buckets"]] for category in categories}


def series(
    call: Call,
    workers: Sequence[str] | None,
    metric: str,
    aggregation: str,
    period: tuple[float, float],
    interval: int,
    each: bool,
) -> dict[str, dict[str, Any]]:
    """Return one metric of each worker over time; with `each`, also of each of its devices."""
    inner: dict[str, Any] = {"figure": {aggregation: {"field": "value", "missing": 0.0}}}
    if each:
        inner["devices"] = {"terms": {"field": "variant"}, "aggs": dict(inner)}
    dates = {"dates": {"date_histogram": _histogram(period, interval), "aggs": inner}}
    conditions = [_during(period), {"term": {"metric": metric}}, *_of(workers)]
    answer = _search(call, conditions, {"workers": {"terms": {"field": "worker"}, "aggs": dates}})
    last = (period[1] - WHOLE * interval) * 1000
    return {
        worker["key"]: _lines([date for date in worker["dates"]["buckets"] if date["key"] < last], each)
        for worker in answer.get("aggregations", {}).get("workers", {}).get("buckets", [])
    }


def activity(call: Call, period: tuple[float, float], interval: int, working: bool) -> tuple[list[int], list[int]]:
    """Return dates, and how many workers reported then, or how many reported that they work on a task."""
    conditions = [_during(period), *([{"exists": {"field": "task"}}] if working else [])]
    count = {"workers": {"cardinality": {"field": "worker"}}}
    aggregations = {"dates": {"date_histogram": _histogram(period, interval), "aggs": count}}
    answer = _search(call, conditions, aggregations)
    # The official server means to leave out the last interval when it is not over, and always does.
    buckets = answer.get("aggregations", {}).get("dates", {}).get("buckets", [])[:-1]
    return [bucket["key"] for bucket in buckets], [bucket["workers"]["value"] for bucket in buckets]


def _lines(dates: Sequence[Mapping[str, Any]], each: bool) -> dict[str, Any]:
    found: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(dates))
    for position, date in enumerate(dates):
        for device in date["devices"]["buckets"] if each and "devices" in date else []:
            found[device["key"]][position] = device["figure"]["value"] or 0.0
    return {
        "dates": [date["key"] for date in dates],
        "values": [date["figure"]["value"] or 0.0 if "figure" in date else 0.0 for date in dates],
        "resource_series": [{"name": name, "values": values} for name, values in found.items()]
        if len(found) > 1
        else [],
    }


def _search(call: Call, conditions: Conditions, aggregations: Mapping[str, Any]) -> dict[str, Any]:
    query = {"bool": {"must": conditions}} if conditions else {"match_all": {}}
    answer = call.server.workers.search(index=f"{_prefix(call)}*", size=0, query=query, aggs=dict(aggregations))
    result: dict[str, Any] = answer.body
    return result


def _of(workers: Iterable[str] | None) -> Conditions:
    return [{"terms": {"worker": list(workers)}}] if workers else []


def _during(period: tuple[float, float]) -> dict[str, Any]:
    return {"range": {"timestamp": {"gte": int(period[0]), "lte": int(period[1]), "format": "epoch_second"}}}


def _histogram(period: tuple[float, float], interval: int) -> dict[str, Any]:
    bounds = {"min": int(period[0]) * 1000, "max": int(period[1]) * 1000}
    return {"field": "timestamp", "fixed_interval": f"{interval}s", "extended_bounds": bounds}


def _prefix(call: Call) -> str:
    return f"worker_stats_{call.company.lower()}_"
