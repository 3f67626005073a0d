"""Typed request fields, with the error messages that the official server's validation library gives.

It works in two passes, both in alphabetical order: first each value that was sent, then all fields for what is missing.
A message is made of exceptions within exceptions, and shown as Python shows them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import error

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


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
        if value is None:
            if self.required:
                raise ValidationError("Field is required!")
            return None
        if self.shape:
            return _parse_object(self.shape, value)
        parsed: Any = bool(value) if self.kind == "bool" else int(value) if self.kind == "int" else value
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
        if value is None and self.required:
            raise ValidationError("Field is required!")
        if self.shortest:
            self._check([] if value is None else value)

    def _check(self, value: Any) -> None:
        if self.choices and value not in self.choices:
            if self.enum:
                raise _wrong_type(self.enum, value)
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
