"""events.*: what tasks report while they run. Writing it, reading it back as it was written, and removing it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import event_search, event_store, event_writer, task_log, task_status
from ..call import Call, Download
from ..errors import error
from ..event_search import METRICS, MODEL_EVENTS
from ..fields import Field
from ..registry import endpoint

TASK = Field("task", required=True)
ORDER = ("asc", "desc")
MOST_AT_ONCE = 10_000
SCROLL_TIME = "1h"
LOCKED = Field("allow_locked", "bool", default=False)


@endpoint("events.add")
def add(call: Call) -> dict[str, Any]:
    """Store one event."""
    return event_writer.add(call, [dict(call.data)])


@endpoint("events.add_batch")
def add_batch(call: Call) -> dict[str, Any]:
    """Store many events, one a line."""
    events = call.batch or ([dict(call.data)] if call.data else [])
    if not events:
        raise error("batch_contains_no_items")
    return event_writer.add(call, events)


@endpoint(
    "events.get_task_log",
    TASK,
    Field("batch_size", "whole", default=500),
    Field("order", choices=ORDER, enum="LogOrderEnum", default="desc"),
    Field("scroll_id"),
)
def get_task_log_by_scroll(call: Call) -> dict[str, Any]:
    """Return the console output of a task to old clients, who scroll through it."""
    data = call.data
    (task,) = event_search.entities(call, data["task"], models=False)
    direction = data["order"]
    if tuple(map(int, call.requested.split("."))) >= (1, 7):
        direction = "asc" if (data.get("from") or "head") == "head" else "desc"
    if data["scroll_id"]:
        answer: Any = call.server.events.scroll(scroll_id=data["scroll_id"], scroll=SCROLL_TIME)
    else:
        by_time = [{"timestamp": direction}]
        conditions = {"bool": {"must": event_search.of([task])}}
        answer = event_search.search(
            call,
            event_store.LOG,
            [task],
            size=min(data["batch_size"], event_search.MOST),
            query=conditions,
            sort=by_time,
            scroll=SCROLL_TIME,
        )
    events = event_search.sources(answer)
    if direction != data["order"]:
        events.reverse()
    found = {"events": events, "returned": len(events), "total": event_search.total(answer)}
    return {**found, "scroll_id": answer.get("_scroll_id")}


@endpoint(
    "events.get_task_log",
    TASK,
    METRICS,
    Field("batch_size", "whole", default=5000),
    Field("navigate_earlier", "bool", default=True),
    Field("from_timestamp", "whole"),
    Field("order", choices=ORDER, enum="LogOrderEnum"),
    version="2.9",
)
def get_task_log(call: Call) -> dict[str, Any]:
    """Return console output of a task, from a time on, in either direction."""
    data, earlier = call.data, call.data["navigate_earlier"]
    (task,) = event_search.entities(call, data["task"], models=False)
    events, total = event_search.page(
        call,
        event_store.LOG,
        task,
        size=data["batch_size"],
        key="timestamp",
        earlier=earlier,
        after=data["from_timestamp"],
        metrics=data["metrics"],
    )
    if data["order"] == ("asc" if earlier else "desc"):
        events.reverse()
    return {"events": events, "returned": len(events), "total": total}


@endpoint("events.download_task_log", TASK)
def download_task_log(call: Call) -> Download:
    """Return the whole console output of a task as a file, its lines as JSON or in a format of the caller's."""
    (task,) = event_search.entities(call, call.data["task"], models=False)
    filename = f"task_{task['_id']}.log"
    if str(call.data.get("line_type", "json")).lower() == "json":
        return Download(filename, task_log.json_lines(call, task))
    line_format = str(call.data.get("line_format", "{asctime} {worker} {level} {msg}"))
    task_log.check_format(line_format)
    return Download(filename, task_log.text_lines(call, task, line_format))


@endpoint(
    "events.get_task_events",
    TASK,
    METRICS,
    MODEL_EVENTS,
    Field("batch_size", "whole", default=500),
    Field("event_type", choices=("*", *event_store.TYPES), enum="EventType", default="*"),
    Field("order", choices=ORDER, enum="LogOrderEnum", default="asc"),
    Field("scroll_id"),
    Field("count_total", "bool", default=True),
)
def get_task_events(call: Call) -> dict[str, Any]:
    """Return the events of one type, or of all, by iteration."""
    data = call.data
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    names = ("task", "batch_size", "event_type", "order", "metrics", "model_events", "count_total")
    request = {name: data[name] for name in names}
    request["metrics"] = request["metrics"] or []
    position, total = (None if data["order"] == "desc" else 0), None
    if data["scroll_id"]:
        state = event_search.decode_scroll(call, data["scroll_id"])
        position, total = state.get("from_key_value"), state.get("total")
        if position is None:
            return {"returned": 0, "total": total, "scroll_id": data["scroll_id"], "events": []}
        position, request = int(position), {**state["request"], "batch_size": data["batch_size"]}
    kind, metrics = request["event_type"], request["metrics"]
    if request["count_total"] and total is None:
        counted = event_search.search(
            call,
            kind,
            [owner],
            size=0,
            query={"bool": {"must": event_search.of([owner], metrics)}},
            track_total_hits=True,
        )
        total = event_search.total(counted)
    events, _ = event_search.page(
        call,
        kind,
        owner,
        size=min(request["batch_size"], MOST_AT_ONCE),
        key="iter",
        earlier=request["order"] == "desc",
        after=position,
        metrics=metrics,
    )
    last = str(events[-1]["iter"]) if events else None
    scroll = event_search.encode_scroll(call, from_key_value=last, total=total, request=request)
    return {"returned": len(events), "total": total, "scroll_id": scroll, "events": events}


@endpoint("events.delete_for_task", TASK, LOCKED)
def delete_for_task(call: Call) -> dict[str, Any]:
    """Delete all that a task reported."""
    task = _changeable_task(call)
    return {"deleted": event_store.delete_where(call, event_store.TYPES, [{"term": {"task": task["_id"]}}])}


@endpoint("events.delete_for_model", Field("model", required=True), LOCKED)
def delete_for_model(call: Call) -> dict[str, Any]:
    """Delete all that was reported of a model."""
    (model,) = event_search.entities(call, call.data["model"], models=True)
    if model.get("ready") and not call.data["allow_locked"]:
        problem = "Cannot update events for a published model"
        raise error("invalid_model_id", title=problem, company=call.company, id=model["_id"])
    return {"deleted": event_store.delete_where(call, event_store.TYPES, [{"term": {"task": model["_id"]}}])}


@endpoint(
    "events.clear_task_log",
    TASK,
    LOCKED,
    Field("threshold_sec", "whole"),
    Field("exclude_metrics", "list", of="str"),
    Field("include_metrics", "list", of="str"),
)
def clear_task_log(call: Call) -> dict[str, Any]:
    """Delete console output of a task: all, what is old, or that of some metrics."""
    data, task = call.data, _changeable_task(call)
    conditions: list[dict[str, Any]] = [{"term": {"task": task["_id"]}}]
    if data["threshold_sec"]:
        conditions.append({"range": {"timestamp": {"lt": f"now-{data['threshold_sec']}s"}}})
    if data["include_metrics"]:
        conditions.append({"terms": {"metric": data["include_metrics"]}})
    if data["exclude_metrics"]:
        conditions.append({"bool": {"must_not": {"terms": {"metric": data["exclude_metrics"]}}}})
    return {"deleted": event_store.delete_where(call, [event_store.LOG], conditions)}


@endpoint("events.clear_scroll", Field("scroll_id"), version="2.18")
def clear_scroll(call: Call) -> dict[str, Any]:
    """Forget a scroll before its time; one that is unknown is forgotten already."""
    if call.data["scroll_id"]:
        call.server.events.options(ignore_status=(400, 404)).clear_scroll(scroll_id=call.data["scroll_id"])
    return {}


def _changeable_task(call: Call) -> dict[str, Any]:
    task = task_status.load(call, call.data["task"])
    locked: Iterable[str] = task_status.LOCKED
    if task["status"] in locked and not call.data["allow_locked"]:
        problem = "Cannot update events for a published task"
        raise error("invalid_task_id", title=problem, company=call.company, id=task["_id"])
    return task
