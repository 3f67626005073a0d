"""Which files may be touched, and which are ever deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearml_lab.fileserver.paths import resolve
from clearml_lab.urls import StorageRules

HOST = "http://fileserver:8081"
PUBLIC = "http://files.example.com:8081"


def test_path_below_the_folder(tmp_path: Path) -> None:
    assert resolve(tmp_path, "/a/b c/d.bin") == tmp_path / "a" / "b c" / "d.bin"
    assert resolve(tmp_path, "a/../b") == tmp_path / "b"


@pytest.mark.parametrize("path", ["", "/", ".", "a/..", "..", "../x", "a/../../x", "/../../etc/passwd", "a\x00b"])
def test_path_that_leads_out_or_nowhere(tmp_path: Path, path: str) -> None:
    (tmp_path / "files").mkdir()
    assert resolve(tmp_path / "files", path) is None


def test_folder_whose_name_only_begins_alike_is_outside(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files-secret").mkdir()
    assert resolve(tmp_path / "files", "../files-secret/x") is None


def test_symbolic_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "files" / "link").symlink_to(tmp_path / "outside")
    assert resolve(tmp_path / "files", "link/x") is None


def test_without_prefixes_no_file_is_ever_deleted() -> None:
    assert StorageRules([]).storage_of(f"{PUBLIC}/a") is None
    assert StorageRules([""]).storage_of(f"{PUBLIC}/a") is None


def test_url_below_a_prefix_is_the_fileservers() -> None:
    rules = StorageRules(["http://other", PUBLIC])
    assert rules.storage_of(f"{PUBLIC}/a") == "fileserver"
    assert rules.storage_of("https://files.example.com:8081/a") is None
    assert rules.storage_of("file:///a") is None


@pytest.mark.parametrize(("url", "storage"), [("s3://b/k", "s3"), ("gs://b/k", "gs"), ("azure://a/c/k", "azure")])
def test_clouds(url: str, storage: str) -> None:
    assert StorageRules([]).storage_of(url) == storage


def test_path_is_what_follows_the_prefix() -> None:
    rules = StorageRules([PUBLIC, "https://clearml.example.com/files"])
    assert rules.path_on(HOST, f"{PUBLIC}/p/a%20b.json") == "p/a%20b.json"
    assert rules.path_on(HOST, "https://clearml.example.com/files/p/x") == "p/x"
    assert rules.path_on(HOST, f"{HOST}/p/x") == "p/x"


@pytest.mark.parametrize("url", ["http://elsewhere/p/x", "https://clearml.example.com/other/x", PUBLIC, f"{PUBLIC}/"])
def test_url_without_a_path_on_this_server(url: str) -> None:
    assert StorageRules([PUBLIC, "https://clearml.example.com/files"]).path_on(HOST, url) is None


def test_prefix_that_is_only_a_path_fits_every_host() -> None:
    rules = StorageRules(["/files"])
    assert rules.path_on(HOST, "http://anything/files/p/x") == "p/x"


def test_folder_of_a_file() -> None:
    assert StorageRules.folder_of(f"{PUBLIC}/project/task/a.json?x=1") == f"{PUBLIC}/project/task"
    assert StorageRules.folder_of(f"{PUBLIC}/a.json") is None
