"""The life of an agent and of the tasks that it takes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from clearml import Task

from .agents import Agent, ended, enqueued, started
from .server import Api, wait_for

REPORTS = """
import sys
from clearml import Task

task = Task.init()
parameters = task.connect({"n": 1})
task.get_logger().report_scalar("n", "v", value=float(parameters["n"]), iteration=0)
task.upload_artifact("out", {"n": parameters["n"]}, wait_on_upload=True)
print("run by the agent with", sys.prefix)
"""
# The file shows whether the process lives, whatever the server believes.
BEATS = """
import pathlib, time
from clearml import Task

task = Task.init()
task.get_logger().report_scalar("alive", "v", value=1, iteration=1)
while True:
    pathlib.Path("{beat}").write_text(str(time.time()))
    time.sleep(0.2)
"""


def beats(beat: Path) -> bool:
    """Say whether a process still writes: it would within two seconds."""
    last = beat.stat().st_mtime_ns
    try:
        wait_for("another beat", lambda: beat.stat().st_mtime_ns != last or None, seconds=2)
    except AssertionError:
        return False
    return True


def test_the_agent_is_registered(agent: Agent, api: Api) -> None:
    worker = wait_for("the agent is a worker", lambda: agent.registration(api), 60)
    assert [queue["name"] for queue in worker["queues"]] == [agent.queue]


def test_a_task_gets_its_environment_runs_and_reports(
    api: Api, project: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("builder")
    with started(api, f"{project}-builder", folder, builds=True) as builder:
        task = enqueued(builder, project, "runs", REPORTS, tmp_path)
        assert ended(task, builder) == "completed"
    task = Task.get_task(task_id=task.id)
    assert task.artifacts["out"].get() == {"n": 1}
    assert task.get_last_scalar_metrics()["n"]["v"]["last"] == 1.0
    console = "\n".join(task.get_reported_console_output(number_of_reports=100))
    assert f"run by the agent with {folder}/venvs" in console
    assert task.data.last_worker.startswith(builder.worker)
    assert "clearml==" in "".join(task.data.script.requirements["pip"]).replace(" ", "")


def test_a_failing_task_fails(agent: Agent, project: str, tmp_path: Path) -> None:
    task = enqueued(agent, project, "fails", "raise SystemExit(3)\n", tmp_path)
    assert ended(task, agent) == "failed"


def test_a_running_task_is_seen_at_its_worker_and_stops_when_it_is_aborted(
    agent: Agent, api: Api, project: str, tmp_path: Path
) -> None:
    beat, since = tmp_path / "beat", time.time() - 1
    task = enqueued(agent, project, "is aborted", BEATS.replace("{beat}", str(beat)), tmp_path)
    wait_for("the task runs", beat.exists)
    worker = wait_for("the worker says what it runs", lambda: (agent.registration(api) or {}).get("task"), 60)
    assert worker["id"] == task.id
    assert str(task.get_status()) == "in_progress"
    task.mark_stop_request()
    assert ended(task, agent) == "stopped"
    assert not beats(beat)
    (queue,) = api.call("queues.get_all", name=f"^{agent.queue}$")["queues"]
    found = api.call(
        "queues.get_queue_metrics", queue_ids=[queue["id"]], from_date=since, to_date=time.time() + 1, interval=1
    )["queues"]
    assert max(found[0]["queue_lengths"]) == 1


def test_an_agent_that_ends_is_no_longer_registered(
    api: Api, project: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with started(api, f"{project}-ends", tmp_path_factory.mktemp("ends")) as mortal:
        wait_for("the agent is a worker", lambda: mortal.registration(api), 60)
        mortal.end()
        wait_for("the agent is no worker", lambda: mortal.registration(api) is None, 30)


def test_the_task_of_a_killed_agent_stays_until_somebody_stops_it(
    api: Api, project: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    beat = tmp_path / "beat"
    with started(api, f"{project}-killed", tmp_path_factory.mktemp("killed")) as mortal:
        task = enqueued(mortal, project, "loses its agent", BEATS.replace("{beat}", str(beat)), tmp_path)
        wait_for("the task runs", beat.exists)
        mortal.end(signal.SIGKILL)
        wait_for("its process is gone", lambda: not beats(beat), 30)
        # The server knows of no death: the worker is listed until its time is over, the task until the watchdog comes.
        assert mortal.registration(api)
        assert str(task.get_status()) == "in_progress"
        task.mark_stopped(status_message="its machine is gone")
        task.reload()
        assert (str(task.get_status()), task.data.status_message) == ("stopped", "its machine is gone")
