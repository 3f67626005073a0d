"""What the SDK relies on without showing it: queries, pages, scrolls, summaries of metrics, statistics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from clearml import Task
from clearml.backend_api.session.client import APIClient

from .server import Api

MANY = 620  # more than fits on one page


@pytest.fixture(scope="module")
def many(api: Api, project: str) -> Iterator[str]:
    """A project with more tasks than fit on one page."""
    name = f"{project}/many"
    place = api.call("projects.create", name=name)["id"]
    for number in range(MANY):
        tags = ["even" if number % 2 == 0 else "odd", *(["third"] if number % 3 == 0 else [])]
        api.call("tasks.create", name=f"task {number:03}", type="testing", project=place, tags=tags)
    yield name
    api.call("projects.delete", project=place, force=True, delete_contents=True)


def test_pages_hold_every_task_once(many: str) -> None:
    ids = Task.query_tasks(project_name=many)
    assert len(ids) == len(set(ids)) == MANY


def test_scrolls_hold_every_task_once(many: str, api: Api) -> None:
    place, scroll, seen = api.project_id(many), None, list[str]()
    while True:
        answer = api.call("tasks.get_all", project=[place], size=100, scroll_id=scroll, only_fields=["id"])
        scroll = answer["scroll_id"]
        if not answer["tasks"]:
            break
        seen += [task["id"] for task in answer["tasks"]]
    assert len(seen) == len(set(seen)) == MANY


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ({"tags": ["even"]}, 310),
        ({"tags": ["even", "third"]}, 413),
        ({"tags": ["__$all", "even", "third"]}, 104),
        ({"tags": ["third", "-even"]}, 103),
        ({"name": "^task 00"}, 10),
        ({"_any_": {"fields": ["name", "comment"], "pattern": "61[0-9]$"}}, 10),
        ({"_all_": {"fields": ["name", "comment"], "pattern": "61[0-9]$"}}, 0),
        ({"type": ["training"]}, 0),
        ({"status": ["created"], "tags": ["odd"]}, 310),
    ],
)
def test_filters(many: str, api: Api, condition: dict[str, Any], count: int) -> None:
    found = api.call("tasks.get_all", project=[api.project_id(many)], only_fields=["id"], page_size=500, **condition)
    assert len(found["tasks"]) == min(count, 500)


def test_order_and_fields(many: str, api: Api) -> None:
    answer = api.call(
        "tasks.get_all_ex",
        project=[api.project_id(many)],
        order_by=["-name"],
        only_fields=["id", "name", "project.name", "user.name"],
        page_size=3,
    )
    assert [task["name"] for task in answer["tasks"]] == ["task 619", "task 618", "task 617"]
    assert {task["project"]["name"] for task in answer["tasks"]} == {many}
    assert answer["tasks"][0].keys() == {"id", "name", "project", "user"}


def test_statistics_of_a_project(many: str, api: Api) -> None:
    (found,) = api.call("projects.get_all_ex", id=[api.project_id(many)], include_stats=True)["projects"]
    assert found["stats"]["active"]["status_count"]["created"] == MANY


def test_lines_of_many_tasks_side_by_side(project: str, api: Api) -> None:
    tasks = [Task.create(project_name=project, task_name=f"line {number}") for number in range(2)]
    for number, task in enumerate(tasks):
        task.mark_started(force=True)
        events = [
            {
                "type": "training_stats_scalar",
                "task": task.id,
                "metric": "m",
                "variant": "v",
                "iter": i,
                "value": i * number,
            }
            for i in range(5000)
        ]
        for event in (events[0], events[-1]):
            api.call("events.add", **event)
    ids = [task.id for task in tasks]
    answer = api.call("events.multi_task_scalar_metrics_iter_histogram", tasks=ids)
    lines = answer["metrics"]["m"]["v"]
    assert {identifier: line["y"] for identifier, line in lines.items()} == {ids[0]: [0, 0], ids[1]: [0, 4999]}
    raw = api.call(
        "events.scalar_metrics_iter_raw", task=ids[1], metric={"metric": "m"}, batch_size=1, count_total=True
    )
    assert (raw["total"], raw["returned"], raw["variants"]["v"]) == (2, 1, {"y": [0], "iter": [0]})
    more = api.call("events.scalar_metrics_iter_raw", task=ids[1], metric={"metric": "m"}, scroll_id=raw["scroll_id"])
    assert more["variants"]["v"] == {"y": [4999], "iter": [4999]}


def test_the_generic_client(project: str) -> None:
    client = APIClient()
    created = client.tasks.create(
        name="by the client", type="testing", project=client.projects.get_all(name=project)[0].id
    )
    assert client.tasks.get_by_id(created.id).name == "by the client"
    assert [task.id for task in client.tasks.get_all(name="^by the client$")] == [created.id]


@pytest.fixture(scope="module")
def measured(api: Api, project: str) -> Iterator[dict[str, str]]:
    """Tasks that reported three values each, by name: failed, completed and running, in this order of time."""
    place = api.call("projects.create", name=f"{project}/measured")["id"]
    ids = dict[str, str]()
    for name, values, ending in (("low", (1, 5, 3), "failed"), ("mid", (6, 2, 4), "completed"), ("top", (4, 0, 8), "")):
        ids[name] = api.call("tasks.create", name=name, type="training", project=place)["id"]
        api.call("tasks.started", task=ids[name])
        for number, value in enumerate(values):
            event: dict[str, Any] = {"metric": "a metric", "variant": "a.variant", "iter": number, "value": value}
            api.call("events.add", type="training_stats_scalar", task=ids[name], **event)
        if ending:
            api.call(f"tasks.{ending}", task=ids[name])
    yield ids
    api.call("projects.delete", project=place, force=True, delete_contents=True)


METRIC = ".".join(("last_metrics", *(hashlib.md5(name).hexdigest() for name in (b"a metric", b"a.variant"))))  # noqa: S324


def names(found: list[dict[str, Any]]) -> list[str]:
    """Return the names of what was found."""
    return [item["name"] for item in found]


def test_a_task_keeps_a_summary_of_each_metric(measured: dict[str, str], api: Api) -> None:
    (task,) = api.call("tasks.get_all", id=[measured["low"]])["tasks"]
    _, metric, variant = METRIC.split(".")
    line = task["last_metrics"][metric][variant]
    assert (line["metric"], line["variant"]) == ("a metric", "a.variant")
    assert (line["first_value"], line["value"], line["count"]) == (1, 3, 3)
    assert (line["min_value"], line["min_value_iteration"]) == (1, 0)
    assert (line["max_value"], line["max_value_iteration"]) == (5, 1)
    assert line["mean_value"] == pytest.approx(3)
    assert task["last_iteration"] == 2


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("value", ["low", "mid", "top"]),
        ("-value", ["top", "mid", "low"]),
        ("min_value", ["top", "low", "mid"]),
        ("-max_value", ["top", "mid", "low"]),
    ],
)
def test_tasks_in_the_order_of_a_metric(measured: dict[str, str], api: Api, order: str, expected: list[str]) -> None:
    sign = "-" if order.startswith("-") else ""
    by = f"{sign}{METRIC}.{order.removeprefix('-')}"
    assert names(api.call("tasks.get_all", id=list(measured.values()), order_by=[by])["tasks"]) == expected


def test_tasks_within_a_range_of_a_metric(measured: dict[str, str], api: Api) -> None:
    def found(value: str, *limits: int | None) -> set[str]:
        condition: dict[str, Any] = {f"{METRIC}.{value}": list(limits)}
        return set(names(api.call("tasks.get_all_ex", id=list(measured.values()), **condition)["tasks"]))

    assert found("value", 4, None) == {"mid", "top"}
    assert found("max_value", None, 6) == {"low", "mid"}
    assert found("value", 4, 4) == {"mid"}


def test_tasks_whose_status_changed_in_a_range_of_time(measured: dict[str, str], api: Api) -> None:
    ids = list(measured.values())
    changed = {task["name"]: task["status_changed"] for task in api.call("tasks.get_all", id=ids)["tasks"]}

    def found(*limits: str) -> set[str]:
        return set(names(api.call("tasks.get_all", id=ids, status_changed=list(limits))["tasks"]))

    assert found(f">{changed['low']}") == {"mid", "top"}
    assert found(f">={changed['low']}") == {"low", "mid", "top"}
    assert found(f">{changed['low']}", f"<{changed['top']}") == {"mid"}
    assert found(f"<={changed['mid']}") == {"low", "mid"}


def test_the_metrics_of_a_project(measured: dict[str, str], api: Api, project: str) -> None:
    place = api.project_id(f"{project}/measured")
    found = api.call("projects.get_unique_metric_variants", project=place)["metrics"]
    assert [(metric["metric"], metric["variant"]) for metric in found] == [("a metric", "a.variant")]
    (stats,) = api.call("projects.get_all_ex", id=[place], include_stats=True)["projects"]
    counts = stats["stats"]["active"]["status_count"]
    assert (counts["failed"], counts["completed"], counts["in_progress"]) == (1, 1, 1)


def test_sub_projects_are_below_their_parent(measured: dict[str, str], api: Api, project: str) -> None:
    parent, child = (api.project_id(name) for name in (project, f"{project}/measured"))
    found = api.call("projects.get_by_id", project=child)["project"]
    assert (found["parent"], found["basename"]) == (parent, "measured")
    assert api.answer("projects.delete", project=parent).status == 400
    below = Task.query_tasks(project_name=f"{project}/measured", task_filter={"order_by": ["name"]})
    assert below == [measured[name] for name in ("low", "mid", "top")]
