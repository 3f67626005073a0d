"""Metadata of queues and models: a mapping from a key to key, type and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import keys
from .fields import Field, Structure

ITEM = Structure("MetadataItem", tuple(Field(name, required=True) for name in ("key", "type", "value")))
DEEPEST = 2


def stored(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return metadata as the database keeps it."""
    return {keys.escape(item["key"]): dict(item) for item in items}


def merged(document: Mapping[str, Any], items: Iterable[Mapping[str, Any]], replace: bool) -> dict[str, Any]:
    """Return the metadata of a document with some added, or with nothing else."""
    kept = {} if replace else document.get("metadata") or {}
    return {**kept, **stored(items)}


def without(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the metadata of a document without some keys."""
    gone = {keys.escape(name) for name in names}
    return {name: item for name, item in (document.get("metadata") or {}).items() if name not in gone}


def shown(item: dict[str, Any], old_client: bool) -> dict[str, Any]:
    """Return an object as the API shows it. Clients from before metadata was a mapping (2.17) get an empty list."""
    if "metadata" not in item:
        return item
    return {**item, "metadata": [] if old_client else keys.unescape_keys(item["metadata"])}


def escape_query(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query in which paths below `metadata` name what the database keeps."""
    return keys.escape_query(data, ["metadata"], DEEPEST, "invalid field")
