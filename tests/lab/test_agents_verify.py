"""The module clearml_agents_verify, run by Ansible itself against a real server and official agents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clearml import Task
from lab.commands.shell import ROOT
from lab.stack import Stack

from tests.acceptance.agents import Agent, enqueued, started
from tests.acceptance.server import Api, wait_for

# These tests run in the clients' environment, which has no Ansible.
ANSIBLE = ROOT / ".venv" / "bin" / "ansible"
Run = Callable[..., dict[str, Any]]


def entry(agent: Agent) -> dict[str, Any]:
    """A worker as the module is told of it."""
    return {"id": agent.worker, "name": "tried", "queues": [agent.queue]}


@pytest.fixture
def verify(stack: Stack, api: Api) -> Run:
    """Return a function that runs the module, and returns its result and its warnings; nothing is left of it."""
    access_key, secret_key = stack.key_pair()

    def run(*workers: dict[str, Any], **options: object) -> dict[str, Any]:
        arguments = {"api_url": stack.api, "access_key": access_key, "secret_key": secret_key, "workers": workers}
        done = subprocess.run(
            [ANSIBLE, "localhost", "-m", "clearml_agents_verify", "-a", json.dumps({**arguments, **options})],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert secret_key not in done.stdout + done.stderr
        names = [project["name"] for project in api.call("projects.get_all", only_fields=["name"])["projects"]]
        assert not [name for name in names if name.startswith("clearml-agents-verify")]
        result: dict[str, Any] = json.loads(done.stdout.partition("=> ")[2])
        return {**result, "printed": " ".join(done.stderr.split())}

    return run


def waiting(api: Api, agent: Agent) -> list[str]:
    """Return the tasks in an agent's queue."""
    (queue,) = api.call("queues.get_all", name=f"^{agent.queue}$")["queues"]
    return [item["task"] for item in queue["entries"]]


def test_a_task_runs_through_each_queue(
    verify: Run, agent: Agent, queue: str, api: Api, project: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("builder")
    with started(api, f"{project}-tried", folder, builds=True) as builder:
        result = verify(entry(agent), entry(builder))
        assert "msg" not in result
        assert {name: ran["worker"] for name, ran in result["queues"].items()} == {
            agent.queue: agent.worker,
            builder.queue: builder.worker,
        }
        assert not result["changed"]
        assert all(step["ok"] for step in result["steps"])
        assert f"No worker listens to the queue {queue}: tasks in it wait for ever (0 now)." in result["printed"]
        # It built an environment, and put no package into it.
        setup = "Environment setup completed successfully"
        wait_for("the agent's log has the task's output", lambda: setup in builder.log.read_text())
        assert not list(folder.glob("venvs/*/lib/python*/site-packages/clearml"))


def test_a_worker_that_is_not_there_is_one_sentence(verify: Run, agent: Agent) -> None:
    missing = {**entry(agent), "id": f"{agent.worker}:0"}
    result = verify(missing, register_timeout=2, run_tasks=False)
    assert (
        f"knows no worker {agent.worker}:0: see `journalctl --unit 'clearml-agent@tried'` on its host." in result["msg"]
    )


def test_a_worker_of_another_queue_is_one_sentence(verify: Run, agent: Agent, queue: str) -> None:
    result = verify({**entry(agent), "queues": [queue]}, register_timeout=0, run_tasks=False)
    assert f"The worker {agent.worker} listens to {agent.queue} instead of {queue}: see" in result["msg"]


def test_an_agent_that_does_nothing_is_told_from_a_busy_one(
    verify: Run, agent: Agent, api: Api, project: str, tmp_path: Path
) -> None:
    os.killpg(agent.process.pid, signal.SIGSTOP)
    try:
        result = verify(entry(agent), task_timeout=3)
    finally:
        os.killpg(agent.process.pid, signal.SIGCONT)
    assert (
        f"No worker took the task on the queue {agent.queue} within 3 s, but {agent.worker} could have" in result["msg"]
    )
    assert waiting(api, agent) == []

    task = enqueued(agent, project, "keeps the agent busy", "import time; time.sleep(600)", tmp_path)
    wait_for("the agent is busy", lambda: (agent.registration(api) or {}).get("task"))
    result = verify(entry(agent), task_timeout=3)
    assert "msg" not in result
    assert f"were busy for 3 s: {agent.worker} with task {task.id}." in result["printed"]
    assert waiting(api, agent) == []
    task.mark_stop_request()
    wait_for("the task is stopped", lambda: str(Task.get_task(task_id=task.id).get_status()) == "stopped")
