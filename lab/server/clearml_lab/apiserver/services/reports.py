"""reports.*: texts about tasks. A report is itself a task, in a hidden project `.reports`."""

from __future__ import annotations

import textwrap
from typing import Any

from ...stores import now
from .. import entities, event_search, project_tree, task_document, task_status
from ..call import Call
from ..errors import ApiError, error
from ..event_search import MODEL_EVENTS
from ..fields import Field, Structure
from ..registry import endpoint
from . import events_samples, events_scalars, models, tasks

FOLDER = ".reports"
KIND, TAG, HIDDEN, ARCHIVED = "report", "reports", "hidden", "archived"
REQUEST = Field("task", required=True)
MESSAGE = Field("message", default="")
TEXTS = (
    Field("tags", "list", of="str"),
    Field("comment"),
    Field("report"),
    Field("report_assets", "list", of="str"),
)
CHANGEABLE = ("name", "tags", "comment", "report", "report_assets")
ALWAYS_CHANGEABLE = frozenset(("name", "tags", "comment"))
PUBLIC = Field("allow_public", "bool", default=True)
METRICS = Field("metrics", "list", of=event_search.METRIC)
EVENTS = (Field("iters", "int", default=1, least=1), METRICS)
HISTOGRAM = (
    Field("samples", "whole", default=2000, least=1, most=6000),
    Field("key", choices=("iter", "timestamp", "iso_time"), enum="ScalarKeyEnum", default="iter"),
    METRICS,
)


@endpoint("reports.create", Field("name", required=True, shortest=3), *TEXTS, Field("project"))
def create(call: Call) -> dict[str, Any]:
    """Create a report, in the project for reports below a project."""
    data = call.data
    project = _reports_below(call, data["project"])
    fields = {name: data[name] for name in ("tags", "comment") if data[name] is not None}
    task = task_document.create(
        call,
        {
            **fields,
            "name": data["name"].strip(),
            "project": project,
            "type": KIND,
            "system_tags": sorted((TAG, HIDDEN)),
        },
    )
    task_document.check_name(task)
    call.mongo.tasks.insert(task)
    return {"id": task["_id"], "project_id": project}


@endpoint("reports.update", REQUEST, Field("name", shortest=3), *TEXTS)
def update(call: Call) -> dict[str, Any]:
    """Change what a report says; of one that is published only what it is called."""
    with call.mongo.tasks.lock:
        report = _load(call)
        fields = {name: call.data[name] for name in CHANGEABLE if name in call.sent}
        if not fields:
            return {"updated": 0, "fields": {}}
        if report["status"] != "created" and not fields.keys() <= ALWAYS_CHANGEABLE:
            raise error("invalid_task_status", expected="created", status=report["status"])
        task_status.write(call, report["_id"], fields)
    if fields.get("tags"):
        fields["tags"] = sorted(fields["tags"])
    if fields.get("report"):
        fields["report"] = textwrap.shorten(fields["report"], width=100)
    return {"updated": 1, "fields": fields}


@endpoint("reports.get_all_ex", PUBLIC)
def get_all_ex(call: Call) -> dict[str, Any]:
    """Return the reports that the request asks for; those in a project are those in its project for reports."""
    data = call.data
    project_tree.include_children(call)
    wanted = {**data, "type": KIND, "search_hidden": True}
    if "project" in data:
        projects = data["project"] if isinstance(data["project"], list) else [data["project"]]
        there = {"$or": [{"parent": {"$in": projects}}, {"_id": {"$in": projects}}]}
        found = call.mongo.projects.find({"$and": [there, {"basename": FOLDER}]}, ["_id"])
        if not found:
            return {"tasks": []}
        wanted["project"] = [project["_id"] for project in found]
    return tasks.get_all_ex(call.asking(wanted))


@endpoint(
    "reports.get_task_data",
    PUBLIC,
    MODEL_EVENTS,
    Field("debug_images", shape=Structure("EventsRequest", EVENTS)),
    Field(
        "plots",
        shape=Structure("PlotEventsRequest", (*EVENTS, Field("last_iters_per_task_metric", "bool", default=True))),
    ),
    Field("scalar_metrics_iter_histogram", shape=Structure("ScalarMetricsIterHistogram", HISTOGRAM)),
    Field("single_value_metrics", shape=Structure("SingleValueMetrics", ())),
)
def get_task_data(call: Call) -> dict[str, Any]:
    """Return tasks or models, and what of that which they reported is asked for."""
    data, of_models = call.data, call.data["model_events"]
    listing = call.asking({"search_hidden": None, "include_stats": False, **data})
    result = models.get_all_ex(listing) if of_models else tasks.get_all_ex(listing)
    ids = [item["id"] for item in result["models" if of_models else "tasks"]]
    result = {"tasks": result.pop("models", None) or result.get("tasks", []), **result}
    about = {"tasks": ids, "model_events": of_models}
    if data["debug_images"] is not None:
        images = {"iters": 1, **_given(data["debug_images"])}
        lines = [{"task": task, **metric} for task in ids for metric in images.get("metrics") or [{}]]
        scroll = {"navigate_earlier": True, "refresh": False, "scroll_id": None}
        asked = call.asking({**scroll, **about, "iters": images["iters"], "metrics": lines})
        result["debug_images"] = events_samples.debug_images(asked)["metrics"]
    if data["plots"] is not None:
        plots = {"iters": 1, "metrics": None, **_given(data["plots"])}
        result["plots"] = events_samples.get_multi_task_plots(call.asking({**about, **plots}))["plots"]
    if data["scalar_metrics_iter_histogram"] is not None:
        scalars = {"samples": 2000, "key": "iter", "metrics": None, **_given(data["scalar_metrics_iter_histogram"])}
        asked = call.asking({**about, **scalars})
        result["scalar_metrics_iter_histogram"] = events_scalars.multi_task_scalar_metrics_iter_histogram(asked)[
            "metrics"
        ]
    if data["single_value_metrics"] is not None:
        asked = call.asking({**about, "metrics": None})
        result["single_value_metrics"] = events_scalars.get_task_single_value_metrics(asked)["tasks"]
    return result


@endpoint("reports.move", REQUEST, Field("project"), Field("project_name"))
def move(call: Call) -> dict[str, Any]:
    """Move a report to the project for reports below another project."""
    data = call.data
    if "project" not in call.sent and not data["project_name"]:
        raise error("missing_required_fields", "project or project_name is required")
    report = _load(call)
    target = _ensure(call, data["project_name"]) if data["project_name"] else _reports_below(call, data["project"])
    moved = call.asking({"ids": [report["_id"]], "project": target, "project_name": None})
    entities.move(moved, call.mongo.tasks, "invalid_task_id")
    _remove_empty(call, report.get("project"))
    return {"project_id": target}


@endpoint("reports.publish", REQUEST, MESSAGE)
def publish(call: Call) -> dict[str, Any]:
    """Publish a report."""
    fields = {"published": now()}
    return task_status.change(call, _load(call), "published", message=call.data["message"], force=True, fields=fields)


@endpoint("reports.archive", REQUEST, MESSAGE)
def archive(call: Call) -> dict[str, Any]:
    """Put a report away."""
    return {"archived": _tag(call, archived=True)}


@endpoint("reports.unarchive", REQUEST, MESSAGE)
def unarchive(call: Call) -> dict[str, Any]:
    """Take that back."""
    return {"unarchived": _tag(call, archived=False)}


@endpoint("reports.delete", REQUEST, Field("force", "bool", default=False))
def delete(call: Call) -> dict[str, Any]:
    """Delete a report, and the project for reports when it was the last one there.

    The official server means to ask for `force` when it is published, but looks at a status that it did not load.
    """
    report = _load(call)
    call.mongo.tasks.delete(report["_id"])
    _remove_empty(call, report.get("project"))
    return {"deleted": 1}


@endpoint("reports.get_tags")
def get_tags(call: Call) -> dict[str, Any]:
    """Return which tags reports have."""
    reports = call.mongo.tasks.find({"company": call.company, "type": KIND}, ["tags"])
    return {"tags": sorted({tag for report in reports for tag in report.get("tags") or []})}


def _load(call: Call) -> dict[str, Any]:
    task = task_status.load(call, call.data["task"])
    if task["type"] != KIND:
        raise error("operation_supported_on_reports_only", id=task["_id"])
    return task


def _given(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if value is not None}


def _reports_below(call: Call, project: str | None) -> str:
    """Return the project for reports below a project, or the one at the top."""
    above = call.mongo.projects.get({"_id": project, "company": call.company}) if project else {"name": ""}
    if not above:  # there, it is not looked whether it was found
        raise ApiError(500, "'NoneType' object has no attribute 'name'")
    return _ensure(call, above["name"])


def _ensure(call: Call, name: str) -> str:
    path = name.strip(project_tree.SEPARATOR)
    if path.rpartition(project_tree.SEPARATOR)[2] != FOLDER:
        path = f"{path}/{FOLDER}"
    details = {"description": "Reports project", "system_tags": sorted((TAG, HIDDEN))}
    with call.mongo.projects.lock:
        return str(project_tree.ensure(call, project_tree.clean(path), details)["_id"])


def _remove_empty(call: Call, project: str | None) -> None:
    folder = call.mongo.projects.get(project, ["basename"]) if project else None
    if folder and folder["basename"] == FOLDER and not call.mongo.tasks.count({"project": project}):
        call.mongo.projects.delete(folder["_id"])


def _tag(call: Call, *, archived: bool) -> int:
    with call.mongo.tasks.lock:
        report = _load(call)
        tags = [*(tag for tag in report["system_tags"] if tag != ARCHIVED), *([ARCHIVED] if archived else [])]
        fields = {"status_message": call.data["message"], "status_reason": "", "system_tags": tags}
        return task_status.write(call, report["_id"], fields, updated=False)
