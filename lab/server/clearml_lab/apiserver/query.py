"""The query language that all `get_all` endpoints share: filters, order, pages, scrolls and projections."""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ..stores import Table
from .call import Call
from .errors import ApiError, error

DATE = re.compile(r"^(?P<operator>>=|>|<=|<)?(?P<value>.*)$")
DATE_OPERATORS = {">=": "$gte", ">": "$gt", "<=": "$lte", "<": "$lt"}
OPERATOR = "__$"
LIST_OPERATORS = {"__$all": "all", "__$and": "all", "__$any": "any", "__$or": "any"}
EVERYTHING: dict[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What can be asked of one kind of object. A name that ends in `.*` stands for all fields below it.

    `name` is what the official server calls it in messages; `below` names the parts of fields that are objects with
    parts of their own.
    """

    name: str
    fields: frozenset[str]
    hidden: frozenset[str] = frozenset()
    patterns: Sequence[str] = ("name",)
    lists: Sequence[str] = ("tags", "system_tags", "id")
    ranges: Sequence[str] = ()
    dates: Sequence[str] = ()
    values: Sequence[str] = ()
    below: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)


def get_many(
    call: Call, table: Table, kind: Kind, extra: Mapping[str, Any] = EVERYTHING, public: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the objects of the caller's company that the request asks for, and what else belongs in the answer."""
    data = call.data
    query = condition(call, kind, data, extra, public)
    shown, left_out = _projection(kind, data)
    start, size, scroll = _page(call)

    documents = _fetch(table, query, _order(kind, data), start, size)
    if scroll:
        _save_scroll(call, scroll, start + len(documents))
    objects = [project(public_form(item), shown, left_out) for item in documents]
    return objects, {"scroll_id": scroll} if scroll else {}


def condition(
    call: Call, kind: Kind, data: Mapping[str, Any], extra: Mapping[str, Any] = EVERYTHING, public: bool = False
) -> dict[str, Any]:
    """Return the condition of the objects that a request asks for."""
    company = {"$in": [call.company, ""]} if public else call.company
    conditions = [{"company": company}, dict(extra), *_conditions(kind, data)]
    return {"$and": [item for item in conditions if item]}


def public_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored document as the API shows it: `_id` becomes `id`, and what is not set is not there."""
    return {"id" if key == "_id" else key: value for key, value in document.items() if value is not None}


def project(item: dict[str, Any], shown: Sequence[str], left_out: Iterable[str] = ()) -> dict[str, Any]:
    """Return only the paths in `shown` (all when there are none), without those in `left_out`."""
    result: dict[str, Any] = {} if shown else item
    for path in shown:
        _copy(item, result, path.split("."))
    for path in left_out:
        node: Any = result
        *parents, last = path.split(".")
        for key in parents:
            node = node.get(key, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            node.pop(last, None)
    return result


def list_condition(field: str, values: Any) -> dict[str, Any]:
    """Return the condition of a list field: any of the values, none of those after `-`, operators as `__$all`."""
    context, combine, allow_empty, negate, legacy = "any", "", False, False, True
    any_of: list[str] = []
    all_of: list[str] = []
    none_of: list[str] = []
    for value in values if isinstance(values, list) else [values]:
        if value is None:
            allow_empty, negate = True, False
        elif not isinstance(value, str):
            raise error("fields_value_error", "invalid value type, string expected", field=field, value=value)
        elif value == "__$nop":
            context, legacy, negate = "any", True, False
        elif value == "__$not":
            negate = True
        elif value in LIST_OPERATORS:
            context, legacy = LIST_OPERATORS[value], False
            combine = combine or context
        elif value.startswith(OPERATOR):
            raise error("fields_value_error", "Unsupported operator", field=field, operator=value)
        else:
            exclude = negate or (legacy and value.startswith("-"))
            text = value[1:] if exclude and not negate else value
            (none_of if exclude else all_of if context == "all" else any_of).append(text)
            negate = False
    name = "_id" if field == "id" else field
    parts: list[dict[str, Any]] = []
    if any_of:
        parts.append({name: {"$in": sorted(set(any_of))}})
    parts += [{name: value} for value in sorted(set(all_of))]
    if none_of:
        parts.append({name: {"$nin": sorted(set(none_of))}})
    joined = {"$or" if combine == "any" and len(parts) > 1 else "$and": parts} if parts else {}
    if not allow_empty:
        return joined
    empty = [{name: {"$exists": False}}, {name: []}, {name: None}]
    return {"$or": [joined, *empty] if joined else empty}


def check_tags(*lists: Sequence[str] | None) -> None:
    """Refuse tags that would be operators in a query."""
    for tags in lists:
        wrong = [tag for tag in tags or () if tag.startswith(OPERATOR)]
        if wrong:
            raise error("fields_value_error", "unsupported tag prefix", values=wrong)


def _conditions(kind: Kind, data: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for field in kind.patterns:
        if data.get(field):
            yield {field: {"$regex": _pattern(data[field])}}
    for field in _matching(kind.lists, data):
        yield list_condition(field, data[field])
    for field in _matching(kind.ranges, data):
        yield _range_condition(field, data[field])
    for field in _matching(kind.values, data):
        yield {field: data[field]}
    for field in kind.dates:
        if data.get(field) is not None:
            with _parsing(field):
                yield _date_condition(field, data[field])
    for name, operator in (("_any_", "$or"), ("_or_", "$or"), ("_all_", "$and"), ("_and_", "$and")):
        if data.get(name):
            with _parsing(name):
                yield _multi_condition(kind, name, operator, data[name])


@contextmanager
def _parsing(field: str) -> Iterator[None]:
    """Answer what goes wrong with a value of the wrong type as a wrong value."""
    try:
        yield
    except (AttributeError, TypeError) as ex:
        raise error("fields_value_error", "failed parsing query field", error=ex, field=field) from None


def _pattern(value: Any) -> str:
    try:
        re.compile(value)
    except re.error as ex:
        raise error("invalid_regex", err=ex, extra_info=None) from None
    except TypeError as ex:  # the official server compiles it too late for a good answer
        raise ApiError(500, str(ex)) from None
    return str(value)


def _matching(patterns: Sequence[str], data: Mapping[str, Any]) -> list[str]:
    names = [item for item in patterns if not item.endswith(".*")]
    prefixes = tuple(item[:-1] for item in patterns if item.endswith(".*"))
    return [key for key in data if data[key] is not None and (key in names or (prefixes and key.startswith(prefixes)))]


def _range_condition(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise error("validation_error", f"Min and max values should be specified for range field {field}")
    low, high = (_number(field, item) for item in value)
    if low is None and high is None:
        raise error("validation_error", f"At least one of min or max values should be provided for field {field}")
    bounds = {name: bound for name, bound in (("$gte", low), ("$lte", high)) if bound is not None}
    return {field: bounds} if low is not None else {"$or": [{field: bounds}, {field: None}]}


def _number(field: str, value: Any) -> Any:
    """Return a bound as stored values are compared: numbers of metrics, times of time fields."""
    if isinstance(value, str):
        if field.startswith("last_metrics."):
            try:
                return float(value)
            except ValueError:
                return value
        return _time(value) or value
    return value


def _date_condition(field: str, value: Any) -> dict[str, Any]:
    values = value if isinstance(value, list) else [value]
    if len(values) == 2 and not any(item.startswith(("<", ">")) for item in values if item is not None):
        return _range_condition(field, values)
    condition: dict[str, Any] = {}
    for item in values:
        match = DATE.match(item)
        when = _time(match["value"]) if match else None
        if match and when:
            condition[DATE_OPERATORS.get(match["operator"], "$eq")] = when
    return {field: condition} if condition else {}


def _time(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _multi_condition(kind: Kind, name: str, operator: str, value: Any) -> dict[str, Any]:
    known = isinstance(value, dict) and value.keys() <= {"fields", "pattern", "datetime"} and "fields" in value
    if not known or (value.get("pattern") is None) == (value.get("datetime") is None):
        problem = f"incorrect field format: field={name}"
        raise error("fields_value_error", "failed parsing query field", error=problem, field=name)
    fields = value.get("fields") or []
    if value.get("pattern") is not None:
        pattern = {"$regex": _pattern(value["pattern"]), "$options": "i"}
        parts = [{"_id" if field == "id" else field: pattern} for field in fields]
    else:
        parts = [_date_condition(field, value["datetime"]) for field in fields if field in kind.dates]
    return {operator: parts} if parts else {}


def _order(kind: Kind, data: Mapping[str, Any]) -> list[str]:
    """Return what to order by; the id comes last, so that pages do not overlap."""
    order = data.get("order_by") or []
    order = list(order) if isinstance(order, list) else [order]
    if "@text_score" in order:
        raise error("fields_value_error", "text score cannot be used in order_by when search text is not used")
    for item in order:
        name = item.lstrip("-").partition(".")[0]
        if name not in kind.fields:
            raise _lookup_error(name)
    return [*order, "id"] if order and not {"id", "-id"} & set(order) else order


def _page(call: Call) -> tuple[int, int, str | None]:
    """Return where the page starts, its size, and the id of the scroll that it belongs to."""
    data = call.data
    most = call.config.get("services._mongo.max_page_size", 500)
    if "scroll_id" in data or "start" in data:
        size = data.get("size")
        if not isinstance(size, int) or size < 1:
            message = "Integer size parameter greater than 1 should be provided when working with scroll"
            raise error("validation_error", message)
        if "scroll_id" not in data:
            return data["start"], size, None
        scroll = data["scroll_id"] or uuid.uuid4().hex
        stored: Any = call.server.redis.get(f"scroll/{scroll}")
        position = int(stored or 0)
        return (0, max(position, size), scroll) if data.get("refresh_scroll") else (position, size, scroll)
    page, size = data.get("page") or 0, data.get("page_size") or most
    if page < 0:
        raise error("validation_error", "page must be >=0", field="page")
    if data.get("page_size") is not None and data["page_size"] < 1:
        raise error("validation_error", "page_size must be >0", field="page_size")
    size = min(size, most)
    return page * size, size, None


def _save_scroll(call: Call, scroll: str, position: int) -> None:
    seconds = call.config.get("services._mongo.scroll_state_expiration_seconds", 600)
    call.server.redis.set(f"scroll/{scroll}", position, ex=seconds)


def _fetch(table: Table, query: dict[str, Any], order: list[str], start: int, size: int) -> list[dict[str, Any]]:
    """Return one page. Nested fields are ordered here, as the lab's database misplaces what lacks them."""
    if any("." in field for field in order):
        documents = table.find(query)
        for field in reversed(order):
            path = field.lstrip("-").split(".")
            documents.sort(key=lambda item: _sort_key(item, path), reverse=field.startswith("-"))
        return documents[start : start + size]
    if not order:
        return table.page(query, start, size)
    names = [
        ("_id" if item.lstrip("-") == "id" else item.lstrip("-"), -1 if item.startswith("-") else 1) for item in order
    ]
    first, direction = names[0]
    if direction == -1:
        return table.page(query, start, size, names)
    # What lacks the field comes last in either direction; a database would put it first when it ascends.
    full = {"$and": [query, {first: {"$exists": True}}, {first: {"$ne": None}}, {first: {"$ne": ""}}]}
    empty = {"$and": [query, {"$or": [{first: {"$exists": False}}, {first: None}, {first: ""}]}]}
    documents = table.page(full, start, size, names)
    if len(documents) < size:
        skipped = max(0, start - table.count(full)) if start else 0
        documents += table.page(empty, skipped, size - len(documents), names)
    return documents


def _sort_key(item: Any, path: list[str]) -> tuple[int, Any]:
    for key in path:
        item = item.get("_id" if key == "id" else key) if isinstance(item, dict) else None
    if item is None:
        return 0, 0
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        return 1, item
    return 2, str(item)


def _projection(kind: Kind, data: Mapping[str, Any]) -> tuple[list[str], set[str]]:
    """Return the paths to show (all when empty) and those to leave out."""
    asked = data.get("projection") or data.get("only_fields") or []
    shown = [path for path in asked if not path.startswith("-")]
    for path in shown:
        name, _, below = path.partition(".")
        if name not in kind.fields:
            raise _lookup_error(name)
        if below and name in ("project", "parent", "user", "company"):
            raise _lookup_error(below)
        if below and below.partition(".")[0] not in kind.below.get(name, {below.partition(".")[0]}):
            raise _lookup_error(below.partition(".")[0])
    left_out = {path[1:] for path in asked if path.startswith("-")}
    return shown, left_out | (kind.hidden - set(shown))


def _copy(source: Any, target: dict[str, Any], path: list[str]) -> None:
    """Copy what is at a path; below a list, of each of its items."""
    name, *below = path
    if not isinstance(source, dict) or name not in source:
        return
    value = source[name]
    if not below:
        target[name] = value
    elif isinstance(value, list):
        for item, copied in zip(value, target.setdefault(name, [{} for _ in value]), strict=True):
            _copy(item, copied, below)
    else:
        _copy(value, target.setdefault(name, {}), below)


def _lookup_error(name: str) -> ApiError:
    problem = "probably an invalid field name or unsupported nested field"
    return error("lookup_error", problem, err=f'Cannot resolve field "{name}"')
