"""The filters to_hocon, for data that ClearML reads back as exactly the same data, and from_hocon."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    import pyhocon
except ImportError:  # pragma: no cover
    pyhocon = None


def _plain(value: object, where: str) -> Any:
    """Return ``value`` as plain Python data, or refuse what HOCON has no word for."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise AnsibleFilterError(f"to_hocon: the key {key!r} in {where} is not a string: quote it.")
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    raise AnsibleFilterError(
        f"to_hocon: {where} is of type {type(value).__name__}: "
        "it must be a mapping, a list, a string, a number, a boolean or null."
    )


def _difference(wanted: Any, got: Any, where: str) -> str | None:
    """Name the first place where the two differ. A number is not the string of its digits, nor true the number 1."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in [*wanted, *got]:
            if key not in wanted or key not in got:
                return f"{where}.{key}"
            if found := _difference(wanted[key], got[key], f"{where}.{key}"):
                return found
        return None
    if isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            return where
        for number, (one, other) in enumerate(zip(wanted, got, strict=True)):
            if found := _difference(one, other, f"{where}[{number}]"):
                return found
        return None
    kinds = (bool, int, float, str)
    same_kind = [isinstance(wanted, kind) for kind in kinds] == [isinstance(got, kind) for kind in kinds]
    return None if same_kind and wanted == got else where


def to_hocon(data: object, header: str = "") -> str:
    """Render ``data`` as HOCON, with the lines of ``header`` as comments on top.

    JSON is valid HOCON, and quoting everything avoids HOCON's traps. What the parser still gets wrong
    (an empty string in a list, a quote in a key) is found by reading the text back.
    An error names the place, never the value, which may be a secret.
    """
    if pyhocon is None:
        raise AnsibleFilterError("to_hocon needs the Python package pyhocon on the controller: see requirements.txt.")
    if not isinstance(data, Mapping):
        raise AnsibleFilterError(f"to_hocon: the data is of type {type(data).__name__}: it must be a mapping.")
    wanted = _plain(data, "data")
    text = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    # The parser does not know \u escapes, so other alphabets are written as they are.
    text += json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"
    try:
        got = pyhocon.ConfigFactory.parse_string(text).as_plain_ordered_dict()
    except Exception as error:  # noqa: BLE001 -- the parser raises many kinds
        where = _culprit(wanted, "data")
        # "from None": the parser's message holds the text, and with it the secrets.
        raise AnsibleFilterError(f"to_hocon: {where} cannot be written as HOCON ({type(error).__name__}).") from None
    if (changed := _difference(wanted, got, "data")) is not None:
        raise AnsibleFilterError(
            f"to_hocon: {changed} would be read back as something else: HOCON keeps no control characters, "
            "no empty strings in lists, and no quotes or backslashes in keys."
        )
    return text


def _culprit(data: Any, where: str) -> str:
    """Name the smallest part of ``data`` that the parser refuses when it stands alone."""
    parts: list[tuple[str, Any, Any]] = []
    if isinstance(data, dict):
        parts = [(f"{where}.{key}", {key: item}, item) for key, item in data.items()]
    elif isinstance(data, list):
        parts = [(f"{where}[{number}]", {"item": item}, item) for number, item in enumerate(data)]
    for place, alone, item in parts:
        try:
            pyhocon.ConfigFactory.parse_string(json.dumps(alone, ensure_ascii=False))
        except Exception:  # noqa: BLE001 -- the parser raises many kinds
            return _culprit(item, place)
    return where


def from_hocon(text: str, name: str = "the text") -> dict[str, Any]:
    """Read HOCON. An error names the file, never its content, which may be secret."""
    if pyhocon is None:
        raise AnsibleFilterError("from_hocon needs the Python package pyhocon on the controller: see requirements.txt.")
    try:
        found: dict[str, Any] = pyhocon.ConfigFactory.parse_string(text).as_plain_ordered_dict()
    except Exception as error:  # noqa: BLE001 -- the parser raises many kinds
        raise AnsibleFilterError(f"{name} cannot be read as HOCON ({type(error).__name__}).") from None
    return found


class FilterModule:
    """Filters for ClearML's configuration files."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"from_hocon": from_hocon, "to_hocon": to_hocon}
