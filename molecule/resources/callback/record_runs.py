"""Ansible callback: one line per run in runs.jsonl of Molecule's ephemeral directory, for tests to look at.

Molecule itself says neither what a run with --check announced, nor when a run began and ended.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record_runs
type: aggregate
short_description: Record what each run changed
description:
  - Appends a line to C(runs.jsonl) in the directory that E(MOLECULE_EPHEMERAL_DIRECTORY) names.
requirements:
  - To be enabled, it must be in E(ANSIBLE_CALLBACKS_ENABLED).
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Notes the tasks that report a change or a failure."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record_runs"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._run: dict[str, Any] = {"started": time.time(), "tasks": 0, "first_change": 0, "changed": [], "failed": []}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._run["playbook"] = Path(playbook._file_name).name
        self._run["check"] = bool(context.CLIARGS.get("check"))

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._run["tasks"] += 1

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._run["tasks"] += 1

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.is_changed():
            self._run["first_change"] = self._run["first_change"] or self._run["tasks"]
            self._run["changed"].append(self._describe(result))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._run["failed"].append(self._describe(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._run["failed"].append(self._describe(result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._run["ended"] = time.time()
        with (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "runs.jsonl").open("a") as runs:
            runs.write(json.dumps(self._run) + "\n")

    @staticmethod
    def _describe(result: Any) -> str:
        return f"{result._host.get_name()}: {result._task.get_name()}"
