"""The command as a whole, against a small server that answers as it is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.contract import __main__ as command
from tests.contract.callers import Server

ID, OTHER = "98084d9e341946bbd6445bf2d44819d2", "b811f028897b4846b951acd065174fab"
USER_TOKEN = "eyJh.eyJpZGVudGl0eSI6eyJyb2xlIjoidXNlciJ9fQ.abc"


def envelope(endpoint: str, data: Any, status: int = 200, message: str = "OK") -> dict[str, Any]:
    meta = {"endpoint": {"name": endpoint}, "result_code": status, "result_subcode": 0, "result_msg": message}
    return {"meta": meta, "data": data}


# What the small server answers: status and data, or the envelope itself.
Answers = dict[str, tuple[int, dict[str, Any]]]
GOOD: Answers = {
    "/queues.create": (200, envelope("queues.create", {"id": OTHER})),
    "/queues.get_by_id": (200, envelope("queues.get_by_id", {"queue": {"id": OTHER, "name": "one", "entries": []}})),
    "/debug.ping": (200, envelope("debug.ping", {"msg": "ClearML server"})),
}


class Small:
    """A server that remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: Answers = {**GOOD, "/auth.login": (200, envelope("auth.login", {"token": USER_TOKEN}))}
        self.requests: list[tuple[str, str, Any]] = []
        small = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                small.requests.append((self.path, self.headers.get("Authorization", ""), json.loads(body or "null")))
                status, answer = small.answers[self.path]
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Be quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def server(self) -> Server:
        return Server(f"http://127.0.0.1:{self.http.server_port}", ("admin", "pw"), ("SYSTEM", "system-secret"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    """The small server, in place of a stack."""
    small = Small()

    @contextmanager
    def empty_server() -> Iterator[Server]:
        yield small.server

    monkeypatch.setattr(command, "empty_server", empty_server)
    yield small
    small.http.shutdown()
    small.http.server_close()


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def call(endpoint: str, request: Any, data: Any, authorization: str = basic("admin", "secret")) -> dict[str, Any]:
    return {
        "ts": 1.0,
        "method": "POST",
        "path": f"/{endpoint}",
        "query": None,
        "headers": {"host": "127.0.0.1", "authorization": authorization},
        "content_type": "application/json",
        "request": request,
        "status": 200,
        "response": envelope(endpoint, data),
    }


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A queue is made, and looked at under the id that it got."""
    calls = [
        call("queues.create", {"name": "one"}, {"id": ID}),
        call("queues.get_by_id", {"queue": ID}, {"queue": {"id": ID, "name": "one", "entries": []}}),
        call("debug.ping", None, {"msg": "ClearML server"}),
    ]
    path = tmp_path / "queue.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in calls))
    return path


def test_all_agrees(small: Small, recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(recording)]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.split() == "queue.jsonl calls 3/3 fields 20/20 100.0 % left out 0".split()
    assert last.startswith("together")
    asked = [content for path, _, content in small.requests if path == "/queues.get_by_id"]
    assert asked == [{"queue": OTHER}], "the request must name the id that this server gave"


@pytest.mark.parametrize(
    ("path", "answer", "difference"),
    [
        ("/debug.ping", (500, GOOD["/debug.ping"][1]), "status: recorded 200, got 500"),
        ("/debug.ping", (200, envelope("debug.ping", {"msg": "else"})), 'data.msg: recorded "ClearML server"'),
        ("/debug.ping", (200, envelope("debug.ping", {})), 'data.msg: recorded "ClearML server", got "<missing>"'),
        ("/debug.ping", (200, envelope("debug.pong", {"msg": "ClearML server"})), "meta.endpoint"),
        ("/debug.ping", (200, envelope("debug.ping", {"msg": "ClearML server"}, 201)), "meta.result_code"),
        ("/debug.ping", (200, envelope("debug.ping", {"msg": "ClearML server"}, message="no")), "meta.result_msg"),
        ("/debug.ping", (200, {"other": 1}), "meta: recorded"),
        ("/queues.get_by_id", (200, envelope("queues.get_by_id", {"queue": {"id": ID}})), "data.queue.id"),
    ],
)
def test_a_difference_fails(
    small: Small,
    recording: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    answer: tuple[int, dict[str, Any]],
    difference: str,
) -> None:
    small.answers[path] = answer
    assert command.main(["--show", "9", str(recording)]) == 1
    shown = capsys.readouterr()
    assert f"{path} {difference}" in shown.out
    assert "97 % have to" in shown.err


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (basic("admin", "secret"), basic("admin", "pw")),
        (basic("admin", "wrong"), basic("admin", "wrong-wrong")),
        (basic("nobody", "x"), basic("nobody", "x")),
        (basic("62T8CP7HGBC6647XF9314C2VY67RJO", "any"), basic("SYSTEM", "system-secret")),
        ("Bearer garbage", "Bearer garbage"),
        (f"Bearer {USER_TOKEN}", f"Bearer {USER_TOKEN}"),
        ("Digest x", "Digest x"),
    ],
)
def test_callers_become_those_of_this_server(small: Small, tmp_path: Path, recorded: str, sent: str) -> None:
    path = tmp_path / "ping.jsonl"
    path.write_text(json.dumps(call("debug.ping", None, {"msg": "ClearML server"}, recorded)))
    assert command.main([str(path)]) == 0
    assert small.requests[-1][:2] == ("/debug.ping", sent)


def test_callers_that_nobody_here_can_be_are_left_out(
    small: Small, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "revoked.jsonl"
    path.write_text(json.dumps(call("debug.ping", None, {}, basic("EYVQ385RW7Y2QQUH88CZ7DWIQ1WUHP", "any"))))
    assert command.main([str(recording), str(path)]) == 0
    assert "left out 1" in capsys.readouterr().out.splitlines()[1]


def test_nothing_starts_for_a_file_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "empty_server", lambda: pytest.fail("a stack was started"))
    assert command.main(["nothing.jsonl"]) == 2
    assert capsys.readouterr().err == "FILES names nothing.jsonl, which cannot be read: No such file or directory.\n"


def test_relative_names_begin_in_the_first_folder_that_has_them(small: Small, recording: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert command.main(["--from", str(empty), "--from", str(tmp_path), recording.name]) == 0
    assert command.main(["--from", str(tmp_path), "--from", str(empty), recording.name]) == 0
    assert command.main(["--from", str(empty), recording.name]) == 2
