"""Names that people choose, as keys of stored objects: Mongo's own names must not hold dots and dollars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from .errors import error


def escape(key: str) -> str:
    """Return a name that Mongo accepts. One that is empty or blank is refused."""
    if not key.strip():
        raise error("validation_error", "Empty key is not allowed")
    return key.replace("%", "%25").replace(".", "%2E").replace("$", "%24")


def unescape(key: str) -> str:
    """Return the name that was escaped."""
    return unquote(key)


def escape_keys(mapping: Mapping[str, Any], kind: str = "key") -> dict[str, Any]:
    """Return an object whose keys Mongo accepts."""
    if not all(mapping):
        raise error("validation_error", f"Empty {kind} name is not allowed")
    return {escape(key.strip()): value for key, value in mapping.items()}


def unescape_keys(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the keys that it was given."""
    return {unescape(key): value for key, value in mapping.items()}


def escape_query(data: Mapping[str, Any], fields: Iterable[str], deepest: int, message: str) -> dict[str, Any]:
    """Return a query in which paths below some fields name what the database keeps, `deepest` levels at most."""
    prefixes = tuple(f"{sign}{field}." for field in fields for sign in ("", "-"))

    def escape_path(path: Any) -> Any:
        if not isinstance(path, str) or not path.startswith(prefixes):
            return path
        first, *below = path.split(".")
        if len(below) > deepest:
            raise error("validation_error", message, path=path)
        # The web application escapes the dots of a key, and nothing else.
        return ".".join([first, *(escape(unescape(part)) for part in below)])

    escaped = {escape_path(key): value for key, value in data.items()}
    for name in ("projection", "only_fields", "order_by"):
        value = escaped.get(name)
        if isinstance(value, list):
            escaped[name] = [escape_path(path) for path in value]
        elif isinstance(value, str):
            escaped[name] = escape_path(value)
    return escaped
