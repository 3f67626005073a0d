"""What listens where: three ports on the bind address, and no database outside the backend network."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import testinfra.host

from helpers.containers import Inspected
from helpers.expected import DATABASE_PORTS, DATABASES, SERVICES, Service
from helpers.inside import run_python
from helpers.variables import Variables


def published(container: dict[str, Any]) -> list[tuple[str, str]]:
    """Addresses and ports of the host that lead into the container."""
    ports = container["NetworkSettings"]["Ports"].values()
    return [(binding["HostIp"], binding["HostPort"]) for bindings in ports for binding in bindings or []]


# Tries each address and port, and prints those that accept a connection.
CONNECT = """
import json, socket, sys
wanted = json.loads(sys.stdin.readline())
def accepts(address, port):
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
print(json.dumps([pair for pair in wanted if accepts(*pair)]))
"""


def reached(host: testinfra.host.Host, addresses: list[str], ports: list[int]) -> set[tuple[str, int]]:
    """Where something accepts connections, asked from the host itself."""
    found = run_python(host.backend.name, CONNECT, list(itertools.product(addresses, ports)))
    return {(address, port) for address, port in found}


def reaches(host: testinfra.host.Host, container: str, address: str, port: int) -> bool:
    """Whether a container gets a connection."""
    probe = f"import socket; socket.create_connection(({address!r}, {port}), timeout=1)"
    return bool(host.run(f"docker exec {container} python3 -c %s", probe).rc == 0)


def own_addresses(host: testinfra.host.Host) -> list[str]:
    """All IPv4 addresses of the host: loopback, its own network, and its ends of Docker's bridges."""
    links = json.loads(host.check_output("ip -json -4 address"))
    return [entry["local"] for link in links for entry in link["addr_info"]]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_published_ports(containers: Inspected, variables: Variables, service: Service) -> None:
    wanted = [(variables["clearml_server_bind_address"], str(variables[service.port]))] if service.port else []
    if variables["clearml_server_debug_ports"]:
        wanted += [("127.0.0.1", str(port)) for port in DATABASE_PORTS.get(service.name, ())]
    assert sorted(published(containers[service.name])) == sorted(wanted)


def test_the_ports_answer_on_the_bind_address_alone(host: testinfra.host.Host, variables: Variables) -> None:
    addresses = own_addresses(host)
    assert len(addresses) > 2, "expected loopback, the host's own address and Docker's bridges"
    ports = [variables[service.port] for service in SERVICES if service.port]
    assert reached(host, addresses, ports) == {(variables["clearml_server_bind_address"], port) for port in ports}


def test_no_database_answers_on_an_address_of_the_host(host: testinfra.host.Host, variables: Variables) -> None:
    """With debug ports, the loopback address alone."""
    ports = [port for ports in DATABASE_PORTS.values() for port in ports]
    wanted = {("127.0.0.1", port) for port in ports} if variables["clearml_server_debug_ports"] else set()
    assert reached(host, own_addresses(host), ports) == wanted


def test_databases_live_on_the_internal_network_only(
    host: testinfra.host.Host, containers: Inspected, variables: Variables
) -> None:
    """Debug ports need a network of their own, which no other service is on."""
    debug = {"clearml_debug"} if variables["clearml_server_debug_ports"] else set()
    networks = {name: set(container["NetworkSettings"]["Networks"]) for name, container in containers.items()}
    for name in DATABASES:
        (network,) = networks[name] - debug
        assert networks[name] == {network} | debug
        assert host.check_output("docker network inspect --format '{{.Internal}}' %s", network) == "true"
    assert {name for name, joined in networks.items() if joined & debug} == (set(DATABASES) if debug else set())
    (outside,) = networks["clearml-webserver"]
    assert host.check_output("docker network inspect --format '{{.Internal}}' %s", outside) == "false"


@pytest.mark.parametrize("name", DATABASES)
def test_the_web_server_cannot_reach_a_database(host: testinfra.host.Host, containers: Inspected, name: str) -> None:
    """Neither by name nor by address, while the apiserver can."""
    network = containers[name]["NetworkSettings"]["Networks"]["clearml_backend"]
    port = DATABASE_PORTS[name][0]
    for address in (name, network["IPAddress"]):
        assert reaches(host, "clearml-server", address, port), address
        assert not reaches(host, "clearml-webserver", address, port), address


def test_a_database_cannot_reach_the_outside(host: testinfra.host.Host, variables: Variables) -> None:
    """The network has no way out: no default route. That of the debug ports has one, or it could not publish them."""
    routes = host.check_output("docker exec clearml-elastic cat /proc/net/route").splitlines()[1:]
    assert routes
    ways_out = [route for route in routes if route.split()[1] == "00000000"]
    assert bool(ways_out) == variables["clearml_server_debug_ports"]
