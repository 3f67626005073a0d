"""The official agent, without Docker: it takes tasks off a queue, runs them, and stops them when asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clearml import Task

from .server import Api, run_script, wait_for

SECONDS = 240
# The agent makes a virtual environment for each task; it may use what is installed here, so that it downloads nothing.
SETTINGS = """
agent {{
    worker_id: "{worker}"
    package_manager.system_site_packages: true
    venvs_dir: "{folder}/venvs"
    vcs_cache.path: "{folder}/vcs"
    pip_download_cache.path: "{folder}/pip"
    venvs_cache.path: "{folder}/venvs-cache"
    reload_config: false
    polling_interval: 1.0
}}
"""


@dataclass(frozen=True)
class Agent:
    """A running agent."""

    worker: str
    queue: str
    log: Path


@pytest.fixture(scope="module")
def agent(api: Api, project: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent that listens on a queue of its own."""
    folder, worker = tmp_path_factory.mktemp("agent"), f"{project}:agent"
    queue = f"{project}-agent-{uuid.uuid4().hex[:4]}"
    identifier = api.call("queues.create", name=queue)["id"]
    config = folder / "clearml.conf"
    own = SETTINGS.format(worker=worker, folder=folder)
    config.touch(mode=0o600)
    config.write_text(Path(os.environ["CLEARML_CONFIG_FILE"]).read_text() + own)
    log = folder / "agent.log"
    command = [sys.executable, "-m", "clearml_agent", "daemon", "--foreground", "--queue", queue]
    environment = {**os.environ, "CLEARML_CONFIG_FILE": str(config), "HOME": str(folder)}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Agent(worker, queue, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        api.call("queues.delete", queue=identifier, force=True)


def enqueued(agent: Agent, project: str, name: str, script: str, folder: Path) -> Task:
    """A task whose script is stored in it, as one that is run without a repository."""
    path = folder / f"{name.replace(' ', '_')}.py"
    path.write_text(script)
    task = Task.create(project_name=project, task_name=name, script=str(path), packages=["clearml"])
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


def test_the_agent_is_registered(agent: Agent, api: Api) -> None:
    def registered() -> dict[str, object] | None:
        workers = api.call("workers.get_all")["workers"]
        return next((worker for worker in workers if worker["id"].startswith(agent.worker)), None)

    worker = wait_for("the agent is a worker", registered, 60)
    assert [queue["name"] for queue in worker["queues"]] == [agent.queue]  # type: ignore[attr-defined]


def test_a_task_runs_and_reports(agent: Agent, project: str, tmp_path: Path) -> None:
    script = """
from clearml import Task

task = Task.init()
parameters = task.connect({"n": 1})
task.get_logger().report_scalar("n", "v", value=float(parameters["n"]), iteration=0)
task.upload_artifact("out", {"n": parameters["n"]}, wait_on_upload=True)
print("run by the agent")
"""
    task = enqueued(agent, project, "runs", script, tmp_path)
    assert ended(task, agent) == "completed"
    task = Task.get_task(task_id=task.id)
    assert task.artifacts["out"].get() == {"n": 1}
    assert task.get_last_scalar_metrics()["n"]["v"]["last"] == 1.0
    console = "\n".join(task.get_reported_console_output(number_of_reports=100))
    assert "run by the agent" in console
    assert task.data.last_worker.startswith(agent.worker)


def test_a_failing_task_fails(agent: Agent, project: str, tmp_path: Path) -> None:
    task = enqueued(agent, project, "fails", "raise SystemExit(3)\n", tmp_path)
    assert ended(task, agent) == "failed"


def test_an_aborted_task_stops(agent: Agent, project: str, tmp_path: Path) -> None:
    script = """
import pathlib, time
from clearml import Task

task = Task.init()
task.get_logger().report_scalar("alive", "v", value=1, iteration=1)
while True:
    pathlib.Path("{beat}").write_text(str(time.time()))
    time.sleep(0.2)
"""
    beat = tmp_path / "beat"
    task = enqueued(agent, project, "is aborted", script.replace("{beat}", str(beat)), tmp_path)
    wait_for("the task runs", beat.exists, SECONDS)
    task.mark_stop_request()
    assert ended(task, agent) == "stopped"
    last = beat.stat().st_mtime_ns
    assert not _beats(beat, last)


def _beats(beat: Path, last: int) -> bool:
    """Say whether a process still writes: it would within two seconds."""
    try:
        wait_for("another beat", lambda: beat.stat().st_mtime_ns != last or None, seconds=2)
    except AssertionError:
        return False
    return True


STEP = """
from clearml import Task

task = Task.init(project_name="{project}", task_name="step {name}")
parameters = task.connect({{"n": 1, "given": ""}})
{body}
task.upload_artifact("out", {{"n": int(parameters["n"])}}, wait_on_upload=True)
"""
PIPELINE = """
import os
from clearml import PipelineController

project, queue, last = os.environ["PROJECT"], os.environ["QUEUE"], os.environ["LAST"]
pipeline = PipelineController(name="four steps", project=project, version="1.0.0", pool_frequency=0.02)
pipeline.set_default_execution_queue(queue)
pipeline.add_parameter("n", 7)


def step(name, template, cache=False, parents=None, **parameters):
    pipeline.add_step(
        name=name,
        base_task_project=project,
        base_task_name=template,
        cache_executed_step=cache,
        parents=parents,
        parameter_override={"General/" + key: value for key, value in parameters.items()},
    )


step("prepare", "step good", cache=True, n="${pipeline.n}")
step("train", "step good", parents=["prepare"], n=8, given="${prepare.id}")
step("evaluate", "step good", parents=["train"], n=9, given="${train.artifacts.out.url}")
step("publish", last, parents=["evaluate"], n=10)
pipeline.start_locally(run_pipeline_steps_locally=False)
print("PIPELINE", pipeline.id)
"""


@pytest.fixture(scope="module")
def templates(agent: Agent, project: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tasks that steps are cloned from: one that works, one that does not."""
    folder = tmp_path_factory.mktemp("steps")
    for name, body in (("good", ""), ("bad", "raise SystemExit(2)")):
        path = folder / f"{name}.py"
        path.write_text(STEP.format(project=project, name=name, body=body))
        Task.create(project_name=project, task_name=f"step {name}", script=str(path), packages=["clearml"])


def run_pipeline(agent: Agent, project: str, folder: Path, last: str) -> tuple[Task, dict[str, Task]]:
    """Run the pipeline on the agent's queue; return its task, and those of its steps that ran."""
    environment = {"PROJECT": project, "QUEUE": agent.queue, "LAST": last}
    output = run_script(folder, PIPELINE, environment=environment)
    (controller,) = [line.split()[1] for line in output.splitlines() if line.startswith("PIPELINE ")]
    steps = Task.get_tasks(task_filter={"parent": controller, "search_hidden": True}, allow_archived=True)
    return Task.get_task(task_id=controller), {step.name: step for step in steps}


def test_a_pipeline_runs_its_steps_through_the_queue(
    agent: Agent, templates: None, project: str, tmp_path: Path
) -> None:
    controller, steps = run_pipeline(agent, project, tmp_path, "step good")
    assert steps.keys() == {"prepare", "train", "evaluate", "publish"}
    assert {str(step.get_status()) for step in steps.values()} == {"completed"}
    assert steps["prepare"].get_parameters()["General/n"] == "7"
    assert steps["train"].get_parameters()["General/given"] == steps["prepare"].id
    assert steps["evaluate"].get_parameters()["General/given"] == steps["train"].artifacts["out"].url
    assert str(controller.get_status()) == "completed"


def test_a_cached_step_does_not_run_again_and_a_failing_one_ends_the_pipeline(
    agent: Agent, templates: None, project: str, tmp_path: Path
) -> None:
    controller, steps = run_pipeline(agent, project, tmp_path, "step bad")
    assert "prepare" not in steps
    assert str(steps["publish"].get_status()) == "failed"
    assert str(controller.get_status()) == "failed"
