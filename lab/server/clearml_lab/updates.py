"""Changes that the lab's stand-in for Mongo would lose.

It takes an object for unchanged when its values are those of the new one, whatever the keys: to set `{"b": 1}` in place
of `{"a": 1}` does nothing, and is reported as done. A document that is replaced as a whole is stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPERATORS = {"$set", "$unset"}


def needs_replacing(change: Mapping[str, Any]) -> bool:
    """Say whether a change sets an object, or a list in which there are some."""
    values = change.get("$set", {}).values()
    return change.keys() <= OPERATORS and any(_holds_objects(value) for value in values)


def apply(document: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with fields set and removed; dots in a name lead into objects."""
    changed = dict(document)
    for path, value in change.get("$set", {}).items():
        *parents, last = path.split(".")
        _enter(changed, parents, create=True)[last] = value
    for path in change.get("$unset", {}):
        *parents, last = path.split(".")
        _enter(changed, parents, create=False).pop(last, None)
    return changed


def _enter(document: dict[str, Any], path: list[str], create: bool) -> dict[str, Any]:
    """Return the object at a path, after copying all on the way, so that nobody else's document changes."""
    node = document
    for name in path:
        inner = node.get(name)
        if not isinstance(inner, dict):
            if not create:
                return {}
            inner = {}
        node[name] = dict(inner)
        node = node[name]
    return node


def _holds_objects(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(_holds_objects(item) for item in value))
