"""Errors say what is wrong, as the official server says it, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from clearml.backend_api.session.client import APIClient, APIError

from .server import Api

NOBODY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def place(api: Api, project: str) -> str:
    """The id of the project."""
    return api.project_id(project)


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
def test_status_changes(api: Api, place: str, path: list[str], status: int) -> None:
    task = api.call("tasks.create", name="changes", type="testing", project=place)["id"]
    *before, last = path
    for change in before:
        api.call(f"tasks.{change}", task=task)
    answer = api.answer(f"tasks.{last}", task=task)
    assert answer.status == status
    assert answer.subcode == (0 if status == 200 else 110)


def test_a_published_task_takes_no_events(api: Api, place: str) -> None:
    task = api.call("tasks.create", name="published", type="testing", project=place)["id"]
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


def test_a_forged_token_is_refused(api: Api) -> None:
    head, _, _ = api.headers["Authorization"].rpartition(".")
    answer = api.answer("tasks.get_all", headers={"Authorization": f"{head}.{'A' * 43}"})
    assert (answer.status, answer.data) == (401, {})


def test_an_unknown_endpoint_is_named(api: Api) -> None:
    answer = api.answer("tasks.nothing")
    assert (answer.status, answer.code) == (404, 404)
    assert "tasks.nothing" in answer.message


@pytest.mark.parametrize(
    ("endpoint", "request_"),
    [
        ("tasks.get_all", {"id": {"a": 1}}),
        ("tasks.create", {"name": ["not", "a", "name"], "type": "testing"}),
        ("projects.create", {}),
        ("queues.create", {"name": 5}),
        ("events.get_task_log", {"task": None}),
    ],
)
def test_wrong_types_are_refused(api: Api, endpoint: str, request_: dict[str, Any]) -> None:
    answer = api.answer(endpoint, **request_)
    assert answer.status == 400, answer
    assert answer.message and "Traceback" not in answer.message


def test_the_sdk_raises_what_the_server_says(api: Api) -> None:
    with pytest.raises(APIError, match="Invalid task id") as caught:
        APIClient().tasks.get_by_id(NOBODY)
    assert (caught.value.code, caught.value.subcode) == (400, 101)


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd"])
def test_a_path_does_not_leave_the_files(api: Api, path: str) -> None:
    status, content = api.raw_file("GET", path)
    assert status in (400, 403, 404)
    assert b"root:" not in content


def test_files_are_for_those_who_are_logged_in(api: Api) -> None:
    assert requests.get(f"{api.files}/nothing", timeout=60).status_code == 401
    assert requests.post(api.files, files={"/nothing": b"x"}, timeout=60).status_code == 401
    assert api.file(f"{api.files}/nothing").status_code == 404
