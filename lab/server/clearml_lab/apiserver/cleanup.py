"""Deleting tasks with all that belongs to them: children, models, events, and files by way of the async deleter."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..stores import now
from ..urls import StorageRules
from . import event_store
from .call import Call
from .errors import error

DELETED = "__DELETED__"


def check_deletable(call: Call, task: Mapping[str, Any], force: bool) -> None:
    """Refuse to delete what belongs to a task when something published depends on it."""
    published = call.mongo.tasks.count({"parent": task["_id"], "status": "published"})
    if published and not force:
        raise error("task_cannot_be_deleted", "has children, use force=True", task=task["_id"], children=published)
    ready = call.mongo.models.count({"task": task["_id"], "ready": True})
    if ready and not force:
        raise error("task_cannot_be_deleted", "has output models, use force=True", task=task["_id"], models=ready)


def delete_outputs(
    call: Call, task: Mapping[str, Any], *, with_models: bool, external: bool, leave: bool
) -> dict[str, Any]:
    """Delete what a task has put out; return what else was changed, and the URLs of its files.

    With `leave` the task itself goes too: its children, and models that stay, then name a deleted task.
    """
    mongo = call.mongo
    changed = {"last_change": now(), "last_changed_by": call.identity.user}
    gone = DELETED + task["_id"]
    children = mongo.tasks.update_all({"parent": task["_id"]}, {"$set": {"parent": gone, **changed}}) if leave else 0
    models = mongo.models.find({"task": task["_id"]}, ["ready", "uri"])
    drafts = [model for model in models if not model.get("ready")]
    in_use = used_models([model["_id"] for model in drafts], call)
    doomed = [model for model in drafts if with_models and model["_id"] not in in_use]
    kept = [model["_id"] for model in models if model not in doomed]
    if doomed:
        mongo.models.delete({"_id": {"$in": [model["_id"] for model in doomed]}})
    if kept:
        owner = {"$set": {"task": gone, **changed}} if leave else {"$set": changed, "$unset": {"task": 1}}
        mongo.models.update_all({"_id": {"$in": kept}}, owner)

    urls = {
        "model_urls": sorted({model["uri"] for model in doomed if model.get("uri")}),
        "artifact_urls": sorted(artifact_urls(task)),
        "event_urls": [],
    }
    delete_files(call, task["_id"], {*urls["model_urls"], *urls["artifact_urls"]}, doomed, external)
    return {
        "updated_children": children,
        "updated_models": len(kept) if leave else 0,
        "deleted_models": len(doomed),
        "urls": urls,
    }


def delete_files(
    call: Call, owner: str, urls: Iterable[str], models: Sequence[Mapping[str, Any]], external: bool
) -> None:
    """Delete the events of a task and of models, and leave their files, and others, to the async deleter."""
    event_urls = event_store.delete(call, [owner, *(model["_id"] for model in models)])
    if external and call.config.get("services.async_urls_delete.enabled", True):
        schedule(call, owner, {*urls, *event_urls})


def delete_contents(call: Call, project: str, inside: Mapping[str, Any], external: bool) -> dict[str, Any]:
    """Delete all tasks and models in projects; return how many, and the URLs that nobody will delete."""
    mongo = call.mongo
    tasks = mongo.tasks.find(inside, ["execution"])
    models = mongo.models.find(inside, ["uri"])
    artifacts = {url for task in tasks for url in artifact_urls(task)}
    model_files = {model["uri"] for model in models if model.get("uri")}
    events = event_store.delete(call, [item["_id"] for item in (*tasks, *models)])
    mongo.tasks.delete(inside)
    mongo.models.delete(inside)
    scheduled: set[str] = set()
    if external and call.config.get("services.async_urls_delete.enabled", True):
        scheduled = schedule(call, project, artifacts | model_files | events, folders=True)
    return {
        "deleted_tasks": len(tasks),
        "deleted_models": len(models),
        "urls": {
            "model_urls": sorted(model_files - scheduled),
            "artifact_urls": sorted(artifacts - scheduled),
            "event_urls": [],
        },
    }


def artifact_urls(task: Mapping[str, Any]) -> set[str]:
    """Return the URLs of the files that a task has put out."""
    artifacts = (task.get("execution") or {}).get("artifacts") or {}
    return {
        artifact["uri"]
        for artifact in artifacts.values()
        if artifact.get("uri") and artifact.get("mode", "output") == "output"
    }


def used_models(models: Sequence[str], call: Call) -> set[str]:
    """Return those of the models that some task has as its input."""
    if not models:
        return set()
    users = call.mongo.tasks.find({"models.input.model": {"$in": list(models)}}, ["models"])
    return {item["model"] for task in users for item in task["models"]["input"]} & set(models)


def schedule(call: Call, task: str, urls: Iterable[str], folders: bool = False) -> set[str]:
    """Leave URLs to the async deleter; return those that it knows how to delete.

    With `folders` the whole folder of a file on the fileserver goes: the project that it belongs to is gone.
    """
    rules = StorageRules(call.config.get("services.async_urls_delete.fileserver.url_prefixes", []))
    accepted = set()
    for url in sorted(urls):
        storage = rules.storage_of(url)
        if not storage:
            continue
        accepted.add(url)
        folder = rules.folder_of(url) if folders and storage == "fileserver" else None
        entry = {"company": call.company, "url": folder or url}
        details = {
            "user": call.identity.user,
            "task": task,
            "created": now(),
            "storage_type": storage,
            "type": "folder" if folder else "file",
            "retry_count": 0,
            "status": "created",
        }
        table = call.mongo.urls_to_delete
        with table.lock:
            if not table.update(entry, {"$set": details, "$unset": {"last_failure_time": 1, "last_failure_reason": 1}}):
                table.insert({"_id": uuid.uuid4().hex, **entry, **details})
    return accepted
