"""The web application's configuration.json, made from a file and from WEBSERVER__* variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PREFIX = "WEBSERVER__"


class SettingsError(Exception):
    """A variable that is not JSON."""


def build(environ: Mapping[str, str], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the variables set in it; the values are JSON and `__` parts the levels.

    The official image takes the prefix off with str.lstrip, which also eats the letters W, E, B, S, R, V and _ from the
    beginning of the name that follows. Whoever relies on a name sees here what would happen there.
    """
    settings = dict(base)
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX):
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError as ex:
            raise SettingsError(f"Error parsing {variable} JSON value `{text}`: {ex}") from None
        _put(settings, variable.lstrip(PREFIX).split("__"), value)
    return settings


def _put(settings: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value; a name that is there in another case keeps its spelling."""
    name = next((key for key in settings if key.lower() == path[0].lower()), path[0])
    if len(path) == 1:
        settings[name] = value
        return
    below = settings.setdefault(name, {})
    if isinstance(below, dict):
        _put(below, path[1:], value)
    else:
        print(f"Error: failed setting value into {'__'.join(path)}: {name} is not a dictionary", flush=True)
