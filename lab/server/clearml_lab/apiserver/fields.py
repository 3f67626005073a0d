"""Typed request fields, with the error messages that the official server's validation library gives."""

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


@dataclass(frozen=True)
class Field:
    """One field of a request. A field that is not declared is left to the endpoint, as the official server does."""

    name: str
    kind: str = "str"
    required: bool = False
    default: Any = None
    choices: Collection[str] = ()
    least: float | None = None
    most: float | None = None

    def check(self, data: Mapping[str, Any]) -> Any:
        """Return the value in `data`, or the default; raise the API's validation error when it is wrong."""
        value = data.get(self.name)
        if value is None:
            if self.required:
                raise error("validation_error", f"error for field '{self.name}'. field is required!")
            return self.default
        if self.kind == "int" and isinstance(value, (str, float)):
            value = self._to_int(value)
        expected = TYPES[self.kind]
        if not isinstance(value, expected) or (isinstance(value, bool) and self.kind != "bool"):
            names = self.kind if self.kind != "float" else "float, int"
            self._fail(f"('value is wrong, expected type \"{names}\"', {value!r})")
        if self.choices and value not in self.choices:
            self._fail(f"value '{value}' is not a valid choice.")
        if self.most is not None and value > self.most:
            self._fail(f"'{value}' is bigger than maximum ('{self.most}').")
        if self.least is not None and value < self.least:
            self._fail(f"'{value}' is lower than minimum ('{self.least}').")
        return value

    def _to_int(self, value: str | float) -> int:
        try:
            return int(value)
        except ValueError as ex:
            raise error("validation_error", str(ex)) from None

    def _fail(self, problem: str) -> None:
        raise error("validation_error", f"error for field '{self.name}': {problem}.")


def validate(fields: Sequence[Field], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with every declared field checked and defaulted."""
    return {**data, **{field.name: field.check(data) for field in fields}}
