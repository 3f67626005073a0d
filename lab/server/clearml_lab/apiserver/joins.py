"""The `get_all_ex` endpoints: objects together with what they refer to.

A reference becomes an object: with the id alone, or with the fields that the request names below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..stores import Table
from . import query
from .call import Call
from .errors import error


def get_many(
    call: Call,
    table: Table,
    kind: query.Kind,
    references: Mapping[str, str],
    extra: Mapping[str, Any] = query.EVERYTHING,
    public: bool = False,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what `query.get_many` does, with references resolved; `references` names the table of each path."""
    asked = call.data.get("projection") or call.data.get("only_fields") or []
    below: dict[str, set[str]] = {path: set() for path in references}
    narrowed = []
    for path in [asked] if isinstance(asked, str) else asked:
        reference = next((item for item in references if path.startswith(f"{item}.")), None)
        if reference:
            below[reference].add(path[len(reference) + 1 :])
        narrowed.append(reference or path)
    unknown = [path for path in narrowed if path.partition(".")[0].lstrip("-") not in kind.fields]
    if unknown:
        raise error("invalid_fields", fields=unknown, object=kind.name)
    if narrowed:
        call.data = {key: value for key, value in call.data.items() if key != "projection"}
        call.data["only_fields"] = list(dict.fromkeys(["id", *narrowed]))
    objects, more = query.get_many(call, table, kind, extra, public)
    for path, name in references.items():
        # Of all references to one kind of object the same fields are shown.
        fields = set[str]().union(
            *(below[other] for other, target in references.items() if below[path] and target == name)
        )
        _resolve(objects, path.split("."), getattr(call.mongo, name), fields)
    return objects, more


def _resolve(objects: list[dict[str, Any]], path: list[str], table: Table, fields: set[str]) -> None:
    *parents, last = path
    holders = [holder for item in objects for holder in _holders(item, parents) if holder.get(last)]
    found: dict[str, dict[str, Any]] = {}
    if fields and holders:
        wanted = sorted({holder[last] for holder in holders})
        documents = table.find({"_id": {"$in": wanted}}, ["_id", *(field for field in fields if field != "id")])
        found = {item["_id"]: query.project(query.public_form(item), ["id", *fields]) for item in documents}
    for holder in holders:
        holder[last] = found.get(holder[last], {"id": holder[last]})


def _holders(item: Any, parents: list[str]) -> Iterable[dict[str, Any]]:
    """Yield the objects in which the reference stands: lists hold many."""
    if isinstance(item, list):
        for member in item:
            yield from _holders(member, parents)
    elif isinstance(item, dict):
        if parents:
            yield from _holders(item.get(parents[0]), parents[1:])
        else:
            yield item
