"""A fleet of agents: its hosts, its server as the SDK sees it, and a git server with the code of tasks."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra.host
from lab.stack import CLIENTS_PYTHON

from helpers.platform import Platform

SERVER, HOST_12, HOST_13 = "molecule-agents", "molecule-agents-12", "molecule-agents-13"
HOME = "/var/lib/clearml-agent"
# Ends when the test says so.
WAITS = f"""
import os, pathlib, time
print("the site is", os.environ["SITE"], flush=True)
end = pathlib.Path("{HOME}", "end-" + os.environ["CLEARML_TASK_ID"])
while not end.exists():
    time.sleep(0.2)
"""
REPORTS = """
from clearml import Task
task = Task.init()
task.get_logger().report_scalar("n", "v", value=7, iteration=0)
task.upload_artifact("out", {"n": 7}, wait_on_upload=True)
"""
ENQUEUE = """
import sys
from clearml import Task
name, repository, script, queue, *packages = sys.argv[1:]
task = Task.create(project_name="molecule agents", task_name=name, repo=repository, branch="main", script=script,
                   packages=packages)
Task.enqueue(task, queue_name=queue)
print("id", task.id)
"""


class GitServer(http.server.SimpleHTTPRequestHandler):
    """Serves repositories to who knows the token."""

    authorization = ""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != self.authorization:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@dataclass
class Fleet:
    """What tests do with the server and the agents."""

    platform: Platform
    account: dict[str, str]
    repository: str
    folder: Path
    token: str = ""

    def call(self, endpoint: str, **data: Any) -> Any:
        """Call an endpoint of the apiserver."""
        if not self.token:
            self.token = self.platform.login(self.account["access_key"], self.account["secret_key"]).data["token"]
        return self.platform.call(endpoint, self.token, **data).data

    def enqueue(self, queue: str, script: str = "waits.py", *packages: str) -> str:
        """Put a task on a queue, as a data scientist does; return its id."""
        script_file = self.folder / "enqueue.py"
        script_file.write_text(ENQUEUE)
        # By its address: this machine does not know the host's name.
        server = subprocess.run(["docker", "inspect", SERVER], capture_output=True, text=True, check=True)
        address = json.loads(server.stdout)[0]["NetworkSettings"]["Networks"]["clearml-lab"]["IPAddress"]
        environment = {
            **os.environ,
            "CLEARML_CONFIG_FILE": str(self.folder / "none.conf"),
            "CLEARML_API_HOST": f"http://{address}:8008",
            "CLEARML_WEB_HOST": f"http://{address}:8080",
            "CLEARML_FILES_HOST": f"http://{address}:8081",
            "CLEARML_API_ACCESS_KEY": self.account["access_key"],
            "CLEARML_API_SECRET_KEY": self.account["secret_key"],
        }
        command = [
            str(CLIENTS_PYTHON),
            str(script_file),
            f"{queue} {script}",
            self.repository,
            script,
            queue,
            *packages,
        ]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.rpartition("id ")[2].strip()

    def started(self, queue: str) -> str:
        """Put a task on a queue, and wait until its code runs."""
        task = self.enqueue(queue)
        wait_for(f"{task} runs", lambda: "the site is" in self.console(task), show=lambda: self.console(task))
        return task

    def task(self, task: str) -> dict[str, Any]:
        """What the server knows of a task."""
        found: dict[str, Any] = self.call("tasks.get_by_id", task=task)["task"]
        return found

    def status(self, task: str) -> str:
        """The status of a task."""
        return str(self.task(task)["status"])

    def console(self, task: str) -> str:
        """What a task printed."""
        events = self.call("events.get_task_log", task=task, batch_size=1000)["events"]
        return "".join(event["msg"] for event in events)

    def ended(self, task: str) -> dict[str, Any]:
        """Wait for the end of a task."""
        wait_for(
            f"{task} ends",
            lambda: self.status(task) not in ("queued", "in_progress"),
            show=lambda: self.console(task)[-3000:],
        )
        return self.task(task)

    def workers(self) -> dict[str, set[str]]:
        """The queues of each worker."""
        workers = self.call("workers.get_all")["workers"]
        return {worker["id"]: {queue["name"] for queue in worker["queues"]} for worker in workers}


def wait_for(what: str, condition: Callable[[], object], seconds: int = 120, show: Callable[[], str] = str) -> None:
    """Wait for what happens by itself."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except AssertionError:
            pass  # the server does not answer at the moment
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{show()}"
        time.sleep(0.5)


def let_end(host: testinfra.host.Host, task: str) -> None:
    """Let a waiting task end."""
    host.check_output(f"touch {HOME}/end-{task}")


def shown(host: testinfra.host.Host, instance: str, what: str) -> str:
    """One property of an instance's unit."""
    found: str = host.check_output(f"systemctl show --value --property={what} clearml-agent@{instance}")
    return found
