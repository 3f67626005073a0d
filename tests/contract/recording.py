"""Recordings: files with one call to the official server, and its answer, a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The official server listened here; a recording may hold calls to other programs, such as the fileserver.
HOST = "127.0.0.1"


class RecordingError(Exception):
    """A file that is no recording; the text is the whole message."""


@dataclass(frozen=True)
class Call:
    """One request with its answer. `ts` is the time of the request, in seconds."""

    ts: float
    method: str
    path: str
    query: str | None
    headers: Mapping[str, str]
    content_type: str | None
    request: Any
    status: int
    response: Any


@dataclass(frozen=True)
class Recording:
    """The calls of one file that the apiserver itself answered."""

    name: str
    calls: tuple[Call, ...]


# What json.loads may return for each field of a call.
TYPES: dict[str, type | tuple[type, ...]] = {
    "ts": (int, float),
    "method": str,
    "path": str,
    "query": (str, type(None)),
    "headers": dict,
    "content_type": (str, type(None)),
    "request": object,
    "status": int,
    "response": object,
}


def read(path: Path) -> Recording:
    """Read a recording; raise RecordingError when there is none, or a line is no call."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as ex:
        raise RecordingError(f"FILES names {path}, which cannot be read: {ex.strerror}.") from None
    except UnicodeDecodeError:
        raise RecordingError(f"FILES names {path}, which is no text: a recording has a JSON object a line.") from None
    calls = [_call(path, number, line) for number, line in enumerate(lines, 1)]
    if not calls:
        raise RecordingError(f"FILES names {path}, which is empty: a recording has a JSON object a line.")
    return Recording(path.name, tuple(call for call in calls if _is_meant(call)))


def _call(path: Path, number: int, line: str) -> Call:
    try:
        content = json.loads(line)
    except ValueError as ex:
        raise RecordingError(f"{path}, line {number} is no JSON object: {ex}.") from None
    if not isinstance(content, dict):
        raise RecordingError(f"{path}, line {number} is no JSON object, but of the type {type(content).__name__}.")
    for name, kind in TYPES.items():
        if name not in content:
            raise RecordingError(f'{path}, line {number} lacks "{name}", which every recorded call has.')
        if not isinstance(content[name], kind):
            raise RecordingError(f'{path}, line {number}: "{name}" is of the type {type(content[name]).__name__}.')
    return Call(**{name: content[name] for name in TYPES})


def _is_meant(call: Call) -> bool:
    """Say whether a call is one to replay: browsers' OPTIONS are not, nor is what other programs answered."""
    return call.method != "OPTIONS" and call.headers.get("host", "").startswith(HOST)
