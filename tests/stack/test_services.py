"""What Compose makes of the files, service by service: limits, privileges, health checks, start order, networks.

Nothing is started here. What is expected is written down by hand, so that a line lost from an anchor is noticed.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyhocon
import pytest
from lab.commands.shell import ROOT
from lab.stack import Project

Services = dict[str, dict[str, Any]]

DATABASES = ("clearml-mongo", "clearml-elastic", "clearml-redis")
SERVERS = ("clearml-server", "clearml-fileserver", "clearml-webserver", "clearml-async-delete")
ONE_SHOT = "clearml-secrets"
ALL = (*DATABASES, *SERVERS, ONE_SHOT)

HEALTHY, DONE = "service_healthy", "service_completed_successfully"
# What must be there before a service starts.
STARTS_AFTER = {
    "clearml-server": dict.fromkeys(DATABASES, HEALTHY) | {ONE_SHOT: DONE},
    "clearml-fileserver": {"clearml-redis": HEALTHY, "clearml-server": HEALTHY},
    "clearml-webserver": {"clearml-server": HEALTHY, "clearml-fileserver": HEALTHY},
    "clearml-async-delete": dict.fromkeys(DATABASES, HEALTHY) | {"clearml-fileserver": HEALTHY},
}
# What a service restarts with: it keeps an address or a login of the other.
RESTARTS_WITH = {
    "clearml-fileserver": {"clearml-server"},
    "clearml-webserver": {"clearml-server", "clearml-fileserver"},
    "clearml-async-delete": {"clearml-fileserver"},
}
MEMORY_MIB = {
    "clearml-mongo": 2048,
    "clearml-elastic": 2048,
    "clearml-redis": 512,
    "clearml-server": 2048,
    "clearml-fileserver": 1024,
    "clearml-webserver": 512,
    "clearml-async-delete": 512,
}
CAPABILITIES = {name: {"CHOWN", "DAC_OVERRIDE", "FOWNER"} for name in (*SERVERS, ONE_SHOT)}
CAPABILITIES |= {name: set() for name in DATABASES}
CAPABILITIES["clearml-webserver"] = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "NET_BIND_SERVICE"}
NETWORKS = {
    "clearml-mongo": {"backend"},
    "clearml-elastic": {"backend"},
    "clearml-redis": {"backend"},
    "clearml-server": {"backend", "frontend"},
    "clearml-fileserver": {"backend", "frontend"},
    "clearml-webserver": {"frontend"},
    "clearml-async-delete": {"backend"},
}
# Where each store keeps its data inside of its container.
DATA = {
    "clearml-mongo": "/data/db",
    "clearml-elastic": "/usr/share/elasticsearch/data",
    "clearml-redis": "/data",
    "clearml-fileserver": "/mnt/fileserver",
}
READERS_OF_SECURE_CONF = {"clearml-server", "clearml-fileserver", "clearml-async-delete"}
CONFIG = "/opt/clearml/config"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The plain project as Compose understands it, with a digest for each configuration file."""
    project = Project.copy(tmp_path_factory.mktemp("services"))
    project.write_env(CLEARML_SECURE_DIGEST="digest-of-secure", CLEARML_APISERVER_DIGEST="digest-of-apiserver")
    return project.config()


@pytest.fixture(scope="module")
def services(config: dict[str, Any]) -> Services:
    """Its services."""
    found: Services = config["services"]
    return found


def test_these_are_all(services: Services) -> None:
    assert services.keys() == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_runs_an_image_of_the_release(services: Services, name: str) -> None:
    (release,) = re.findall(r"^CLEARML_RELEASE=(.*)$", (ROOT / "compose" / ".env.example").read_text(), re.MULTILINE)
    listed = (ROOT / "compose" / "releases" / f"{release}.env").read_text()
    assert f"_IMAGE={services[name]['image']}\n" in listed


@pytest.mark.parametrize("name", [*DATABASES, "clearml-server", "clearml-fileserver", "clearml-webserver"])
def test_has_a_health_check(services: Services, name: str) -> None:
    check = services[name].get("healthcheck", {})
    assert check.get("test", ["NONE"])[0] in ("CMD", "CMD-SHELL")
    assert not check.get("disable")
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


@pytest.mark.parametrize("name", ALL)
def test_starts_when_what_it_needs_is_healthy(services: Services, name: str) -> None:
    needed = services[name].get("depends_on", {})
    assert {other: need["condition"] for other, need in needed.items()} == STARTS_AFTER.get(name, {})
    # The one-shot service may be switched off; nothing else may be missing.
    assert {other for other, need in needed.items() if not need["required"]} <= {ONE_SHOT}


@pytest.mark.parametrize("name", ALL)
def test_restarts_with_what_it_keeps_a_login_or_an_address_of(services: Services, name: str) -> None:
    needed = services[name].get("depends_on", {})
    assert {other for other, need in needed.items() if need.get("restart")} == RESTARTS_WITH.get(name, set())


@pytest.mark.parametrize("name", ALL)
def test_comes_back_by_itself(services: Services, name: str) -> None:
    assert services[name].get("restart") == ("no" if name == ONE_SHOT else "unless-stopped")


@pytest.mark.parametrize("name", ALL)
def test_privileges(services: Services, name: str) -> None:
    service = services[name]
    assert service.get("cap_drop") == ["ALL"]
    assert service.get("security_opt") == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert set(service.get("cap_add", [])) == CAPABILITIES[name]


@pytest.mark.parametrize("name", MEMORY_MIB)
def test_memory_limit(services: Services, name: str) -> None:
    assert int(services[name].get("mem_limit", 0)) == MEMORY_MIB[name] << 20


@pytest.mark.parametrize("name", ALL)
def test_logs_are_rotated(services: Services, name: str) -> None:
    wanted = {"driver": "json-file", "options": {"max-size": "20m", "max-file": "5"}}
    assert services[name].get("logging") == wanted


@pytest.mark.parametrize("name", NETWORKS)
def test_is_on_no_other_network(services: Services, name: str) -> None:
    assert services[name].get("networks", {}).keys() == NETWORKS[name]


def test_the_backend_network_has_no_way_out(config: dict[str, Any]) -> None:
    assert config["networks"]["backend"].get("internal") is True
    assert not config["networks"]["frontend"].get("internal")


def test_only_three_ports_are_published_and_only_on_loopback(services: Services) -> None:
    published = {
        (name, port.get("host_ip"), port["published"], port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert published == {
        ("clearml-server", "127.0.0.1", "8008", 8008),
        ("clearml-fileserver", "127.0.0.1", "8081", 8081),
        ("clearml-webserver", "127.0.0.1", "8080", 80),
    }


@pytest.mark.parametrize("name", DATA)
def test_data_is_on_a_named_volume(services: Services, config: dict[str, Any], name: str) -> None:
    mounts = {mount["target"]: mount for mount in services[name].get("volumes", [])}
    assert DATA[name] in mounts, "the data would be lost with the container"
    assert mounts[DATA[name]]["type"] == "volume"
    assert config["volumes"][mounts[DATA[name]]["source"]]["name"] == f"clearml_{name.removeprefix('clearml-')}"


@pytest.mark.parametrize("name", SERVERS)
def test_the_configuration_is_mounted_read_only(services: Services, name: str) -> None:
    mounts = [mount for mount in services[name].get("volumes", []) if mount["target"] == CONFIG]
    assert [mount.get("read_only") for mount in mounts] == ([True] if name in READERS_OF_SECURE_CONF else [])


@pytest.mark.parametrize("name", ALL)
def test_a_changed_file_restarts_its_readers_alone(services: Services, name: str) -> None:
    """A digest that stands anywhere in a service makes Compose replace its container when the file changes."""
    definition = json.dumps(services[name])
    assert ("digest-of-secure" in definition) is (name in READERS_OF_SECURE_CONF)
    assert ("digest-of-apiserver" in definition) is (name == "clearml-server")


@pytest.mark.parametrize("name", ["clearml-server", "clearml-async-delete"])
def test_files_under_the_public_address_may_be_deleted(services: Services, name: str) -> None:
    """The one schedules deletions and the other does them; each leaves alone what it does not know."""
    setting = services[name]["environment"]["CLEARML__services__async_urls_delete__fileserver__url_prefixes"]
    # As the server reads its settings.
    assert "http://127.0.0.1:8081" in pyhocon.ConfigFactory.parse_string(f"url_prefixes: {setting}")["url_prefixes"]


def test_the_configuration_is_found(services: Services) -> None:
    """A service that does not find it starts all the same, with published keys and without passwords."""
    assert {services[name]["environment"].get("CLEARML_CONFIG_DIR") for name in READERS_OF_SECURE_CONF} == {CONFIG}


def test_nobody_gets_in_without_a_password(services: Services) -> None:
    environment = services["clearml-server"]["environment"]
    assert environment.get("CLEARML__apiserver__auth__fixed_users__enabled") == "true"
    assert not [name for service in services.values() for name in service.get("environment") or {} if "guest" in name]


def test_no_secret_goes_through_the_environment(services: Services) -> None:
    """Whoever may look at a container would see it."""
    names = [name for service in services.values() for name in service.get("environment") or {}]
    assert names
    assert [name for name in names if "secret" in name.lower() or "password" in name.lower()] == []
