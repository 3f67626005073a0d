"""Official agents without Docker, which take tasks off a queue, run them, and stop them when asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clearml import Task

from .server import THREADS, Api, wait_for, write_config

SECONDS = 240
OFFICIAL = ("-m", "clearml_agent")
# Looks more often than by default (5 s), and says more often how it is (30 s).
FREQUENT = {"CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "0.5", "CLEARML_AGENT_STATUS_REPORT_FREQ_SEC": "2"}
# An environment that the agent builds may use what the machine's Python has, so that it downloads little.
SETTINGS = """
{threads}
agent {{
    worker_id: "{worker}"
    package_manager.system_site_packages: true
    venvs_dir: "{folder}/venvs"
    vcs_cache.path: "{folder}/vcs"
    pip_download_cache.path: "{folder}/pip"
    venvs_cache.path: "{folder}/venvs-cache"
    reload_config: false
}}
"""


@dataclass(frozen=True)
class Agent:
    """A running agent."""

    worker: str
    queue: str
    log: Path
    process: subprocess.Popen[bytes]

    def registration(self, api: Api) -> dict[str, Any] | None:
        """Return what the server knows of this agent, if it knows it."""
        workers = api.call("workers.get_all")["workers"]
        return next((worker for worker in workers if worker["id"].startswith(self.worker)), None)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the agent and its tasks, and wait until they are gone."""
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, how)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def started(
    api: Api, name: str, folder: Path, *, builds: bool = False, program: Sequence[str] = OFFICIAL, more: str = ""
) -> Iterator[Agent]:
    """An agent that listens on a queue of its own. It runs tasks with its own Python, unless it builds environments."""
    worker, queue = f"{name}:agent", f"{name}-{uuid.uuid4().hex[:4]}"
    identifier = api.call("queues.create", name=queue)["id"]
    config = write_config(folder, SETTINGS.format(worker=worker, folder=folder, threads=THREADS) + more)
    environment = {**os.environ, **FREQUENT, "CLEARML_CONFIG_FILE": str(config), "HOME": str(folder)}
    if not builds:
        environment["CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL"] = "1"
    log = folder / "agent.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *program, "daemon", "--foreground", "--queue", queue],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    agent = Agent(worker, queue, log, process)
    try:
        yield agent
    finally:
        agent.end()
        api.call("queues.delete", queue=identifier, force=True)


@pytest.fixture(scope="session")
def agent(api: Api, project: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The agent that runs most tasks."""
    with started(api, f"{project}-steps", tmp_path_factory.mktemp("agent")) as agent:
        yield agent


@pytest.fixture(scope="session")
def services_agent(api: Api, project: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent for tasks that wait for other tasks, such as a pipeline's controller."""
    with started(api, f"{project}-services", tmp_path_factory.mktemp("services")) as agent:
        yield agent


def made(project: str, name: str, script: str, folder: Path) -> Task:
    """A task whose script is stored in it, as one that is run without a repository."""
    path = folder / f"{name.replace(' ', '_')}.py"
    path.write_text(script)
    return Task.create(project_name=project, task_name=name, script=str(path), packages=["clearml"])


def enqueued(agent: Agent, project: str, name: str, script: str, folder: Path) -> Task:
    """Such a task, on an agent's queue."""
    task = made(project, name, script, folder)
    Task.enqueue(task, queue_name=agent.queue)
    return task


def ended(task: Task, agent: Agent) -> str:
    """Wait for the end of a task; return its status."""

    def status() -> str | None:
        found = str(task.get_status())
        return found if found not in ("queued", "in_progress", "created") else None

    try:
        return wait_for(f"{task.name} ends", status, SECONDS)
    except AssertionError:
        print(agent.log.read_text()[-5000:])
        raise
