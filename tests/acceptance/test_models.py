"""Models and data sets of the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clearml import Dataset, InputModel, Model, OutputModel, Task

from .server import Api, wait_for


@pytest.fixture
def task(project: str) -> Iterator[Task]:
    """A running task that is not the process's own."""
    task = Task.create(project_name=project, task_name="makes models")
    task.mark_started(force=True)
    yield task
    task.mark_completed(ignore_errors=True)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights" * 100)
    return path


def made(task: Task, api: Api, weights: Path, name: str, **details: object) -> OutputModel:
    """A model whose file is on the files server."""
    model = OutputModel(task=task, name=name, framework="Custom", **details)
    uploaded = model.update_weights(str(weights), upload_uri=api.files, auto_delete_file=False, async_enable=False)
    assert uploaded, f"{name} has no file"
    return model


def test_a_model_is_found_and_its_file_comes_back(task: Task, api: Api, project: str, weights: Path) -> None:
    model = made(task, api, weights, "first model", tags=["prod"], label_enumeration={"a": 0, "b": 1})
    model.set_metadata("accuracy", "0.9", "float")
    assert [found.id for found in Model.query_models(project_name=project, tags=["prod"])] == [model.id]
    assert Model.query_models(project_name=project, tags=["prod"], only_published=True) == []
    model.publish()
    (found,) = Model.query_models(project_name=project, model_name="first model", only_published=True)
    assert (found.name, found.labels, found.framework) == ("first model", {"a": 0, "b": 1}, "Custom")
    assert found.get_metadata("accuracy") == "0.9"
    assert Path(InputModel(model_id=model.id).get_weights(force_download=True)).read_bytes() == weights.read_bytes()
    assert [output.id for output in Task.get_task(task_id=task.id).models["output"]] == [model.id]


def test_an_input_model_is_noted_in_the_task(task: Task, api: Api, weights: Path) -> None:
    model = made(task, api, weights, "an input")
    user = Task.create(project_name=task.get_project_name(), task_name="uses a model")
    user.set_input_model(model.id)
    assert [item.id for item in Task.get_task(task_id=user.id).models["input"]] == [model.id]


def test_scalars_of_a_model(task: Task, api: Api, weights: Path) -> None:
    model = made(task, api, weights, "with scalars")
    for step in range(3):
        model.report_scalar("quality", "test", value=step / 2, iteration=step)
    task.flush(wait_for_uploads=True)
    found = wait_for(
        "the last scalar",
        lambda: api.call("models.get_by_id", model=model.id)["model"]["last_metrics"] or None,
        seconds=60,
    )
    ((line,),) = [list(variants.values()) for variants in found.values()]
    assert (line["value"], line["max_value"], line["count"]) == (1.0, 1.0, 3)


def test_archive_and_delete(task: Task, api: Api, project: str, weights: Path) -> None:
    model = made(task, api, weights, "goes away")
    url = model.url
    Model(model_id=model.id).archive()
    assert Model.query_models(project_name=project, model_name="goes away") == []
    assert Model.query_models(project_name=project, model_name="goes away", include_archived=True)
    assert Model.remove(model.id, delete_weights_file=True, force=True)
    assert api.answer("models.get_by_id", model=model.id).subcode == 201
    wait_for("the file is gone", lambda: api.file(url).status_code == 404, seconds=60)


def test_a_data_set_and_a_version_of_it(project: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "one.txt").write_text("one")
    first = Dataset.create(dataset_project=project, dataset_name="numbers", dataset_version="1.0.0")
    first.add_files(str(folder))
    first.upload(show_progress=False)
    assert first.finalize()
    (folder / "two.txt").write_text("two")
    second = Dataset.create(
        dataset_project=project, dataset_name="numbers", dataset_version="1.1.0", parent_datasets=[first.id]
    )
    second.sync_folder(str(folder))
    second.upload(show_progress=False)
    assert second.finalize()
    newest = Dataset.get(dataset_project=project, dataset_name="numbers")
    assert (newest.id, newest.version) == (second.id, "1.1.0")
    copy = Path(newest.get_local_copy())
    assert {path.name: path.read_text() for path in copy.glob("*.txt")} == {"one.txt": "one", "two.txt": "two"}
    listed = Dataset.list_datasets(dataset_project=project, partial_name="numbers", only_completed=True)
    assert {item["id"] for item in listed} == {first.id, second.id}
