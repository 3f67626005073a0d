"""Tasks between request and database: what a request may set, how it is stored, and how it is shown."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from ..stores import now
from . import cleanup, document_types, keys, query, task_legacy, task_types
from .call import Call
from .errors import ApiError, error
from .fields import Structure

TYPES = (
    "training testing inference data_processing application monitor controller report optimizer service qc custom"
).split()
# What a client may set; of these only some when the task is not a draft any more.
LISTS, OBJECTS = ("tags", "system_tags"), ("hyperparams", "configuration", "container", "runtime")
TEXTS = ("name", "type", "comment", "parent", "project", "output_dest")
SETTABLE = (*TEXTS, *LISTS, *OBJECTS, "models", "execution", "script")
ALWAYS_SETTABLE = frozenset(("name", "status_message", "comment", "created", "project", "tags", "system_tags"))
SHORTEST_NAME = 3
STRIPPED = ("binary", "repository", "tag", "branch", "version_num", "entry_point", "working_dir")
SCRIPT = {"binary": "python", "repository": "", "entry_point": "", "requirements": {}}
EXECUTION: dict[str, Any] = {"test_split": 0, "parameters": {}, "model_desc": {}, "model_labels": {}, "artifacts": {}}


def from_request(call: Call, data: Mapping[str, Any], previous: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields of a task that a request sets, as they are stored."""
    fields = {key: data[key] for key in SETTABLE if data.get(key) is not None}
    _check_types(fields)
    query.check_tags(fields.get("tags"), fields.get("system_tags"))
    task_legacy.upgrade(call, fields, previous)
    if "name" in fields:
        fields["name"] = fields["name"].strip()
    for name in LISTS:
        if name in fields:
            fields[name] = sorted(fields[name])
    if "hyperparams" in fields:
        sections = {section: keys.escape_keys(items, "parameter") for section, items in fields["hyperparams"].items()}
        fields["hyperparams"] = keys.escape_keys(sections, "section")
    for name in ("configuration", "container"):
        if name in fields:
            fields[name] = keys.escape_keys(fields[name], name)
    destination = fields.pop("output_dest", None)
    if destination is not None:
        fields["output"] = {**((previous or {}).get("output") or {}), "destination": destination}
    _prepare_parts(fields)
    return fields


def check_types(task: Mapping[str, Any]) -> None:
    """Refuse values of the wrong type, and fields of a part that it does not have."""
    document_types.validate(task_types.TASK, task)


def check_name(task: Mapping[str, Any]) -> None:
    """Refuse a name that is too short."""
    if len(task.get("name") or "") < SHORTEST_NAME and "name" in task:
        raise error("data_validation_error", name="String value is too short")


def create(call: Call, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new task as it is stored: what the fields say, and a default for what they do not."""
    created, given = now(), dict(fields)
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
        "output": {},
        "tags": [],
        "system_tags": [],
        **given,
        "execution": {**EXECUTION, **given.get("execution", {})},
        "script": {**SCRIPT, **given.get("script", {})},
        "models": {"input": [], "output": [], **given.get("models", {})},
    }


def check_references(
    call: Call, task: Mapping[str, Any], *, parent: bool = True, project: bool = True, models: bool = True
) -> None:
    """Refuse a parent, a project or an input model that is not there."""
    own_or_public = {"company": {"$in": [call.company, ""]}}
    mother = task.get("parent") if parent else None
    if (
        mother
        and not str(mother).startswith(cleanup.DELETED)
        and not call.mongo.tasks.get({"_id": mother, **own_or_public})
    ):
        raise error("fields_value_error", "expecting Task id", id=mother, field="parent")
    place = task.get("project") if project else None
    if place and not call.mongo.projects.get({"_id": place, "company": call.company}, ["_id"]):
        raise error("fields_value_error", "expecting Project id", id=place, field="project")
    inputs = {item.get("model") for item in (task.get("models") or {}).get("input", [])} if models else set()
    missing = inputs - {item["_id"] for item in call.mongo.models.find({"_id": {"$in": list(inputs)}}, ["_id"])}
    if missing:
        raise error("invalid_model_id", models=sorted(missing, key=str))


def shown(call: Call, task: dict[str, Any]) -> dict[str, Any]:
    """Return a task, or a part of one, as the API shows it."""
    for name in LISTS:
        if task.get(name):
            task[name] = sorted(task[name])
    if isinstance(task.get("hyperparams"), dict):
        sections = keys.unescape_keys(task["hyperparams"]).items()
        task["hyperparams"] = {
            section: keys.unescape_keys(items) if isinstance(items, dict) else items for section, items in sections
        }
    for name in ("configuration", "container"):
        if isinstance(task.get(name), dict):
            task[name] = keys.unescape_keys(task[name])
    task_legacy.downgrade(call, task)
    execution = task.get("execution")
    if isinstance(execution, dict):
        task["execution"] = execution = dict(execution)
        if isinstance(execution.get("artifacts"), dict):
            execution["artifacts"] = sorted(execution["artifacts"].values(), key=lambda item: str(item.get("key")))
        if isinstance(execution.get("model_labels"), dict):
            execution["model_labels"] = keys.unescape_keys(execution["model_labels"])
    return task


def escape_query(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query whose paths name what is stored, also those of old clients."""

    def modern(path: Any) -> Any:
        for old, new in task_legacy.OLD_PATHS.items():
            path = path.replace(old, new) if isinstance(path, str) else path
        return path

    renamed = {modern(key): value for key, value in data.items()}
    for name in ("projection", "only_fields", "order_by"):
        if isinstance(renamed.get(name), list):
            renamed[name] = [modern(path) for path in renamed[name]]
    return keys.escape_query(renamed, ["hyperparams", "configuration"], 3, "invalid task field")


def stored_artifacts(items: Any) -> dict[str, Any]:
    """Return artifacts as they are stored, by an id that stands for key and mode."""
    listed = items.values() if isinstance(items, dict) else items if isinstance(items, list) else [None]
    stored = {}
    for item in listed:
        if not isinstance(item, dict) or not item.get("key"):
            raise error("validation_error", "error for field 'key'. field is required!")
        known = {key: value for key, value in item.items() if value is not None}
        artifact = {"mode": "output", **known, "display_data": sorted(known.get("display_data", []), key=str)}
        stored[artifact_id(artifact)] = artifact
    return stored


def artifact_id(artifact: Mapping[str, Any]) -> str:
    """Return the name under which an artifact is stored."""
    key = hashlib.md5(artifact["key"].encode(), usedforsecurity=False).hexdigest()
    return f"{key}_{artifact.get('mode') or 'output'}"


def structured(shape: Structure, items: list[dict[str, Any]], by: str) -> dict[str, Any]:
    """Return items of a list as they are stored: only known fields, below an escaped name."""
    known = [field.name for field in shape.fields]
    return {
        keys.escape(item[by].strip()): {key: item[key] for key in known if item.get(key) is not None} for item in items
    }


def _check_types(fields: Mapping[str, Any]) -> None:
    document_types.check_casts(fields, LISTS, OBJECTS)
    for names, kind, problem in (
        (LISTS, list, "Only lists and tuples may be used in a list field"),
        (OBJECTS, dict, "Only dictionaries may be used in a DictField"),
    ):
        for name in names:
            if not isinstance(fields.get(name, kind()), kind):
                raise error("data_validation_error", **{name: problem})
    for section in fields.get("hyperparams", {}).values():
        if not isinstance(section, dict):
            raise ApiError(500, f"'{type(section).__name__}' object has no attribute 'items'")


def _prepare_parts(fields: dict[str, Any]) -> None:
    execution = fields.get("execution")
    if isinstance(execution, dict):
        execution = fields["execution"] = dict(execution)
        if execution.get("artifacts") is not None:
            execution["artifacts"] = stored_artifacts(execution["artifacts"])
        if isinstance(execution.get("model_labels"), dict):
            execution["model_labels"] = keys.escape_keys(execution["model_labels"])
    script = fields.get("script")
    if isinstance(script, dict):
        fields["script"] = {
            key: value.strip() if key in STRIPPED and isinstance(value, str) else value for key, value in script.items()
        }
    models = fields.get("models")
    if isinstance(models, dict):
        updated = now()
        fields["models"] = {
            mode: [{**item, "updated": updated} for item in models[mode]]
            for mode in ("input", "output")
            if mode in models
        }
