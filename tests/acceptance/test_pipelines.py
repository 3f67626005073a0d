"""Pipelines of the SDK: steps from tasks and functions, here and through queues, the controller's own included."""

from __future__ import annotations

from pathlib import Path

import pytest
from clearml import Task

from .agents import Agent, ended, made
from .server import marked, run_script

STEP = """
from clearml import Task

task = Task.init(project_name="{project}", task_name="step {name}")
parameters = task.connect({{"n": 1, "given": ""}})
{body}
task.upload_artifact("out", {{"n": int(parameters["n"])}}, wait_on_upload=True)
"""
# Constants stand before it, rather than in the environment: an agent may run it elsewhere.
FOUR_STEPS = """
from clearml import PipelineController

pipeline = PipelineController(name=NAME, project=PROJECT, version="1.0.0", pool_frequency=0.02)
pipeline.set_default_execution_queue(QUEUE)
pipeline.add_parameter("n", N)


def step(name, template, cache=False, parents=None, **parameters):
    pipeline.add_step(
        name=name,
        base_task_project=PROJECT,
        base_task_name=template,
        cache_executed_step=cache,
        parents=parents,
        parameter_override={"General/" + key: value for key, value in parameters.items()},
    )


step("prepare", "step good", cache=True, n="${pipeline.n}")
step("train", "step good", parents=["prepare"], n=8, given="${prepare.id}")
step("evaluate", "step good", parents=["train"], n=9, given="${train.artifacts.out.url}")
step("publish", LAST, parents=["evaluate"], n=10)
print("PIPELINE", pipeline.id)
if SERVICES:
    pipeline.start(queue=SERVICES)
else:
    pipeline.start_locally(run_pipeline_steps_locally=not QUEUE)
"""
FUNCTIONS = """
from clearml import PipelineController


def count(n):
    return list(range(int(n)))


def total(numbers, factor=1):
    return sum(numbers) * factor


pipeline = PipelineController(name="functions", project=PROJECT, version="1.0.0", pool_frequency=0.02)
pipeline.set_default_execution_queue(QUEUE)
pipeline.add_parameter("n", 5)
pipeline.add_function_step("count", count, {"n": "${pipeline.n}"}, function_return=["numbers"])
pipeline.add_function_step("total", total, {"numbers": "${count.numbers}", "factor": 2}, function_return=["result"])
print("PIPELINE", pipeline.id)
pipeline.start_locally(run_pipeline_steps_locally=not QUEUE)
"""
DECORATORS = """
from clearml import PipelineDecorator, Task


@PipelineDecorator.component(return_values=["numbers"], execution_queue=QUEUE)
def count(n):
    return list(range(n))


@PipelineDecorator.component(return_values=["result"], execution_queue=QUEUE)
def total(numbers, factor):
    return sum(numbers) * factor


@PipelineDecorator.pipeline(
    name="decorators", project=PROJECT, version="1.0.0", pool_frequency=0.02, pipeline_execution_queue=None
)
def pipeline(n=5):
    print("PIPELINE", Task.current_task().id)
    result = total(count(n), 2)
    Task.current_task().get_logger().report_single_value("result", result)


if __name__ == "__main__":
    if not QUEUE:
        PipelineDecorator.run_locally()
    pipeline()
"""


def run_pipeline(folder: Path, script: str, **constants: str | int | None) -> str:
    """Run a pipeline's script with these constants; return the id of its controller."""
    head = "".join(f"{name.upper()} = {value!r}\n" for name, value in constants.items())
    return marked(run_script(folder, head + script), "PIPELINE")[0]


def steps_of(controller: str) -> dict[str, Task]:
    """The tasks that a pipeline ran, by the name of the step."""
    found = Task.get_tasks(task_filter={"parent": controller, "search_hidden": True}, allow_archived=True)
    return {step.name: step for step in found}


def check_four_steps(controller: Task, n: int) -> None:
    """See that all four ran, with the parameters and artifacts of those before them."""
    assert str(controller.get_status()) == "completed"
    steps = steps_of(controller.id)
    assert steps.keys() == {"prepare", "train", "evaluate", "publish"}
    assert {str(step.get_status()) for step in steps.values()} == {"completed"}
    assert steps["prepare"].get_parameters()["General/n"] == str(n)
    assert steps["prepare"].artifacts["out"].get() == {"n": n}
    assert steps["train"].get_parameters()["General/given"] == steps["prepare"].id
    assert steps["evaluate"].get_parameters()["General/given"] == steps["train"].artifacts["out"].url


@pytest.fixture(scope="module")
def templates(project: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tasks that steps are cloned from: one that works, one that does not."""
    folder = tmp_path_factory.mktemp("steps")
    for name, body in (("good", ""), ("bad", "raise SystemExit(2)")):
        made(project, f"step {name}", STEP.format(project=project, name=name, body=body), folder)


@pytest.fixture(scope="module")
def in_queues(
    agent: Agent, services_agent: Agent, templates: None, project: str, tmp_path_factory: pytest.TempPathFactory
) -> Task:
    """The ended controller of a pipeline that ran in one queue, and its steps in another."""
    constants = {"name": "in queues", "queue": agent.queue, "services": services_agent.queue, "last": "step good"}
    controller = run_pipeline(tmp_path_factory.mktemp("queues"), FOUR_STEPS, project=project, n=7, **constants)
    ended(Task.get_task(task_id=controller), services_agent)
    return Task.get_task(task_id=controller)


def test_a_controller_in_a_queue_runs_its_steps_through_another(
    in_queues: Task, agent: Agent, services_agent: Agent
) -> None:
    check_four_steps(in_queues, n=7)
    assert in_queues.data.last_worker.startswith(services_agent.worker)
    assert steps_of(in_queues.id)["train"].data.last_worker.startswith(agent.worker)


def test_a_controller_runs_its_steps_here(templates: None, project: str, tmp_path: Path) -> None:
    constants = {"name": "all here", "queue": None, "services": None, "last": "step good"}
    controller = run_pipeline(tmp_path, FOUR_STEPS, project=project, n=6, **constants)
    check_four_steps(Task.get_task(task_id=controller), n=6)


def test_a_cached_step_does_not_run_again_and_a_failing_one_ends_the_pipeline(
    in_queues: Task, agent: Agent, project: str, tmp_path: Path
) -> None:
    constants = {"name": "fails", "queue": agent.queue, "services": None, "last": "step bad"}
    controller = run_pipeline(tmp_path, FOUR_STEPS, project=project, n=7, **constants)
    steps = steps_of(controller)
    assert "prepare" not in steps
    assert steps["train"].get_parameters()["General/given"] == steps_of(in_queues.id)["prepare"].id
    assert str(steps["publish"].get_status()) == "failed"
    assert str(Task.get_task(task_id=controller).get_status()) == "failed"


@pytest.mark.parametrize("here", [True, pytest.param(False, marks=pytest.mark.long)])
def test_steps_from_functions(here: bool, request: pytest.FixtureRequest, project: str, tmp_path: Path) -> None:
    queue = None if here else request.getfixturevalue("agent").queue
    controller = run_pipeline(tmp_path, FUNCTIONS, project=project, queue=queue)
    steps = steps_of(controller)
    assert str(Task.get_task(task_id=controller).get_status()) == "completed"
    assert steps["count"].artifacts["numbers"].get() == [0, 1, 2, 3, 4]
    # What fits in a parameter is one, and no artifact.
    assert steps["total"].get_parameters()["return/result"] == "20"


@pytest.mark.long
@pytest.mark.parametrize("here", [True, False])
def test_a_pipeline_from_decorators(here: bool, request: pytest.FixtureRequest, project: str, tmp_path: Path) -> None:
    queue = None if here else request.getfixturevalue("agent").queue
    controller = Task.get_task(task_id=run_pipeline(tmp_path, DECORATORS, project=project, queue=queue))
    assert str(controller.get_status()) == "completed"
    assert controller.get_reported_single_value("result") == 20
    assert steps_of(controller.id).keys() == {"count", "total"}
