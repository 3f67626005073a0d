"""The stack comes up by `docker compose up` alone, and on it no published key works."""

from __future__ import annotations

import subprocess
import time

import pyhocon
import pytest
from lab.stack import Project, docker

from helpers.platform import Platform
from helpers.published import KEY_PAIRS, TOKEN_SECRETS, forge_token
from tests.stack import PROJECT

HEALTHY = {
    "clearml-mongo",
    "clearml-elastic",
    "clearml-redis",
    "clearml-server",
    "clearml-fileserver",
    "clearml-webserver",
}


def configuration(name: str) -> pyhocon.ConfigTree:
    """A configuration file, as the apiserver's container has it."""
    return pyhocon.ConfigFactory.parse_string(docker("exec", f"{PROJECT}-server", "cat", f"/opt/clearml/config/{name}"))


def test_six_are_healthy(stack: Project) -> None:
    containers = stack.containers()
    assert {name for name, container in containers.items() if "Health" in container["State"]} == HEALTHY
    assert {containers[name]["State"]["Health"]["Status"] for name in HEALTHY} == {"healthy"}


def test_the_rest_did_or_does_its_work(stack: Project) -> None:
    containers = stack.containers()
    assert containers.keys() == HEALTHY | {"clearml-async-delete", "clearml-secrets"}
    assert containers["clearml-async-delete"]["State"]["Status"] == "running"
    secrets = containers["clearml-secrets"]["State"]
    assert (secrets["Status"], secrets["ExitCode"]) == ("exited", 0)


@pytest.mark.parametrize("pair", KEY_PAIRS.values(), ids=KEY_PAIRS)
def test_a_published_key_is_refused(platform: Platform, pair: tuple[str, str]) -> None:
    assert platform.login(*pair).status == 401


@pytest.mark.parametrize("secret", TOKEN_SECRETS.values(), ids=TOKEN_SECRETS)
def test_a_forged_token_is_refused(platform: Platform, secret: str) -> None:
    assert platform.call("users.get_all", forge_token(secret)).status == 401


def test_the_same_token_with_the_generated_secret_is_accepted(platform: Platform) -> None:
    secret = configuration("secure.conf")["auth.token_secret"]
    assert platform.call("users.get_all", forge_token(secret)).status == 200


def test_the_generated_account_logs_in(platform: Platform) -> None:
    (account,) = configuration("apiserver.conf")["auth.fixed_users.users"]
    token = platform.login(account["username"], account["password"]).data["token"]
    assert platform.call("users.get_current_user", token).data["user"]["name"] == "Operator"


def test_the_service_account_works_and_others_are_kept_out(platform: Platform) -> None:
    account = configuration("secure.conf")["credentials.platform"]
    token = platform.login(account["user_key"], account["user_secret"]).data["token"]
    assert platform.upload("tests/plain.bin", b"\0\n\xff", token).status == 200
    assert platform.download("tests/plain.bin", token).body == b"\0\n\xff"
    assert platform.download("tests/plain.bin").status == 401
    assert platform.upload("tests/anonymous.bin", b"x").status == 401


def test_the_web_server_leads_to_the_apiserver(platform: Platform) -> None:
    assert platform.ask("GET", f"{platform.web}/api/debug.ping").data == {"msg": "ClearML server"}


def test_only_three_ports_are_published_and_only_here(stack: Project) -> None:
    published = {
        (binding["HostIp"], binding["HostPort"])
        for container in stack.containers().values()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {("127.0.0.1", stack.settings[f"CLEARML_{name}_PORT"]) for name in ("WEB", "API", "FILES")}


def test_a_second_up_keeps_containers_and_secrets(stack: Project) -> None:
    def state() -> dict[str, tuple[str, str]]:
        containers = stack.containers()
        return {name: (containers[name]["Id"], containers[name]["State"]["StartedAt"]) for name in HEALTHY}

    def files() -> list[str]:
        folder = "/opt/clearml/config"
        return [
            docker("exec", f"{PROJECT}-server", "cat", f"{folder}/{name}") for name in ("secure.conf", "apiserver.conf")
        ]

    before = state(), files()
    stack.compose("up", "--detach", "--wait")
    assert (state(), files()) == before


def test_the_secrets_are_the_containers_own(stack: Project) -> None:
    """Nobody else on the machine sees them: not in the output of a container, nor in what Docker shows of it."""
    keys = configuration("secure.conf")
    values = [keys["auth.token_secret"], keys["http.session_secret.apiserver"]]
    values += [account["user_secret"] for account in keys["credentials"].values()]
    shown = docker("inspect", *(container["Id"] for container in stack.containers().values()))
    for container in stack.containers().values():
        logs = subprocess.run(["docker", "logs", container["Id"]], capture_output=True, text=True, check=True)
        shown += logs.stdout + logs.stderr
    assert [value for value in values if value in shown] == []
    mode = docker("exec", f"{PROJECT}-server", "stat", "--format", "%a %u", "/opt/clearml/config/secure.conf")
    assert mode.strip() == "600 0"


def test_the_web_server_follows_addresses_that_change(stack: Project, platform: Platform) -> None:
    """Nginx asks for addresses once, when it starts; after a crash or a reboot those behind it may have others."""
    network = f"{PROJECT}_frontend"
    behind = {"apiserver": f"{PROJECT}-server", "fileserver": f"{PROJECT}-fileserver"}

    def addresses() -> list[str]:
        form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
        return docker("inspect", "--format", form, *behind.values()).split()

    before = addresses()
    for container in behind.values():
        docker("network", "disconnect", network, container)
    for alias, container in reversed(behind.items()):
        docker("network", "connect", "--alias", alias, network, container)
    assert addresses() != before, "the engine gave the same addresses again, so this shows nothing"
    deadline = time.monotonic() + 60
    while platform.ask("GET", f"{platform.web}/api/debug.ping").status != 200:
        assert time.monotonic() < deadline, "the web server goes on asking where nobody is any more"
        time.sleep(1)
