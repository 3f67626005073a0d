"""tasks.*: the parts of a task: parameters, configuration, requirements, artifacts, models, runtime properties."""

from __future__ import annotations

from typing import Any

from ...stores import now
from .. import keys, task_document, task_status
from ..call import Call
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint
from .tasks import FORCE, REQUEST

TASKS = Field("tasks", "list", of="str", shortest=1)
NAME = Field("name", required=True, shortest=1)
VALUE = (Field("value", required=True), Field("type"), Field("description"))
PARAMETER = Structure("HyperParamItem", (Field("section", required=True, shortest=1), NAME, *VALUE))
PARAMETER_KEY = Structure("HyperParamKey", (Field("section", required=True, shortest=1), Field("name")))
CONFIGURATION = Structure("Configuration", (NAME, *VALUE))
MODES, DIRECTIONS = ("input", "output"), ("input", "output")
ARTIFACT = Structure(
    "Artifact",
    (
        Field("key", required=True),
        Field("type", required=True),
        Field("mode", choices=MODES, default="output"),
        Field("uri"),
        Field("hash"),
        Field("content_size", "int"),
        Field("timestamp", "int"),
        Field("type_data", "dict"),
        Field("display_data", "list"),
    ),
)
ARTIFACT_KEY = Structure("ArtifactId", (Field("key", required=True), Field("mode", choices=MODES, default="output")))
DIRECTION = Field("type", required=True, choices=DIRECTIONS)
MODEL_KEY = Structure("ModelItemKey", (Field("name", required=True), DIRECTION))
PROPERTIES = "properties"  # the one section that may be changed at any time


@endpoint("tasks.get_hyper_params", TASKS)
def get_hyper_params(call: Call) -> dict[str, Any]:
    """Return the parameters of tasks as lists."""
    params = []
    for task in _existing(call, ["hyperparams"]):
        items = [item for section in (task.get("hyperparams") or {}).values() for item in section.values()]
        items.sort(key=lambda item: (item["section"], item["name"]))
        params.append({"task": task["_id"], "hyperparams": items})
    return {"params": params}


@endpoint(
    "tasks.edit_hyper_params",
    REQUEST,
    FORCE,
    Field("hyperparams", "list", of=PARAMETER, shortest=1),
    Field("replace_hyperparams", choices=("none", "section", "all"), default="none"),
)
def edit_hyper_params(call: Call) -> dict[str, Any]:
    """Set parameters: beside those that are there, in place of their sections, or of all."""
    replace = call.data["replace_hyperparams"]
    items, only_properties = _sections(call.data["hyperparams"])
    with call.mongo.tasks.lock:
        task = _load(call, any_status=only_properties)
        sections = {} if replace == "all" else dict(task.get("hyperparams") or {})
        for name in {item["section"] for item in items}:
            members = [item for item in items if item["section"] == name]
            kept = sections.get(keys.escape(name), {}) if replace == "none" else {}
            sections[keys.escape(name)] = {**kept, **task_document.structured(PARAMETER, members, "name")}
        changed = {"hyperparams": sections}
        return {"updated": task_status.write(call, task["_id"], changed, updated=not only_properties)}


@endpoint("tasks.delete_hyper_params", REQUEST, FORCE, Field("hyperparams", "list", of=PARAMETER_KEY, shortest=1))
def delete_hyper_params(call: Call) -> dict[str, Any]:
    """Remove parameters, or whole sections of them."""
    items, only_properties = _sections(call.data["hyperparams"])
    whole = {item["section"] for item in items if not item.get("name")}
    with call.mongo.tasks.lock:
        task = _load(call, any_status=only_properties)
        if any(item.get("name") and item["section"] in whole for item in items):
            problem = "Cannot delete section field if the whole section was scheduled for deletion"
            raise error("fields_conflict", problem)
        sections = dict(task.get("hyperparams") or {})
        for item in items:
            section = keys.escape(item["section"])
            if item["section"] in whole:
                sections.pop(section, None)
            elif section in sections:
                gone = keys.escape(item["name"])
                sections[section] = {name: value for name, value in sections[section].items() if name != gone}
        changed = {"hyperparams": sections}
        return {"deleted": task_status.write(call, task["_id"], changed, updated=not only_properties)}


@endpoint("tasks.get_configurations", TASKS, Field("names", "list", of="str"))
def get_configurations(call: Call) -> dict[str, Any]:
    """Return the configuration objects of tasks, all or those with some names."""
    wanted = call.data["names"]
    configurations = []
    for task in _existing(call, ["configuration"]):
        items = [item for item in (task.get("configuration") or {}).values() if not wanted or item["name"] in wanted]
        configurations.append({"task": task["_id"], "configuration": sorted(items, key=lambda item: str(item["name"]))})
    return {"configurations": configurations}


@endpoint("tasks.get_configuration_names", TASKS, Field("skip_empty", "bool", default=True))
def get_configuration_names(call: Call) -> dict[str, Any]:
    """Return which configuration objects tasks have."""
    query = {"_id": {"$in": call.data["tasks"]}, "company": {"$in": ["", call.company]}}
    configurations = []
    for task in call.mongo.tasks.find(query, ["configuration"]):
        items = keys.unescape_keys(task.get("configuration") or {})
        names = sorted(name for name, item in items.items() if item.get("value") or not call.data["skip_empty"])
        if names:
            configurations.append({"task": task["_id"], "names": names})
    return {"configurations": configurations}


@endpoint(
    "tasks.edit_configuration",
    REQUEST,
    FORCE,
    Field("configuration", "list", of=CONFIGURATION, shortest=1),
    Field("replace_configuration", "bool", default=False),
)
def edit_configuration(call: Call) -> dict[str, Any]:
    """Set configuration objects, beside those that are there or in place of all."""
    with call.mongo.tasks.lock:
        task = _load(call)
        kept = {} if call.data["replace_configuration"] else task.get("configuration") or {}
        items = task_document.structured(CONFIGURATION, call.data["configuration"], "name")
        return {"updated": task_status.write(call, task["_id"], {"configuration": {**kept, **items}})}


@endpoint("tasks.delete_configuration", REQUEST, FORCE, Field("configuration", "list", of="str", shortest=1))
def delete_configuration(call: Call) -> dict[str, Any]:
    """Remove configuration objects."""
    gone = {keys.escape(name) for name in call.data["configuration"]}
    with call.mongo.tasks.lock:
        task = _load(call)
        kept = {name: item for name, item in (task.get("configuration") or {}).items() if name not in gone}
        return {"deleted": task_status.write(call, task["_id"], {"configuration": kept})}


@endpoint("tasks.set_requirements", REQUEST, Field("requirements", "dict", required=True))
def set_requirements(call: Call) -> dict[str, Any]:
    """Set which packages the task needs."""
    with call.mongo.tasks.lock:
        task = task_status.load(call, call.data["task"])
        if not task.get("script"):
            raise error("missing_task_fields", "Task has no script field", task=task["_id"])
        changed = {"script": {**task["script"], "requirements": call.data["requirements"]}}
        return {"updated": task_status.write(call, task["_id"], changed), "fields": {}}


@endpoint("tasks.edit_runtime", REQUEST, FORCE, Field("add_or_update", "dict"), Field("remove", "list", of="str"))
def edit_runtime(call: Call) -> dict[str, Any]:
    """Set and remove runtime properties."""
    added, removed = call.data["add_or_update"] or {}, {keys.escape(name) for name in call.data["remove"] or []}
    with call.mongo.tasks.lock:
        task = _load(call, force=True)
        if not added and not removed:
            return {"updated": 0}
        kept = {name: value for name, value in (task.get("runtime") or {}).items() if name not in removed}
        return {"updated": task_status.write(call, task["_id"], {"runtime": {**kept, **keys.escape_keys(added)}})}


@endpoint(
    "tasks.add_or_update_artifacts", REQUEST, FORCE, Field("artifacts", "list", of=ARTIFACT, shortest=1), version="2.10"
)
def add_or_update_artifacts(call: Call) -> dict[str, Any]:
    """Note files that the task has put out or taken in."""
    with call.mongo.tasks.lock:
        task = _load(call, force=True)
        known = (task.get("execution") or {}).get("artifacts") or {}
        changed = {"execution.artifacts": {**known, **task_document.stored_artifacts(call.data["artifacts"])}}
        return {"updated": task_status.write(call, task["_id"], changed)}


@endpoint(
    "tasks.delete_artifacts", REQUEST, FORCE, Field("artifacts", "list", of=ARTIFACT_KEY, shortest=1), version="2.10"
)
def delete_artifacts(call: Call) -> dict[str, Any]:
    """Forget files of the task; they themselves stay where they are."""
    gone = {task_document.artifact_id(item) for item in call.data["artifacts"]}
    with call.mongo.tasks.lock:
        task = _load(call, force=True)
        known = (task.get("execution") or {}).get("artifacts") or {}
        changed = {"execution.artifacts": {name: item for name, item in known.items() if name not in gone}}
        return {"deleted": task_status.write(call, task["_id"], changed)}


@endpoint(
    "tasks.add_or_update_model",
    REQUEST,
    Field("name", required=True),
    Field("model", required=True),
    DIRECTION,
    Field("iteration", "int"),
    version="2.13",
)
def add_or_update_model(call: Call) -> dict[str, Any]:
    """Note which model the task uses or makes under a name."""
    data = call.data
    item = {"name": data["name"], "model": data["model"], "updated": now()}
    with call.mongo.tasks.lock:
        task = _load(call, force=True)
        items = list((task.get("models") or {}).get(data["type"]) or [])
        place = next((place for place, known in enumerate(items) if known["name"] == data["name"]), len(items))
        items[place : place + 1] = [item]
        changed = {f"models.{data['type']}": items, **task_status.duration(task)}
        if data["iteration"] is not None:
            changed["last_iteration"] = max(task.get("last_iteration") or 0, data["iteration"])
        return {"updated": task_status.write(call, task["_id"], changed)}


@endpoint("tasks.delete_models", REQUEST, Field("models", "list", of=MODEL_KEY, shortest=1), version="2.13")
def delete_models(call: Call) -> dict[str, Any]:
    """Forget models that the task uses or makes; they themselves stay."""
    gone = {(item["type"], item["name"]) for item in call.data["models"]}
    with call.mongo.tasks.lock:
        task = _load(call, force=True)
        models = task.get("models") or {}
        kept = {
            direction: [item for item in models.get(direction) or [] if (direction, item["name"]) not in gone]
            for direction in DIRECTIONS
        }
        return {"updated": task_status.write(call, task["_id"], {"models": kept}, updated=False)}


def _load(call: Call, force: bool = False, any_status: bool = False) -> dict[str, Any]:
    forced = force or bool(call.data.get("force"))
    return task_status.load_for_update(call, call.data["task"], force=forced, any_status=any_status)


def _existing(call: Call, fields: list[str]) -> list[dict[str, Any]]:
    """Return the tasks that the request names; all of them have to be there."""
    wanted = call.data["tasks"]
    query = {"_id": {"$in": wanted}, "company": {"$in": [call.company, ""]}}
    tasks = call.mongo.tasks.find(query, fields)
    if len(tasks) != len(set(wanted)):
        raise error("invalid_task_id", ids=wanted)
    return tasks


def _sections(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """Return parameters with the name of the section of properties as it should be, and whether there are others."""
    named = [
        {**item, "section": PROPERTIES if item["section"].lower() == PROPERTIES else item["section"]} for item in items
    ]
    return named, all(item["section"] == PROPERTIES for item in named)
