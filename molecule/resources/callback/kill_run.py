"""Ansible callback: kills the run, and everything that it started, as a power failure or `kill -9` would."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_run
type: aggregate
short_description: Kill the run in the middle
description:
  - Sends SIGKILL to the process group of C(ansible-playbook) some time after a task began, or at the end of a run that
    has fewer tasks.
requirements:
  - To be enabled, it must be in E(ANSIBLE_CALLBACKS_ENABLED), and the run must lead a process group of its own.
options:
  task:
    description: The number of the task, handlers included; the first is 1.
    type: int
    required: true
    env: [{name: KILL_RUN_TASK}]
  delay:
    description: Seconds after the beginning of that task.
    type: float
    default: 0
    env: [{name: KILL_RUN_DELAY}]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Counts the tasks that begin."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_run"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._begun = 0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if os.getpgrp() != os.getpid():
            raise RuntimeError("kill_run would kill whoever started the run: start it in a process group of its own.")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._begun += 1
        if self._begun == self.get_option("task"):
            print(f"The run is killed {self.get_option('delay'):.2f} s after this began: {task.get_name()}", flush=True)
            timer = threading.Timer(self.get_option("delay"), kill)
            timer.daemon = True
            timer.start()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        print("The run is killed at its end.", flush=True)
        kill()


def kill() -> None:
    """Leave nobody the time to clean up. Ansible's workers, and what they started, are groups of their own."""
    for worker in multiprocessing.active_children():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid or 0, signal.SIGKILL)
    os.killpg(0, signal.SIGKILL)
