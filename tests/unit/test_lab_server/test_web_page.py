"""The page of the web server before an apiserver of chosen answers: what it asks, and what errors look like."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient

from clearml_lab.webserver.page.app import create_app
from clearml_lab.webserver.page.files import FileLinks

COOKIE = "clearml_token_basic=TOKEN; Max-Age=99; HttpOnly; Path=/; SameSite=Lax"
RELEASE = "9.8.7"
SCRIPT = "<script>alert(1)</script>"
TASK = {
    "id": "t1",
    "name": SCRIPT,
    "type": "training",
    "status": "in_progress",
    "project": {"id": "p1", "name": SCRIPT},
    "tags": [SCRIPT],
    "last_metrics": {
        "m": {"v": {"metric": SCRIPT, "variant": SCRIPT, "value": 0.25, "min_value": 0.2, "max_value": 1}}
    },
    "hyperparams": {SCRIPT: {SCRIPT: {"value": SCRIPT}}},
    "execution": {"artifacts": [{"key": SCRIPT, "uri": "javascript:alert(1)"}, {"key": "good", "uri": "http://x/y"}]},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "auth.login": {"token": "TOKEN"},
    "login.logout": {},
    "users.get_current_user": {"user": {"name": SCRIPT}},
    "projects.get_all_ex": {"projects": [{"id": "p1", "name": SCRIPT, "stats": {"active": {"status_count": {}}}}]},
    "tasks.get_all_ex": {"tasks": [TASK]},
    "models.get_all_ex": {"models": [{"name": SCRIPT, "framework": SCRIPT, "tags": [SCRIPT]}]},
    "queues.get_all_ex": {"queues": [{"name": SCRIPT, "entries": [{"task": {"id": "t1", "name": SCRIPT}}]}]},
    "workers.get_all": {"workers": [{"id": SCRIPT, "task": {"id": "t1", "name": SCRIPT}, "user": {"name": SCRIPT}}]},
    "events.scalar_metrics_iter_histogram": {SCRIPT: {SCRIPT: {"x": [0, 1], "y": [1, 0.25]}}},
    "events.get_task_log": {"events": [{"msg": SCRIPT}], "total": 1},
}


class Server(ThreadingHTTPServer):
    """Answers as `errors` say, by endpoint or `*`, or else as `ANSWERS` do; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.errors: dict[str, tuple[int, int, str]] = {}
        self.nonsense = False
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_POST(self) -> None:
        endpoint = self.path.rpartition("/")[2]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((endpoint, dict(self.headers), body))
        errors = self.server.errors
        status, subcode, message = errors.get(endpoint) or errors.get("*") or (200, 0, "OK")
        meta = {"result_code": status, "result_subcode": subcode, "result_msg": message}
        content = json.dumps({"meta": meta, "data": ANSWERS[endpoint] if status == 200 else {}})
        self.send_response(status)
        if endpoint == "auth.login":
            self.send_header("Set-Cookie", COOKIE)
        self.end_headers()
        self.wfile.write(b"<html>" if self.server.nonsense else content.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the standard library gave it
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def visitor(server: Server) -> FlaskClient:
    """A browser."""
    return create_app(server.address, RELEASE, FileLinks()).test_client()


def test_the_visitors_own_cookies_are_all_that_it_asks_with(server: Server, visitor: FlaskClient) -> None:
    visitor.set_cookie("clearml_token_basic", "MINE")
    assert visitor.get("/").status_code == 200
    assert {headers.get("Cookie") for _, headers, _ in server.requests} == {"clearml_token_basic=MINE"}
    assert not any("Authorization" in headers for _, headers, _ in server.requests)


def test_the_first_page_takes_few_calls(server: Server, visitor: FlaskClient) -> None:
    visitor.get("/")
    assert len(server.requests) <= 6
    visitor.get("/projects/p1/tasks/t1")
    assert len(server.requests) <= 10


@pytest.mark.parametrize("address", ["/", "/projects/p1/tasks/t1"])
def test_nothing_that_users_named_becomes_markup(visitor: FlaskClient, address: str) -> None:
    text = visitor.get(address).text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert 'href="javascript' not in text


@pytest.mark.parametrize(
    "address",
    [
        "/projects/p1/tasks/t1",
        "/projects/*/tasks/t1/output/log",
        "/projects/p1/experiments/t1/output/log",
        "/pipelines/p1/experiments/t1",
        "/datasets/simple/p1/experiments/t1",
    ],
)
def test_the_addresses_that_the_sdk_prints_lead_to_the_task(server: Server, visitor: FlaskClient, address: str) -> None:
    assert 'href="http://x/y"' in visitor.get(address).text
    assert ("events.get_task_log", "t1") in [(name, body.get("task")) for name, _, body in server.requests]


def test_a_task_that_is_not_there(server: Server, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "tasks.get_all_ex", {"tasks": []})
    answer = visitor.get("/projects/*/tasks/nope")
    assert answer.status_code == 404
    assert "There is no task nope, or you may not see it." in answer.text


def test_pages_and_projects_are_asked_of_the_api(server: Server, visitor: FlaskClient) -> None:
    visitor.get("/?project=p1&page=3")
    (asked,) = [body for name, _, body in server.requests if name == "tasks.get_all_ex"]
    assert (asked["project"], asked["include_subprojects"], asked["start"]) == (["p1"], True, 60)


@pytest.mark.parametrize(("page", "start"), [("-1", 0), ("x", 0), ("99999999999999999999", 2_000_000)])
def test_a_page_that_is_none_does_no_harm(server: Server, visitor: FlaskClient, page: str, start: int) -> None:
    assert visitor.get(f"/?page={page}").status_code == 200
    (asked,) = [body for name, _, body in server.requests if name == "tasks.get_all_ex"]
    assert asked["start"] == start


@pytest.mark.parametrize("address", ["/", "/projects/*/tasks/t1", "/login", "/nowhere"])
def test_without_a_session_there_is_the_login_form(server: Server, visitor: FlaskClient, address: str) -> None:
    server.errors["*"] = 401, 20, "Unauthorized (missing credentials)"
    answer = visitor.get(address)
    assert answer.status_code == 200
    assert 'type="password"' in answer.text
    assert f'name="next" value="{address}"' in answer.text
    assert "has ended" not in answer.text


def test_a_session_that_ended_says_so(server: Server, visitor: FlaskClient) -> None:
    server.errors["*"] = 401, 42, "Unauthorized (invalid token) (token expired)"
    assert "Your session has ended: log in again." in visitor.get("/").text


def test_logging_in_passes_the_apiservers_cookie_on(server: Server, visitor: FlaskClient) -> None:
    form = {"name": "Zoë", "password": "pässword", "next": "/?page=2"}
    answer = visitor.post("/login", data=form, headers={"Cookie": "clearml_token_basic=OLD"})
    assert (answer.status_code, answer.location) == (303, "/?page=2")
    assert answer.headers.getlist("Set-Cookie") == [COOKIE]
    ((endpoint, headers, _),) = server.requests
    assert endpoint == "auth.login"
    assert headers["Host"] == "localhost"  # for the domain of the cookie
    assert "Cookie" not in headers
    # As requests, and so the SDK, encodes a name and password.
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode("latin-1") == "Zoë:pässword"


def test_a_wrong_password_is_one_sentence_and_no_cookie(server: Server, visitor: FlaskClient) -> None:
    server.errors["*"] = 401, 22, "Unauthorized (invalid credentials) (bad username or password)"
    answer = visitor.post("/login", data={"name": "\N{SNOWMAN}", "password": "hunter2", "next": "/?page=2"})
    assert answer.status_code == 403
    assert "This name and password are not accepted." in answer.text
    assert "hunter2" not in answer.text
    assert 'value="/?page=2"' in answer.text


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_a_form_of_another_site_is_refused(server: Server, visitor: FlaskClient, path: str) -> None:
    answer = visitor.post(path, data={"name": "a", "password": "b"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, server.requests) == (403, [])
    assert visitor.post(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_an_apiserver_that_does_not_answer(server: Server, visitor: FlaskClient) -> None:
    server.nonsense = True
    assert visitor.get("/").status_code == 502
    nobody = create_app("http://127.0.0.1:1", RELEASE, FileLinks()).test_client()
    for answer in (nobody.get("/"), nobody.post("/login", data={"name": "a", "password": "b"}), nobody.post("/logout")):
        assert answer.status_code == 502
        assert "The API server does not answer. Try again in a moment." in answer.text
        assert "Traceback" not in answer.text


def test_an_error_of_the_apiserver_is_told(server: Server, visitor: FlaskClient) -> None:
    server.errors["*"] = 500, 100, "General data error <br>"
    answer = visitor.get("/")
    assert answer.status_code == 502
    assert "The API server answered with an error: projects.get_all_ex: General data error &lt;br&gt;" in answer.text


def test_an_answer_of_another_shape_is_told_without_a_stack_trace(
    visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, "workers.get_all", {})
    answer = visitor.get("/")
    assert answer.status_code == 500
    assert "This page could not be made." in answer.text
    assert "KeyError" not in answer.text


def test_an_account_whose_name_the_api_does_not_tell_sees_the_page(server: Server, visitor: FlaskClient) -> None:
    server.errors["users.get_current_user"] = 400, 300, "Invalid user (failed loading user)"
    answer = visitor.get("/")
    assert answer.status_code == 200
    assert "a service account" in answer.text


def test_every_page_allows_its_own_style_sheet_alone(server: Server, visitor: FlaskClient) -> None:
    pages = [visitor.get("/"), visitor.get("/projects/*/tasks/t1"), visitor.get("/static/nope")]
    server.errors["*"] = 401, 20, "Unauthorized"
    pages += [visitor.get("/"), visitor.post("/login", data={}), visitor.delete("/")]
    assert [page.status_code for page in pages] == [200, 200, 404, 200, 403, 405]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script" not in policy and "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert "This is a stand-in." in page.text and f"ClearML {RELEASE}" in page.text
        assert " style=" not in page.text and "<style" not in page.text


def test_a_body_that_is_no_form_of_ours_is_refused(visitor: FlaskClient) -> None:
    assert visitor.post("/login", data={"name": "x" * 100_000}).status_code == 413
