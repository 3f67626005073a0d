"""Lists within lists, which the lab's stand-in for Mongo refuses: each inner one is wrapped in an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "__list__"


def wrap(value: Any, inside: bool = False) -> Any:
    """Return a value that can be stored. `inside` says that it stands in a list."""
    if isinstance(value, Mapping):
        return {key: wrap(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [wrap(item, inside=True) for item in value]
        return {NAME: items} if inside else items
    return value


def unwrap(value: Any) -> Any:
    """Return a stored value as it was."""
    if isinstance(value, dict):
        if value.keys() == {NAME}:
            return [unwrap(item) for item in value[NAME]]
        return {key: unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    return value
