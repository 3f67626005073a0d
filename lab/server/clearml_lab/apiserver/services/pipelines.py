"""pipelines.*: starting pipelines again, and deleting their runs."""

from __future__ import annotations

import re
from typing import Any

from .. import batch, keys, task_operations, task_status
from ..call import Call
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint
from . import tasks, tasks_lifecycle

ARGUMENT = Structure("Arg", (Field("name", required=True), Field("value", required=True)))


@endpoint(
    "pipelines.start_pipeline",
    Field("task", required=True),
    Field("queue", required=True),
    Field("args", "list", of=ARGUMENT),
    Field("verify_watched_queue", "bool", default=False),
)
def start_pipeline(call: Call) -> dict[str, Any]:
    """Copy the controller of a pipeline, with other arguments on demand, and let it wait in a queue."""
    data = call.data
    empty = dict.fromkeys(name for name in tasks.CLONE_FIELDS if name != "task")
    call.data = {**empty, "task": data["task"], "validate_references": False}
    task: str = tasks.clone(call)["id"]
    with call.mongo.tasks.lock:
        copy = task_status.load(call, task)
        arguments = {
            keys.escape(item["name"]): {"section": "Args", "name": item["name"], "value": item["value"]}
            for item in data["args"] or []
        }
        sections = copy.get("hyperparams") or {}
        if arguments:
            sections = {**sections, "Args": {**sections.get("Args", {}), **arguments}}
        task_status.write(call, task, {"hyperparams": sections, "name": _name(call, copy)})
    call.data = {**data, "status_message": "Starting pipeline", "status_reason": ""}
    result = task_operations.enqueue(call, task)
    return {"pipeline": task, "enqueued": bool(result["queued"]), **tasks_lifecycle.watched(call, result)}


@endpoint(
    "pipelines.delete_runs",
    Field("project", required=True),
    Field("ids", "list", of="str", required=True, shortest=1),
)
def delete_runs(call: Call) -> dict[str, Any]:
    """Delete runs of a pipeline with their steps; one run has to be left."""
    project, ids = call.data["project"], call.data["ids"]
    runs = {item["_id"] for item in call.mongo.tasks.find({"project": project, "type": "controller"}, ["_id"])}
    if runs <= set(ids):
        raise error("cannot_remove_all_runs", project=project)
    wanted = {"status_message": "", "status_reason": "Pipeline run deleted", "return_file_urls": False}
    always = dict.fromkeys(
        ("force", "delete_output_models", "delete_external_artifacts", "include_pipeline_steps"), True
    )
    call.data = {**wanted, **always}
    return batch.run(sorted(runs & set(ids)), lambda task: task_operations.delete(call, task))


def _name(call: Call, task: dict[str, Any]) -> str:
    """Return the name of the pipeline with the number of this run."""
    project = call.mongo.projects.get(task["project"], ["name"]) if task.get("project") else None
    if not project:
        return str(task["name"])
    name: str = project["name"].rpartition("/")[2]
    pattern = rf"^{re.escape(name)}( #\d+)?$"
    runs = {"project": task["project"], "system_tags": "pipeline", "name": {"$regex": pattern}}
    count = call.mongo.tasks.count(runs)
    return f"{name} #{count}" if count else name
