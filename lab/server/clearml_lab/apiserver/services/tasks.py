"""tasks.*: experiments and everything else that runs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from ...stores import now
from .. import cleanup, query, queue_entries, task_status
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint
from .projects import touch

TASK_TYPES = (
    "training testing inference data_processing application monitor controller report optimizer service qc custom"
).split()
TASK = query.Kind(
    fields=frozenset(
        "id user company name type status status_reason status_message status_changed comment report report_assets"
        " created started completed published active_duration parent project output execution tags system_tags script"
        " last_worker last_worker_report last_update last_change last_iteration last_metrics unique_metrics"
        " metric_stats company_origin duration hyperparams configuration runtime models container enqueue_status"
        " last_changed_by".split()
    ),
    hidden=frozenset({"unique_metrics", "company_origin", "enqueue_status"}),
    patterns=("name", "comment", "report"),
    lists=(
        "id", "user", "tags", "system_tags", "type", "status", "project", "parent", "hyperparams.*",
        "execution.queue", "models.input.model",
    ),
    ranges=("created", "started", "active_duration", "last_metrics.*", "last_iteration"),
    dates=("status_changed", "last_update", "last_change"),
    values=("runtime.*",),
)  # fmt: skip
# Parts of a task that are objects of their own.
OBJECTS = ("models", "container", "execution", "hyperparams", "configuration", "script", "runtime")
CREATE = {"name", "tags", "system_tags", "type", "comment", "parent", "project", *OBJECTS}
REQUEST = Field("task", required=True)
CHANGE = (
    REQUEST,
    Field("force", "bool", default=False),
    Field("status_reason", default=""),
    Field("status_message", default=""),
)


@endpoint(
    "tasks.create",
    Field("name", required=True),
    Field("type", required=True, choices=TASK_TYPES),
    *(Field(name) for name in ("comment", "parent", "project", "output_dest")),
    *(Field(name, "dict") for name in OBJECTS),
)
def create(call: Call) -> dict[str, Any]:
    """Create a task in the status `created`."""
    fields = {key: value for key, value in call.data.items() if key in CREATE and value is not None}
    query.check_tags(fields.get("tags"), fields.get("system_tags"))
    for name in ("tags", "system_tags"):
        if not isinstance(fields.get(name, []), list):
            raise error("data_validation_error", **{name: "Only lists and tuples may be used in a list field"})
    fields["name"] = fields["name"].strip()
    if len(fields["name"]) < 3:
        raise error("data_validation_error", name="String value is too short")
    task = _new_task(call, fields)
    _check_references(call, task)
    call.mongo.tasks.insert(task)
    touch(call, task.get("project"))
    return {"id": task["_id"]}


@endpoint("tasks.get_by_id", REQUEST)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one task, whole."""
    task = call.mongo.tasks.get({"_id": call.data["task"], "company": {"$in": [call.company, ""]}})
    if not task:
        raise error("invalid_task_id", ids=[call.data["task"]])
    shown = _shown(query.project(query.public_form(task), [], TASK.hidden))
    return {"task": {**shown, "unique_metrics": []}}


@endpoint("tasks.get_all", Field("search_hidden", "bool"))
def get_all(call: Call) -> dict[str, Any]:
    """Return the tasks that the request asks for; hidden ones only by id or on demand."""
    data = call.data
    visible = {} if data["search_hidden"] or data.get("id") else {"system_tags": {"$ne": "hidden"}}
    if data.get("include_subprojects") and data.get("project"):
        projects = data["project"] if isinstance(data["project"], list) else [data["project"]]
        below = call.mongo.projects.find({"path": {"$in": projects}}, ["_id"])
        data["project"] = [*projects, *(item["_id"] for item in below)]
    tasks, more = query.get_many(call, call.mongo.tasks, TASK, visible, public=True)
    return {"tasks": [_shown(task) for task in tasks], **more}


@endpoint("tasks.started", *CHANGE)
def started(call: Call) -> dict[str, Any]:
    """Note that the task runs. A task that is running already keeps its start time."""
    task = task_status.load(call, call.data["task"])
    again = task["status"] == "in_progress" and task.get("started")
    fields = {} if again else {"started": now()}
    result = _change(call, task, "in_progress", fields, () if again else ("completed", "active_duration"))
    return {**result, "started": result["updated"]}


@endpoint("tasks.stopped", *CHANGE)
def stopped(call: Call) -> dict[str, Any]:
    """Note that the task was aborted."""
    return _change(call, task_status.load(call, call.data["task"]), "stopped", {"completed": now()})


@endpoint("tasks.failed", *CHANGE)
def failed(call: Call) -> dict[str, Any]:
    """Note that the task failed."""
    return _change(call, task_status.load(call, call.data["task"]), "failed", {"completed": now()})


@endpoint("tasks.completed", *CHANGE, Field("publish", "bool", default=False), version="2.2")
def completed(call: Call) -> dict[str, Any]:
    """Note that the task is done, and publish it on demand."""
    task = task_status.load(call, call.data["task"])
    result = _change(call, task, "completed", {"completed": now()})
    published = 0
    if call.data["publish"]:
        task["status"] = "completed"
        published = _change(call, task, "published", {"published": now()})["updated"]
        result["fields"]["status"] = "published"
    return {**result, "published": published}


@endpoint("tasks.add_or_update_artifacts", REQUEST, Field("artifacts", "list", required=True), version="2.10")
def add_or_update_artifacts(call: Call) -> dict[str, Any]:
    """Note files that the task has put out or taken in."""
    task = task_status.load(call, call.data["task"])
    artifacts = {f"execution.artifacts.{key}": item for key, item in _artifacts(call.data["artifacts"]).items()}
    when = {"last_update": now(), "last_change": now(), "last_changed_by": call.identity.user}
    return {"updated": call.mongo.tasks.update(task["_id"], {"$set": {**artifacts, **when}})}


@endpoint(
    "tasks.delete",
    *CHANGE,
    Field("move_to_trash", "bool", default=False),
    Field("return_file_urls", "bool", default=False),
    Field("delete_output_models", "bool", default=True),
    Field("delete_external_artifacts", "bool", default=True),
)
def delete(call: Call) -> dict[str, Any]:
    """Delete a task with its events, and leave its files to the async deleter."""
    task = task_status.load(call, call.data["task"])
    force = call.data["force"]
    if not force and task["status"] != "created" and "archived" not in task.get("system_tags", []):
        raise error(
            "task_cannot_be_deleted",
            "due to status, use force=True",
            task=task["_id"],
            expected="created",
            current=task["status"],
        )
    published = call.mongo.tasks.count({"parent": task["_id"], "status": "published"})
    if published and not force:
        raise error("task_cannot_be_deleted", "has children, use force=True", task=task["_id"], children=published)
    ready = call.mongo.models.count({"task": task["_id"], "ready": True})
    if ready and not force:
        raise error("task_cannot_be_deleted", "has output models, use force=True", task=task["_id"], models=ready)
    queue_entries.forget(call.mongo, task["_id"])
    result = cleanup.delete_task(
        call, task, with_models=call.data["delete_output_models"], external=call.data["delete_external_artifacts"]
    )
    touch(call, task.get("project"))
    return {"deleted": True, **result, "urls": result["urls"] if call.data["return_file_urls"] else None}


def _change(
    call: Call,
    task: dict[str, Any],
    status: str,
    fields: dict[str, Any],
    unset: tuple[str, ...] = (),
) -> dict[str, Any]:
    return task_status.change(
        call,
        task,
        status,
        reason=call.data["status_reason"],
        message=call.data["status_message"],
        force=call.data["force"],
        fields=fields,
        unset=unset,
    )


def _new_task(call: Call, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task as it is stored: what the request says, and a default for what it does not."""
    created = now()
    given = dict(fields)
    execution = {"test_split": 0, "parameters": {}, "model_desc": {}, "model_labels": {}, **given.pop("execution", {})}
    execution["artifacts"] = _artifacts(execution.get("artifacts", []))
    output = {"destination": call.data["output_dest"]} if call.data.get("output_dest") else {}
    return {
        "_id": uuid.uuid4().hex,
        "company": call.company,
        "user": call.identity.user,
        "status": "created",
        "created": created,
        "last_update": created,
        "last_change": created,
        "last_changed_by": call.identity.user,
        "last_iteration": 0,
        "last_metrics": {},
        "unique_metrics": [],
        "metric_stats": {},
        "report_assets": [],
        "hyperparams": {},
        "configuration": {},
        "runtime": {},
        "container": {},
        "output": output,
        "execution": execution,
        **given,
        "tags": sorted(set(given.get("tags", []))),
        "system_tags": sorted(set(given.get("system_tags", []))),
        "script": {
            "binary": "python",
            "repository": "",
            "entry_point": "",
            "requirements": {},
            **given.get("script", {}),
        },
        "models": {"input": [], "output": [], **given.get("models", {})},
    }


def _check_references(call: Call, task: Mapping[str, Any]) -> None:
    """Refuse a parent or a project that is not there."""
    parent, project = task.get("parent"), task.get("project")
    own_or_public = {"company": {"$in": [call.company, ""]}}
    if parent and not parent.startswith(cleanup.DELETED) and not call.mongo.tasks.get({"_id": parent, **own_or_public}):
        raise error("fields_value_error", "expecting Task id", id=parent, field="parent")
    if project and not call.mongo.projects.get({"_id": project, "company": call.company}, ["_id"]):
        raise error("fields_value_error", "expecting Project id", id=project, field="project")


def _artifacts(items: Any) -> dict[str, Any]:
    """Return artifacts as they are stored, by an id that stands for key and mode."""
    listed = items.values() if isinstance(items, dict) else items if isinstance(items, list) else [None]
    stored = {}
    for item in listed:
        if not isinstance(item, dict) or not item.get("key"):
            raise error("validation_error", "error for field 'key'. field is required!")
        artifact = {"mode": "output", "display_data": [], **item}
        name = f"{artifact['key']}:{artifact['mode']}"
        stored[hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()] = artifact
    return stored


def _shown(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task as the API shows it: artifacts are a list."""
    execution = task.get("execution")
    if isinstance(execution, dict) and isinstance(execution.get("artifacts"), dict):
        listed = sorted(execution["artifacts"].values(), key=lambda item: (item.get("type", ""), item["key"]))
        task["execution"] = {**execution, "artifacts": listed}
    return task
