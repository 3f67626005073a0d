"""The fileserver over HTTP, without authorization: what goes in, what comes out, and what must not."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from clearml_lab.config import load
from clearml_lab.fileserver.app import create_app

SECRET = "outside of the folder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The upload folder, with one file in it, and one outside that a link leads to."""
    (tmp_path / "secret.txt").write_text(SECRET)
    files = tmp_path / "files"
    files.mkdir()
    (files / "kept.bin").write_bytes(b"0123456789")
    (files / "link").symlink_to(tmp_path)
    return files


@pytest.fixture
def client(folder: Path) -> FlaskClient:
    config = load("fileserver", {"CLEARML__fileserver__upload__max_upload_size_mb": "1"})
    return create_app(config, folder, None).test_client()


def upload(client: FlaskClient, path: str, content: bytes = b"bytes") -> tuple[int, str]:
    answer = client.post("/", data={path: (io.BytesIO(content), "name")}, content_type="multipart/form-data")
    return answer.status_code, answer.text


def delete_many(client: FlaskClient, files: Sequence[str]) -> dict[str, dict[str, object]]:
    answer = client.post("/delete_many", json={"files": files})
    assert answer.status_code == 200
    result: dict[str, dict[str, object]] = json.loads(answer.text)
    return result


def everything(folder: Path) -> set[str]:
    top = folder.parent
    return {os.fspath(item.relative_to(top)) for item in top.rglob("*") if item.is_file()}


def test_file_comes_back_as_it_was_sent(client: FlaskClient, folder: Path) -> None:
    assert upload(client, "/a/b c.bin", b"\x00\xff") == (200, '["a/b c.bin"]')
    assert client.get("/a/b c.bin").data == b"\x00\xff"
    assert client.delete("/a/b c.bin").text == '"a/b c.bin"'
    assert client.get("/a/b c.bin").status_code == 404


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/../../x", "..", "link/x", "link/secret.txt", "a\x00b", ".", "/"]
)
def test_upload_never_writes_outside_of_the_folder(client: FlaskClient, folder: Path, path: str) -> None:
    before = everything(folder)
    assert upload(client, path)[0] == 404
    assert everything(folder) == before


OUTSIDE = ["../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "a/%2e%2e/%2e%2e/secret.txt", "link/secret.txt"]


@pytest.mark.parametrize("path", [*OUTSIDE, "a%00b", "%5c..%5csecret.txt", "q" * 3000, "link"])
def test_nothing_outside_of_the_folder_is_read_or_deleted(client: FlaskClient, folder: Path, path: str) -> None:
    before = everything(folder)
    answer = client.get(f"/{path}")
    assert (answer.status_code, SECRET in answer.text) == (404, False)
    assert client.delete(f"/{path}").status_code == 404
    assert everything(folder) == before


@pytest.mark.parametrize("path", [*OUTSIDE, "/etc/hostname", "a%00b", "link", ".", "a/.."])
def test_batch_deletes_nothing_outside_of_the_folder(client: FlaskClient, folder: Path, path: str) -> None:
    before = everything(folder)
    assert delete_many(client, [path]) == {"deleted": {}, "errors": {"Not found": [path]}}
    assert everything(folder) == before


@pytest.mark.parametrize("path", ["", "/", "%2f", "//"])
def test_batch_does_not_take_an_empty_path_for_everything(client: FlaskClient, path: str) -> None:
    assert delete_many(client, [path]) == {"deleted": {}, "errors": {"Empty path not allowed": [path]}}


def test_batch_deletes_what_is_there_and_names_what_is_not(client: FlaskClient, folder: Path) -> None:
    (folder / "a b").mkdir()
    (folder / "a b" / "c").touch()
    files = ["kept.bin", "a%20b", "nope"]
    assert delete_many(client, files) == {
        "deleted": {"kept.bin": "kept.bin", "a%20b": "a b"},
        "errors": {"Not found": ["nope"]},
    }
    assert everything(folder) == {"secret.txt"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("{", 400, "Bad Request"),
        ("{}", 400, "Json payload is missing"),
        ("[]", 400, "Json payload is missing"),
        ('{"files": []}', 400, "files are missing"),
        ('{"files": 5}', 500, "Internal Server Error"),
    ],
)
def test_batch_with_a_wrong_body(client: FlaskClient, body: str, status: int, text: str) -> None:
    answer = client.post("/delete_many", data=body)
    assert (answer.status_code, text in answer.text, "Traceback" in answer.text) == (status, True, False)


def test_upload_that_fails_leaves_nothing_behind(client: FlaskClient, folder: Path) -> None:
    (folder / "taken").mkdir()
    before = everything(folder)
    status, text = upload(client, "taken")
    assert (status, "Traceback" in text) == (500, False)
    assert upload(client, "big.bin", bytes(2**20 + 1))[0] == 413
    assert everything(folder) == before


def test_upload_without_a_file(client: FlaskClient) -> None:
    assert client.post("/").text == "[]"
    assert client.post("/", data=b"bytes", content_type="application/octet-stream").text == "[]"
    assert client.post("/", data={"field": "text"}).text == "[]"
    assert client.post("/elsewhere", data={}).status_code == 405


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-1", 206, b"01"),
        ("bytes=2-", 206, b"23456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=0-99", 206, b"0123456789"),
        ("bytes=10-20", 416, None),
        ("bytes=5-2", 416, None),
        ("bytes=0-1,3-3", 416, None),
        ("items=0-1", 416, None),
    ],
)
def test_range(client: FlaskClient, wanted: str, status: int, content: bytes | None) -> None:
    answer = client.get("/kept.bin", headers={"Range": wanted})
    assert answer.status_code == status
    if content is not None:
        assert answer.data == content


def test_packed_body_is_refused(client: FlaskClient) -> None:
    answer = client.post("/", data=b"x", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.text) == (415, "Content encoding is not supported (gzip)")
