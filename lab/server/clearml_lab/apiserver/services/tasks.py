"""tasks.*: experiments and everything else that runs. Making them, finding them, and changing what they say."""

from __future__ import annotations

from typing import Any

from ...stores import now
from .. import cleanup, entities, joins, project_tree, query, task_document, task_legacy, task_status
from ..batch import IDS
from ..call import Call
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint

TASK = query.Kind(
    name="Task",
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
    below={
        "execution": frozenset("test_split parameters model_desc model_labels framework artifacts queue".split()),
        "output": frozenset({"destination", "error", "result"}),
        "models": frozenset({"input", "output"}),
    },
)  # fmt: skip
REFERENCES = {
    "company": "companies",
    "user": "users",
    "project": "projects",
    "parent": "tasks",
    "execution.queue": "queues",
    "models.input.model": "models",
    "models.output.model": "models",
}
REQUEST = Field("task", required=True)
FORCE = Field("force", "bool", default=False)
CREATE = (Field("name", required=True), Field("type", required=True, choices=task_document.TYPES))
CLONE = (
    REQUEST,
    *(Field(f"new_task_{name}") for name in ("name", "comment", "parent", "project")),
    *(Field(f"new_task_{name}", "list", of="str") for name in ("tags", "system_tags")),
    *(Field(f"new_task_{name}", "dict") for name in ("hyperparams", "configuration", "container")),
    Field("new_task_input_models", "list", of=Structure("TaskInputModel", (Field("name"), Field("model")))),
    Field("execution_overrides", "dict"),
    Field("validate_references", "bool", default=False),
    Field("new_project_name"),
)
CLONE_FIELDS = tuple(field.name for field in CLONE)
LISTED = (Field("search_hidden", "bool"), Field("allow_public", "bool", default=True))


@endpoint("tasks.create", *CREATE)
def create(call: Call) -> dict[str, Any]:
    """Create a task in the status `created`."""
    task = _validated(call)
    task_document.check_name(task)
    call.mongo.tasks.insert(task)
    project_tree.touch(call, task.get("project"))
    return {"id": task["_id"]}


@endpoint("tasks.validate", *CREATE)
def validate(call: Call) -> dict[str, Any]:
    """Check a request to create a task."""
    _validated(call)
    return {}


@endpoint("tasks.clone", *CLONE)
def clone(call: Call) -> dict[str, Any]:
    """Copy a task without its results."""
    data = call.data
    source = call.mongo.tasks.get({"_id": data["task"], "company": {"$in": [call.company, ""]}})
    if not source:
        raise error("invalid_task_id", id=data["task"])
    given, place = _overrides(call, source), {}
    if data["new_project_name"] and not data["new_task_project"]:
        project = project_tree.find_or_create(call, data["new_project_name"])
        given["project"] = project
        place = {"new_project": {"id": project, "name": data["new_project_name"]}}
    copied = {key: source[key] for key in ("name", "comment", "project", "tags", "type", "script") if source.get(key)}
    for key in ("container", "hyperparams", "configuration"):
        copied[key] = source.get(key) or {}
    hidden = {task_status.DEVELOPMENT, "archived"}
    destination = (source.get("output") or {}).get("destination")
    parent = source.get("parent") or ""
    task = task_document.create(
        call,
        {
            **copied,
            "system_tags": [tag for tag in source.get("system_tags") or [] if tag not in hidden],
            "output": {"destination": destination} if destination else {},
            "models": {"input": (source.get("models") or {}).get("input", []), "output": []},
            "parent": parent if parent and not parent.startswith(cleanup.DELETED) else source["_id"],
            "execution": _copied_execution(source),
            **given,
        },
    )
    every = data["validate_references"]
    if data["new_task_parent"] and not call.mongo.tasks.get(data["new_task_parent"], ["_id"]):
        raise error("invalid_task_id", "invalid parent", parent=data["new_task_parent"])
    if data["new_task_project"] and not call.mongo.projects.get(data["new_task_project"], ["_id"]):
        raise error("invalid_project_id", id=data["new_task_project"])
    task_document.check_references(
        call,
        task,
        parent=every or bool(data["new_task_parent"]),
        project=every or "project" in given,
        models=every or "models" in given,
    )
    task_document.check_types(given)
    task_document.check_name(task)
    call.mongo.tasks.insert(task)
    project_tree.touch(call, task.get("project"))
    return {"id": task["_id"], **place}


@endpoint("tasks.get_by_id", REQUEST)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one task, whole."""
    task = call.mongo.tasks.get({"_id": call.data["task"], "company": {"$in": [call.company, ""]}})
    if not task:
        raise error("invalid_task_id", ids=[call.data["task"]])
    shown = task_document.shown(call, query.project(query.public_form(task), [], TASK.hidden))
    return {"task": {**shown, "unique_metrics": []}}


@endpoint("tasks.get_all", *LISTED)
def get_all(call: Call) -> dict[str, Any]:
    """Return the tasks that the request asks for; hidden ones only by id or on demand."""
    tasks, more = query.get_many(call, call.mongo.tasks, TASK, _prepare_query(call), public=True)
    return {"tasks": [task_document.shown(call, task) for task in tasks], **more}


@endpoint("tasks.get_all_ex", *LISTED)
def get_all_ex(call: Call) -> dict[str, Any]:
    """Return the same, with what they refer to."""
    visible = _prepare_query(call)
    tasks, more = joins.get_many(call, call.mongo.tasks, TASK, REFERENCES, visible, public=call.data["allow_public"])
    return {"tasks": [task_document.shown(call, task) for task in tasks], **more}


@endpoint("tasks.get_by_id_ex", *LISTED)
def get_by_id_ex(call: Call) -> dict[str, Any]:
    """Return some tasks, with what they refer to."""
    if "id" not in call.data:
        raise error("missing_required_fields", missing=["id"])
    return get_all_ex(call)


@endpoint("tasks.get_types", Field("projects", "list", of="str"))
def get_types(call: Call) -> dict[str, Any]:
    """Return which types the tasks in some projects have."""
    inside = (
        {"project": {"$in": project_tree.with_children(call, call.data["projects"])}} if call.data["projects"] else {}
    )
    tasks = call.mongo.tasks.find({"company": {"$in": [call.company, ""]}, **inside}, ["type"])
    return {"types": sorted({task["type"] for task in tasks} & set(task_document.TYPES))}


@endpoint("tasks.edit", REQUEST, FORCE)
def edit(call: Call) -> dict[str, Any]:
    """Change what a draft says; with `force`, what any task says."""
    data = call.data
    with call.mongo.tasks.lock:
        task = task_status.load(call, data["task"])
        if not data["force"] and task["status"] != "created":
            raise error("invalid_task_status", expected="created", status=task["status"])
        fields = task_document.from_request(call, data, previous=task)
        task_document.check_references(call, fields)
        task_document.check_types({**fields, "status": data.get("status")})
        task_document.check_name(fields)
        for name in ("execution", "script", "models"):
            if isinstance(fields.get(name), dict) and isinstance(task.get(name), dict):
                fields[name] = {**task[name], **fields[name]}
        if data.get("status") is not None:
            fields["status"] = data["status"]
        if not fields:
            return {"updated": 0, "fields": {}}
        return _changed(call, task, fields, updated=not fields.keys() <= task_document.ALWAYS_SETTABLE)


@endpoint("tasks.update", REQUEST)
def update(call: Call) -> dict[str, Any]:
    """Change what may be changed of any task: its name, comment, project and tags."""
    with call.mongo.tasks.lock:
        task = task_status.load(call, call.data["task"])
        fields = _always_settable(call, call.data)
        return _changed(call, task, fields, updated=False) if fields else {"updated": 0, "fields": {}}


@endpoint("tasks.update_batch")
def update_batch(call: Call) -> dict[str, Any]:
    """Do the same to many tasks, one a line."""
    items = {item["task"]: item for item in call.batch or []}
    with call.mongo.tasks.lock:
        tasks = entities.writable(call, call.mongo.tasks, list(items), "invalid_task_id")
        changes = [(task, _always_settable(call, items[task["_id"]])) for task in tasks]
        changes = [(task, fields) for task, fields in changes if fields]
        for task, fields in changes:
            _changed(call, task, fields, updated=False)
    return {"updated": len(changes)}


@endpoint("tasks.ping", REQUEST)
def ping(call: Call) -> dict[str, Any]:
    """Note a sign of life."""
    task = call.mongo.tasks.get({"_id": call.data["task"], "company": call.company}, ["status", "started"])
    if task:
        task_status.write(call, task["_id"], task_status.duration(task))
    return {}


@endpoint("tasks.move", IDS, Field("project"), Field("project_name"))
def move(call: Call) -> dict[str, Any]:
    """Move tasks to a project, which is created when it is named and not there."""
    return entities.move(call, call.mongo.tasks, "invalid_task_id")


@endpoint("tasks.update_tags", IDS, Field("add_tags", "list", of="str"), Field("remove_tags", "list", of="str"))
def update_tags(call: Call) -> dict[str, Any]:
    """Add tags to tasks, and take some away."""
    return entities.edit_tags(call, call.mongo.tasks, "invalid_task_id")


@endpoint("tasks.make_public", IDS, version="2.9")
def make_public(call: Call) -> dict[str, Any]:
    """Show tasks to everybody; nobody can change them then."""
    return entities.publish(call, call.mongo.tasks, "invalid_task_id", public=True)


@endpoint("tasks.make_private", IDS, version="2.9")
def make_private(call: Call) -> dict[str, Any]:
    """Take that back."""
    return entities.publish(call, call.mongo.tasks, "invalid_task_id", public=False)


def _validated(call: Call) -> dict[str, Any]:
    fields = task_document.from_request(call, call.data)
    task_document.check_references(call, fields)
    task_document.check_types(fields)
    return task_document.create(call, fields)


def _prepare_query(call: Call) -> dict[str, Any]:
    """Bring the request into the form that is stored; return the condition that leaves hidden tasks out."""
    data = call.data = task_document.escape_query(call.data)
    project_tree.include_children(call)
    return {} if data["search_hidden"] or data.get("id") else {"system_tags": {"$ne": "hidden"}}


def _overrides(call: Call, source: dict[str, Any]) -> dict[str, Any]:
    """Return what a request to clone a task sets, as it is stored."""
    data = call.data
    wanted = {name.removeprefix("new_task_"): value for name, value in data.items() if name.startswith("new_task_")}
    models = [item for item in wanted.pop("input_models", None) or [] if item.get("model")]
    # The official server takes parameters from here, too, and then forgets them.
    forgotten = ("parameters", "configuration")
    overrides = {name: value for name, value in (data["execution_overrides"] or {}).items() if name not in forgotten}
    model, command = overrides.pop("model", None), overrides.pop("docker_cmd", None)
    if model and not models:
        models = [{"name": task_legacy.MODELS["input"][1], "model": model}]
    if command and not wanted.get("container"):
        wanted["container"] = task_legacy.container(command)
    if overrides:
        wanted["execution"] = overrides
    given = task_document.from_request(call, {key: value for key, value in wanted.items() if value}, previous=source)
    if "execution" in given:
        given["execution"] = {**_copied_execution(source), **given["execution"]}
    if models:
        given["models"] = {"input": [{**item, "updated": now()} for item in models], "output": []}
    return given


def _copied_execution(source: dict[str, Any]) -> dict[str, Any]:
    """Return how the task runs, without what it has put out."""
    execution = {key: value for key, value in (source.get("execution") or {}).items() if key != "queue"}
    artifacts = execution.get("artifacts") or {}
    execution["artifacts"] = {key: item for key, item in artifacts.items() if item.get("mode") == "input"}
    return execution


def _always_settable(call: Call, data: dict[str, Any]) -> dict[str, Any]:
    fields = task_document.from_request(call, {key: data.get(key) for key in task_document.ALWAYS_SETTABLE})
    if data.get("status_message") is not None:
        fields["status_message"] = data["status_message"]
    task_document.check_references(call, fields)
    task_document.check_types(fields)
    task_document.check_name(fields)
    return fields


def _changed(call: Call, task: dict[str, Any], fields: dict[str, Any], updated: bool) -> dict[str, Any]:
    """Write fields, and return them as the API shows them, with who changed them and when."""
    task_status.write(call, task["_id"], fields, updated=updated)
    project_tree.touch(call, fields.get("project"))
    when = now()
    last = {"last_change": when, "last_changed_by": call.identity.user, **({"last_update": when} if updated else {})}
    return {"updated": 1, "fields": task_document.shown(call, {**fields, **last})}
