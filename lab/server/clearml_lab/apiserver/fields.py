"""Typed request fields, with the error messages that the official server's validation library gives.

It works in two passes, both in alphabetical order: first each value that was sent, then all fields for what is missing.
A message is made of exceptions within exceptions, and shown as Python shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import error

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "whole": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "scalar": (str, int, float, bool),
}
# What items may be of several types, by the types' names in the message about others.
SEVERAL_TYPES: dict[Any, tuple[type, ...]] = {"int, float": (int, float), "str, NoneType": (str, type(None))}


def _whole(value: Any) -> Any:
    """Return a whole number, or the value as it is: its type is looked at next."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return value


def _as_it_is(value: Any) -> Any:
    return value


# The official server has two kinds of numbers: most fail as Python's own do, those of events by their type.
CASTS: dict[str, Callable[[Any], Any]] = {"bool": bool, "int": int, "whole": _whole}


class ValidationError(Exception):
    """A wrong value. The name of this class is part of some messages."""


@dataclass(frozen=True)
class Structure:
    """An object with fields of its own, inside of a request. Its name appears in messages."""

    name: str
    fields: Sequence[Field]

    def parse(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is known of an object that was sent."""
        parsed = {}
        for field in sorted(self.fields, key=lambda item: item.name):
            if field.name in value:
                try:
                    parsed[field.name] = field.parse(value[field.name])
                except ValidationError as ex:
                    raise ValidationError(f"Error for field '{field.name}': {ex}.") from None
        return parsed

    def complete(self, value: Mapping[str, Any]) -> None:
        """Refuse an object that lacks something."""
        for field in sorted(self.fields, key=lambda item: item.name):
            try:
                field.complete(value.get(field.name))
            except ValidationError as ex:
                raise ValidationError(f"Error for field '{field.name}'.", ex) from None


@dataclass(frozen=True)
class Field:
    """One field of a request. A field that is not declared is left to the endpoint, as the official server does.

    `enum` names the type that the choices are in the official server; it is part of the message about others.
    `of` says what a list or a dict holds: a type by its name, or structures. `shape` makes the field an object.
    """

    name: str
    kind: str = "str"
    required: bool = False
    default: Any = None
    choices: Collection[str] = ()
    enum: str = ""
    least: float | None = None
    most: float | None = None
    shortest: int = 0
    of: str | Structure | None = None
    shape: Structure | None = None

    def parse(self, value: Any) -> Any:
        """Return the value that was sent, as the type of this field; raise ValidationError when it is wrong."""
        if self.kind == "list" and not value:  # nothing, of whatever type, is an empty list
            self._check([])
            return None if value is None else []
        if value is None:
            if self.required:
                raise ValidationError("Field is required!")
            if self.least is not None:
                raise TypeError("'<' not supported between instances of 'NoneType' and 'int'")
            return None
        if self.enum and value not in self.choices:
            raise _wrong_type(self.enum, value)
        if self.shape:
            return _parse_object(self.shape, value)
        parsed: Any = CASTS.get(self.kind, _as_it_is)(value)
        if not isinstance(parsed, TYPES[self.kind]):
            raise _wrong_type(", ".join(kind.__name__ for kind in TYPES[self.kind]), parsed)
        if isinstance(parsed, list):
            parsed = [self._parse_item(item) for item in parsed]
        elif isinstance(parsed, dict):
            parsed = {key: self._parse_item(item) for key, item in parsed.items()}
        self._check(parsed)
        return parsed

    def complete(self, value: Any) -> None:
        """Refuse what is missing or too short."""
        if self.kind == "list" and self.shortest:
            self._check([] if value is None else value)
        elif value is None and self.required and self.kind != "list":
            raise ValidationError("Field is required!")
        elif value is not None and self.shortest:
            self._check(value)

    def _check(self, value: Any) -> None:
        if self.choices and value not in self.choices:
            raise ValidationError(f"Value '{value}' is not a valid choice.")
        if self.most is not None and value > self.most:
            raise ValidationError(f"'{value}' is bigger than maximum ('{self.most}').")
        if self.least is not None and value < self.least:
            raise ValidationError(f"'{value}' is lower than minimum ('{self.least}').")
        if self.shortest and len(value) < self.shortest:
            raise ValidationError(f"Value '{value}' length is lower than allowed minimum '{self.shortest}'.")

    def _parse_item(self, item: Any) -> Any:
        if isinstance(self.of, Structure) and isinstance(item, dict):
            return _parse_object(self.of, item)
        if self.of == "str" and item == {}:  # Python's str(**{}) is an empty text
            return ""
        if self.of in SEVERAL_TYPES:
            if not isinstance(item, SEVERAL_TYPES[self.of]):
                raise ValidationError(f'Cannot decide which type to choose from "{self.of}".')
            return item
        if self.of is None or (isinstance(self.of, str) and isinstance(item, TYPES[self.of])):
            return item
        wanted = self.of.name if isinstance(self.of, Structure) else self.of
        raise ValidationError(f'All items must be instances of "{wanted}", and not "{type(item).__name__}".')


def validate(fields: Sequence[Field], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with every declared field checked and defaulted."""
    request = Structure("request", fields)
    try:
        parsed = request.parse(data)
        request.complete(parsed)
    except ValidationError as ex:
        raise error("validation_error", " ".join(str(part).lower() for part in ex.args)) from None
    except (TypeError, ValueError) as ex:
        raise error("validation_error", str(ex)) from None
    given = {name: value for name, value in parsed.items() if value is not None}
    return {**data, **{field.name: field.default for field in fields}, **given}


def _parse_object(shape: Structure, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(shape.name, value)
    parsed = shape.parse(value)
    shape.complete(parsed)
    return parsed


def _wrong_type(expected: str, value: Any) -> ValidationError:
    return ValidationError(f'Value is wrong, expected type "{expected}"', value)
