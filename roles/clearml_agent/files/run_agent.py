#!/usr/bin/env python3
"""Run the official clearml-agent as a systemd service that can be drained and that leaves no task behind.

    run_agent.py daemon --foreground --queue default

The arguments are the official ones, and so is everything but for this:

- When the file ``drain`` is in the service's runtime directory, the agent takes no more tasks and ends with 0 after
  the running one. The official agent cannot: its queues are fixed at start, SIGTERM and ``--stop`` end the running
  task, and the properties that it would ask the server for are no part of the open server. Before it takes a task,
  its loop asks ``Worker.should_be_currently_active``; here is an answer of our own.
- The task of a process that died is marked as failed when the next one starts, rather than stay "in progress" until
  the server's watchdog comes.
- systemd learns when the agent really listens, and what it is doing.
"""

from __future__ import annotations

import inspect
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import clearml_agent.__main__ as official
from clearml_agent.backend_api.services import tasks
from clearml_agent.commands import Worker
from clearml_agent.commands import worker as loop
from clearml_agent.external.pyhocon import ConfigFactory
from clearml_agent.version import __version__

# What the loop of the official agent asks before it takes a task. Of a release that asks something else nobody knows
# whether it would drain.
QUESTION, PARAMETERS = "should_be_currently_active", ["self", "current_queue", "runtime_properties"]
# What it takes a task with.
take = getattr(loop, "get_next_task", None)


def notify(**facts: str) -> None:
    """Tell systemd something about this service (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return  # started by hand
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        # An abstract socket's name begins with a zero byte, which environments write as @.
        connection.connect("\0" + address[1:] if address.startswith("@") else address)
        connection.sendall("\n".join(f"{name}={value}" for name, value in facts.items()).encode())


class Service(Worker):  # type: ignore[misc]
    """The official agent, which can be drained."""

    drain_file = Path("drain")
    # The id of the running task, for the process that comes after one that died.
    record = Path("running-task")

    def run_tasks_loop(self, queues: list[str], *args: Any, **kwargs: Any) -> None:
        """Take and run tasks until the service is drained."""
        self.fail_lost_task()
        # In the foreground it says every few seconds that there is no task. Nothing else hangs on this.
        self._daemon_foreground = False
        notify(READY="1", STATUS="waiting for tasks")
        super().run_tasks_loop(queues, *args, **kwargs)

    def should_be_currently_active(self, current_queue: dict[str, Any], runtime_properties: Any) -> bool:
        """Whether to look for a task in a queue; ends the agent when it is drained."""
        if self.drain_file.exists():
            print("Drained: no more tasks are taken.", flush=True)
            notify(STATUS="drained")
            # Not an Exception, which the daemon would survive. It unregisters on the way out.
            raise SystemExit(0)
        return bool(super().should_be_currently_active(current_queue, runtime_properties))

    def run_one_task(self, queue: str, task_id: str, *args: Any, **kwargs: Any) -> Any:
        """Run a task."""
        notify(STATUS=f"running task {task_id}")
        try:
            return super().run_one_task(queue, task_id, *args, **kwargs)
        finally:
            self.record.unlink(missing_ok=True)
            notify(STATUS="waiting for tasks")

    def fail_lost_task(self) -> None:
        """Mark the task as failed that an earlier process of this service was running when it died."""
        if not self.record.exists():
            return
        request = tasks.GetAllRequest(
            id=[self.record.read_text(encoding="utf-8")], status=["in_progress"], only_fields=["id", "last_worker"]
        )
        for task in self._session.send_api(request).tasks:
            # Soon after its start the server does not know whose it is. Another worker may have it by now.
            if task.last_worker not in (None, "", self.worker_id):
                continue
            print(f"Task {task.id} was left running by an agent that died: it is marked as failed.", flush=True)
            self._session.send_api(
                tasks.FailedRequest(
                    task=task.id,
                    status_reason="worker died",
                    status_message=f"The agent {self.worker_id} died while it ran this task.",
                    force=True,
                )
            )
        self.record.unlink()


def get_next_task(*args: Any, **kwargs: Any) -> Any:
    """Take a task off a queue, and write down at once which one: the server counts it as running from now on."""
    answer = take(*args, **kwargs)
    task = ((answer or {}).get("entry") or {}).get("task")
    if task:
        Service.record.write_text(task, encoding="utf-8")
    return answer


def main() -> int:
    """Return the exit code of the official agent."""
    question = list(inspect.signature(getattr(Worker, QUESTION, lambda: None)).parameters)
    if question != PARAMETERS or take is None:
        wanted = f"Worker.{QUESTION}({', '.join(PARAMETERS)})" if take else "get_next_task"
        print(
            f"clearml-agent {__version__} has no {wanted}, so it cannot be drained: "
            "set clearml_agent_requirements to a list with a release that has it, such as 3.0.3.",
            file=sys.stderr,
        )
        return 1
    runtime = Path(os.environ["RUNTIME_DIRECTORY"])
    # What is newer than this file is not yet in use here.
    (runtime / "started").write_text("")
    Service.drain_file = runtime / "drain"
    # What a process that died left there, such as its claim to be running.
    temporary = Path(os.environ["TMPDIR"])
    Service.record = temporary.with_name("running-task")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700, parents=True)
    # Before the first call to the server, which may need a proxy.
    settings = ConfigFactory.parse_file(os.environ["CLEARML_CONFIG_FILE"])
    os.environ.update({name: str(value) for name, value in settings.get("environment", {}).items()})
    loop.get_next_task = get_next_task
    official.commands.Worker = Service
    return int(official.main() or 0)


if __name__ == "__main__":
    sys.exit(main())
