"""The program that the role clearml_agent runs as a service, run_agent.py, around the official agent."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
from clearml import Task
from lab.commands.shell import ROOT

from tests.acceptance.agents import Agent, ended, enqueued, started
from tests.acceptance.server import Api, wait_for

PROGRAM = ROOT / "roles" / "clearml_agent" / "files" / "run_agent.py"
SETTINGS = 'environment { SITE: "of the configuration" }'
# Ends when the test says so.
WAITS = """
import os, pathlib, time
while not pathlib.Path({end!r}).exists():
    time.sleep(0.1)
print("SITE is", os.environ.get("SITE"))
"""


@pytest.fixture
def service(
    api: Api, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AbstractContextManager[Agent]]:
    """Return a function that starts the program as systemd does. Its worker is the same each time, not its queue."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    @contextmanager
    def start() -> Iterator[Agent]:
        with started(api, f"{project}-{tmp_path.name}"[:80], tmp_path, program=[str(PROGRAM)], more=SETTINGS) as agent:
            wait_for("the agent is known", lambda: agent.registration(api))
            yield agent

    return start


Start = Callable[[], AbstractContextManager[Agent]]


def drain(folder: Path) -> None:
    (folder / "runtime" / "drain").touch()


def exit_code(agent: Agent) -> int:
    """Wait for the end of an agent."""
    codes = wait_for(
        "the agent ends", lambda: [agent.process.returncode] if agent.process.poll() is not None else [], 60
    )
    return int(codes[0])


def kill(agent: Agent) -> None:
    """Kill an agent with all that it started, as systemd does when its main process dies."""
    main = psutil.Process(agent.process.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()
    psutil.wait_procs(processes)
    agent.process.wait()


def running(agent: Agent, project: str, name: str, folder: Path) -> Task:
    """A task that runs until the file ``name`` is there."""
    task = enqueued(agent, project, name, WAITS.format(end=str(folder / name)), folder)
    wait_for(f"{name} runs", lambda: task.get_status() == "in_progress")
    return task


def test_an_idle_agent_drains(service: Start, api: Api, tmp_path: Path) -> None:
    with service() as agent:
        drain(tmp_path)
        assert exit_code(agent) == 0
        assert "Drained: no more tasks are taken." in agent.log.read_text()
        assert agent.registration(api) is None


def test_a_drained_agent_ends_its_task_and_takes_no_other(service: Start, project: str, tmp_path: Path) -> None:
    with service() as agent:
        task = running(agent, project, "goes-on", tmp_path)
        waiting = enqueued(agent, project, "stays", "print(1)", tmp_path)
        drain(tmp_path)
        assert agent.process.poll() is None
        (tmp_path / "goes-on").touch()
        assert ended(task, agent) == "completed"
        assert exit_code(agent) == 0
        assert waiting.get_status() == "queued"


def test_tasks_get_the_environment_of_the_configuration(service: Start, project: str, tmp_path: Path) -> None:
    with service() as agent:
        task = running(agent, project, "sees", tmp_path)
        (tmp_path / "sees").touch()
        assert ended(task, agent) == "completed"
        printed = wait_for("what it printed", lambda: "".join(task.get_reported_console_output(9)))
        found = re.findall("SITE is .*", printed)
        assert found == ["SITE is of the configuration"]


def test_a_killed_agent_fails_its_task_when_it_comes_back(service: Start, project: str, tmp_path: Path) -> None:
    with service() as killed:
        lost = running(killed, project, "lost", tmp_path)
        kill(killed)
        assert lost.get_status() == "in_progress"
    with service():
        wait_for("the task is failed", lambda: lost.get_status() == "failed", 60)
        lost.reload()
        assert lost.data.status_reason == "worker died"


def test_a_task_that_another_worker_has_by_now_goes_on(
    service: Start, agent: Agent, project: str, tmp_path: Path
) -> None:
    with service() as killed:
        task = running(killed, project, "moved", tmp_path)
        kill(killed)
    task.reset(force=True)
    Task.enqueue(task, queue_name=agent.queue)

    def taken() -> bool:
        task.reload()
        return str(task.data.last_worker or "").startswith(agent.worker) and task.get_status() == "in_progress"

    wait_for("another worker has it", taken)
    with service():
        assert task.get_status() == "in_progress"
        (tmp_path / "moved").touch()
        assert ended(task, agent) == "completed"


def test_systemd_learns_when_the_agent_listens_and_what_it_does(
    service: Start, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = f"/tmp/{os.getpid()}.notify"  # a longer path than pytest's would not fit
        systemd.bind(address)
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        try:
            with service() as agent:
                assert systemd.recv(1000).decode().splitlines() == ["READY=1", "STATUS=waiting for tasks"]
                task = running(agent, project, "short", tmp_path)
                assert systemd.recv(1000).decode() == f"STATUS=running task {task.id}"
                (tmp_path / "short").touch()
                assert systemd.recv(1000).decode() == "STATUS=waiting for tasks"
        finally:
            Path(address).unlink()
