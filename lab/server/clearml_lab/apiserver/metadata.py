"""Metadata of queues: a mapping from a key to key, type and value. Mongo's own names must not hold dots and dollars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from .errors import error
from .fields import Field, Structure

ITEM = Structure("MetadataItem", tuple(Field(name, required=True) for name in ("key", "type", "value")))


def stored(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return metadata as the database keeps it."""
    return {escape(item["key"]): dict(item) for item in items}


def escape(key: str) -> str:
    """Return a key that Mongo accepts as a name."""
    return key.replace("%", "%25").replace(".", "%2E").replace("$", "%24")


def shown(item: dict[str, Any], old_client: bool) -> dict[str, Any]:
    """Return an object as the API shows it. Clients from before metadata was a mapping (2.17) get an empty list."""
    if "metadata" not in item:
        return item
    metadata = [] if old_client else {unquote(key): value for key, value in item["metadata"].items()}
    return {**item, "metadata": metadata}


def escape_query(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query in which paths below `metadata` name what the database keeps."""
    escaped = {_escape_path(key): value for key, value in data.items()}
    for name in ("projection", "only_fields", "order_by"):
        if isinstance(escaped.get(name), list):
            escaped[name] = [_escape_path(path) for path in escaped[name]]
    return escaped


def _escape_path(path: str) -> str:
    if not path.startswith(("metadata.", "-metadata.")):
        return path
    parts = path.split(".")
    if len(parts) > 3:
        raise error("validation_error", "invalid field", path=path)
    # The web application escapes the dots of a key, and nothing else.
    return ".".join([parts[0], *(escape(unquote(part)) for part in parts[1:])])
