"""What the SDK does by itself, time and again: schedules, triggers, monitors, searches for the best parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from clearml import Task

from .agents import Agent, ended, made
from .server import Api, run_script, running, wait_for

SCHEDULER = """
    from clearml.automation import TaskScheduler

    scheduler = TaskScheduler(force_create_task_project={project!r}, force_create_task_name="scheduler")
    scheduler.add_task(
        schedule_task_id={task!r}, queue={queue!r}, name="the schedule", minute=1, execute_immediately=True,
        task_parameters={{"General/n": 5}}, limit_execution_time=1.0
    )
    scheduler.start()
"""
TRIGGERS = """
    from clearml.automation import TriggerScheduler

    triggers = TriggerScheduler(
        pooling_frequency_minutes=0.01, force_create_task_project={project!r}, force_create_task_name="triggers"
    )
    where = {{"trigger_project": {project!r}}}
    triggers.add_task_trigger(
        name="failed", trigger_on_status=["failed"], schedule_function=lambda task: print("FAILED", task), **where
    )
    triggers.add_task_trigger(
        name="good", trigger_on_metric="quality", trigger_on_variant="test", trigger_on_threshold=0.5,
        trigger_on_sign="max", schedule_function=lambda task: print("GOOD", task), **where
    )
    triggers.add_model_trigger(
        name="published", trigger_on_publish=True, schedule_function=lambda model: print("PUBLISHED", model), **where
    )
    triggers.start()
"""
MONITOR = """
    from clearml.automation.monitor import Monitor


    class Failures(Monitor):
        def monitor_step(self):
            super().monitor_step()
            print("LOOKED")

        def get_query_parameters(self):
            return {{"status": ["failed"], "order_by": ["-last_update"]}}

        def process_task(self, task):
            print("SEEN", task.id, task.data.status_message)


    failures = Failures()
    failures.set_projects(project_names=[{project!r}])
    failures.monitor(pool_period=0.5)
"""
SEARCH = """
    from clearml import Task
    from clearml.automation import DiscreteParameterRange, HyperParameterOptimizer, RandomSearch

    task = Task.init(project_name={project!r}, task_name="search", task_type=Task.TaskTypes.optimizer)
    search = HyperParameterOptimizer(
        base_task_id={task!r},
        hyper_parameters=[DiscreteParameterRange("General/n", [1, 2, 3])],
        objective_metric_title="quality",
        objective_metric_series="test",
        objective_metric_sign="max",
        optimizer_class=RandomSearch,
        max_number_of_concurrent_tasks=2,
        execution_queue={queue!r},
        total_max_jobs=3,
        pool_period_min=0.02,
    )
    search.set_report_period(0.05)
    search.start()
    search.wait()
    search.stop()
    for task in search.get_top_experiments(top_k=3):
        print("BEST", task.id, task.get_parameters()["General/n"])
"""
MEASURES = """
from clearml import Task

task = Task.init()
parameters = task.connect({"n": 1})
task.get_logger().report_scalar("quality", "test", value=float(parameters["n"]), iteration=0)
"""


def test_a_scheduler_starts_tasks(agent: Agent, project: str, tmp_path: Path) -> None:
    template = made(project, "is scheduled", MEASURES, tmp_path)
    with running(tmp_path, SCHEDULER.format(project=project, task=template.id, queue=agent.queue)):

        def fired() -> Task | None:
            return next(iter(Task.get_tasks(project_name=project, task_filter={"parent": template.id})), None)

        job = wait_for("the task is cloned", fired, 150)
        assert ended(job, agent) == "completed"
        job.reload()
        assert job.get_parameters()["General/n"] == "5"
        scheduler = Task.get_task(project_name=project, task_name="scheduler")
        wait_for("its plots", lambda: scheduler.get_reported_plots(), 150)
        assert str(scheduler.get_status()) == "in_progress"
        (entry,) = scheduler.get_configuration_object_as_dict("schedule")
        assert (entry["name"], entry["base_task_id"], entry["minute"]) == ("the schedule", template.id, 1)


def failed(project: str, name: str) -> Task:
    """A task that has failed."""
    task = Task.create(project_name=project, task_name=name)
    task.mark_started(force=True)
    task.mark_failed(status_message="on purpose")
    return task


def test_triggers_see_what_happens_to_tasks_and_models(project: str, api: Api, tmp_path: Path) -> None:
    place = f"{project}/triggers"
    api.call("projects.create", name=place)
    failed(place, "fails before")
    with running(tmp_path, TRIGGERS.format(project=place)) as printed:

        def looking() -> bool:
            found = Task.get_tasks(project_name=place, task_name="triggers")
            return bool(found) and any(plot["metric"] == "Task Triggers" for plot in found[0].get_reported_plots())

        wait_for("the triggers are shown", looking, 60)
        fails = failed(place, "fails")
        wait_for("the failed task", lambda: f"FAILED {fails.id}" in printed(), 60)

        bad, good = (Task.create(project_name=place, task_name=name) for name in ("bad", "good"))
        for task, value in ((bad, 0.25), (good, 0.75)):
            task.mark_started(force=True)
            api.call(
                "events.add",
                type="training_stats_scalar",
                task=task.id,
                metric="quality",
                variant="test",
                iter=0,
                value=value,
            )
        wait_for("the good task", lambda: f"GOOD {good.id}" in printed(), 60)

        parent = api.project_id(place)
        model = api.call(
            "models.create", name="model", uri="https://nowhere.invalid/model", project=parent, ready=False
        )["id"]
        api.call("models.set_ready", model=model)
        wait_for("the published model", lambda: f"PUBLISHED {model}" in printed(), 60)
        assert printed().count("FAILED ") == printed().count("GOOD ") == 1


def test_a_monitor_sees_each_change_once(project: str, tmp_path: Path) -> None:
    with running(tmp_path, MONITOR.format(project=project)) as printed:

        def looked(more: int) -> bool:
            return printed().count("LOOKED") > more

        wait_for("the first look", lambda: looked(0), 60)
        tasks = [Task.create(project_name=project, task_name=f"watched {number}") for number in range(3)]
        for task in tasks:
            task.mark_started(force=True)
        tasks[0].mark_failed(status_message="message-0")
        tasks[1].mark_completed()
        wait_for("the first failure", lambda: f"SEEN {tasks[0].id} message-0" in printed(), 60)
        tasks[2].mark_failed(status_message="message-2")
        wait_for("the second failure", lambda: f"SEEN {tasks[2].id} message-2" in printed(), 60)
        count = printed().count("LOOKED")
        wait_for("two looks more", lambda: looked(count + 2), 60)
        assert printed().count("SEEN") == 2
        assert "Exception" not in printed()


@pytest.mark.long
def test_the_best_parameters_are_found(agent: Agent, project: str, tmp_path: Path) -> None:
    template = made(project, "is optimized", MEASURES, tmp_path)
    output = run_script(tmp_path, SEARCH.format(project=project, task=template.id, queue=agent.queue))
    best = [line.split() for line in output.splitlines() if line.startswith("BEST ")]
    assert [number for _, _, number in best] == ["3", "2", "1"]
    search = Task.get_task(project_name=project, task_name="search")
    assert {identifier for _, identifier, _ in best} == set(Task.query_tasks(task_filter={"parent": search.id}))
