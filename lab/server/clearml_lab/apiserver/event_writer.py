"""Storing what tasks and models report, and bringing the summaries in them up to date."""

from __future__ import annotations

import base64
import json
import re
import uuid
import zlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from elasticsearch.helpers import streaming_bulk

from . import event_store, metric_summaries, task_status
from .call import Call
from .errors import error

MAX_LONG = 2**63 - 1
IMAGE_SOURCE = re.compile(r"""['"]source['"]:\s?['"]([a-z][a-z0-9+\-.]*://.*?)['"]""", re.IGNORECASE)


def add(call: Call, events: list[dict[str, Any]]) -> dict[str, Any]:
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
            metric_summaries.update(call, table, entity, reported)
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
    if kind == event_store.PLOT:
        _complete_plot(call, event)
    return None


def _complete_plot(call: Call, event: dict[str, Any]) -> None:
    """Note what a plot holds: its length, images that it shows; a long one is stored compressed."""
    text = event.get("plot_str") or ""
    skip = event.pop("skip_validation", False)
    event["plot_len"] = len(text)
    if call.config.get("services.events.validate_plot_str", False) and not skip:
        event["valid_plot"] = _is_json(text)
    images = set(IMAGE_SOURCE.findall(text))
    if images:
        event["source_urls"] = sorted(images)
    if len(text) >= call.config.get("services.events.plot_compression_threshold", 100_000):
        event["plot_data"] = base64.encodebytes(zlib.compress(event.pop("plot_str").encode(), level=1)).decode("ascii")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
