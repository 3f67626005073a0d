"""models.*: what tasks learnt, with its files."""

from __future__ import annotations

import uuid
from typing import Any

from ...stores import now
from .. import (
    batch,
    cleanup,
    document_types,
    entities,
    joins,
    metadata,
    model_operations,
    project_tree,
    query,
    task_status,
)
from ..call import Call
from ..document_types import flag, label, listed, mapped, mapping, text
from ..errors import error
from ..fields import Field
from ..registry import endpoint, version_key

MODEL = query.Kind(
    name="Model",
    fields=frozenset(
        "id user company name parent project created task comment tags system_tags uri framework design labels ready"
        " last_update last_change last_changed_by ui_cache company_origin metadata last_iteration last_metrics"
        " unique_metrics".split()
    ),
    hidden=frozenset({"ui_cache", "company_origin", "unique_metrics"}),
    patterns=("name", "comment"),
    lists=(
        "tags", "system_tags", "framework", "uri", "id", "user", "project", "task", "parent", "metadata.*",
    ),
    ranges=("created", "last_metrics.*", "last_iteration"),
    dates=("last_update", "last_change"),
    values=("ready",),
)  # fmt: skip
REFERENCES = {"company": "companies", "user": "users", "project": "projects", "task": "tasks", "parent": "models"}
METADATA_VERSION, LAST_OLD_VERSION = "2.13", (2, 13)
SETTABLE = "name tags system_tags task comment uri project parent framework design labels ready metadata".split()
ALWAYS_SETTABLE = "name project created comment tags system_tags uri ui_cache metadata".split()
# A change of these counts as a sign of life.
CONTENTS = frozenset("uri framework design labels ready metadata system_tags tags".split())
TYPES = {
    "comment": text,
    "framework": text,
    "uri": text,
    "tags": listed(text),
    "system_tags": listed(text),
    "design": mapping,
    "ui_cache": mapping,
    "ready": flag,
}
REQUEST = Field("model", required=True)
FORCE = Field("force", "bool", default=False)
EXTERNAL = Field("delete_external_artifacts", "bool", default=True)
PUBLISH = (Field("force_publish_task", "bool", default=False), Field("publish_task", "bool", default=True))
CHANGE = (REQUEST, Field("task"), Field("iteration", "int"))
DICTS = (Field("labels", "dict"), Field("design", "dict"), Field("ui_cache", "dict"))
LISTED = (Field("include_stats", "bool", default=False), Field("allow_public", "bool", default=True))


@endpoint(
    "models.create",
    Field("name", required=True),
    Field("uri", required=True),
    *DICTS,
    Field("tags", "list", of="str"),
    Field("system_tags", "list", of="str"),
    *(Field(name) for name in ("comment", "project", "parent", "framework", "task")),
    Field("public", "bool", default=False),
    Field("ready", "bool", default=True),
    Field("metadata", "dict", of=metadata.ITEM),
)
def create(call: Call) -> dict[str, Any]:
    """Create a model."""
    data, created = call.data, now()
    company = "" if data["public"] else call.company
    if data["project"] and not call.mongo.projects.get({"_id": data["project"], "company": company}, ["_id"]):
        raise error("validation_error", "Invalid project ids", project=data["project"])
    document_types.validate({"labels": mapped(label)}, data)
    fields = _from_request(call, [*SETTABLE, "ui_cache"])
    model = {
        "_id": uuid.uuid4().hex,
        "user": call.identity.user,
        "company": company,
        "created": created,
        "last_update": created,
        "last_change": created,
        "last_changed_by": call.identity.user,
        "last_iteration": 0,
        "last_metrics": {},
        "unique_metrics": [],
        "tags": [],
        "system_tags": [],
        "design": {},
        "labels": {},
        "metadata": {},
        **fields,
    }
    call.mongo.models.insert(model)
    return {"id": model["_id"], "created": True}


@endpoint("models.get_by_id", REQUEST)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one model."""
    identifier = call.data["model"]
    chosen = ("only_fields", "projection")  # which are for lists alone
    call.data = {name: value for name, value in metadata.escape_query(call.data).items() if name not in chosen}
    models, _ = query.get_many(call, call.mongo.models, MODEL, {"_id": identifier}, public=True)
    if not models:
        raise error("invalid_model_id", "no such public or company model", id=identifier, company=call.company)
    return {"model": _shown(call, models[0])}


@endpoint("models.get_by_task_id", Field("task", required=True))
def get_by_task_id(call: Call) -> dict[str, Any]:
    """Return the last model that a task made, to clients that know no other way."""
    _only_old_clients(call, "use models.get_by_id/get_all apis")
    task = call.mongo.tasks.get({"_id": call.data["task"], "company": call.company}, ["models"])
    if not task:
        raise error("invalid_task_id", id=call.data["task"], company=call.company)
    outputs = (task.get("models") or {}).get("output")
    if not outputs:
        raise error("missing_task_fields", field="models.output")
    call.data = {"model": outputs[-1]["model"]}
    return {"model": {"ui_cache": {}, "unique_metrics": [], **get_by_id(call)["model"]}}


@endpoint("models.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """Return the models that the request asks for."""
    call.data = metadata.escape_query(call.data)
    project_tree.include_children(call)
    models, more = query.get_many(call, call.mongo.models, MODEL, public=True)
    return {"models": [_shown(call, model) for model in models], **more}


@endpoint("models.get_all_ex", *LISTED)
def get_all_ex(call: Call) -> dict[str, Any]:
    """Return the same, with what they refer to, and how many labels each has on demand."""
    call.data = metadata.escape_query(call.data)
    project_tree.include_children(call)
    public, count = call.data["allow_public"], call.data["include_stats"]
    models, more = joins.get_many(call, call.mongo.models, MODEL, REFERENCES, public=public)
    if count:
        ids = [model["id"] for model in models]
        labels = {item["_id"]: item.get("labels") or {} for item in call.mongo.models.find({"_id": {"$in": ids}})}
        models = [{**model, "stats": {"labels_count": len(labels.get(model["id"], {}))}} for model in models]
    return {"models": [_shown(call, model) for model in models], **more}


@endpoint("models.get_by_id_ex")
def get_by_id_ex(call: Call) -> dict[str, Any]:
    """Return some models, with what they refer to."""
    if "id" not in call.data:
        raise error("missing_required_fields", missing=["id"])
    call.data = {"include_stats": False, "allow_public": True, **call.data}
    return get_all_ex(call)


@endpoint("models.get_frameworks", Field("projects", "list", of="str"))
def get_frameworks(call: Call) -> dict[str, Any]:
    """Return which frameworks the models in some projects were made with."""
    inside = (
        {"project": {"$in": project_tree.with_children(call, call.data["projects"])}} if call.data["projects"] else {}
    )
    models = call.mongo.models.find({"company": {"$in": [call.company, ""]}, **inside}, ["framework"])
    return {"frameworks": sorted({model["framework"] for model in models if model.get("framework")})}


@endpoint("models.edit", *CHANGE)
def edit(call: Call) -> dict[str, Any]:
    """Change what a model says."""
    model_operations.load(call, call.data["model"])
    for name, table in (("project", call.mongo.projects), ("parent", call.mongo.models), ("task", call.mongo.tasks)):
        wanted = call.data.get(name)
        if wanted and not wanted.startswith(cleanup.DELETED) and not table.get(wanted, ["_id"]):
            kind = "Model" if name == "parent" else name.capitalize()
            raise error("fields_value_error", f"expecting {kind} id", id=wanted, field=name)
    return _change(call, _from_request(call, SETTABLE))


@endpoint("models.update", *CHANGE)
def update(call: Call) -> dict[str, Any]:
    """Change what may always be changed."""
    if "task" in call.sent:
        task_status.load(call, call.data["task"])
    model_operations.load(call, call.data["model"])
    result = _change(call, _from_request(call, ALWAYS_SETTABLE))
    result["fields"].pop("last_update", None)  # it is noted, and not told
    return result


@endpoint(
    "models.update_for_task",
    Field("task", required=True),
    Field("uri"),
    Field("iteration", "int"),
    Field("override_model_id"),
)
def update_for_task(call: Call) -> dict[str, Any]:
    """Set the model that a task makes, for clients that know no other way."""
    _only_old_clients(call, "use tasks.add_or_update_model")
    data = call.data
    if bool(data["uri"]) == bool(data["override_model_id"]):
        problem = "exactly one field is required"
        raise error("missing_required_fields", problem, fields=("uri", "override_model_id"))
    task = task_status.load(call, data["task"])
    states = ["created", "in_progress"]
    if task["status"] not in states:
        problem = f"model can only be updated for tasks in the {states} states"
        raise error("invalid_task_status", problem, id=task["_id"], company=call.company)
    outputs = (task.get("models") or {}).get("output") or []
    data.setdefault("name", task["name"])
    data.setdefault("comment", f"Created by task `{task['name']}` ({task['_id']})")
    if data["override_model_id"]:
        model = model_operations.load(call, data["override_model_id"])["_id"]
    elif outputs:
        data["model"] = outputs[-1]["model"]
        return {**update(call), "id": data["model"], "created": False}
    else:
        call.data = {**data, "ready": False, "public": False, "project": task.get("project")}
        model = create(call)["id"]
    item = {"model": model, "name": "Output Model", "updated": now()}
    iteration = max(task.get("last_iteration") or 0, data["iteration"] or 0)
    task_status.write(call, task["_id"], {"models.output": [item], "last_iteration": iteration})
    return {"id": model, "created": True}


@endpoint("models.set_ready", REQUEST, *PUBLISH)
def set_ready(call: Call) -> dict[str, Any]:
    """Publish a model, and the task that made it on demand."""
    return {"fields": {}, **_publish(call, call.data["model"])}


@endpoint("models.publish_many", batch.IDS, *PUBLISH)
def publish_many(call: Call) -> dict[str, Any]:
    """Publish models."""

    def publish(model: str) -> dict[str, Any]:
        result = _publish(call, model)
        return {"updated": bool(result["updated"]), "published_task": result.get("published_task")}

    return batch.run(call.data["ids"], publish)


@endpoint("models.delete", REQUEST, FORCE, EXTERNAL)
def delete(call: Call) -> dict[str, Any]:
    """Delete a model, and leave its file to the async deleter."""
    return model_operations.delete(call, call.data["model"])


@endpoint("models.delete_many", batch.IDS, FORCE, EXTERNAL)
def delete_many(call: Call) -> dict[str, Any]:
    """Delete models, and leave their files to the async deleter."""
    return batch.run(call.data["ids"], lambda model: model_operations.delete(call, model))


@endpoint("models.archive_many", batch.IDS)
def archive_many(call: Call) -> dict[str, Any]:
    """Put models away."""
    return batch.run(call.data["ids"], lambda model: {"archived": model_operations.archive(call, model, True)})


@endpoint("models.unarchive_many", batch.IDS)
def unarchive_many(call: Call) -> dict[str, Any]:
    """Bring archived models back."""
    return batch.run(call.data["ids"], lambda model: {"unarchived": model_operations.archive(call, model, False)})


@endpoint("models.move", batch.IDS, Field("project"), Field("project_name"))
def move(call: Call) -> dict[str, Any]:
    """Move models to a project, which is created when it is named and not there."""
    return entities.move(call, call.mongo.models, "invalid_model_id")


@endpoint("models.update_tags", batch.IDS, Field("add_tags", "list", of="str"), Field("remove_tags", "list", of="str"))
def update_tags(call: Call) -> dict[str, Any]:
    """Add tags to models, and take some away."""
    return entities.edit_tags(call, call.mongo.models, "invalid_model_id")


@endpoint("models.make_public", batch.IDS, version="2.9")
def make_public(call: Call) -> dict[str, Any]:
    """Show models to everybody; nobody can change them then."""
    return entities.publish(call, call.mongo.models, "invalid_model_id", public=True)


@endpoint("models.make_private", batch.IDS, version="2.9")
def make_private(call: Call) -> dict[str, Any]:
    """Take that back."""
    return entities.publish(call, call.mongo.models, "invalid_model_id", public=False)


@endpoint(
    "models.add_or_update_metadata",
    REQUEST,
    Field("metadata", "list", of=metadata.ITEM, shortest=1),
    Field("replace_metadata", "bool", default=False),
    version=METADATA_VERSION,
)
def add_or_update_metadata(call: Call) -> dict[str, Any]:
    """Add metadata to a model, or replace all that it has."""
    with call.mongo.models.lock:
        model = model_operations.load(call, call.data["model"])
        changed = metadata.merged(model, call.data["metadata"], call.data["replace_metadata"])
        return {"updated": model_operations.write(call, model["_id"], {"metadata": changed})}


@endpoint("models.delete_metadata", REQUEST, Field("keys", "list", of="str", shortest=1), version=METADATA_VERSION)
def delete_metadata(call: Call) -> dict[str, Any]:
    """Take metadata away from a model, by its keys."""
    with call.mongo.models.lock:
        model = model_operations.load(call, call.data["model"])
        kept = metadata.without(model, call.data["keys"])
        return {"updated": model_operations.write(call, model["_id"], {"metadata": kept})}


def _publish(call: Call, model: str) -> dict[str, Any]:
    data = call.data
    return model_operations.publish(call, model, data["publish_task"], data["force_publish_task"])


def _from_request(call: Call, names: list[str]) -> dict[str, Any]:
    """Return the fields of a model that the request sets, as they are stored."""
    data = call.data
    fields = {name: data[name] for name in names if data.get(name) is not None}
    document_types.check_casts(fields, ("tags", "system_tags", "metadata"), ("labels", "design"))
    query.check_tags(fields.get("tags"), fields.get("system_tags"))
    document_types.validate(TYPES, fields)
    if "name" in fields:
        fields["name"] = fields["name"].strip()
        if len(fields["name"]) < project_tree.MIN_NAME:
            raise error("data_validation_error", name="String value is too short")
    if "uri" in fields:
        fields["uri"] = fields["uri"].strip()
    for name in ("tags", "system_tags"):
        if name in fields:
            fields[name] = sorted(fields[name])
    if "task" in fields:
        task_status.load(call, fields["task"])
    wrong = {value for value in fields.get("labels", {}).values() if not isinstance(value, int)}
    if wrong:
        raise error("validation_error", "labels values must be integers", values=wrong)
    if "metadata" in fields:
        given = fields["metadata"]
        fields["metadata"] = metadata.stored(given.values() if isinstance(given, dict) else given)
    return fields


def _change(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    """Write fields, and return them with who changed them and when."""
    data = call.data
    with call.mongo.models.lock:
        model = model_operations.load(call, data["model"])
        if "uri" in fields:
            fields.setdefault("ui_cache", {})  # it was made from the file that the model had
        _note_iteration(call, model.get("task") or fields.get("task"), data["iteration"])
        if not fields:
            return {"updated": 0, "fields": {}}
        when, alive = now(), bool(CONTENTS & fields.keys())
        updated = model_operations.write(call, model["_id"], fields, updated=alive)
    last = {"last_change": when, "last_changed_by": call.identity.user, **({"last_update": when} if alive else {})}
    return {"updated": updated, "fields": _shown(call, {**fields, **last})}


def _note_iteration(call: Call, task: str | None, iteration: int | None) -> None:
    """Note how far the task is that made a model."""
    known = call.mongo.tasks.get(task, ["last_iteration", "status", "started"]) if task else None
    if known and iteration is not None:
        last = max(known.get("last_iteration") or 0, iteration)
        task_status.write(call, known["_id"], {"last_iteration": last, **task_status.duration(known)})


def _shown(call: Call, model: dict[str, Any]) -> dict[str, Any]:
    return metadata.shown(model, old_client=version_key(call.requested) <= (2, 16))


def _only_old_clients(call: Call, advice: str) -> None:
    if version_key(call.requested) > LAST_OLD_VERSION:
        raise error("no_longer_supported", advice)
