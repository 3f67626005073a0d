"""Accounts come and go with the inventory: none silently, and nobody else's with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra.host

from helpers.containers import Inspected, inspect, touched
from helpers.expected import DATABASES, NAMES
from helpers.exposure import Watched, given_secrets, watched_processes
from helpers.platform import Platform
from helpers.playbooks import ansible_playbook, deploy, runs
from helpers.variables import Variables

ALAN = ("alan_t", "Marker-of-Alan-0123456789")
Pair = tuple[str, str]


def inventory_with(folder: Path, **changed: Any) -> list[str]:
    """Arguments for other values of variables. In a file, because some hold passwords."""
    file = folder / "changed.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(changed))
    return ["--extra-vars", f"@{file}"]


def without_alan(variables: Variables) -> list[dict[str, str]]:
    """The people of the inventory but one."""
    return [user for user in variables["clearml_access_users"] if user["username"] != ALAN[0]]


def make_key(platform: Platform, username: str, password: str) -> Pair:
    """An API key that a person makes."""
    token = platform.login(username, password).data["token"]
    key = platform.call("auth.create_credentials", token).data["credentials"]
    return key["access_key"], key["secret_key"]


def test_a_person_is_not_removed_silently(
    host: testinfra.host.Host, variables: Variables, platform: Platform, tmp_path: Path
) -> None:
    before = inspect(host)
    result = ansible_playbook(
        "playbooks/deploy.yml", *inventory_with(tmp_path, clearml_access_users=without_alan(variables))
    )
    assert result.returncode != 0
    sentence = " ".join(result.stdout.partition("[ERROR]")[2].partition("Origin:")[0].split())
    assert f"no longer has {ALAN[0]} in clearml_access_users" in sentence
    assert "clearml_access_removed_accounts" in sentence
    assert runs("deploy.yml")[-1].changed == []
    assert touched(before, inspect(host)) == set()
    assert platform.login(*ALAN).status == 200


@dataclass(frozen=True)
class Moved:
    """A run that takes one person away, as agreed, and brings a service account."""

    keys: dict[str, Pair]
    keys_before: dict[str, dict[str, str]]
    containers_before: Inspected
    containers_after: Inspected
    watched: list[Watched]
    inventory: list[str]


@pytest.fixture(scope="module")
def moved(
    host: testinfra.host.Host,
    variables: Variables,
    platform: Platform,
    credentials: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Moved:
    """Run it while the lists of processes are watched."""
    keys = {
        "operator": make_key(platform, credentials["username"], credentials["password"]),
        "alan": make_key(platform, *ALAN),
    }
    path = f"{variables['clearml_server_data_root']}/client/service_accounts.json"
    keys_before = json.loads(host.file(path).content_string)
    inventory = inventory_with(
        tmp_path_factory.mktemp("inventory"),
        clearml_access_users=without_alan(variables),
        clearml_access_service_accounts=[*variables["clearml_access_service_accounts"], {"name": "sweeper"}],
        clearml_access_removed_accounts=[ALAN[0]],
    )
    containers_before = inspect(host)
    with watched_processes(host.backend.name) as there, watched_processes(None) as here:
        deploy(*inventory)
    return Moved(keys, keys_before, containers_before, inspect(host), [there, here], inventory)


def test_the_readers_of_the_accounts_restart_and_the_databases_do_not(moved: Moved) -> None:
    assert touched(moved.containers_before, moved.containers_after) == set(NAMES) - set(DATABASES)


def test_that_person_is_gone_with_the_keys_made_before(platform: Platform, moved: Moved) -> None:
    assert platform.login(*ALAN).status == 401
    assert platform.login(*moved.keys["alan"]).status == 401


def test_the_keys_of_others_live_on(platform: Platform, moved: Moved, credentials: dict[str, str]) -> None:
    assert platform.login(*moved.keys["operator"]).status == 200
    assert platform.login(credentials["username"], credentials["password"]).status == 200
    for key in moved.keys_before.values():
        assert platform.login(key["access_key"], key["secret_key"]).status == 200


def test_the_new_account_logs_in(
    host: testinfra.host.Host, platform: Platform, variables: Variables, moved: Moved
) -> None:
    path = f"{variables['clearml_server_data_root']}/client/service_accounts.json"
    now = json.loads(host.file(path).content_string)
    assert now == {**moved.keys_before, "sweeper": now["sweeper"]}
    token = platform.login(now["sweeper"]["access_key"], now["sweeper"]["secret_key"]).data["token"]
    assert platform.call("users.get_current_user", token).data["user"]["name"] == "sweeper"


def test_no_secret_in_lists_of_processes(moved: Moved, secrets: dict[str, str], variables: Variables) -> None:
    everything = {**secrets, **given_secrets(variables)}
    for watched in moved.watched:
        assert watched.looks > 50, "the watcher did not look often enough to prove anything"
        assert watched.holding(everything) == []


def test_another_host_reads_its_key(variables: Variables) -> None:
    """The play leaves the server's host out; only that one task goes there, with that host's way of becoming root."""
    result = ansible_playbook("molecule/alternative/read_key.yml", "--limit", "molecule-alternative-agent", "-vvv")
    assert result.returncode == 0, result.stdout[-3000:]
    agent = testinfra.get_host("docker://molecule-alternative-agent")
    (account,) = (one for one in variables["clearml_access_service_accounts"] if one["name"] == "agents")
    kept = json.loads(agent.file("/root/key.json").content_string)
    assert kept == {key: account[key] for key in ("access_key", "secret_key")}


def test_an_account_that_is_not_there_is_named(variables: Variables) -> None:
    result = ansible_playbook("molecule/alternative/read_key.yml", "--extra-vars", "clearml_access_account=nobody")
    assert result.returncode != 0
    sentence = " ".join(result.stdout.partition("[ERROR]")[2].partition("Origin:")[0].split())
    assert "clearml_access_account is nobody, but molecule-alternative has" in sentence


def test_the_platform_is_verified(moved: Moved) -> None:
    result = ansible_playbook("playbooks/verify.yml", "-vvv", *moved.inventory)
    assert result.returncode == 0, result.stdout[-3000:]
    assert runs("verify.yml")[-1].changed == []
