"""The envelope of every answer: `meta` says what was asked and how it went, `data` holds the result."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from .registry import version_key


def envelope(
    call_id: str,
    *,
    name: str,
    requested: str,
    actual: str | None,
    trx: str | None = None,
    status: int = 200,
    subcode: int = 0,
    message: str = "OK",
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the whole answer as a dictionary."""
    return {
        "meta": {
            "id": call_id,
            "trx": trx or call_id,
            "endpoint": {
                "name": name,
                "requested_version": _version(requested, requested),
                "actual_version": _version(actual, requested),
            },
            "result_code": status,
            "result_subcode": subcode,
            "result_msg": message,
            "error_stack": None,
            "error_data": {},
        },
        "data": data or {},
    }


def to_json(content: Any) -> str:
    """Encode an answer; times are ISO 8601."""
    return json.dumps(content, default=_encode)


def _version(version: str | None, requested: str) -> str | float | None:
    """Clients of version 2.0 and older expect a number."""
    if version is None:
        return None
    return float(version) if version_key(requested) < (2, 1) else version


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)
