"""The console output of a task as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from elasticsearch.helpers import scan

from . import event_search, event_store
from .call import Call
from .errors import error

PLACEHOLDERS = frozenset(("asctime", "timestamp", "level", "worker", "msg"))
AT_ONCE = 1000


def json_lines(call: Call, task: Mapping[str, Any]) -> Iterator[str]:
    """Yield each line of the log as JSON."""
    for event in _events(call, task):
        shown = {key: value for key, value in event.items() if key not in ("type", "task")}
        yield json.dumps(shown, separators=(",", ":")) + "\n"


def text_lines(call: Call, task: Mapping[str, Any], line_format: str) -> Iterator[str]:
    """Yield each line of the log in a format."""
    for event in _events(call, task):
        yield line_format.rstrip("\n").format(**event) + "\n"


def check_format(line_format: str) -> None:
    """Refuse a format that is empty, cannot be read, or has placeholders that no line fills."""
    if not line_format:
        raise error("missing_required_fields", "line_format is required for plain text lines")
    unknown: list[str] = []
    while True:
        try:
            line_format.format(**dict.fromkeys([*PLACEHOLDERS, *unknown]))
            break
        except KeyError as ex:
            unknown.append(ex.args[0])
        except (AttributeError, IndexError, TypeError, ValueError) as ex:
            raise error("fields_value_error", "invalid line format", error=ex.args[0]) from None
    if unknown:
        raise error("fields_value_error", "undefined placeholders in line format", placeholders=sorted(unknown))


def _events(call: Call, task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    company = task["company"] or task.get("company_origin") or ""
    query = {"query": {"bool": {"must": event_search.of([task])}}, "sort": [{"timestamp": "asc"}]}
    hits = scan(
        call.server.events,
        query=query,
        index=event_store.index_name(company, event_store.LOG),
        size=AT_ONCE,
        preserve_order=True,
        ignore_unavailable=True,
    )
    for hit in hits:
        event = dict(hit["_source"])
        event["asctime"] = event.pop("timestamp", None)
        yield event
