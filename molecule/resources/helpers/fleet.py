"""A fleet of agents: what its tests do with the server, the tasks and the hosts of the scenario agents."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import testinfra
import testinfra.host
from lab.stack import CLIENTS_PYTHON

from helpers.platform import Platform

SERVER, HOST_12, HOST_13 = "molecule-agents", "molecule-agents-12", "molecule-agents-13"
HOME = "/var/lib/clearml-agent"
# What the inventory says.
WORKERS = {
    f"{HOST_12}:default": {"default"},
    "a-worker:small": {"urgent", "small"},
    f"{HOST_12}:spare": {"spare"},
    f"{HOST_13}:services": {"services"},
}
# A data scientist's session with the official SDK: a line of JSON for each task, and the task's id for an answer.
SESSION = """
import json, sys
from clearml import Task
for line in sys.stdin:
    wanted = json.loads(line)
    queue = wanted.pop("queue")
    task = Task.create(project_name="molecule agents", branch="main", **wanted)
    Task.enqueue(task, queue_name=queue)
    print("id", task.id, flush=True)
"""


@dataclass
class Fleet:
    """The server as its clients see it."""

    platform: Platform
    token: str
    session: subprocess.Popen[str]

    def call(self, endpoint: str, **data: Any) -> Any:
        """Call an endpoint of the apiserver."""
        return self.platform.call(endpoint, self.token, **data).data

    def enqueue(self, queue: str, script: str = "waits.py", packages: list[str] | str = "") -> str:
        """Put a task on a queue, its code in the private repository; return its id."""
        wanted = {"queue": queue, "script": script, "packages": packages}
        wanted |= {"task_name": f"{script} on {queue}", "repo": f"https://{SERVER}/code"}
        assert self.session.stdin
        assert self.session.stdout
        print(json.dumps(wanted), file=self.session.stdin, flush=True)
        # The SDK itself prints, too.
        answer = next((line for line in self.session.stdout if line.startswith("id ")), None)
        assert answer, "the session with the SDK ended"
        return answer.split()[1]

    def started(self, queue: str, host: testinfra.host.Host) -> str:
        """Put a task on a queue, and wait until its code runs on a host."""
        task = self.enqueue(queue)
        wait_for(f"{task} runs", lambda: process_of(host, task), show=lambda: self.console(task))
        return task

    def task(self, task: str) -> dict[str, Any]:
        """What the server knows of a task."""
        found: dict[str, Any] = self.call("tasks.get_by_id", task=task)["task"]
        return found

    def console(self, task: str) -> str:
        """What a task printed."""
        events = self.call("events.get_task_log", task=task, batch_size=1000)["events"]
        return "".join(event["msg"] for event in events)

    def ended(self, task: str) -> tuple[str, str]:
        """Wait for the end of a task; its status and the reason."""
        ends = "completed", "failed", "stopped"
        wait_for(f"{task} ends", lambda: self.task(task)["status"] in ends, show=lambda: self.console(task)[-3000:])
        found = self.task(task)
        return found["status"], found.get("status_reason", "")

    def workers(self) -> dict[str, set[str]]:
        """The queues of each worker."""
        workers = self.call("workers.get_all")["workers"]
        return {worker["id"]: {queue["name"] for queue in worker["queues"]} for worker in workers}


@contextmanager
def opened() -> Iterator[Fleet]:
    """The fleet of the scenario, with a session of the operator's."""
    server = testinfra.get_host(f"docker://{SERVER}")
    account = json.loads(server.file("/opt/clearml/client/credentials.json").content_string)
    pair = account["access_key"], account["secret_key"]
    platform = Platform(SERVER, "http://127.0.0.1:8008", "http://127.0.0.1:8080", "http://127.0.0.1:8081")
    # By its address: this machine does not know the host's name.
    address = server.interface("eth0").addresses[0]
    environment = {
        "CLEARML_CONFIG_FILE": os.devnull,
        "CLEARML_API_HOST": f"http://{address}:8008",
        "CLEARML_WEB_HOST": f"http://{address}:8080",
        "CLEARML_FILES_HOST": f"http://{address}:8081",
        "CLEARML_API_ACCESS_KEY": pair[0],
        "CLEARML_API_SECRET_KEY": pair[1],
    }
    session = subprocess.Popen(
        [CLIENTS_PYTHON, "-c", SESSION],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with session:
        yield Fleet(platform, platform.login(*pair).data["token"], session)


def wait_for(what: str, condition: Callable[[], object], seconds: int = 240, show: Callable[[], str] = str) -> None:
    """Wait for what happens by itself."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except AssertionError:
            pass  # the server does not answer at the moment
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{show()}"
        time.sleep(0.3)


def process_of(host: testinfra.host.Host, task: str) -> str:
    """The id of the process that runs a waiting task's code; empty when it has not begun."""
    return str(host.run(f"cat {HOME}/{task}.runs").stdout)


def let_end(host: testinfra.host.Host, task: str) -> None:
    """Let a waiting task end."""
    host.check_output(f"touch {HOME}/{task}.end")


def shown(host: testinfra.host.Host, instance: str, what: str) -> str:
    """One property of an instance's unit."""
    return str(host.check_output(f"systemctl show --value --property={what} clearml-agent@{instance}"))
