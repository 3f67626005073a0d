"""events.*: debug images and plots, one after the other."""

from __future__ import annotations

from typing import Any

from .. import event_search, sample_history
from ..call import Call
from ..event_search import MODEL_EVENTS
from ..fields import Field
from ..registry import endpoint

TASK = Field("task", required=True)
METRIC = Field("metric", required=True)
VARIANT = Field("variant", required=True)
FIRST = (
    Field("iteration", "whole"),
    Field("refresh", "bool", default=False),
    Field("scroll_id"),
    Field("navigate_current_metric", "bool", default=True),
    MODEL_EVENTS,
)
NEXT = (
    TASK,
    Field("scroll_id"),
    Field("navigate_earlier", "bool", default=True),
    Field("next_iteration", "bool", default=False),
    MODEL_EVENTS,
)
NOTHING = {"min_iteration": None, "max_iteration": None}


@endpoint("events.get_debug_image_sample", TASK, METRIC, VARIANT, *FIRST, version="2.12")
def get_debug_image_sample(call: Call) -> dict[str, Any]:
    """Return the image of a variant in an iteration or before it; without an iteration, the last one."""
    data = call.data
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    state = sample_history.begin(call, owner, sample_history.image_lines)
    if state is None:
        return {"scroll_id": None, "event": None, **NOTHING}
    limits = sample_history.limits(state, data["metric"], data["variant"])
    event = None
    if limits["min_iteration"] is not None:
        period = {"gte": limits["min_iteration"]}
        if data["iteration"] is not None:
            period["lte"] = data["iteration"]
        line = [{"term": {name: data[name]}} for name in ("metric", "variant")]
        event = sample_history.image(call, owner, [*line, {"range": {"iter": period}}], [{"iter": "desc"}])
    sample_history.save(call, state, event)
    return {"scroll_id": state["id"], "event": event, **limits}


@endpoint("events.next_debug_image_sample", *NEXT, version="2.12")
def next_debug_image_sample(call: Call) -> dict[str, Any]:
    """Return the image beside the one that was seen last."""
    data = call.data
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    state = sample_history.resume(call)
    event = sample_history.next_image(call, owner, state)
    if event is None:
        return {"scroll_id": state["id"], "event": None, **NOTHING}
    sample_history.save(call, state, event)
    limits = sample_history.limits(state, event["metric"], event["variant"])
    return {"scroll_id": state["id"], "event": event, **limits}


@endpoint("events.get_plot_sample", TASK, METRIC, *FIRST)
def get_plot_sample(call: Call) -> dict[str, Any]:
    """Return the plots of a metric in an iteration or before it; without an iteration, the last ones."""
    data = call.data
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    state = sample_history.begin(call, owner, sample_history.plot_lines)
    if state is None:
        return {"scroll_id": None, "events": [], **NOTHING}
    limits = sample_history.limits(state, data["metric"], None)
    events: list[dict[str, Any]] = []
    if limits["min_iteration"] is not None:
        until = [{"range": {"iter": {"lte": data["iteration"]}}}] if data["iteration"] is not None else []
        events = sample_history.plots(call, owner, [{"term": {"metric": data["metric"]}}, *until], "desc")
    sample_history.save(call, state, events[0] if events else None)
    return {"scroll_id": state["id"], "events": events, **limits}


@endpoint("events.next_plot_sample", *NEXT)
def next_plot_sample(call: Call) -> dict[str, Any]:
    """Return the plots beside those that were seen last."""
    data = call.data
    (owner,) = event_search.entities(call, data["task"], data["model_events"])
    state = sample_history.resume(call)
    events = sample_history.next_plots(call, owner, state)
    if not events:
        return {"scroll_id": state["id"], "events": [], **NOTHING}
    sample_history.save(call, state, events[0])
    return {"scroll_id": state["id"], "events": events, **sample_history.limits(state, events[0]["metric"], None)}
