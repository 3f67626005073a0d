"""Reading events back from Elasticsearch: conditions, pages that continue where one ended, and lines of metrics.

Nothing is an error before the first event was written: there is no index then, and nothing is found.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jwt

from . import event_store
from .call import Call
from .errors import error
from .fields import Field, Structure

MOST = 10000  # what Elasticsearch returns at once, and how many buckets it makes
LINES = 1000  # metrics of a task, and variants of a metric
METRIC = Structure("MetricVariants", (Field("metric", required=True), Field("variants", "list", of="str")))
METRICS = Field("metrics", "list", of=METRIC)
MODEL_EVENTS = Field("model_events", "bool", default=False)
Conditions = list[dict[str, Any]]


def entities(call: Call, ids: str | Sequence[str], models: bool) -> list[dict[str, Any]]:
    """Return tasks or models that the caller may see, in the order asked for. All of them have to be there."""
    wanted = [ids] if isinstance(ids, str) else list(ids)
    table = call.mongo.models if models else call.mongo.tasks
    fields = ["name", "company", "company_origin", "status", "last_metrics", "ready"]
    found = {
        item["_id"]: item
        for item in table.find({"_id": {"$in": wanted}, "company": {"$in": [call.company, ""]}}, fields)
    }
    if len(found) != len(set(wanted)):
        raise error("invalid_model_id" if models else "invalid_task_id", ids=wanted)
    return [found[identifier] for identifier in dict.fromkeys(wanted)]


def search(call: Call, kind: str, owners: Iterable[Mapping[str, Any]], **body: Any) -> dict[str, Any]:
    """Search the events of one type, `*` for all, in the companies of some tasks or models."""
    companies = {owner["company"] or owner.get("company_origin") or "" for owner in owners}
    indexes = ",".join(event_store.index_name(company, kind) for company in sorted(companies))
    answer = call.server.events.search(index=indexes, ignore_unavailable=True, **body)
    result: dict[str, Any] = answer.body
    return result


def of(owners: Iterable[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]] | None = None) -> Conditions:
    """Return the conditions of events of some tasks or models, limited to some metrics on demand."""
    conditions: Conditions = [{"terms": {"task": [owner["_id"] for owner in owners]}}]
    if metrics:
        conditions.append({"bool": {"should": [_metric_condition(item) for item in metrics]}})
    return conditions


def sources(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events that were found."""
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def total(answer: Mapping[str, Any]) -> int:
    """Return how many events there are, found or not."""
    return int(answer["hits"]["total"]["value"])


def page(
    call: Call,
    kind: str,
    owner: Mapping[str, Any],
    *,
    size: int,
    key: str,
    earlier: bool,
    after: Any = None,
    metrics: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Return events from a position on, in either direction, and how many there are.

    All events at the last position come with the page, even when it grows by that: the next page begins after it.
    """
    conditions = of([owner], metrics)
    body: dict[str, Any] = {"query": {"bool": {"must": conditions}}, "sort": [{key: "desc" if earlier else "asc"}]}
    if after:
        body["search_after"] = [after]
    answer = search(call, kind, [owner], size=size, **body)
    hits = answer["hits"]["hits"]
    if not hits:
        return [], total(answer)
    there = {hit["_id"] for hit in hits}
    same = [*conditions, {"term": {key: hits[-1]["_source"][key]}}]
    beside = search(call, kind, [owner], size=MOST, query={"bool": {"must": same}})
    more = [hit["_source"] for hit in beside["hits"]["hits"] if hit["_id"] not in there]
    return [*(hit["_source"] for hit in hits), *more], total(answer)


def lines(
    call: Call, kind: str, owners: Sequence[Mapping[str, Any]], conditions: Conditions, inner: Mapping[str, Any]
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Yield metric, variant and what was computed of each line, in alphabetical order."""
    by_name = {"size": LINES, "order": {"_key": "asc"}}
    variants: dict[str, Any] = {"terms": {"field": "variant", **by_name}}
    if inner:
        variants["aggs"] = dict(inner)
    aggregations = {"metrics": {"terms": {"field": "metric", **by_name}, "aggs": {"variants": variants}}}
    answer = search(call, kind, owners, size=0, query={"bool": {"must": conditions}}, aggs=aggregations)
    for metric in answer.get("aggregations", {}).get("metrics", {}).get("buckets", []):
        for variant in metric["variants"]["buckets"]:
            yield metric["key"], variant["key"], variant


def uncompress(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events with long plots as they were reported."""
    listed = list(events)
    for event in listed:
        packed = event.pop("plot_data", None)
        if packed and event.get("plot_str") is None:
            event["plot_str"] = zlib.decompress(base64.b64decode(packed)).decode()
    return listed


def encode_scroll(call: Call, **state: Any) -> str:
    """Return a scroll id: it holds all that the next page needs, signed so that it cannot be made up."""
    return jwt.encode({key: value for key, value in state.items() if value is not None}, _scroll_key(call))


def decode_scroll(call: Call, scroll: str) -> dict[str, Any]:
    """Return what a scroll id holds."""
    try:
        state: dict[str, Any] = jwt.decode(scroll, _scroll_key(call), algorithms=["HS256"])
    except jwt.PyJWTError:
        raise error("invalid_scroll_id", scroll_id=scroll) from None
    return state


def _scroll_key(call: Call) -> str:
    return str(call.config.get("services.events.events_retrieval.scroll_id_key"))


def _metric_condition(item: Mapping[str, Any]) -> dict[str, Any]:
    must: Conditions = [{"term": {"metric": item.get("metric")}}]
    if item.get("variants"):
        must.append({"terms": {"variant": item["variants"]}})
    return {"bool": {"must": must}}
