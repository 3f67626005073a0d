"""projects.*: projects in a hierarchy whose levels are parted by slashes."""

from __future__ import annotations

import uuid
from typing import Any

from pymongo.errors import DuplicateKeyError

from ...stores import now
from .. import cleanup, query
from ..call import Call
from ..errors import error
from ..fields import Field
from ..registry import endpoint

MIN_NAME = 3
PROJECT = query.Kind(
    fields=frozenset(
        "id user company name basename description created tags system_tags default_output_destination last_update"
        " featured logo_url logo_blob parent path company_origin".split()
    ),
    hidden=frozenset({"path", "logo_blob", "company_origin"}),
    patterns=("name", "basename", "description"),
    lists=("tags", "system_tags", "id", "parent", "path"),
    ranges=("last_update",),
)
REQUEST = Field("project", required=True)


@endpoint("projects.create", Field("name"), Field("description"), Field("tags", "list"), Field("system_tags", "list"))
def create(call: Call) -> dict[str, Any]:
    """Create a project and whatever is missing above it."""
    name = call.data["name"]
    if name is None:
        raise error("missing_required_fields", missing=["name"])
    parts = [part.strip() for part in name.split("/") if part]
    depth = call.config.get("services.projects.sub_projects.max_depth", 10)
    if len(parts) > depth:
        raise error("project_path_exceeds_max", max_depth=depth)
    if not parts:
        raise error("invalid_project_name", name=name)
    path = "/".join(parts)
    with call.mongo.projects.lock:
        if call.mongo.projects.get({"company": call.company, "name": path}, ["_id"]):
            message = "Project with the same name already exists"
            raise error("expected_unique_data", message=message, name=path, company=call.company)
        details = {
            "description": call.data["description"] or "",
            "tags": sorted(call.data["tags"] or []),
            "system_tags": sorted(call.data["system_tags"] or []),
            "default_output_destination": call.data.get("default_output_destination"),
        }
        return {"id": _ensure(call, path, details)["_id"]}


@endpoint("projects.get_by_id", REQUEST)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one project, with the ids of all projects above it."""
    project = call.mongo.projects.get({"_id": call.data["project"], "company": {"$in": [call.company, ""]}})
    if not project:
        raise error("invalid_project_id", id=call.data["project"])
    return {"project": query.public_form(project)}


@endpoint("projects.get_all", Field("search_hidden", "bool"), Field("shallow_search", "bool"))
def get_all(call: Call) -> dict[str, Any]:
    """Return the projects that the request asks for; hidden ones only by id or on demand."""
    data = call.data
    data.pop("path", None)
    if not data["shallow_search"]:
        if data.get("parent") is not None:
            data["path"] = data.pop("parent")
    elif "parent" not in data:
        data["parent"] = [None]
    visible = {} if data["search_hidden"] or data.get("id") else {"system_tags": {"$ne": "hidden"}}
    projects, more = query.get_many(call, call.mongo.projects, PROJECT, visible, public=True)
    return {"projects": projects, **more}


@endpoint(
    "projects.delete",
    REQUEST,
    Field("force", "bool", default=False),
    Field("delete_contents", "bool", default=False),
    Field("delete_external_artifacts", "bool", default=True),
)
def delete(call: Call) -> dict[str, Any]:
    """Delete a project and those below it, with what is in them or leaving that without a project."""
    mongo, project = call.mongo, call.data["project"]
    if not mongo.projects.get({"_id": project, "company": call.company}, ["_id"]):
        raise error("invalid_project_id", id=project)
    projects = [project, *(item["_id"] for item in mongo.projects.find({"path": project}, ["_id"]))]
    inside = {"project": {"$in": projects}}
    if not call.data["force"]:
        for table, name in ((mongo.tasks, "project_has_tasks"), (mongo.models, "project_has_models")):
            if table.count({**inside, "system_tags": {"$ne": "archived"}}):
                raise error(name, "use force=true", id=project)
    result: dict[str, Any] = {"disassociated_tasks": 0, "deleted_models": 0, "deleted_tasks": 0, "urls": None}
    if call.data["delete_contents"]:
        result |= cleanup.delete_contents(call, project, inside, call.data["delete_external_artifacts"])
    else:
        result["disassociated_tasks"] = mongo.tasks.update_all(inside, {"$set": {"project": None}})
        mongo.models.update_all(inside, {"$set": {"project": None}})
    return {"deleted": mongo.projects.delete({"_id": {"$in": projects}}), **result}


def touch(call: Call, project: str | None) -> None:
    """Note that something in the project changed."""
    if project:
        call.mongo.projects.update(project, {"$set": {"last_update": now()}})


def _ensure(call: Call, path: str, details: dict[str, Any]) -> dict[str, Any]:
    """Return the project with this path, after creating what is missing. Only the last one gets the details."""
    projects = call.mongo.projects
    existing = projects.get({"company": call.company, "name": path})
    if existing:
        return existing
    location, _, basename = path.rpartition("/")
    if len(basename) < MIN_NAME:
        raise error("validation_error", "Project name cannot be blank")
    created = now()
    parent = _ensure(call, location, {"description": ""}) if location else None
    project = {
        "_id": uuid.uuid4().hex,
        "user": call.identity.user,
        "company": call.company,
        "name": path,
        "basename": basename,
        "created": created,
        "last_update": created,
        "featured": 9999,
        "tags": [],
        "system_tags": [],
        **{key: value for key, value in details.items() if value is not None},
        "parent": parent["_id"] if parent else None,
        "path": [*parent["path"], parent["_id"]] if parent else [],
    }
    try:
        projects.insert(project)
    except DuplicateKeyError:
        raise error("expected_unique_data", name=path, company=call.company) from None
    if parent:
        projects.update(parent["_id"], {"$set": {"last_update": created}})
    return project
