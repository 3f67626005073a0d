"""Models of the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clearml import InputModel, Model, OutputModel, Task

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


def test_models_are_found_by_metadata_and_tags(task: Task, api: Api, project: str, weights: Path) -> None:
    models = {name: made(task, api, weights, f"kind {name}", tags=[name, "all"]) for name in ("one", "two")}
    for name, model in models.items():
        assert model.set_all_metadata(
            {"kind": {"value": name, "type": "str"}, "size": {"value": "3", "type": "int"}}, replace=True
        )

    def found(**conditions: object) -> set[str]:
        return {model.name for model in Model.query_models(project_name=project, **conditions)}

    assert found(metadata={"kind": "one"}) == {"kind one"}
    assert found(metadata={"size": "3"}) == {"kind one", "kind two"}
    assert found(metadata={"kind": "three"}) == set()
    assert found(tags=["one", "two"]) == {"kind one", "kind two"}
    assert found(tags=["__$all", "all", "__$not", "one"]) == {"kind two"}
    assert found(tags=["all", "-two"]) == {"kind one"}
    assert len(Model.query_models(project_name=project, tags=["all"], max_results=1)) == 1
    assert Model(model_id=models["one"].id).get_all_metadata_casted()["size"] == 3


def test_new_weights_take_the_place_of_the_old_ones(task: Task, api: Api, weights: Path) -> None:
    model = made(task, api, weights, "renewed")
    weights.write_bytes(b"better")
    assert model.update_weights(str(weights), upload_uri=api.files, auto_delete_file=False, async_enable=False)
    model.labels = {"cat": 1}
    model.config_dict = {"layers": 3}
    found = Model(model_id=model.id)
    assert Path(found.get_weights(force_download=True)).read_bytes() == b"better"
    assert (found.labels, found.config_dict, found.task) == ({"cat": 1}, {"layers": 3}, task.id)


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
    assert (line["min_value"], line["first_value"], line["mean_value"]) == (0.0, 0.0, 0.5)
    assert (line["metric"], line["variant"]) == ("quality", "test")


def test_archive_and_delete(task: Task, api: Api, project: str, weights: Path) -> None:
    model = made(task, api, weights, "goes away")
    url = model.url
    Model(model_id=model.id).archive()
    assert Model.query_models(project_name=project, model_name="goes away") == []
    assert Model.query_models(project_name=project, model_name="goes away", include_archived=True)
    Model(model_id=model.id).unarchive()
    assert Model.query_models(project_name=project, model_name="goes away")
    assert Model.remove(model.id, delete_weights_file=True, force=True)
    assert api.answer("models.get_by_id", model=model.id).subcode == 201
    wait_for("the file is gone", lambda: api.file(url).status_code == 404, seconds=60)
