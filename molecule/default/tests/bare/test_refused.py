"""A wrong inventory is refused on a real host, without --check, before anything on it has changed.

The table of wrong inventories is tests/unit/test_bad_values/cases.yml; here is one for each preflight.
"""

from __future__ import annotations

import difflib
import json

import pytest
import testinfra.host

from helpers.expected import ROOT
from helpers.playbooks import EPHEMERAL, ansible_playbook, runs

CASES: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "misspelled": (
        {"clearml_server_web_prot": 8090},
        ("clearml_server_web_prot is no variable", "did you mean clearml_server_web_port?"),
    ),
    "port-as-a-word": (
        {"clearml_server_web_port": "http"},
        ("clearml_server_web_port is http", "a whole number from 1 to 65535"),
    ),
    # The host's own SSH server has it.
    "port-taken": ({"clearml_server_api_port": 22}, ("clearml_server_api_port is 22", "taken by sshd", "another port")),
    "same-person-twice": (
        {"clearml_access_users": [{"username": "ana", "name": "Ana"}, {"username": "ana", "name": "Ana Maria"}]},
        ("clearml_access_users", "ana 2 times", "unique"),
    ),
    "too-little-memory": (
        {"host_min_memory_mib": 99999999},
        ("MiB of memory", "host_min_memory_mib", "at least 99999999", "add memory"),
    ),
    "unreachable-registry": (
        {"clearml_server_registry_prefix": "127.0.0.1:1/"},
        ("clearml_server_registry_prefix", "127.0.0.1:1", "does not answer"),
    ),
    "no-certificate": (
        {"host_ca_certificates": ["/etc/hostname"]},
        ("host_ca_certificates", "/etc/hostname", "PEM"),
    ),
    "daemon-option": (
        {"docker_daemon_options": {"registry-mirror": ["https://mirror.example.com"]}},
        ("docker_daemon_options", "registry-mirror", "did you mean registry-mirrors?"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_one_sentence(name: str) -> None:
    values, words = CASES[name]
    result = ansible_playbook("playbooks/deploy.yml", "--extra-vars", json.dumps(values))
    assert result.returncode == 2, result.stdout[-3000:]
    (sentence,) = (line for line in result.stdout.splitlines() if line.startswith("[ERROR]"))
    for word in words:
        assert word in sentence
    run = runs("deploy.yml")[-1]
    assert run.failed and not run.changed


def test_the_host_is_as_it_was(host: testinfra.host.Host) -> None:
    before = (EPHEMERAL / f"bare-{host.backend.name}.txt").read_text().splitlines()
    assert len(before) > 1000, "the list of the bare host is not complete"
    script = (ROOT / "molecule" / "resources" / "scripts" / "list-host.sh").read_text()
    after = host.check_output("sh -c %s", script).splitlines()
    difference = list(difflib.unified_diff(before, after, "before", "after", n=0, lineterm=""))
    assert not difference, "\n".join(difference[:50])
