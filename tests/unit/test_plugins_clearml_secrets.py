"""The module clearml_secrets, run by Ansible itself."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(run_ansible: Callable[..., str], tmp_path: Path) -> Run:
    """Return a function that runs the module on a file and returns its result."""

    def run(lengths: dict[str, Any], *options: str, rc: int = 0) -> dict[str, Any]:
        arguments = json.dumps({"path": str(tmp_path / "secrets.yml"), "lengths": lengths})
        printed = run_ansible("ansible", "localhost", "-m", "clearml_secrets", "-a", arguments, *options, rc=rc)
        result: dict[str, Any] = json.loads(printed.partition("=> ")[2])
        return result

    return run


def test_secrets_are_made_once_and_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "secrets.yml"
    first = run({"one_key": 30, "one_secret": 60})
    assert first["changed"]
    assert first["made"] == ["one_key", "one_secret"]
    assert yaml.safe_load(file.read_text()) == first["secrets"]
    assert file.stat().st_mode & 0o777 == 0o600
    for name, length in (("one_key", 30), ("one_secret", 60)):
        assert re.fullmatch(rf"[A-Z][A-Z0-9]{{{length - 1}}}", first["secrets"][name])
    # Another length is no reason to make another secret.
    again = run({"one_key": 40})
    assert not again["changed"]
    assert again["secrets"] == first["secrets"]
    more = run({"one_key": 30, "anna.b@example.com_salt": 22})
    assert more["made"] == ["anna.b@example.com_salt"]
    assert more["secrets"].items() >= first["secrets"].items()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("secrets")] == ["secrets.yml"]


def test_a_planted_secret_stays(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "secrets.yml"
    file.write_text("---\n# by hand\none_key: 'planted-before'\n")
    file.chmod(0o600)
    before = file.read_text()
    result = run({"one_key": 30})
    assert not result["changed"]
    assert result["secrets"] == {"one_key": "planted-before"}
    assert file.read_text() == before


def test_a_file_that_others_may_read_is_closed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "secrets.yml"
    file.write_text("one_key: PLANTED\n")
    file.chmod(0o644)
    assert run({"one_key": 30})["changed"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(file.read_text()) == {"one_key": "PLANTED"}


def test_check_mode_makes_them_up_and_keeps_nothing(run: Run, tmp_path: Path) -> None:
    result = run({"one_key": 30}, "--check")
    assert result["changed"]
    assert len(result["secrets"]["one_key"]) == 30
    assert not (tmp_path / "secrets.yml").exists()


def test_what_an_interrupted_run_left_is_no_obstacle(run: Run, tmp_path: Path) -> None:
    left = tmp_path / "secrets.yml.new"
    left.write_text("one_key: HALF")
    left.chmod(0o644)
    result = run({"one_key": 30})
    assert result["secrets"]["one_key"] != "HALF"
    assert not left.exists()
    assert (tmp_path / "secrets.yml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", ["one_key HUNTER2", "one_key: HUNTER2 more", "one_key: HUNTER2\none_key: B", "{"])
def test_a_broken_file_is_not_overwritten(run: Run, tmp_path: Path, line: str) -> None:
    file = tmp_path / "secrets.yml"
    file.write_text(line + "\n")
    file.chmod(0o600)
    result = run({"other_key": 30}, rc=2)
    assert f"{file}, line {line.count(chr(10)) + 1}, is not one name" in result["msg"]
    assert "HUNTER2" not in result["msg"]
    assert file.read_text() == line + "\n"


@pytest.mark.parametrize(("name", "length"), [("a b", 30), ("one_key", 7), ("one_key", "many"), ("", 30)])
def test_a_bad_wish_is_refused(run: Run, tmp_path: Path, name: str, length: object) -> None:
    assert f"lengths.{name} is {length}" in run({name: length}, rc=2)["msg"]
    assert not (tmp_path / "secrets.yml").exists()


def test_what_is_no_file_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secrets.yml").mkdir()
    assert f"{tmp_path}/secrets.yml cannot be read" in run({"one_key": 30}, rc=2)["msg"]
    assert os.listdir(tmp_path / "secrets.yml") == []  # noqa: PTH208
