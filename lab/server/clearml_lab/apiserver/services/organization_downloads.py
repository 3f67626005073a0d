"""organization.*: tables of tasks or models as files. The request comes first, and the file is fetched afterward."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from .. import keys
from ..call import Call, Download
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint
from . import models, tasks

BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know UTF-8
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
LOOKUPS: dict[str, tuple[Callable[[Call], dict[str, Any]], str]] = {
    "task": (tasks.get_all_ex, "tasks"),
    "model": (models.get_all_ex, "models"),
}
MAPPING = Structure(
    "FieldMapping",
    (
        Field("field", required=True),
        Field("name"),
        Field("values", "list", of=Structure("ValueMapping", (Field("key", "scalar"), Field("value", "scalar")))),
    ),
)


@endpoint(
    "organization.prepare_download_for_get_all",
    Field("entity_type", choices=("task", "model"), enum="EntityType"),
    Field("allow_public", "bool", default=True),
    Field("search_hidden", "bool", default=False),
    Field("only_fields", "list", of="str", required=True, shortest=1),
    Field("field_mappings", "list", of=MAPPING, required=True, shortest=1),
)
def prepare_download_for_get_all(call: Call) -> dict[str, Any]:
    """Take a request for a table, and try it on one object."""
    columns: list[Any] = []
    for mapping in call.data["field_mappings"]:
        columns.append(mapping.get("name") or mapping["field"])
        _check_unique([value.get("key") for value in mapping.get("values") or []], "Value key")
    _check_unique(columns, "Field_name")
    _page(call, call.data, 0, 1)
    seconds = call.config.get("services.organization.download.redis_timeout_sec", 300)
    call.server.redis.setex(_key(call.id), int(seconds), json.dumps(call.data))
    return {"prepare_id": call.id}


@endpoint("organization.download_for_get_all", Field("prepare_id", required=True))
def download_for_get_all(call: Call) -> Download:
    """Return the table that was asked for."""
    identifier = call.data["prepare_id"]
    stored: Any = call.server.redis.get(_key(identifier))
    if not stored:
        raise error("invalid_id", "prepare ID not found", prepare_id=identifier)
    request = json.loads(stored)
    parts = ["clearml", _project_name(call, request.get("project")), f"{request['entity_type']}s.csv"]
    return Download("-".join(part for part in parts if part), _lines(call, request), "text/csv")


def _lines(call: Call, request: dict[str, Any]) -> Iterator[str]:
    """Yield the table, some lines at a time."""
    settings = call.config.get("services.organization.download", {})
    size, left = int(settings.get("batch_size", 500)), int(settings.get("max_download_items", 50000))
    mappings = request["field_mappings"]
    header = [mapping.get("name", mapping["field"]) for mapping in mappings]
    page = 0
    while left > 0 and (found := _page(call, request, page, min(size, left))):
        left -= len(found)
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
        if page == 0:
            text.write(BYTE_ORDER_MARK)
            writer.writerow(header)
        writer.writerows([_cell(item, mapping) for mapping in mappings] for item in found)
        yield text.getvalue()
        page += 1
    if page == 0:
        text = io.StringIO()
        csv.writer(text).writerow(header)
        yield text.getvalue()


def _cell(item: Mapping[str, Any], mapping: Mapping[str, Any]) -> str:
    path = mapping["field"].split(".")
    if path[0] in ("metadata", "hyperparams", "configuration"):
        path = [keys.unescape(part) for part in path]
    value: Any = item
    for name in path:
        value = value.get(name, "") if isinstance(value, dict) else ""
    if isinstance(value, dict):
        value = value.get("id", "")
    values = {entry.get("key"): entry.get("value") for entry in mapping.get("values") or []}
    if values and isinstance(value, Hashable):
        value = values.get(value, value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text  # a spreadsheet would run it


def _page(call: Call, request: Mapping[str, Any], page: int, size: int) -> Sequence[Mapping[str, Any]]:
    """Return some of the objects that a request asks for, as the endpoint for lists of them does."""
    if request["entity_type"] not in LOOKUPS:
        raise error("validation_error", f"Unsupported entity type: {request['entity_type']}")
    lookup, name = LOOKUPS[request["entity_type"]]
    scrolling = ("scroll_id", "start", "size", "refresh_scroll")
    asked = {key: value for key, value in request.items() if key not in scrolling}
    listing = call.asking({"include_stats": False, **asked, "page": page, "page_size": size})
    found: Sequence[Mapping[str, Any]] = lookup(listing)[name]
    return found


def _project_name(call: Call, projects: Any) -> str | None:
    """Return the name of the one project that a request is about."""
    if isinstance(projects, list) and projects:
        if projects[1:]:
            return None
        projects = projects[0]
        if projects is None:
            return "root"
    if not projects or not isinstance(projects, str):
        return None
    project = call.mongo.projects.get(projects, ["basename"])
    longest = call.config.get("services.organization.download.max_project_name_length", 60)
    return str(project["basename"])[:longest] if project else None


def _check_unique(names: Sequence[Any], what: str) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise error("validation_error", f"{what} appears more than once in field_mappings: {name}")


def _key(identifier: str) -> str:
    return f"get_all_download_{identifier}"
