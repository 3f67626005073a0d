"""A secret that an operator put into secrets.yml is used and kept, and none is seen anywhere but where it belongs."""

from __future__ import annotations

import json
import secrets as random_values
import string
from dataclasses import dataclass
from typing import Any

import pytest
import testinfra.host
import yaml

from helpers.containers import Inspected, inspect, touched
from helpers.expected import DATABASES, NAMES, in_bytes
from helpers.inside import python_meanwhile, run_python
from helpers.platform import Platform
from helpers.playbooks import EPHEMERAL, deploy
from helpers.variables import Variables

WRITE = """
import json, sys
path, content = json.loads(sys.stdin.readline())
print(json.dumps(open(path, "w").write(content)))
"""

# Runs on the host until its standard input ends. Prints the program of each process whose arguments or environment
# hold a secret; the containers' processes are among them.
WATCH = """
import glob, json, select, sys
secrets = json.loads(sys.stdin.readline())
seen, looks = set(), 0
while not select.select([sys.stdin], [], [], 0.1)[0]:
    looks += 1
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            content = open(path, "rb").read().decode(errors="replace")
        except OSError:
            continue
        seen |= {f"{name} in {path} ({content[:40]})" for name, value in secrets.items() if value in content}
print(json.dumps({"looks": looks, "seen": sorted(seen)}))
"""


@dataclass(frozen=True)
class Planted:
    """A run of deploy.yml after somebody changed a secret by hand."""

    name: str
    value: str
    before: dict[str, str]
    containers_before: Inspected
    containers_after: Inspected
    watched: dict[str, Any]


@pytest.fixture(scope="module")
def planted(host: testinfra.host.Host, variables: Variables) -> Planted:
    """Change one secret in secrets.yml and deploy, while the lists of processes are watched."""
    path = f"{variables['clearml_server_data_root']}/secrets.yml"
    before: dict[str, str] = yaml.safe_load(host.file(path).content_string)
    value = "P" + "".join(random_values.choice(string.ascii_uppercase + string.digits) for _ in range(59))
    changed = yaml.safe_dump({**before, "tests_secret": value})
    run_python(host.backend.name, WRITE, [path, changed])
    containers_before = inspect(host)
    with python_meanwhile(host.backend.name, WATCH, {**before, "tests_secret": value}) as watched:
        deploy()
    return Planted("tests_secret", value, before, containers_before, inspect(host), watched)


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


def test_no_secret_in_lists_of_processes(planted: Planted) -> None:
    assert planted.watched["looks"] > 50, "the watcher did not look often enough to prove anything"
    assert planted.watched["seen"] == []


def test_no_secret_in_the_output_of_any_run(planted: Planted, secrets: dict[str, str]) -> None:
    """All runs on this host so far: check, converge, idempotence, and those of the tests with --diff and -vvv."""
    log = (EPHEMERAL / "ansible.log").read_text()
    assert "PLAY RECAP" in log and "/secrets.yml" in log, "the log is not complete"
    values = {**secrets, "tests_secret before": planted.before[planted.name]}
    assert [name for name, value in values.items() if value in log] == []


def test_no_secret_in_the_logs_of_the_host(
    host: testinfra.host.Host, planted: Planted, secrets: dict[str, str]
) -> None:
    """Ansible's modules write their arguments into the system's journal; containers write their own logs."""
    journal = host.check_output("journalctl --no-pager --quiet --all")
    assert "Invoked with" in journal, "the journal does not hold what Ansible's modules write"
    logs = "".join(host.run("docker logs %s", name).stdout + host.run("docker logs %s", name).stderr for name in NAMES)
    assert logs
    values = {**secrets, "tests_secret before": planted.before[planted.name]}
    assert [name for name, value in values.items() if value in journal + logs] == []


def test_no_secret_in_what_docker_shows(host: testinfra.host.Host, planted: Planted, secrets: dict[str, str]) -> None:
    shown = json.dumps(planted.containers_after) + host.check_output("docker images --no-trunc")
    assert [name for name, value in secrets.items() if value in shown] == []
