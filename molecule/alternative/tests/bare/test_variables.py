"""The scenario changes every variable of the roles, so that none is read in one place and forgotten in another."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError

from helpers.variables import Variables

AS_BY_DEFAULT = {
    "clearml_server_release": "images of another release would have to be built; tests/stack runs each",
    "docker_source": "not every machine that runs this reaches Docker's own repository",
    "docker_repository_url": "the same",
    "docker_compose": "the platform needs Compose",
    "clearml_access_removed_accounts": "tests/changed removes one",
    "clearml_access_account_variable": "only named when an account is refused: tests/unit/test_bad_values",
    "clearml_access_server": "for roles of other hosts: tests/changed",
    "docker_nvidia_repository_url": "of hosts with a GPU",
    "docker_nvidia_runtime": "refused without a GPU: tests/unit/test_bad_values",
    "host_runs_databases": "the server's do",
}


def test_every_variable_is_another_than_by_default(variables: Variables) -> None:
    defaults = Variables.by_default()

    def value(of: Variables, name: str) -> Any:
        try:
            return of[name]
        except AnsibleError:
            return None  # it can be rendered in a run alone

    # Agents have a scenario of their own.
    names = {name for name in defaults if not name.startswith("clearml_agent_")}
    same = {name for name in names if value(variables, name) == value(defaults, name)}
    assert same == AS_BY_DEFAULT.keys()
