"""A wrong inventory is refused on a real host, without --check, before anything on it has changed.

The table of wrong inventories is tests/unit/test_bad_values/cases.yml; here is one for each preflight.
"""

from __future__ import annotations

import json

import pytest
import testinfra.host

from helpers.bare import changes
from helpers.playbooks import ansible_playbook, runs

CASES: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "misspelled": (
        {"clearml_server_web_prot": 8090},
        ("clearml_server_web_prot is no variable", "did you mean clearml_server_web_port?"),
    ),
    "same-person-twice": (
        {"clearml_access_users": [{"username": "ana", "name": "Ana"}, {"username": "ana", "name": "Ana Maria"}]},
        ("clearml_access_users", "ana 2 times", "unique"),
    ),
    "too-little-memory": (
        {"host_min_memory_mib": 99999999},
        ("MiB of memory", "host_min_memory_mib", "at least 99999999", "add memory"),
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


def check_refused(words: tuple[str, ...], *arguments: str) -> None:
    """Fail unless a deploy ends with one sentence that has the words in it, and changed nothing."""
    result = ansible_playbook("playbooks/deploy.yml", *arguments)
    assert result.returncode == 2, result.stdout[-3000:]
    (sentence,) = (line for line in result.stdout.splitlines() if line.startswith("[ERROR]"))
    for word in words:
        assert word in sentence
    run = runs("deploy.yml")[-1]
    assert run.failed
    assert not run.changed


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_one_sentence(name: str) -> None:
    values, words = CASES[name]
    check_refused(words, "--extra-vars", json.dumps(values))


def test_a_port_that_another_program_holds_is_refused(host: testinfra.host.Host) -> None:
    # systemd itself listens, from the moment that this returns.
    host.check_output("systemd-run --unit port-holder --socket-property ListenStream=8008 /bin/true")
    try:
        check_refused(("clearml_server_api_port is 8008", "taken by systemd", "another port"))
    finally:
        host.check_output("systemctl stop port-holder.socket")


def test_the_host_is_as_it_was(host: testinfra.host.Host) -> None:
    difference = changes(host)
    assert not difference, "\n".join(difference[:50])
