"""How long queues are and how long tasks wait in them: written at each change, read back as histograms."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..stores import now
from .call import Call

Figures = dict[str, float]  # queue_length and avg_waiting_time


def log(call: Call, queues: Iterable[Mapping[str, Any]]) -> None:
    """Write the state of some queues to the index of the month."""
    index = f"{_prefix(call)}{datetime.now(UTC):%Y-%m}"
    for queue in queues:
        waits = [(now() - entry["added"]).total_seconds() for entry in queue["entries"]]
        document = {
            "timestamp": int(time.time() * 1000),
            "queue": queue["_id"],
            "average_waiting_time": sum(waits) / len(waits) if waits else 0,
            "queue_length": len(waits),
        }
        call.server.workers.index(index=index, document=document)


def histograms(
    call: Call, queues: Sequence[str], start: float, end: float, interval: int, each: bool
) -> dict[str, list[tuple[int, Figures]]]:
    """Return figures over time, of each queue or of all together as "total"."""
    before = call.config.get("services.queues.metrics_before_from_date", 3600)
    moments = _search(call, queues, start - before, end, interval)
    if moments is None:
        return {}
    first = (start - interval) * 1000
    if each:
        result: dict[str, list[tuple[int, Figures]]] = defaultdict(list)
        for moment, figures in moments:
            for queue, values in figures.items():
                if moment >= first:
                    result[queue].append((moment, values))
        return result
    total, latest = [], {}
    for moment, figures in moments:
        latest.update(figures)  # a queue without news is as it was
        if moment >= first:
            total.append((moment, _together(latest.values())))
    return {"total": total}


def _search(
    call: Call, queues: Sequence[str], start: float, end: float, interval: int
) -> list[tuple[int, dict[str, Figures]]] | None:
    """Return for each interval the longest wait of each queue in it, or None when nothing was ever written."""
    period = {"gte": int(start), "lte": int(end), "format": "epoch_second"}
    worst = {
        "size": 1,
        "sort": [{"average_waiting_time": "desc"}, {"queue_length": "desc"}],
        "_source": ["average_waiting_time", "queue_length"],
    }
    answer = call.server.workers.search(
        index=f"{_prefix(call)}*",
        size=0,
        query={"bool": {"must": [{"range": {"timestamp": period}}, {"terms": {"queue": list(queues)}}]}},
        aggs={
            "dates": {
                "date_histogram": {"field": "timestamp", "fixed_interval": f"{interval}s", "min_doc_count": 1},
                "aggs": {"queues": {"terms": {"field": "queue"}, "aggs": {"worst": {"top_hits": worst}}}},
            }
        },
    )
    if "aggregations" not in answer:
        return None
    dates = answer["aggregations"]["dates"]["buckets"]
    return [(date["key"], {item["key"]: _figures(item) for item in date["queues"]["buckets"]}) for date in dates]


def _figures(bucket: Mapping[str, Any]) -> Figures:
    source = bucket["worst"]["hits"]["hits"][0]["_source"]
    return {"queue_length": source["queue_length"], "avg_waiting_time": source["average_waiting_time"]}


def _together(figures: Iterable[Figures]) -> Figures:
    """Return the length of all queues together, and the wait of an average task in them."""
    listed = list(figures)
    length = sum(item["queue_length"] for item in listed)
    waiting = sum(item["queue_length"] * item["avg_waiting_time"] for item in listed)
    return {"queue_length": length, "avg_waiting_time": waiting / length if length else 0}


def _prefix(call: Call) -> str:
    return f"queue_metrics_{call.company.lower()}_"
