"""events.*: plots and debug images, of which the last ones are of interest."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from .. import event_search, event_store
from ..call import Call
from ..event_search import METRICS, MODEL_EVENTS
from ..fields import Field, Structure
from ..registry import endpoint

TASK = Field("task", required=True)
ITERS = Field("iters", "whole", default=1)
SCROLL = (Field("scroll_id"), Field("no_scroll", "bool", default=False))
TASK_METRIC = Structure("TaskMetric", (TASK, Field("metric"), Field("variants", "list", of="str")))
BY_ITERATION = (
    Field("metrics", "list", of=TASK_METRIC, shortest=1),
    Field("iters", "whole", default=1, least=1),
    Field("navigate_earlier", "bool", default=True),
    Field("refresh", "bool", default=False),
    Field("scroll_id"),
    MODEL_EVENTS,
)
NEWEST = [{"iter": "desc"}]
VALID: dict[str, Any] = {
    "bool": {
        "should": [{"term": {"valid_plot": True}}, {"bool": {"must_not": {"exists": {"field": "valid_plot"}}}}],
    }
}


@endpoint("events.get_task_plots", TASK, ITERS, *SCROLL, METRICS, MODEL_EVENTS)
def get_task_plots(call: Call) -> dict[str, Any]:
    """Return the last plots of each metric and variant."""
    (owner,) = event_search.entities(call, call.data["task"], call.data["model_events"])
    inner = {"events": {"top_hits": {"sort": NEWEST, "size": call.data["iters"]}}}
    conditions = [VALID, *event_search.of([owner], call.data["metrics"])]
    found = event_search.lines(call, event_store.PLOT, [owner], conditions, inner)
    plots = event_search.uncompress(event for _, _, line in found for event in event_search.sources(line["events"]))
    return {"plots": plots, "returned": len(plots), "total": len(plots), "scroll_id": None}


@endpoint(
    "events.get_multi_task_plots",
    Field("tasks", "list", of="str", shortest=1),
    ITERS,
    *SCROLL,
    Field("last_iters_per_task_metric", "bool", default=True),
    METRICS,
    MODEL_EVENTS,
)
def get_multi_task_plots(call: Call) -> dict[str, Any]:
    """Return the last plots of tasks side by side: by metric, variant, task and iteration."""
    owners = event_search.entities(call, call.data["tasks"], call.data["model_events"])
    names = {owner["_id"]: owner["name"] for owner in owners}
    found: list[dict[str, Any]] = []
    for owner in owners:
        inner = {"events": {"top_hits": {"sort": NEWEST, "size": call.data["iters"]}}}
        conditions = event_search.of([owner], call.data["metrics"])
        for _, _, line in event_search.lines(call, event_store.PLOT, [owner], conditions, inner):
            found += event_search.sources(line["events"])
    plots: dict[str, Any] = {}
    for event in event_search.uncompress(found):
        place = plots.setdefault(event["metric"], {}).setdefault(event["variant"], {}).setdefault(event["task"], {})
        iteration = place.setdefault(str(event["iter"]), {"name": names[event["task"]], "plots": []})
        iteration["plots"].append(event)
    return {"plots": plots, "returned": len(plots), "total": len(found), "scroll_id": None}


@endpoint("events.debug_images", TASK, Field("iters", "whole", default=1, least=1), Field("scroll_id"), MODEL_EVENTS)
def debug_images_of_task(call: Call) -> dict[str, Any]:
    """Return the images of the last iterations of a task to old clients."""
    (owner,) = event_search.entities(call, call.data["task"], call.data["model_events"])
    conditions = event_search.of([owner])
    last = _iterations(call, event_store.IMAGE, owner, conditions, call.data["iters"], earlier=True)
    wanted = [*conditions, {"terms": {"iter": last}}]
    answer = event_search.search(
        call, event_store.IMAGE, [owner], size=500, query={"bool": {"must": wanted}}, sort=NEWEST
    )
    images = event_search.sources(answer)
    found = {"returned": len(images), "total": event_search.total(answer), "scroll_id": None}
    return {"task": owner["_id"], "images": images, **found}


@endpoint("events.debug_images", *BY_ITERATION, version="2.7")
def debug_images(call: Call) -> dict[str, Any]:
    """Return images of tasks, some iterations at a time."""
    return _by_iteration(call, event_store.IMAGE, [{"exists": {"field": "url"}}])


@endpoint("events.plots", *BY_ITERATION)
def plots(call: Call) -> dict[str, Any]:
    """Return plots of tasks, some iterations at a time."""
    return _by_iteration(call, event_store.PLOT, [])


def _by_iteration(call: Call, kind: str, extra: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the next iterations of each task. Where a scroll stands is kept in Redis, under its id."""
    data = call.data
    metrics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in data["metrics"]:
        metrics[item["task"]].append(item)
    scroll = data["scroll_id"] or uuid.uuid4().hex
    key = f"events_scroll/{scroll}"
    stored: Any = None if data["refresh"] else call.server.redis.get(key)
    positions: dict[str, list[int]] = json.loads(stored) if stored else {}
    result = []
    for owner in event_search.entities(call, list(metrics), data["model_events"]):
        task, wanted = owner["_id"], metrics[owner["_id"]]
        named = [] if any(item.get("metric") is None for item in wanted) else wanted
        conditions = [*event_search.of([owner], named), *extra]
        iterations = _next_iterations(call, kind, owner, conditions, positions.get(task))
        if iterations:
            positions[task] = [iterations[0]["iter"], iterations[-1]["iter"]]
        result.append({"task": task, "iterations": iterations})
    seconds = call.config.get("services.events.events_retrieval.state_expiration_sec", 3600)
    call.server.redis.set(key, json.dumps(positions), ex=seconds)
    return {"metrics": result, "scroll_id": scroll}


def _next_iterations(
    call: Call, kind: str, owner: Mapping[str, Any], conditions: Sequence[dict[str, Any]], position: list[int] | None
) -> list[dict[str, Any]]:
    """Return events by iteration, newest first: those before or after the last and first iteration seen."""
    earlier = call.data["navigate_earlier"] or position is None
    beyond: dict[str, Any] = {}
    if position:
        beyond = {"range": {"iter": {"lt": position[1]} if earlier else {"gt": position[0]}}}
    found = [*conditions, beyond] if beyond else list(conditions)
    numbers = _iterations(call, kind, owner, found, call.data["iters"], earlier=earlier)
    if not numbers:
        return []
    last = {"top_hits": {"size": 1, "sort": [{"timestamp": "desc"}]}}
    inner = {"iterations": {"terms": {"field": "iter", "size": len(numbers)}, "aggs": {"events": last}}}
    wanted = [*conditions, {"terms": {"iter": numbers}}]
    overwritten = _overwritten(call, owner, conditions) if kind == event_store.IMAGE else {}
    events = [
        event
        for metric, variant, line in event_search.lines(call, kind, [owner], wanted, inner)
        for bucket in line["iterations"]["buckets"]
        for event in event_search.sources(bucket["events"])
        if event["iter"] > overwritten.get((metric, variant), event["iter"] - 1)
    ]
    events.sort(key=lambda event: event["iter"], reverse=True)
    return [
        {"iter": number, "events": event_search.uncompress(group)}
        for number, group in groupby(events, key=lambda event: event["iter"])
    ]


def _overwritten(
    call: Call, owner: Mapping[str, Any], conditions: Iterable[dict[str, Any]]
) -> dict[tuple[str, str], int]:
    """Return up to which iteration the images of each line are gone: their files hold later ones by now."""
    iterations = {"top_hits": {"size": 2, "sort": NEWEST, "_source": ["iter"]}}
    newest = {"field": "url", "size": 1, "order": {"last": "desc"}}
    inner = {"urls": {"terms": newest, "aggs": {"last": {"max": {"field": "iter"}}, "iterations": iterations}}}
    gone = {}
    for metric, variant, line in event_search.lines(call, event_store.IMAGE, [owner], list(conditions), inner):
        for url in line["urls"]["buckets"]:
            same_file = event_search.sources(url["iterations"])
            if len(same_file) > 1:
                gone[metric, variant] = int(same_file[1]["iter"])
    return gone


def _iterations(
    call: Call,
    kind: str,
    owner: Mapping[str, Any],
    conditions: Sequence[dict[str, Any]],
    count: int,
    *,
    earlier: bool,
) -> list[int]:
    """Return the last iterations that something was reported for, or the first ones."""
    order = {"_key": "desc" if earlier else "asc"}
    aggregations = {"iterations": {"terms": {"field": "iter", "size": count, "order": order}}}
    query = {"bool": {"must": list(conditions)}}
    answer = event_search.search(call, kind, [owner], size=0, query=query, aggs=aggregations)
    buckets = answer.get("aggregations", {}).get("iterations", {}).get("buckets", [])
    return [bucket["key"] for bucket in buckets]
