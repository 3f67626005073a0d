"""The module clearml_queues, run by Ansible itself against the real apiserver of the lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab.commands.shell import ROOT
from lab.stack import Project

from helpers.platform import Platform
from tests.stack.test_plain import configuration

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(stack: Project, platform: Platform) -> Run:
    """Return a function that runs the module and returns its result."""

    def run(names: list[str], *options: str, **changes: str) -> dict[str, Any]:
        account = configuration("secure.conf")["credentials.platform"]
        pair = {"access_key": account["user_key"], "secret_key": account["user_secret"]}
        arguments = {"api_url": platform.api, "names": names, **pair, **changes}
        printed = subprocess.run(
            [
                Path(sys.executable).with_name("ansible"),
                "localhost",
                "-i",
                "inventory/local",
                "-m",
                "clearml_queues",
                "-a",
                json.dumps(arguments),
                *options,
            ],
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        result: dict[str, Any] = json.loads(printed.partition("=> ")[2])
        return result

    return run


@pytest.fixture
def queues(platform: Platform) -> Callable[[], list[str]]:
    """Return a function that lists the queues as a client sees them."""
    account = configuration("secure.conf")["credentials.platform"]
    token = platform.login(account["user_key"], account["user_secret"]).data["token"]
    return lambda: sorted(queue["name"] for queue in platform.call("queues.get_all", token).data["queues"])


def test_missing_queues_are_made_once(run: Run, queues: Callable[[], list[str]]) -> None:
    before = queues()
    wanted = ["default", "made by a test", "and another"]
    announced = run(wanted, "--check")
    assert announced["created"] == wanted[1:]
    assert announced["changed"]
    assert queues() == before
    assert run(wanted)["created"] == wanted[1:]
    assert queues() == sorted([*before, *wanted[1:]])
    again = run(wanted)
    assert not again["changed"]
    assert again["created"] == []


def test_a_wrong_key_is_one_sentence(run: Run) -> None:
    result = run(["default"], secret_key="not-the-secret")
    assert "while logging in with the key pair" in result["msg"]
    assert "401" in result["msg"]
    assert "not-the-secret" not in json.dumps(result)


def test_what_is_not_there_is_one_sentence_and_no_obstacle_to_check_mode(run: Run) -> None:
    nowhere = "http://127.0.0.1:9"
    assert f"The apiserver at {nowhere} refused the connection" in run(["default"], api_url=nowhere)["msg"]
    assert run(["default"], "--check", api_url=nowhere)["created"] == ["default"]
