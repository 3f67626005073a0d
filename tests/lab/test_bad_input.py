"""What must not work on a running stack: an error as the official server gives it, no stack trace, nothing written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from lab.stack import Stack, docker

from tests.acceptance.server import Api

PARSE = "The browser (or proxy) sent a request that this server could not understand."


@pytest.fixture(autouse=True)
def nothing_is_written(stack: Stack, api: Api) -> Iterator[None]:
    """No project, task, model or file is there afterwards that was not there before."""

    def content() -> tuple[Any, ...]:
        container = stack.project.containers()["clearml-fileserver"]["Id"]
        files = docker("exec", container, "find", "/mnt/fileserver", "/opt/clearml/config", "/tmp", "-type", "f")
        kinds = ("projects", "tasks", "models", "queues")
        found = [api.call(f"{kind}.get_all_ex", only_fields=["id"], search_hidden=True)[kind] for kind in kinds]
        return sorted(files.splitlines()), [sorted(item["id"] for item in items) for items in found]

    before = content()
    yield
    assert content() == before


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send bytes as JSON; return the status and the envelope's head, after a look for traces of code."""
    answer = requests.post(url, data=body, headers={"Content-Type": "application/json", **headers}, timeout=60)
    assert "Traceback" not in answer.text
    assert '.py"' not in answer.text
    meta: dict[str, Any] = answer.json()["meta"]
    assert not meta["error_stack"]
    return answer.status_code, meta


@pytest.mark.parametrize(
    ("body", "status", "subcode", "message"),
    [
        (b"{", 400, 0, PARSE),
        (b"\xff\xfe", 400, 0, PARSE),
        (b"[1]", 500, 0, "Data should be a dict"),
        (b'{"name": 5, "type": "testing"}', 400, 12, "Validation error"),
        (b'{"name": "a task", "type": "testing", "tags": 5}', 400, 16, ""),
        (
            b'{"name": "a task", "type": "testing", "container": {"image": {"$gt": ""}}}',
            400,
            800,
            "Data validation error",
        ),
        (b'{"name": "a task", "type": "testing", "script": {"nope": 5}}', 400, 12, "Validation error"),
        (b'{"type": "testing", "comment": "' + b"x" * 30_000_000 + b'"}', 400, 12, "Validation error"),
    ],
    ids=["cut off", "no text", "a list", "a number", "tags", "an operator", "unknown field", "large"],
)
def test_bodies(api: Api, body: bytes, status: int, subcode: int, message: str) -> None:
    answered, meta = post(f"{api.url}/v2.23/tasks.create", body, **api.headers)
    assert (answered, meta["result_code"], meta["result_subcode"]) == (status, status, subcode), meta
    assert meta["result_msg"].startswith(message)


def forged(stack: Stack, secret: str | None, **claims: Any) -> str:
    """Return a token of the most powerful role as the apiserver makes them, signed with a secret."""
    secret = secret or json.loads((stack.config / "secure.conf").read_text())["auth"]["token_secret"]
    company = "d1bd92a3b039400cbafc60a7a5b1e52b"
    identity = {"user": "__root__", "company": company, "role": "root", "user_name": "root", "company_name": "clearml"}
    token: str = jwt.encode(
        {"auth_type": "Bearer", "identity": identity, "env": "<unknown>", **claims}, secret, "HS256"
    )
    return token


def test_a_token_of_the_right_secret_is_taken(stack: Stack, api: Api) -> None:
    """So that the refusals below are not for another reason."""
    token = forged(stack, None, exp=int(time.time()) + 60)
    assert post(f"{api.url}/server.config", b"{}", Authorization=f"Bearer {token}")[0] == 200


@pytest.mark.parametrize(
    ("secret", "exp", "reason"),
    [
        ("another secret of sufficient length", 60, "Signature verification failed"),
        (None, -60, "Signature has expired"),
    ],
)
def test_forged_and_expired_tokens(stack: Stack, api: Api, secret: str | None, exp: int, reason: str) -> None:
    token = forged(stack, secret, exp=int(time.time()) + exp)
    status, meta = post(f"{api.url}/server.config", b"{}", Authorization=f"Bearer {token}")
    assert (status, meta["result_subcode"]) == (401, 30)
    assert reason in meta["result_msg"]
    assert requests.get(f"{api.files}/x", headers={"Authorization": f"Bearer {token}"}, timeout=60).status_code == 401


def test_an_unsigned_token(stack: Stack, api: Api) -> None:
    claims = jwt.decode(forged(stack, None), options={"verify_signature": False})
    token = jwt.encode(claims, "", "none")
    status, meta = post(f"{api.url}/server.config", b"{}", Authorization=f"Bearer {token}")
    assert (status, meta["result_subcode"]) == (401, 30)


def test_keys_and_rights_of_the_system(stack: Stack, api: Api) -> None:
    system = requests.post(f"{api.url}/auth.login", auth=(stack.system[0], "guessed"), timeout=60).json()["meta"]
    assert (system["result_code"], system["result_subcode"]) == (401, 22)
    status, meta = post(f"{api.url}/users.create", b'{"id": "x", "name": "x"}', **api.headers)
    assert (status, meta["result_subcode"]) == (403, 20)


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/..", ".", "a\0b"])
def test_uploads_stay_in_their_folder(api: Api, name: str) -> None:
    answer = requests.post(api.files, files={name: ("f", b"content")}, headers=api.headers, timeout=60)
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "a%00b"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_paths_stay_in_their_folder(api: Api, method: str, path: str) -> None:
    assert api.raw_file(method, path)[0] == 404


def test_batch_deletion_stays_in_its_folder(api: Api) -> None:
    files = ["../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "/etc/hostname", "", "/"]
    answer = requests.post(f"{api.files}/delete_many", json={"files": files}, headers=api.headers, timeout=60)
    assert answer.json() == {"deleted": {}, "errors": {"Not found": files[:3], "Empty path not allowed": files[3:]}}
