"""Plugin of pytest: writes down the first failure, and whether it is an assertion of a test."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

# The variable that names the file.
VARIABLE = "MUTANTS_FAILURE"


def pytest_exception_interact(
    node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any], report: pytest.CollectReport | pytest.TestReport
) -> None:
    """Called for each failure; the run ends with the first (-x)."""
    path = Path(os.environ[VARIABLE])
    if path.exists() or call.excinfo is None:
        return
    found = {
        "test": node.nodeid,
        # Of the test itself. A fixture may fail because the machine is slow.
        "assertion": isinstance(report, pytest.TestReport)
        and report.when == "call"
        and isinstance(call.excinfo.value, (AssertionError, pytest.fail.Exception)),
        "message": call.excinfo.exconly(),
        "detail": report.longreprtext,
    }
    path.write_text(json.dumps(found), encoding="utf-8")
