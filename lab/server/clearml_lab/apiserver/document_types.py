"""The types of what is stored, with the messages that the official server's object mapper gives.

A check takes a value and returns what is wrong with it: nothing, a problem, or the problems of its parts by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import ApiError, error

Check = Callable[[Any], Any]


class Problem:
    """What is wrong with a value. Below the first level messages show it as Python shows the mapper's exception."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"ValidationError({self.text},)"


def text(value: Any) -> Any:
    """Check a text."""
    return None if isinstance(value, str) else Problem("StringField only accepts string values")


def tag(value: Any) -> Any:
    """Check a tag. The official server looks at how it begins before it looks at what it is."""
    if not isinstance(value, str):
        raise ApiError(500, f"'{type(value).__name__}' object has no attribute 'startswith'")


def text_or_nothing(value: Any) -> Any:
    """Check a text that may be set to null."""
    return None if value is None else text(value)


def flag(value: Any) -> Any:
    """Check a yes or no."""
    return None if isinstance(value, bool) else Problem("BooleanField only accepts boolean values")


def whole(value: Any) -> Any:
    """Check what can be taken for a whole number."""
    try:
        int(value)
    except (TypeError, ValueError):
        return Problem(f"{value} could not be converted to int")
    return None


def label(value: Any) -> Any:
    """Check the number of a model's label."""
    if value is None or isinstance(value, int):
        return None
    return Problem(f"Expected int or NoneType, got {type(value).__name__}: {value}")


def anything(value: Any) -> Any:
    """Accept every value."""


def mapping(value: Any) -> Any:
    """Check an object. The database takes a dollar at the beginning of a name for an operator."""
    if not isinstance(value, dict):
        return Problem("Only dictionaries may be used in a DictField")
    if _has_operator(value):
        return Problem('Invalid dictionary key name - keys may not startswith "$" characters')
    return None


def one_of(*choices: str) -> Check:
    """Return the check of one of some words."""
    return lambda value: None if value in choices else Problem(f"Value must be one of {list(choices)}")


def listed(check: Check) -> Check:
    """Return the check of a list."""

    def check_list(value: Any) -> Any:
        if not isinstance(value, list):
            return Problem("Only lists and tuples may be used in a list field")
        return _problems({position: check(item) for position, item in enumerate(value)})

    return check_list


def mapped(check: Check) -> Check:
    """Return the check of an object whose values are all alike."""

    def check_values(value: Any) -> Any:
        return mapping(value) or _problems({key: check(item) for key, item in value.items()})

    return check_values


def document(kind: str, required: str = "", /, others: bool = False, **fields: Check) -> Check:
    """Return the check of an object with fields of its own, and no others unless it says so."""

    def check_fields(value: Any) -> Any:
        if not isinstance(value, dict):  # the official server finds out too late
            raise ApiError(500, f"The source SON object needs to be of type 'dict' but a '{type(value)}' was found")
        unknown = sorted(value.keys() - fields.keys())
        if unknown and not others:
            raise error("validation_error", document=kind, **{"fields" if unknown[1:] else "field": _names(unknown)})
        problems = {}
        for field, check in fields.items():
            if value.get(field) is not None:
                problems[field] = check(value[field])
            elif field in required.split():
                problems[field] = Problem("Field is required")
        return _problems(problems)

    return check_fields


def check_casts(fields: Mapping[str, Any], lists: Iterable[str] = (), objects: Iterable[str] = ()) -> None:
    """Refuse what cannot even be made a list or an object."""
    for names, kind in ((lists, list), (objects, dict)):
        for name in names:
            try:
                kind(fields.get(name) or ())
            except TypeError:
                raise error("fields_value_error", f"expecting {kind.__name__}", field=name) from None
            except ValueError as ex:
                raise error("fields_value_error", str(ex), field=name) from None


def validate(types: Mapping[str, Check], fields: Mapping[str, Any]) -> None:
    """Refuse fields of the wrong type, all at once."""
    problems = _problems({name: check(fields[name]) for name, check in types.items() if fields.get(name) is not None})
    if problems:
        raise error("data_validation_error", **problems)


def _problems(problems: Mapping[Any, Any]) -> Any:
    return {name: problem for name, problem in problems.items() if problem} or None


def _names(names: list[str]) -> Any:
    return names if names[1:] else names[0]


def _has_operator(value: Mapping[str, Any]) -> bool:
    return any(key.startswith("$") or (isinstance(item, dict) and _has_operator(item)) for key, item in value.items())
