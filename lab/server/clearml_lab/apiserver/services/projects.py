"""projects.*: projects in a hierarchy whose levels are parted by slashes."""

from __future__ import annotations

from typing import Any

from pymongo.errors import DuplicateKeyError

from ...stores import now
from .. import cleanup, document_types, entities, joins, project_stats, project_tree, query
from ..batch import IDS
from ..call import Call
from ..document_types import listed, tag, text
from ..errors import ApiError, error
from ..fields import Field
from ..registry import endpoint

PROJECT = query.Kind(
    name="Project",
    fields=frozenset(
        "id user company name basename description created tags system_tags default_output_destination last_update"
        " featured logo_url logo_blob parent path company_origin".split()
    ),
    hidden=frozenset({"path", "logo_blob", "company_origin"}),
    patterns=("name", "basename", "description"),
    lists=("tags", "system_tags", "id", "parent", "path"),
    ranges=("last_update",),
)
REFERENCES = {"company": "companies", "user": "users", "parent": "projects"}
SETTABLE = ("name", "description", "tags", "system_tags", "default_output_destination")
TAGS = ("tags", "system_tags")
TYPES = {
    "description": text,
    "tags": listed(tag),
    "system_tags": listed(tag),
    "default_output_destination": text,
}
REQUEST = Field("project", required=True)
LISTED = (Field("search_hidden", "bool", default=False), Field("shallow_search", "bool", default=False))
EXTENDED = (
    Field("allow_public", "bool", default=True),
    *(
        Field(name, "bool", default=False)
        for name in ("include_stats", "include_dataset_stats", "check_own_contents", "non_public")
    ),
    Field("stats_with_children", "bool", default=True),
    Field("include_stats_filter", "dict"),
    Field("stats_for_state", choices=("active", "archived"), enum="EntityVisibility", default="active"),
    Field("active_users", "list"),
    Field("children_type", choices=("pipeline", "report", "dataset"), enum="ProjectChildrenType"),
    Field("children_tags", "list"),
    Field("children_tags_filter", "dict"),
)


@endpoint("projects.create")
def create(call: Call) -> dict[str, Any]:
    """Create a project and whatever is missing above it."""
    if "name" not in call.data:
        raise error("missing_required_fields", missing=["name"])
    fields = {name: call.data.get(name) for name in SETTABLE}
    document_types.check_casts(fields, TAGS)
    document_types.validate(TYPES, fields)
    name = fields["name"]
    if not isinstance(name, str):
        raise ApiError(500, f"'{type(name).__name__}' object has no attribute 'split'")
    project_tree.check_depth(call, project_tree.depth(name))
    path = project_tree.clean(name)
    with call.mongo.projects.lock:
        if call.mongo.projects.get({"company": call.company, "name": path}, ["_id"]):
            message = "Project with the same name already exists"
            raise error("expected_unique_data", title=message, name=path, company=call.company)
        details = {
            "description": fields["description"] or "",
            "tags": sorted(fields["tags"] or []),
            "system_tags": sorted(fields["system_tags"] or []),
            "default_output_destination": fields["default_output_destination"],
        }
        return {"id": project_tree.ensure(call, path, details)["_id"]}


@endpoint("projects.get_by_id", REQUEST)
def get_by_id(call: Call) -> dict[str, Any]:
    """Return one project, with the ids of all projects above it."""
    project = call.mongo.projects.get({"_id": call.data["project"], "company": {"$in": [call.company, ""]}})
    if not project:
        raise error("invalid_project_id", id=call.data["project"])
    return {"project": query.public_form(project)}


@endpoint("projects.get_all", *LISTED)
def get_all(call: Call) -> dict[str, Any]:
    """Return the projects that the request asks for; hidden ones only by id or on demand."""
    projects, more = query.get_many(call, call.mongo.projects, PROJECT, _prepare_query(call), public=True)
    return {"projects": projects, **more}


@endpoint("projects.get_all_ex", *LISTED, *EXTENDED)
def get_all_ex(call: Call) -> dict[str, Any]:
    """Return the same with what they refer to, and with what is in them on demand."""
    data = call.data
    public = data["allow_public"] if "allow_public" in call.sent else not data["non_public"]
    visible = _prepare_query(call)
    selected = project_stats.selected(call, public)
    if selected is not None:
        visible = (
            {"$and": [visible, {"_id": {"$in": sorted(selected)}}]} if visible else {"_id": {"$in": sorted(selected)}}
        )
    fields = data.get("only_fields")
    hide_tags = False
    if data["search_hidden"] and isinstance(fields, list) and "system_tags" not in fields:
        data["only_fields"], hide_tags = [*fields, "system_tags"], True
    projects, more = joins.get_many(call, call.mongo.projects, PROJECT, REFERENCES, visible, public=public)
    for project in projects if data["search_hidden"] else []:
        tags = project.pop("system_tags", []) if hide_tags else project.get("system_tags", [])
        if "hidden" in tags:
            project["hidden"] = True
    project_stats.add(call, projects, selected)
    return {"projects": projects, **more}


@endpoint("projects.update", REQUEST)
def update(call: Call) -> dict[str, Any]:
    """Change what the request names. The name may change in its last part only: moving is another endpoint."""
    data = call.data
    fields = {name: data.get(name) for name in SETTABLE if name in call.sent}
    document_types.check_casts(fields, TAGS)
    query.check_tags(fields.get("tags"), [])
    shown = {name: sorted(value) if isinstance(value, list) else value for name, value in fields.items()}
    with call.mongo.projects.lock:
        project = project_tree.load(call, data["project"])
        document_types.validate(TYPES, fields)
        stored = {name: value for name, value in shown.items() if name != "name"}
        if data.get("name"):
            path = project_tree.clean(data["name"])
            old, new = project["name"].rpartition("/")[0], path.rpartition("/")[0]
            if old != new:
                raise error("cannot_update_project_location", name=path)
            _rename(call, project, path)
        call.mongo.projects.update(project["_id"], {"$set": {**stored, "last_update": now()}})
    return {"updated": 1, "fields": {name: value for name, value in shown.items() if name != "name" or value}}


@endpoint("projects.move", REQUEST, Field("new_location"))
def move(call: Call) -> dict[str, Any]:
    """Move a project with all that is below it to another place in the hierarchy."""
    location = project_tree.clean(call.data["new_location"] or "", may_be_empty=True)
    with call.mongo.projects.lock:
        project = project_tree.load(call, call.data["project"])
        deepest = max(
            [len(project["path"]), *(len(child["path"]) for child in project_tree.below(call, project["_id"]))]
        )
        project_tree.check_depth(call, deepest + 1 - len(project["path"]) + project_tree.depth(location))
        parent = project_tree.ensure(call, location, {"description": ""}) if location else None
        if project.get("parent") == (parent["_id"] if parent else None):
            raise error("same_source_and_destination", location=location)
        if parent and project["_id"] in (parent["_id"], *parent["path"]):
            raise error("moved_under_itself", project=project["_id"], parent=parent["_id"])
        path = "/".join(part for part in (location, project["name"].rpartition("/")[2]) if part)
        moved = project_tree.rename(call, project, path, parent)
    for touched in (project.get("parent"), parent["_id"] if parent else None):
        project_tree.touch(call, touched)
    return {"moved": moved}


@endpoint("projects.merge", REQUEST, Field("destination_project"))
def merge(call: Call) -> dict[str, Any]:
    """Move all that is in a project into another one, and delete it."""
    source_id, target_id = call.data["project"], call.data["destination_project"]
    if source_id == target_id:
        raise error("same_source_and_destination", source=source_id)
    with call.mongo.projects.lock:
        project_tree.load(call, source_id)
        target = project_tree.load(call, target_id) if target_id else None
        if target and source_id in target["path"]:
            raise error("merged_into_its_child", source=source_id, destination=target_id)
        inside = {"company": call.company, "project": source_id, "system_tags": {"$ne": "archived"}}
        change = {"$set": {"project": target_id}}
        entities_moved = sum(table.update_all(inside, change) for table in (call.mongo.tasks, call.mongo.models))
        children = call.mongo.projects.find({"company": call.company, "parent": source_id})
        for child in children:
            parts = (target["name"] if target else "", child["name"].rpartition("/")[2])
            project_tree.rename(call, child, "/".join(part for part in parts if part), target)
        call.mongo.projects.delete(source_id)
    project_tree.touch(call, target_id)
    return {"moved_entities": entities_moved, "moved_projects": len(children)}


@endpoint("projects.validate_delete", REQUEST)
def validate_delete(call: Call) -> dict[str, Any]:
    """Return what would go with a project."""
    project_tree.load(call, call.data["project"])
    return project_stats.contents(call, project_tree.with_children(call, [call.data["project"]]))


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
    projects = project_tree.with_children(call, [project])
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


@endpoint("projects.make_public", IDS, version="2.9")
def make_public(call: Call) -> dict[str, Any]:
    """Show projects to everybody; nobody can change them then."""
    return entities.publish(call, call.mongo.projects, "invalid_project_id", public=True)


@endpoint("projects.make_private", IDS, version="2.9")
def make_private(call: Call) -> dict[str, Any]:
    """Take that back."""
    return entities.publish(call, call.mongo.projects, "invalid_project_id", public=False)


def _prepare_query(call: Call) -> dict[str, Any]:
    """Find a project below another at any depth, unless the search is shallow; return which ones are visible."""
    data = call.data
    data.pop("path", None)
    if not data["shallow_search"]:
        if data.get("parent") is not None:
            data["path"] = data.pop("parent")
    elif "parent" not in data:
        data["parent"] = [None]
    return {} if data["search_hidden"] or data.get("id") else {"system_tags": {"$ne": "hidden"}}


def _rename(call: Call, project: dict[str, Any], path: str) -> None:
    if len(path.rpartition("/")[2]) < project_tree.MIN_NAME:
        raise error("validation_error", "Project name cannot be blank")
    parent = call.mongo.projects.get(project["parent"]) if project.get("parent") else None
    try:
        project_tree.rename(call, project, path, parent)
    except DuplicateKeyError:
        raise error("expected_unique_data", name=path, company=call.company) from None
