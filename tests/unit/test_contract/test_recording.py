"""Reading recordings, and refusing what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.__main__ import DEFAULT, DETAILED
from tests.contract.recording import RecordingError, read

CALL: dict[str, Any] = {
    "ts": 1.5,
    "method": "POST",
    "path": "/debug.ping",
    "query": None,
    "headers": {"host": "127.0.0.1:8008"},
    "content_type": None,
    "request": None,
    "status": 200,
    "response": {"meta": {}, "data": {}},
}


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    """A file with these lines."""
    path = folder / "calls.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_recording_is_read(tmp_path: Path) -> None:
    recording = read(written(tmp_path, {**CALL, "ms": 7}, {**CALL, "path": "/auth.login"}))
    assert recording.name == "calls.jsonl"
    assert [call.path for call in recording.calls] == ["/debug.ping", "/auth.login"]


def test_what_is_not_meant_for_the_apiserver_is_passed_over(tmp_path: Path) -> None:
    options = {**CALL, "method": "OPTIONS"}
    elsewhere = {**CALL, "headers": {"host": "files.example.com"}}
    assert len(read(written(tmp_path, options, CALL, elsewhere)).calls) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        ([CALL, "{"], "line 2 is no JSON object"),
        ([CALL, "[]"], "line 2 is no JSON object, but of the type list"),
        ([{key: value for key, value in CALL.items() if key != "status"}], 'line 1 lacks "status"'),
        ([{**CALL, "status": "200"}], '"status" is of the type str'),
        ([{**CALL, "headers": []}], '"headers" is of the type list'),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        read(written(tmp_path, *lines))
    assert "calls.jsonl" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"FILES names .*nothing\.jsonl, which cannot be read: No such file"):
        read(tmp_path / "nothing.jsonl")
    with pytest.raises(RecordingError, match="Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("path", [*DEFAULT, *DETAILED], ids=lambda path: path.stem)
def test_own_recordings_are_whole(path: Path) -> None:
    assert read(path).calls
