"""Answers that are files: console logs and tables."""

from __future__ import annotations

from typing import Any

import pytest

from clearml_lab.apiserver import task_log
from clearml_lab.apiserver.errors import ApiError
from clearml_lab.apiserver.services import organization_downloads


@pytest.mark.parametrize("line_format", ["{msg}", "{asctime}|{level:}", "no placeholder", "{timestamp} {worker}"])
def test_format_of_log_lines(line_format: str) -> None:
    task_log.check_format(line_format)


@pytest.mark.parametrize(
    ("line_format", "subcode", "message"),
    [
        ("", 11, "Missing required fields (line_format is required for plain text lines)"),
        ("{", 16, "Invalid value for fields (invalid line format)"),
        ("{}", 16, "Invalid value for fields (invalid line format)"),
        ("{asctime:>20}", 16, "Invalid value for fields (invalid line format)"),
        ("{msg.x}", 16, "Invalid value for fields (invalid line format)"),
        ("{b} {msg} {a}", 16, "Invalid value for fields (undefined placeholders in line format): placeholders=(a, b)"),
    ],
)
def test_wrong_format_of_log_lines(line_format: str, subcode: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        task_log.check_format(line_format)
    assert (caught.value.status, caught.value.subcode) == (400, subcode)
    assert str(caught.value).startswith(message)


TASK: dict[str, Any] = {
    "name": "=SUM(A1)",
    "project": {"id": "P", "name": "project"},
    "last_iteration": 3,
    "tags": ["a"],
    "hyperparams": {"Args": {"l.r": {"value": "-1"}}},
}


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"field": "name"}, "'=SUM(A1)"),  # which a spreadsheet does not run
        ({"field": "hyperparams.Args.l%2Er.value"}, "'-1"),
        ({"field": "project"}, "P"),
        ({"field": "project.name"}, "project"),
        ({"field": "nope.below"}, ""),
        ({"field": "tags"}, "['a']"),
        ({"field": "last_iteration", "values": [{"key": 3, "value": "three"}]}, "three"),
        ({"field": "last_iteration", "values": [{"key": 4, "value": "four"}]}, "3"),
    ],
)
def test_cell_of_a_table(mapping: dict[str, Any], text: str) -> None:
    assert organization_downloads._cell(TASK, mapping) == text
