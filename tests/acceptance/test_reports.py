"""What a task of the SDK connects, reports and stores is there to be read back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from clearml import Task

from .server import Api, marked, run_script

REPORTING = """
    import argparse, hashlib, io, os, pathlib
    import numpy, pandas
    from PIL import Image
    from clearml import Task

    task = Task.init(project_name=os.environ["PROJECT"], task_name="reporting", tags=["one", "two"])
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=4)
    parser.parse_args()
    task.connect({"rate": 0.1, "nested": {"x": "y"}, "with.dot": 1, "with$dollar": 2, "with space": 3})
    task.connect({"key": 1}, name="Other")
    task.connect_configuration({"model": {"layers": 2}}, name="model")
    task.set_parameter("Extra/by name", "value")
    task.set_user_properties(author="somebody")
    task.set_comment("a comment")

    logger = task.get_logger()
    for step in range(10):
        print("console line", step)
        logger.report_scalar("loss", "train", value=1 / (step + 1), iteration=step)
        logger.report_scalar("loss", "test", value=2 / (step + 1), iteration=step)
    logger.report_single_value("accuracy", 0.9)
    logger.report_text("a line of text")

    square = numpy.arange(9).reshape(3, 3)
    logger.report_table("table", "rows", iteration=0, table_plot=pandas.DataFrame({"a": [1, 2]}))
    logger.report_histogram("histogram", "bars", iteration=0, values=[1, 2, 3])
    logger.report_scatter2d("scatter", "flat", iteration=0, scatter=[(1, 2), (3, 4)])
    logger.report_scatter3d("scatter", "deep", iteration=0, scatter=[(1, 2, 3), (4, 5, 6)])
    logger.report_surface("surface", "square", iteration=0, matrix=square)
    logger.report_confusion_matrix("confusion", "square", iteration=0, matrix=square)
    logger.report_plotly("figure", "line", iteration=0, figure={"data": [{"x": [1], "y": [2], "type": "scatter"}]})

    for step in range(3):
        logger.report_image("image", "black", iteration=step, image=numpy.zeros((8, 8, 3), dtype=numpy.uint8))
    logger.report_media("media", "sound", iteration=0, stream=io.BytesIO(b"RIFF"), file_extension="wav")
    logger.report_media("media", "film", iteration=0, stream=io.BytesIO(b"film"), file_extension="mp4")
    logger.report_media("media", "page", iteration=0, stream=io.StringIO("<p>page</p>"), file_extension="html")

    content = os.urandom(300_000)
    folder = pathlib.Path("folder")
    folder.mkdir()
    (folder / "one.txt").write_text("one")
    (folder / "bytes.bin").write_bytes(content)
    for name, thing in {
        "bytes": "folder/bytes.bin",
        "folder": folder,
        "object": {"a": 1},
        "frame": pandas.DataFrame({"a": [1, 2]}),
        "array": square,
        "picture": Image.new("RGB", (2, 3), "red"),
        "words": "only words",
        "anything": (1, {2}),
    }.items():
        assert task.upload_artifact(name, thing), name
    print("TASK", task.id, hashlib.sha256(content).hexdigest())
    task.close()
"""


@pytest.fixture(scope="module")
def reported(project: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, str]:
    """A finished task that reported something of each kind, and the hash of a file that it stored."""
    # With the settings of a user who changed none: the reports are sent by a process of their own.
    folder, environment = tmp_path_factory.mktemp("reporting"), {"PROJECT": f"{project}/deep/deeper"}
    identifier, digest = marked(run_script(folder, REPORTING, environment=environment, more=""), "TASK")
    return Task.get_task(task_id=identifier), digest


def test_parameters_are_those_that_were_connected(reported: tuple[Task, str]) -> None:
    task, _ = reported
    parameters = task.get_parameters_as_dict(cast=True)
    assert parameters["Args"] == {"depth": 4}
    assert parameters["Other"] == {"key": 1}
    general = parameters["General"]
    assert (general["rate"], general["nested"]) == (0.1, {"x": "y"})
    assert (general["with.dot"], general["with$dollar"], general["with space"]) == (1, 2, 3)
    assert task.get_parameter("Extra/by name") == "value"
    assert task.get_configuration_object_as_dict("model") == {"model": {"layers": 2}}
    assert task.get_user_properties(value_only=True) == {"author": "somebody"}
    assert task.comment == "a comment"


def test_scalars_are_those_that_were_reported(reported: tuple[Task, str]) -> None:
    task, _ = reported
    lines = task.get_reported_scalars()["loss"]
    assert lines["train"]["x"] == list(range(10))
    assert lines["test"]["y"] == pytest.approx([2 / (step + 1) for step in range(10)])
    assert task.get_last_scalar_metrics()["loss"]["train"] == {"last": 0.1, "min": 0.1, "max": 1.0}
    assert task.get_reported_single_values() == {"accuracy": 0.9}
    assert task.get_last_iteration() == 9


def test_plots_are_those_that_were_reported(reported: tuple[Task, str], api: Api) -> None:
    task, _ = reported
    expected = {
        ("table", "rows"),
        ("histogram", "bars"),
        ("scatter", "flat"),
        ("scatter", "deep"),
        ("surface", "square"),
        ("confusion", "square"),
        ("figure", "line"),
    }
    plots = {(plot["metric"], plot["variant"]): plot for plot in task.get_reported_plots()}
    assert plots.keys() == expected
    assert '"z": [[0' in plots["surface", "square"]["plot_str"]
    answer = api.call("events.get_task_plots", task=task.id, iters=1, no_scroll=True)
    assert {(plot["metric"], plot["variant"]) for plot in answer["plots"]} == expected


def test_debug_samples_come_back(reported: tuple[Task, str], api: Api) -> None:
    task, _ = reported
    images = task.get_debug_samples("image", "black")
    assert sorted(image["iter"] for image in images) == [0, 1, 2]
    assert api.file(images[0]["url"]).headers["Content-Type"].startswith("image/")
    answer = api.call("events.debug_images", metrics=[{"task": task.id}], iters=1)
    (found,) = answer["metrics"]
    latest = {(event["metric"], event["variant"]): event for event in found["iterations"][0]["events"]}
    assert latest["image", "black"]["iter"] == 2

    def media(variant: str) -> tuple[bytes, str]:
        (event,) = task.get_debug_samples("media", variant)
        answer = api.file(event["url"])
        return answer.content, answer.headers["Content-Type"].split(";")[0]

    assert media("sound")[0] == b"RIFF"
    assert media("film") == (b"film", "video/mp4")
    assert media("page") == (b"<p>page</p>", "text/html")


def test_the_console_is_in_order(reported: tuple[Task, str], api: Api) -> None:
    task, _ = reported
    console = "\n".join(task.get_reported_console_output(number_of_reports=100))
    assert "a line of text" in console
    places = [console.index(f"console line {step}") for step in range(10)]
    assert places == sorted(places)
    newest = api.call("events.get_task_log", task=task.id, batch_size=1, order="desc", navigate_earlier=True)
    oldest = api.call("events.get_task_log", task=task.id, batch_size=1, order="asc", navigate_earlier=False)
    assert newest["total"] == oldest["total"] > 1
    assert newest["events"][0]["timestamp"] > oldest["events"][0]["timestamp"]


def test_artifacts_come_back_as_they_were(reported: tuple[Task, str]) -> None:
    task, digest = reported
    stored = Path(task.artifacts["bytes"].get_local_copy(force_download=True)).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == digest == task.artifacts["bytes"].hash
    folder = Path(task.artifacts["folder"].get_local_copy())
    assert (folder / "one.txt").read_text() == "one"
    assert (folder / "bytes.bin").read_bytes() == stored

    def get(name: str) -> Any:
        return task.artifacts[name].get(force_download=True)

    assert get("object") == {"a": 1}
    assert list(get("frame")["a"]) == [1, 2]
    assert get("array").tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert (get("picture").size, get("picture").getpixel((0, 0))) == ((2, 3), (255, 0, 0))
    assert get("words") == "only words"
    assert get("anything") == (1, {2})


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
