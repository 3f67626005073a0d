"""A secret that an operator put into secrets.yml is used and kept."""

from __future__ import annotations

import secrets as random_values
import string
from dataclasses import dataclass

import pytest
import testinfra.host
import yaml

from helpers.containers import Inspected, inspect, touched
from helpers.expected import DATABASES, NAMES, in_bytes
from helpers.exposure import Watched, watched_processes
from helpers.inside import run_python
from helpers.platform import Platform
from helpers.playbooks import deploy
from helpers.variables import Variables

WRITE = """
import json, sys
path, content = json.loads(sys.stdin.readline())
print(json.dumps(open(path, "w").write(content)))
"""


@dataclass(frozen=True)
class Planted:
    """A run of deploy.yml after somebody changed a secret by hand."""

    name: str
    value: str
    before: dict[str, str]
    containers_before: Inspected
    containers_after: Inspected
    watched: list[Watched]


@pytest.fixture(scope="module")
def planted(host: testinfra.host.Host, variables: Variables) -> Planted:
    """Change one secret in secrets.yml and deploy, while the lists of processes are watched."""
    path = f"{variables['clearml_server_data_root']}/secrets.yml"
    before: dict[str, str] = yaml.safe_load(host.file(path).content_string)
    value = "P" + "".join(random_values.choice(string.ascii_uppercase + string.digits) for _ in range(59))
    changed = yaml.safe_dump({**before, "tests_secret": value})
    run_python(host.backend.name, WRITE, [path, changed])
    containers_before = inspect(host)
    with watched_processes(host.backend.name) as there, watched_processes(None) as here:
        deploy()
    return Planted("tests_secret", value, before, containers_before, inspect(host), [there, here])


def test_the_planted_secret_is_used(host: testinfra.host.Host, variables: Variables, planted: Planted) -> None:
    content = host.file(f"{variables['clearml_server_data_root']}/config/secure.conf").content_string
    assert planted.value in content
    assert planted.before[planted.name] not in content


def test_every_secret_survives(secrets: dict[str, str], planted: Planted) -> None:
    assert secrets == {**planted.before, planted.name: planted.value}


def test_the_services_read_it(planted: Planted, platform: Platform, secrets: dict[str, str]) -> None:
    """Each that reads secure.conf started anew, the databases did not, and the old value is worth nothing."""
    assert touched(planted.containers_before, planted.containers_after) == set(NAMES) - set(DATABASES)
    assert platform.login(secrets["platform_key"], secrets["platform_secret"]).status == 200
    assert platform.login(secrets["tests_key"], planted.before[planted.name]).status == 401


def test_what_the_run_before_changed_is_taken_back(planted: Planted, variables: Variables) -> None:
    memory = planted.containers_after["clearml-webserver"]["HostConfig"]["Memory"]
    assert memory == in_bytes(variables["clearml_server_webserver_memory"])


def test_no_secret_in_lists_of_processes(planted: Planted, secrets: dict[str, str]) -> None:
    for watched in planted.watched:
        assert watched.looks > 50, "the watcher did not look often enough to prove anything"
        assert watched.holding({**secrets, "the one before": planted.before[planted.name]}) == []
