"""What is done to whole models: publish, delete and archive them."""

from __future__ import annotations

from typing import Any

from ..stores import now
from . import cleanup, task_status
from .call import Call
from .errors import error

ARCHIVED = "archived"


def load(call: Call, model: str) -> dict[str, Any]:
    """Return a model of the caller's company."""
    query = {"_id": model, "company": call.company}
    document = call.mongo.models.get(query)
    if not document:
        raise error("invalid_model_id", company=call.company, id=model)
    return document


def write(call: Call, model: str, fields: dict[str, Any], updated: bool = True) -> int:
    """Set fields of a model, and note who did so."""
    when = now()
    last = {"last_change": when, "last_changed_by": call.identity.user, **({"last_update": when} if updated else {})}
    return call.mongo.models.update(model, {"$set": {**fields, **last}})


def publish(call: Call, model_id: str, with_task: bool = False, force_task: bool = False) -> dict[str, Any]:
    """Make a model ready for use, and publish the task that made it on demand."""
    model = load(call, model_id)
    if model.get("ready"):
        raise error("model_is_ready", company=call.company, model=model_id)
    published = None
    task = call.mongo.tasks.get({"_id": model.get("task"), "company": call.company}) if with_task else None
    if task and task["status"] != "published":
        fields = {"published": now(), "output": task.get("output") or {}}
        result = task_status.change(call, task, "published", force=force_task, fields=fields)
        published = {"id": task["_id"], "data": result}
    answer: dict[str, Any] = {"updated": write(call, model_id, {"ready": True})}
    return {**answer, "published_task": published} if published else answer


def delete(call: Call, model_id: str) -> dict[str, Any]:
    """Delete a model with its events, and leave its file to the async deleter."""
    model, force, tasks = load(call, model_id), call.data["force"], call.mongo.tasks
    gone = cleanup.DELETED + model_id
    users = tasks.find({"models.input.model": model_id}, ["models"])
    if users and not force:
        raise error("model_in_use", "as execution model, use force=True to delete", num_tasks=len(users))
    for user in users:
        inputs = [{**item, "model": gone} if item["model"] == model_id else item for item in user["models"]["input"]]
        tasks.update(user["_id"], {"$set": {"models.input": inputs}})
    maker = tasks.get(model["task"]) if model.get("task") else None
    if maker:
        published = maker["status"] == "published"
        if published and not force:
            problem = "and published, use force=True to delete"
            raise error("model_creating_task_exists", problem, task=maker["_id"])
        outputs = (maker.get("models") or {}).get("output") or []
        if published:
            outputs = [{**item, "model": gone} if item["model"] == model_id else item for item in outputs]
        else:
            outputs = [item for item in outputs if item["model"] != model_id]
        task_status.write(call, maker["_id"], {"models.output": outputs}, updated=False)
    deleted = call.mongo.models.delete({"_id": model_id, "company": call.company})
    urls = {model["uri"]} if model.get("uri") else set()
    cleanup.delete_files(call, model_id, urls, [], call.data["delete_external_artifacts"])
    return {"deleted": bool(deleted), "url": model.get("uri")}


def archive(call: Call, model_id: str, put_away: bool) -> bool:
    """Put a model away, or bring it back."""
    with call.mongo.models.lock:
        tags = set(load(call, model_id).get("system_tags") or [])
        tags = tags | {ARCHIVED} if put_away else tags - {ARCHIVED}
        return bool(write(call, model_id, {"system_tags": sorted(tags)}, updated=False))
