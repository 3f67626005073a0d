"""Several people and service accounts: each gets in with what belongs to it, and with nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
import testinfra.host

from helpers.platform import Platform
from helpers.variables import Variables

# Of the inventory, only the hash is known.
ALAN = ("alan_t", "Marker-of-Alan-0123456789")


@pytest.fixture(scope="module")
def people(host: testinfra.host.Host, variables: Variables, credentials: dict[str, str]) -> dict[str, str]:
    """Everybody's password: made on the host, given in the inventory, or known from its hash."""
    given = {user["username"]: user["password"] for user in variables["clearml_access_users"] if "password" in user}
    return {credentials["username"]: credentials["password"], **given, ALAN[0]: ALAN[1]}


@pytest.fixture(scope="module")
def accounts(host: testinfra.host.Host, variables: Variables) -> dict[str, dict[str, str]]:
    """The service accounts' keys, as other roles find them."""
    path = f"{variables['clearml_server_data_root']}/client/service_accounts.json"
    found: dict[str, dict[str, str]] = json.loads(host.file(path).content_string)
    return found


def test_all_people_log_in_under_their_names(platform: Platform, variables: Variables, people: dict[str, str]) -> None:
    names = {}
    for username, password in people.items():
        token = platform.login(username, password).data["token"]
        user = platform.call("users.get_current_user", token).data["user"]
        names[username] = user["name"]
        assert user["role"] == "user"
    assert names == {user["username"]: user["name"] for user in variables["clearml_access_users"]}


def test_nobody_logs_in_with_the_password_of_another(platform: Platform, people: dict[str, str]) -> None:
    usernames = list(people)
    for username, other in zip(usernames, usernames[1:] + usernames[:1], strict=True):
        assert platform.login(username, people[other]).status == 401
        # A password is cut off at no sign that means something to a configuration file.
        assert platform.login(username, people[username][:-1]).status == 401


def test_a_hash_is_no_password(platform: Platform, variables: Variables) -> None:
    (hashed,) = (user["password_hash"] for user in variables["clearml_access_users"] if "password_hash" in user)
    assert platform.login(ALAN[0], hashed).status == 401


def test_the_default_accounts_do_not_exist(platform: Platform, token: str, variables: Variables) -> None:
    people = {user["name"] for user in variables["clearml_access_users"]}
    machines = {
        account.get("display_name", account["name"]) for account in variables["clearml_access_service_accounts"]
    }
    names = {user["name"] for user in platform.call("users.get_all", token).data["users"]}
    assert names >= people | machines
    assert not names & {"Operator", "operator", "Platform", "platform"}


def test_service_accounts_have_the_keys_of_the_inventory(
    variables: Variables, accounts: dict[str, Any], secrets: dict[str, str]
) -> None:
    wanted = {
        account["name"]: {
            "access_key": account.get("access_key") or secrets[f"{account['name']}_key"],
            "secret_key": account.get("secret_key") or secrets[f"{account['name']}_secret"],
        }
        for account in variables["clearml_access_service_accounts"]
    }
    assert accounts == wanted


def test_service_accounts_log_in_and_are_protected(platform: Platform, accounts: dict[str, dict[str, str]]) -> None:
    """Their keys come from the configuration alone: none of them can make itself another one."""
    for key in accounts.values():
        token = platform.login(key["access_key"], key["secret_key"]).data["token"]
        refused = platform.call("auth.create_credentials", token)
        assert refused.status == 400
        meta = json.loads(refused.body)["meta"]
        assert (meta["result_subcode"], meta["result_msg"]) == (301, "Invalid user id (protected identity)")


def test_the_operator_makes_and_revokes_a_key(platform: Platform, credentials: dict[str, str]) -> None:
    token = platform.login(credentials["username"], credentials["password"]).data["token"]
    key = platform.call("auth.create_credentials", token, label="of a test").data["credentials"]
    assert platform.login(key["access_key"], key["secret_key"]).status == 200
    assert platform.call("auth.revoke_credentials", token, access_key=key["access_key"]).status == 200
    assert platform.login(key["access_key"], key["secret_key"]).status == 401


def test_the_queues_are_there(platform: Platform, token: str, variables: Variables) -> None:
    """Beside the one that the server itself makes."""
    queues = {queue["name"] for queue in platform.call("queues.get_all", token).data["queues"]}
    assert queues - {"default"} == set(variables["clearml_access_queues"])
