"""Tasks of the SDK: what they report is there to be read back, and stays until it is deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from clearml import Task

from .server import Api, marked, run_script, wait_for

REPORTING = """
    import argparse, hashlib, os, pathlib
    import numpy, pandas
    from clearml import Task

    task = Task.init(project_name=os.environ["PROJECT"], task_name="reporting", tags=["one", "two"])
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=4)
    parser.parse_args()
    settings = task.connect({"rate": 0.1, "nested": {"x": "y"}, "with.dot": 1, "with$dollar": 2, "with space": 3})
    task.connect({"key": 1}, name="Other")
    task.connect_configuration({"model": {"layers": 2}}, name="model")
    logger = task.get_logger()
    for step in range(10):
        logger.report_scalar("loss", "train", value=1 / (step + 1), iteration=step)
        logger.report_scalar("loss", "test", value=2 / (step + 1), iteration=step)
    logger.report_single_value("accuracy", 0.9)
    logger.report_text("a line of text")
    logger.report_table("table", "rows", iteration=0, table_plot=pandas.DataFrame({"a": [1, 2]}))
    logger.report_histogram("histogram", "bars", iteration=0, values=[1, 2, 3])
    logger.report_plotly("figure", "line", iteration=0, figure={"data": [{"x": [1], "y": [2], "type": "scatter"}]})
    logger.report_image("image", "black", iteration=0, image=numpy.zeros((8, 8, 3), dtype=numpy.uint8))
    print("printed on the console")
    content = os.urandom(300_000)
    pathlib.Path("bytes.bin").write_bytes(content)
    task.upload_artifact("bytes", "bytes.bin", wait_on_upload=True)
    task.upload_artifact("object", {"a": 1}, wait_on_upload=True)
    task.upload_artifact("table", pandas.DataFrame({"a": [1, 2]}), wait_on_upload=True)
    print("TASK", task.id, hashlib.sha256(content).hexdigest())
    task.close()
"""


@pytest.fixture(scope="module")
def reported(project: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, str]:
    """A finished task that reported something of each kind, and the hash of a file that it stored."""
    output = run_script(
        tmp_path_factory.mktemp("reporting"), REPORTING, environment={"PROJECT": f"{project}/deep/deeper"}
    )
    identifier, digest = marked(output, "TASK")
    return Task.get_task(task_id=identifier), digest


def test_parameters_are_those_that_were_connected(reported: tuple[Task, str]) -> None:
    task, _ = reported
    parameters = task.get_parameters_as_dict(cast=True)
    assert parameters["Args"] == {"depth": 4}
    assert parameters["Other"] == {"key": 1}
    general = parameters["General"]
    assert (general["rate"], general["nested"]) == (0.1, {"x": "y"})
    assert (general["with.dot"], general["with$dollar"], general["with space"]) == (1, 2, 3)
    assert task.get_configuration_object_as_dict("model") == {"model": {"layers": 2}}


def test_scalars_are_those_that_were_reported(reported: tuple[Task, str]) -> None:
    task, _ = reported
    lines = task.get_reported_scalars()["loss"]
    assert lines["train"]["x"] == list(range(10))
    assert lines["test"]["y"] == pytest.approx([2 / (step + 1) for step in range(10)])
    assert task.get_last_scalar_metrics()["loss"]["train"] == {"last": 0.1, "min": 0.1, "max": 1.0}
    assert task.get_reported_single_values() == {"accuracy": 0.9}
    assert task.get_last_iteration() == 9


def test_plots_images_and_console_are_there(reported: tuple[Task, str], api: Api) -> None:
    task, _ = reported
    assert {plot["metric"] for plot in task.get_reported_plots()} == {"table", "histogram", "figure"}
    (image,) = task.get_debug_samples("image", "black")
    assert api.file(image["url"]).headers["Content-Type"].startswith("image/")
    console = "\n".join(task.get_reported_console_output(number_of_reports=50))
    assert "a line of text" in console
    assert "printed on the console" in console


def test_artifacts_come_back_byte_by_byte(reported: tuple[Task, str]) -> None:
    task, digest = reported
    stored = Path(task.artifacts["bytes"].get_local_copy(force_download=True)).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == digest
    assert task.artifacts["object"].get() == {"a": 1}
    assert list(task.artifacts["table"].get()["a"]) == [1, 2]


def test_a_task_is_found_by_name_project_tags_and_status(reported: tuple[Task, str], project: str) -> None:
    task, _ = reported
    deep = f"{project}/deep/deeper"
    assert Task.get_task(project_name=deep, task_name="reporting").id == task.id
    assert [found.id for found in Task.get_tasks(project_name=deep, tags=["one"])] == [task.id]
    assert Task.query_tasks(project_name=deep, tags=["__$all", "one", "two"]) == [task.id]
    assert Task.query_tasks(project_name=deep, tags=["one", "-two"]) == []
    assert Task.query_tasks(project_name=deep, task_filter={"status": ["completed"]}) == [task.id]
    (row,) = Task.query_tasks(project_name=deep, additional_return_fields=["last_metrics", "status"])
    assert str(row["status"]) == "completed"


def test_reuse_continue_and_a_new_one(project: str, tmp_path: Path) -> None:
    script = """
        import os
        from clearml import Task
        task = Task.init(project_name=os.environ["PROJECT"], task_name="again", auto_connect_frameworks=False, {})
        task.get_logger().report_scalar("a", "b", value=1, iteration=1)
        print("TASK", task.id, task.get_initial_iteration())
    """

    def run(how: str) -> list[str]:
        return marked(run_script(tmp_path, script.replace("{}", how), environment={"PROJECT": project}), "TASK")

    first, _ = run("reuse_last_task_id=False")
    second, _ = run("reuse_last_task_id=False")
    continued, iteration = run(f"continue_last_task='{second}'")
    assert first != second
    assert (continued, iteration) == (second, "2")


@pytest.mark.parametrize("ending", ["completed", "stopped", "failed", "published"])
def test_the_end_of_a_task(project: str, ending: str) -> None:
    task = Task.create(project_name=project, task_name=f"ends {ending}")
    task.mark_started(force=True)
    if ending == "published":
        task.mark_completed()
        task.publish()
    else:
        getattr(task, f"mark_{ending}")(status_message="what")
    task.reload()
    assert str(task.get_status()) == ending
    assert task.data.status_message == ("" if ending == "published" else "what")


def test_a_failing_script_is_a_failed_task(project: str, tmp_path: Path) -> None:
    script = """
        import os
        from clearml import Task
        task = Task.init(project_name=os.environ["PROJECT"], task_name="raises", auto_connect_frameworks=False)
        print("TASK", task.id)
        raise ValueError("on purpose")
    """
    output = run_script(tmp_path, script, environment={"PROJECT": project}, fails=True)
    (identifier,) = marked(output, "TASK")
    assert Task.get_task(task_id=identifier).get_status() == "failed"


def test_a_clone_has_the_parameters_and_none_of_the_results(reported: tuple[Task, str], queue: str, api: Api) -> None:
    task, _ = reported
    copy = Task.clone(source_task=task, name="copy")
    copy.set_parameter("General/rate", 0.5)
    assert copy.get_parameters()["General/rate"] == "0.5"
    assert copy.get_parameters()["Args/depth"] == "4"
    assert (copy.artifacts, copy.get_last_scalar_metrics(), str(copy.get_status())) == ({}, {}, "created")
    Task.enqueue(copy, queue_name=queue)
    assert str(copy.get_status()) == "queued"
    (waiting,) = api.call("queues.get_all", name=f"^{queue}$")["queues"][0]["entries"]
    assert waiting["task"] == copy.id
    Task.dequeue(copy)
    assert str(copy.get_status()) == "created"


def test_archive_and_back(project: str) -> None:
    task = Task.create(project_name=project, task_name="put away")
    task.set_archived(True)
    assert task.get_archived()
    assert (
        Task.query_tasks(project_name=project, task_name="put away", task_filter={"system_tags": ["-archived"]}) == []
    )
    task.set_archived(False)
    assert not task.get_archived()


def test_a_reset_task_is_a_draft_without_results(project: str) -> None:
    task = Task.create(project_name=project, task_name="reset")
    task.set_parameters({"General/a": 1})
    task.mark_started(force=True)
    task.get_logger().report_scalar("m", "v", value=1, iteration=1)
    task.flush(wait_for_uploads=True)
    wait_for("the scalar", lambda: task.get_last_scalar_metrics())
    task.mark_completed()
    task.reset(force=True)
    task.reload()
    assert (str(task.get_status()), task.get_last_scalar_metrics()) == ("created", {})
    assert task.get_parameters() == {"General/a": "1"}
    assert task.get_reported_scalars() == {}


def test_deleting_a_task_deletes_its_files(project: str, tmp_path: Path, api: Api) -> None:
    script = """
        import os
        from clearml import Task
        task = Task.init(project_name=os.environ["PROJECT"], task_name="to be deleted", auto_connect_frameworks=False)
        task.upload_artifact("a b", {"x": 1}, wait_on_upload=True)
        print("TASK", task.id, task.artifacts["a b"].url)
    """
    identifier, url = marked(run_script(tmp_path, script, environment={"PROJECT": project}), "TASK")
    assert api.file(url).status_code == 200
    assert Task.get_task(task_id=identifier).delete(delete_artifacts_and_models=True)
    assert Task.query_tasks(task_filter={"id": [identifier]}) == []
    wait_for("the file is gone", lambda: api.file(url).status_code == 404, seconds=60)
