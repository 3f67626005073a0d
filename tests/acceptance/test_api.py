"""What the SDK relies on without showing it: queries, pages, scrolls, and errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clearml import Task
from clearml.backend_api.session.client import APIClient

from .server import Api

NOBODY = "0123456789abcdef0123456789abcdef"
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


def project_id(api: Api, name: str) -> str:
    """Return the id of a project."""
    found: str = api.call("projects.get_all", name=f"^{name}$", only_fields=["id"])["projects"][0]["id"]
    return found


def test_pages_hold_every_task_once(many: str) -> None:
    ids = Task.query_tasks(project_name=many)
    assert len(ids) == len(set(ids)) == MANY


def test_scrolls_hold_every_task_once(many: str, api: Api) -> None:
    place, scroll, seen = project_id(api, many), None, list[str]()
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
    found = api.call("tasks.get_all", project=[project_id(api, many)], only_fields=["id"], page_size=500, **condition)
    assert len(found["tasks"]) == min(count, 500)


def test_order_and_fields(many: str, api: Api) -> None:
    answer = api.call(
        "tasks.get_all_ex",
        project=[project_id(api, many)],
        order_by=["-name"],
        only_fields=["id", "name", "project.name", "user.name"],
        page_size=3,
    )
    assert [task["name"] for task in answer["tasks"]] == ["task 619", "task 618", "task 617"]
    assert {task["project"]["name"] for task in answer["tasks"]} == {many}
    assert answer["tasks"][0].keys() == {"id", "name", "project", "user"}


def test_statistics_of_a_project(many: str, api: Api) -> None:
    (found,) = api.call("projects.get_all_ex", id=[project_id(api, many)], include_stats=True)["projects"]
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


@pytest.mark.parametrize(
    ("endpoint", "request_", "expected"),
    [
        ("tasks.get_by_id", {"task": NOBODY}, (400, 101, f"Invalid task id: ids=({NOBODY})")),
        ("tasks.edit", {"task": NOBODY, "name": "any"}, (400, 101, "Invalid task id: id=")),
        ("tasks.get_by_id", {}, (400, 12, "Validation error (error for field 'task'. field is required!)")),
        ("tasks.create", {"name": "ok", "type": "testing"}, (400, 800, "Data validation error")),
        ("tasks.create", {"name": "long", "type": "nothing"}, (400, 12, "Validation error")),
        ("tasks.get_all", {"page_size": 0}, (400, 12, "Validation error (page_size must be >0)")),
        ("tasks.get_all", {"only_fields": ["nothing"]}, (400, 14, "Lookup error")),
        ("tasks.get_all", {"name": "("}, (400, 21, "Malformed regular expression")),
        ("tasks.enqueue", {"task": NOBODY, "queue": NOBODY}, (400, 101, "Invalid task id")),
        ("models.get_by_id", {"model": NOBODY}, (400, 201, "Invalid model id (no such public or company model)")),
        ("models.set_ready", {"model": NOBODY}, (400, 201, "Invalid model id")),
        ("projects.get_by_id", {"project": NOBODY}, (400, 401, "Invalid project id")),
        ("projects.update", {"project": NOBODY, "description": "x"}, (400, 401, "Invalid project id")),
        ("queues.get_by_id", {"queue": NOBODY}, (400, 701, "Invalid queue id")),
        ("events.get_task_log", {"task": NOBODY}, (400, 101, "Invalid task id")),
        ("events.get_task_events", {"task": NOBODY}, (400, 101, "Invalid task id")),
    ],
)
def test_errors_say_what_is_wrong(
    api: Api, endpoint: str, request_: dict[str, Any], expected: tuple[int, int, str]
) -> None:
    answer = api.answer(endpoint, **request_)
    status, subcode, message = expected
    assert (answer.status, answer.code, answer.subcode) == (status, status, subcode), answer
    assert answer.message.startswith(message)


@pytest.mark.parametrize(
    ("path", "status"),
    [(["completed"], 400), (["started", "completed", "started"], 200), (["started", "failed", "completed"], 400)],
)
def test_status_changes(api: Api, project: str, path: list[str], status: int) -> None:
    task = api.call("tasks.create", name="changes", type="testing", project=project_id(api, project))["id"]
    *before, last = path
    for change in before:
        api.call(f"tasks.{change}", task=task)
    answer = api.answer(f"tasks.{last}", task=task)
    assert answer.status == status
    assert answer.subcode == (0 if status == 200 else 110)


def test_a_published_task_takes_no_events(api: Api, project: str) -> None:
    task = api.call("tasks.create", name="published", type="testing", project=project_id(api, project))["id"]
    for change in ("started", "completed", "publish"):
        api.call(f"tasks.{change}", task=task)
    event = {"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "iter": 1, "value": 1}
    assert api.answer("events.add", **event).subcode == 131
    assert api.answer("tasks.delete", task=task).subcode == 123


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic bm9ib2R5Om5vdGhpbmc=", "Nothing x", None])
def test_nobody_gets_in(api: Api, header: str | None) -> None:
    answer = api.answer("tasks.get_all", headers={"Authorization": header} if header else {})
    assert answer.status == 401
    assert answer.data == {}
