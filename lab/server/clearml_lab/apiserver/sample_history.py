"""Walking through what a task reported, one debug image or one metric's plots at a time.

Where a walk stands is kept in Redis, under its scroll id: the task, the metric, the variant and the iteration that were
seen last, and the lines that can be seen: metric, variant (plots have none), first and last iteration.
"""

from __future__ import annotations

import json
import operator
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import event_search, event_store
from .call import Call
from .errors import error
from .event_search import Conditions

State = dict[str, Any]
Line = tuple[str, str | None, int, int]
Lines = Callable[[Call, Mapping[str, Any], "str | None"], "list[Line] | None"]
HAS_FILE = {"exists": {"field": "url"}}
NOT_THIS = "Task and metric stored in the state do not match the passed ones"


def begin(call: Call, owner: Mapping[str, Any], lines: Lines) -> State | None:
    """Return a new walk, or the one that the request continues; None when nothing was ever reported."""
    data, scroll = call.data, call.data["scroll_id"]
    limited = data["navigate_current_metric"]
    state = _stored(call, scroll) if scroll else None
    if state:
        if (state["task"], state["limited"]) != (data["task"], limited) or (
            limited and state["metric"] != data["metric"]
        ):
            raise error("invalid_scroll_id", NOT_THIS, scroll_id=scroll)
        if not data["refresh"]:
            return state
    else:
        state = {"id": uuid.uuid4().hex, "task": data["task"], "metric": data["metric"], "limited": limited}
        state.update(variant=None, iteration=None)
    found = lines(call, owner, state["metric"] if limited else None)
    if found is None:
        return None
    state["lines"] = found
    return state


def resume(call: Call) -> State:
    """Return the walk that a request continues."""
    data = call.data
    state = _stored(call, data["scroll_id"])
    if not state or state["task"] != data["task"]:
        raise error("invalid_scroll_id", scroll_id=data["scroll_id"])
    return state


def save(call: Call, state: State, event: Mapping[str, Any] | None = None) -> None:
    """Note where a walk stands."""
    if event:
        state.update(metric=event["metric"], variant=event["variant"], iteration=event["iter"])
    seconds = call.config.get("services.events.events_retrieval.state_expiration_sec", 3600)
    call.server.redis.set(_key(state["id"]), json.dumps(state), ex=seconds)


def limits(state: State, metric: str, variant: str | None) -> dict[str, int | None]:
    """Return the first and the last iteration of a line."""
    for name, other, first, last in state["lines"]:
        if (name, other) == (metric, variant):
            return {"min_iteration": first, "max_iteration": last}
    return {"min_iteration": None, "max_iteration": None}


def image_lines(call: Call, owner: Mapping[str, Any], metric: str | None) -> list[Line] | None:
    """Return the lines of images. One begins where its oldest file was written last: earlier ones are overwritten."""
    last = {"max": {"field": "iter"}}
    oldest = {"terms": {"field": "url", "size": 1, "order": {"last": "asc"}}, "aggs": {"last": last}}
    conditions = [*event_search.of([owner]), HAS_FILE, *_of_metric(metric)]
    if not _anything(call, event_store.IMAGE, owner):
        return None
    return [
        (name, variant, int(line["urls"]["buckets"][0]["last"]["value"]), int(line["last"]["value"]))
        for name, variant, line in event_search.lines(
            call, event_store.IMAGE, [owner], conditions, {"last": last, "urls": oldest}
        )
    ]


def image(call: Call, owner: Mapping[str, Any], conditions: Conditions, sort: Sequence[Any]) -> dict[str, Any] | None:
    """Return the first image that meets some conditions."""
    every = [*event_search.of([owner]), HAS_FILE, *conditions]
    order = [*sort, {"url": "desc"}]
    answer = event_search.search(call, event_store.IMAGE, [owner], size=1, query={"bool": {"must": every}}, sort=order)
    return next(iter(event_search.sources(answer)), None)


def next_image(call: Call, owner: Mapping[str, Any], state: State) -> dict[str, Any] | None:
    """Return the next image: of another variant in the same iteration, or else of another iteration."""
    earlier = call.data["navigate_earlier"]
    order = "desc" if earlier else "asc"
    lines = [line for line in state["lines"] if not state["limited"] or line[0] == state["metric"]]
    by_name = [{"metric": order}, {"variant": order}]
    if not call.data["next_iteration"]:
        beyond = operator.lt if earlier else operator.gt
        place = (state["metric"], state["variant"])
        beside = [line for line in lines if beyond((line[0], line[1]), place) and line[2] <= state["iteration"]]
        same = {"term": {"iter": state["iteration"]}}
        found = image(call, owner, [same, _of_lines(beside)], by_name) if beside else None
        if found:
            return found
    if earlier:
        lines = [line for line in lines if line[2] < state["iteration"]]
    other = {"range": {"iter": {"lt" if earlier else "gt": state["iteration"]}}}
    return image(call, owner, [other, _of_lines(lines)], [{"iter": order}, *by_name]) if lines else None


def plot_lines(call: Call, owner: Mapping[str, Any], metric: str | None) -> list[Line] | None:
    """Return the metrics of plots."""
    ends = {"first": {"min": {"field": "iter"}}, "last": {"max": {"field": "iter"}}}
    terms = {"field": "metric", "size": event_search.LINES, "order": {"_key": "asc"}}
    answer = event_search.search(
        call,
        event_store.PLOT,
        [owner],
        size=0,
        query={"bool": {"must": [*event_search.of([owner]), *_of_metric(metric)]}},
        aggs={"metrics": {"terms": terms, "aggs": ends}},
    )
    if "aggregations" not in answer:
        return None
    return [
        (bucket["key"], None, int(bucket["first"]["value"]), int(bucket["last"]["value"]))
        for bucket in answer["aggregations"]["metrics"]["buckets"]
    ]


def plots(call: Call, owner: Mapping[str, Any], conditions: Conditions, order: str) -> list[dict[str, Any]]:
    """Return all plots of one metric in one iteration: the first, or the last, that meets some conditions."""
    events = {"top_hits": {"sort": {"variant": {"order": "asc"}}, "size": 100}}
    metrics = {"terms": {"field": "metric", "size": 1, "order": {"_key": order}}, "aggs": {"events": events}}
    iterations = {"terms": {"field": "iter", "size": 1, "order": {"_key": order}}, "aggs": {"metrics": metrics}}
    query = {"bool": {"must": [*event_search.of([owner]), *conditions]}}
    answer = event_search.search(call, event_store.PLOT, [owner], size=0, query=query, aggs={"iterations": iterations})
    found: dict[str, Any] = answer.get("aggregations", {})
    for level in ("iterations", "metrics"):
        buckets = found.get(level, {}).get("buckets", [])
        if not buckets:
            return []
        found = buckets[0]
    return event_search.uncompress(event_search.sources(found["events"]))


def next_plots(call: Call, owner: Mapping[str, Any], state: State) -> list[dict[str, Any]]:
    """Return the next plots: of another metric in the same iteration, or else of another iteration."""
    beyond, order = ("lt", "desc") if call.data["navigate_earlier"] else ("gt", "asc")
    condition: dict[str, Any] = {"range": {"iter": {beyond: state["iteration"]}}}
    if not call.data["next_iteration"] and not state["limited"]:
        same = [{"term": {"iter": state["iteration"]}}, {"range": {"metric": {beyond: state["metric"]}}}]
        condition = {"bool": {"should": [{"bool": {"must": same}}, condition]}}
    return plots(call, owner, [condition, *_of_metric(state["metric"] if state["limited"] else None)], order)


def _of_metric(metric: str | None) -> Conditions:
    return [] if metric is None else [{"term": {"metric": metric}}]


def _of_lines(lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "bool": {
            "should": [
                {
                    "bool": {
                        "must": [
                            {"term": {"metric": metric}},
                            {"term": {"variant": variant}},
                            {"range": {"iter": {"gte": first}}},
                        ]
                    }
                }
                for metric, variant, first, _ in lines
            ]
        }
    }


def _anything(call: Call, kind: str, owner: Mapping[str, Any]) -> bool:
    """Say whether the company ever had events of this type."""
    answer = event_search.search(call, kind, [owner], size=0)
    return bool(answer["_shards"]["total"])


def _stored(call: Call, scroll: str | None) -> State | None:
    stored: Any = call.server.redis.get(_key(scroll)) if scroll else None
    state: State | None = json.loads(stored) if stored else None
    return state


def _key(scroll: str | None) -> str:
    return f"events_samples/{scroll}"
