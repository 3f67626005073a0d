"""The life of a task, from its first run to the end of its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from clearml import Task

from .server import Api, marked, run_script, wait_for


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


def test_a_script_uses_its_task_again_or_continues_it(project: str, tmp_path: Path) -> None:
    script = """
        import os
        from clearml import Task
        task = Task.init(project_name=os.environ["PROJECT"], task_name="again", auto_connect_frameworks=False, HOW)
        print("TASK", task.id, task.get_initial_iteration(), len(task.get_last_scalar_metrics()))
        task.get_logger().report_scalar("a", "b", value=1, iteration=1)
        if KEEP:
            task.upload_artifact("kept", {"a": 1}, wait_on_upload=True)
    """

    def run(how: str = "", keep: bool = False) -> tuple[str, int, int]:
        text = script.replace(", HOW", f", {how}").replace("KEEP", str(keep))
        identifier, iteration, metrics = marked(run_script(tmp_path, text, environment={"PROJECT": project}), "TASK")
        return identifier, int(iteration), int(metrics)

    first, *_ = run()
    assert run(keep=True) == (first, 0, 0), "the task is not reset and used again"
    assert run("continue_last_task=True") == (first, 2, 1)
    second, *_ = run()
    assert second != first, "a task that keeps an artifact is used again"
    assert run(f"continue_last_task={first!r}")[0] == first
    assert run("reuse_last_task_id=False")[0] not in (first, second)


def test_a_session_without_a_server_is_imported(project: str, tmp_path: Path) -> None:
    script = """
        import os
        from clearml import Task
        Task.set_offline(True)
        task = Task.init(project_name=os.environ["PROJECT"], task_name="offline", auto_connect_frameworks=False)
        task.connect({"a": 1})
        task.get_logger().report_scalar("m", "v", value=3, iteration=7)
        task.upload_artifact("object", {"x": 1}, wait_on_upload=True)
        print("offline line")
        task.close()
        print("SESSION", task.get_offline_mode_folder())
    """
    (session,) = marked(run_script(tmp_path, script, environment={"PROJECT": project}), "SESSION")
    task = Task.get_task(task_id=Task.import_offline_session(f"{session}.zip"))
    assert task.get_parameters() == {"General/a": "1"}
    assert task.get_reported_scalars()["m"]["v"] == {"name": "v", "x": [7], "y": [3.0]}
    assert task.artifacts["object"].get() == {"x": 1}
    assert "offline line" in "\n".join(task.get_reported_console_output(number_of_reports=10))
    assert str(task.get_status()) == "completed"
