"""The fleet under test: its hosts, its server as the SDK sees it, and a git server with the code of tasks."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
import testinfra.host
from lab.stack import CLIENTS_PYTHON

from helpers.expected import ROOT
from helpers.platform import Platform
from helpers.variables import Variables

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


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a private repository with the code of all tasks."""
    work, served = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("served")
    (work / "waits.py").write_text(WAITS)
    (work / "reports.py").write_text(REPORTS)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(work)]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Code of the tests' tasks"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(served / "code.git")], check=True)
    subprocess.run(["git", "-C", str(served / "code.git"), "update-server-info"], check=True)
    variables = Variables.of(HOST_12)
    pair = f"{variables['clearml_agent_git_user']}:{variables['clearml_agent_git_token']}"
    GitServer.authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    address = variables["clearml_agent_git_host"]
    with http.server.ThreadingHTTPServer(
        (address, 0), lambda *arguments: GitServer(*arguments, directory=str(served))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}/code.git"
        server.shutdown()


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


@pytest.fixture(scope="session")
def host_12() -> testinfra.host.Host:
    """The host with Debian 12."""
    return testinfra.get_host(f"docker://{HOST_12}")


@pytest.fixture(scope="session")
def host_13() -> testinfra.host.Host:
    """The host with Debian 13."""
    return testinfra.get_host(f"docker://{HOST_13}")


@pytest.fixture(scope="session")
def fleet(repository: str, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The server and its agents."""
    server = testinfra.get_host(f"docker://{SERVER}")
    account = json.loads(server.file("/opt/clearml/client/credentials.json").content_string)
    platform = Platform(SERVER, "http://127.0.0.1:8008", "http://127.0.0.1:8080", "http://127.0.0.1:8081")
    return Fleet(platform, account, repository, tmp_path_factory.mktemp("client"))


@pytest.fixture
def agents() -> Callable[..., list[str]]:
    """Return a function that makes the command for a playbook on the agents' hosts."""

    def command(playbook: str, host: str, **variables: Any) -> list[str]:
        inventory = os.environ["MOLECULE_INVENTORY_FILE"]
        limit = f"localhost,{host}"
        run = ["ansible-playbook", "-i", inventory, f"{ROOT}/playbooks/{playbook}", "--limit", limit]
        return [*run, "--extra-vars", json.dumps(variables)]

    return command
