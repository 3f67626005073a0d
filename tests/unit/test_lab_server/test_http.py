"""What a request may look like before it reaches an endpoint, and the envelope of what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from clearml_lab.apiserver import services
from clearml_lab.apiserver.app import create_app
from clearml_lab.apiserver.call import Server
from clearml_lab.config import load

UNREADABLE = "The browser (or proxy) sent a request that this server could not understand."


@pytest.fixture
def client() -> FlaskClient:
    """A server without stores: nothing here may get as far as to one."""
    assert services
    store: Any = None
    server = Server(load("apiserver", {}), store, store, store, store, store, "9.9.9")
    return create_app(server).test_client()


def refusal(answer: Any) -> tuple[int, int, str]:
    meta = answer.json["meta"]
    assert (meta["result_code"], meta["error_stack"], answer.json["data"]) == (answer.status_code, None, {})
    assert "Traceback" not in answer.text
    return answer.status_code, meta["result_subcode"], meta["result_msg"]


@pytest.mark.parametrize("body", ["{", "{'a': 1}", "{}x", "nonsense", b"\xff\xfe", b'{"a": "\xff"}'])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml", None])
def test_malformed_json(client: FlaskClient, body: str | bytes, kind: str | None) -> None:
    assert refusal(client.post("/debug.ping", data=body, content_type=kind)) == (400, 0, UNREADABLE)


@pytest.mark.parametrize("body", ["[1]", "5", '"x"', "true", "NaN"])
def test_body_that_is_no_object(client: FlaskClient, body: str) -> None:
    assert refusal(client.post("/debug.ping", data=body)) == (500, 0, "Data should be a dict")


@pytest.mark.parametrize("body", ["", "{}", "[]", "0", "null"])
def test_empty_body_is_no_error(client: FlaskClient, body: str) -> None:
    assert client.post("/debug.ping", data=body).json["data"] == {"msg": "ClearML server"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", UNREADABLE),
        ("\n", UNREADABLE),
        ("{}\n{", UNREADABLE),
        ("[]", "json lines must contain objects, found: list"),
        ("{}\nnull", "json lines must contain objects, found: NoneType"),
    ],
)
def test_wrong_json_lines(client: FlaskClient, body: str, message: str) -> None:
    answer = client.post("/debug.ping", data=body, content_type="application/json-lines")
    assert refusal(answer) == (400, 0, message)


def test_deeply_nested_body(client: FlaskClient) -> None:
    status, _, message = refusal(client.post("/debug.ping", data="[" * 100_000))
    assert (status, message.startswith("maximum recursion depth exceeded")) == (500, True)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "FOO"])
def test_every_method_calls_the_endpoint(client: FlaskClient, method: str) -> None:
    assert client.open("/debug.ping", method=method).json["data"] == {"msg": "ClearML server"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "status", "subcode", "message"),
    [
        ("/", 400, 0, "Invalid request path /"),
        ("/debug.ping/x", 400, 0, "Invalid request path /debug.ping/x"),
        ("/../debug.ping", 400, 0, "Invalid request path /../debug.ping"),
        ("/v2.5.1/debug.ping", 400, 0, "Invalid request path /v2.5.1/debug.ping"),
        (
            "/v02.5/debug.ping",
            400,
            2,
            "Request path has invalid version: version=02.5, reason=Invalid leading zero in major: '02.5'",
        ),
        ("/v0.1/debug.ping", 404, 0, "Unable to find endpoint for name debug.ping and version 0.1"),
        ("/nope.nope", 404, 0, "Unable to find endpoint for name nope.nope and version 2.34"),
    ],
)
def test_wrong_path(client: FlaskClient, path: str, status: int, subcode: int, message: str) -> None:
    assert refusal(client.get(path)) == (status, subcode, message)


@pytest.mark.parametrize(
    ("authorization", "subcode", "message"),
    [
        (None, 20, "Unauthorized (missing credentials)"),
        ("", 20, "Unauthorized (missing credentials)"),
        ("Digest x", 10, "Unauthorized (bad authentication header type)"),
        ("Basic x", 21, "Unauthorized (malformed credentials)"),
        ("Bearer ", 30, "Invalid token (invalid jwt token): reason=Not enough segments"),
        ("Bearer a.b.c", 30, "Invalid token (invalid jwt token): reason="),
    ],
)
def test_wrong_credentials(client: FlaskClient, authorization: str | None, subcode: int, message: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    status, code, text = refusal(client.post("/users.get_current_user", headers=headers))
    assert (status, code, text.startswith(message)) == (401, subcode, True), text


def test_packed_body_is_refused(client: FlaskClient) -> None:
    answer = client.post("/debug.ping", data=b"x", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.text) == (415, "Content encoding is not supported (gzip)")
