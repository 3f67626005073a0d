"""workers.*: statistics of what agents report about themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import worker_stats
from ..call import Call
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint

VERSION = "2.4"
WORKERS = Field("worker_ids", "list", of="str")
PERIOD = (
    Field("from_date", "float", required=True, least=0),
    Field("to_date", "float", required=True, least=0),
    Field("interval", "int", required=True, least=1),
)
METRICS = (
    "cpu_usage cpu_temperature memory_used memory_free gpu_usage gpu_temperature gpu_fraction gpu_memory_free"
    " gpu_memory_used network_tx network_rx disk_free_home disk_free_temp disk_read disk_write"
).split()
AGGREGATION = Field("aggregation", choices=("avg", "min", "max"), enum="AggregationType", default="avg")
ITEM = Structure("StatItem", (Field("key", required=True), AGGREGATION))


@endpoint("workers.get_metric_keys", WORKERS, version=VERSION)
def get_metric_keys(call: Call) -> dict[str, Any]:
    """Return which figures there are."""
    found = worker_stats.keys(call, call.data["worker_ids"])
    return {"categories": [{"name": name, "metric_keys": metrics} for name, metrics in found.items()]}


@endpoint("workers.get_activity_report", WORKERS, *PERIOD, version=VERSION)
def get_activity_report(call: Call) -> dict[str, Any]:
    """Return over time how many workers there were, and how many of them worked."""
    period, interval = _period(call)
    result = {}
    for name, working in (("total", False), ("active", True)):
        dates, counts = worker_stats.activity(call, period, interval, working)
        result[name] = {"dates": dates, "counts": counts}
    return result


@endpoint(
    "workers.get_stats",
    WORKERS,
    *PERIOD,
    Field("items", "list", of=ITEM, required=True, shortest=1),
    Field("split_by_variant", "bool", default=False),
    Field("split_by_resource", "bool", default=False),
    version=VERSION,
)
def get_stats(call: Call) -> dict[str, Any]:
    """Return figures of each worker over time."""
    data = call.data
    for position, item in enumerate(data["items"]):
        _check_metric(position, item["key"])
    period, interval = _period(call)
    workers: dict[str, dict[str, dict[str, Any]]] = {}
    for item in data["items"]:
        metric, aggregation = item["key"], item.get("aggregation") or "avg"
        each = data["split_by_resource"] and metric.startswith("gpu_")
        found = worker_stats.series(call, data["worker_ids"], metric, aggregation, period, interval, each)
        for worker, lines in found.items():
            workers.setdefault(worker, {}).setdefault(metric, {})[aggregation] = lines
    return {"workers": [{"worker": worker, "metrics": _shown(metrics)} for worker, metrics in workers.items()]}


def _shown(metrics: dict[str, dict[str, Any]]) -> Sequence[dict[str, Any]]:
    return [
        {"metric": metric, "stats": [{"aggregation": name, **lines} for name, lines in stats.items()]}
        for metric, stats in metrics.items()
    ]


def _check_metric(position: int, metric: str) -> None:
    """Refuse what no worker measures, in the words of the official server's JSON schema."""
    if metric not in METRICS:
        raise error(
            "validation_error",
            message=f"'{metric}' is not one of {METRICS}",
            path=("items", position, "key"),
            context=(),
            cause=None,
            validator="enum",
            validator_value=METRICS,
            instance=metric,
            parent=None,
        )


def _period(call: Call) -> tuple[tuple[float, float], int]:
    """Return beginning and end in seconds, and how long an interval is at least."""
    data = call.data
    if data["from_date"] >= data["to_date"]:
        raise error("fields_value_error", "from_date must be less than to_date")
    least = call.config.get("services.workers.min_chart_interval_sec", 40)
    return (data["from_date"], data["to_date"]), max(data["interval"], least)
