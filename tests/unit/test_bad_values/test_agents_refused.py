"""A wrong inventory of agents is refused as one of a server is (test_refused.py). The table is agents.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.unit.fake_platform import KEY_PAIR, Platform

from .prepare import Case, make_docker, make_server, ports, read_cases, read_good, untrusted
from .runs import LOCAL, Inventory, Refused, check_refused, check_sentence, chosen_hosts, error_lines, group, run_checks

CASES = read_cases("agents.yml")
GOOD = read_good("agents_good.yml")


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inventory]:
    """Write the inventories with their server, and make what they point to."""
    folder = tmp_path_factory.mktemp("inventories")
    make_docker(folder)
    (folder / "requirements.txt").write_text("clearml-agent==3.0.3\n")
    (folder / "without-agent.txt").write_text("# clearml-agent==3.0.3\nrequests==2.32.3\n")
    platform = Platform()
    keys = dict(zip(("access_key", "secret_key"), KEY_PAIR, strict=True))
    urls = {name: platform.url(name) for name in ("api", "web", "files")}
    make_server(
        folder / "server",
        {f"{name}_host": url for name, url in urls.items()},
        {"agents": keys, "outdated": {"access_key": "Hidden58Hidden58", "secret_key": "Hidden59Hidden59"}},
    )
    with ports() as numbers, untrusted(folder) as tls:
        places = {"folder": folder, "tls": tls, **urls, **keys, **numbers}
        groups = {
            "clearml_server": {"hosts": {"the-server": {**LOCAL, "clearml_server_data_root": str(folder / "server")}}},
            "clearml_agents": group(folder, places, GOOD["common"], GOOD["hosts"], CASES),
        }
        path = folder / "hosts.yml"
        path.write_text(yaml.safe_dump(groups))
        yield Inventory(path, places)
    platform.stop()


@pytest.fixture(scope="module")
def refused(request: pytest.FixtureRequest, inventory: Inventory) -> Refused:
    """Run the preflights over the inventories that the chosen tests are about, or over all."""
    return Refused(inventory, chosen_hosts(request), "agents.yml")


@pytest.fixture(scope="module")
def refused_by_server(inventory: Inventory) -> Refused:
    """Run them without --check, which insists on a server, over those that only then are refused, and the good ones."""
    hosts = [*GOOD["hosts"], *(case.host for case in CASES if not case.check)]
    return Refused(inventory, hosts, "agents.yml", check_mode=False)


@pytest.mark.parametrize("case", [case for case in CASES if case.check], ids=lambda case: case.host)
def test_a_wrong_inventory_is_refused_with_one_sentence(refused: Refused, case: Case) -> None:
    check_refused(refused, case)


@pytest.mark.parametrize("case", [case for case in CASES if not case.check], ids=lambda case: case.host)
def test_a_server_that_does_not_let_agents_in_is_told_in_one_sentence(refused_by_server: Refused, case: Case) -> None:
    failures = refused_by_server.failures.get(case.host, [])
    assert len(failures) == 1, failures
    check_sentence(failures[0], case, refused_by_server.places)


@pytest.mark.parametrize("host", GOOD["hosts"])
def test_right_values_are_accepted(refused: Refused, refused_by_server: Refused, host: str) -> None:
    for run in (refused, refused_by_server):
        assert run.failures.get(host, []) == []
        assert run.stats[host]["failures"] == 0


def test_nothing_changed(refused: Refused, refused_by_server: Refused) -> None:
    assert {
        host for run in (refused, refused_by_server) for host, stats in run.stats.items() if stats["changed"]
    } == set()
    assert not (refused.places["folder"] / "agents").exists()


def test_no_secret_is_printed(refused: Refused, refused_by_server: Refused) -> None:
    output = refused.output + refused_by_server.output
    secrets = [secret for case in CASES for secret in case.hides]
    assert len(secrets) > 20
    assert [secret for secret in secrets if secret in output] == []
    assert re.search(r"Hidden7[0-5]Hidden", output) is None


# -- what one host cannot tell


@pytest.mark.parametrize("playbook", ["agents.yml", "drain.yml"])
def test_an_inventory_without_agents_is_refused(tmp_path: Path, playbook: str) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("clearml_server: {hosts: {somewhere: }}")
    run = run_checks(file, playbook=playbook)
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert str(file) in line
    assert "no host in the group clearml_agents (groups with hosts: clearml_server)" in line
    assert "put the agents' hosts into that group" in line


def test_a_worker_of_two_hosts_is_refused(tmp_path: Path) -> None:
    """Whether the inventory gives both the same id, or one the id that the other has by itself."""
    hosts = {
        "red": {"clearml_agent_instances": [{"name": "a", "queues": ["default"]}]},
        "blue": {"clearml_agent_instances": [{"name": "b", "queues": ["default"], "worker": "red:a"}]},
        "by-default": {},
        "wrong": {"clearml_agent_instances": "default"},
    }
    servers = {"hosts": {"the-server": LOCAL}}
    agents = {"hosts": hosts, "vars": LOCAL}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"clearml_server": servers, "clearml_agents": agents}))
    run = run_checks(tmp_path / "hosts.yml", "--limit", "localhost,red", playbook="agents.yml")
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert "clearml_agent_instances of the hosts blue and red have the worker red:a: each must have its own." in line


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "no host in the group clearml_server"),
        ({"clearml_agent_access_key": KEY_PAIR[0], "clearml_agent_secret_key": KEY_PAIR[1]}, "clearml_agent_api_url"),
        ({"clearml_agent_api_url": "http://clearml.example.com:8008"}, "clearml_agent_access_key"),
    ],
    ids=["neither", "key-alone", "url-alone"],
)
def test_agents_without_a_server_are_refused(tmp_path: Path, variables: dict[str, str], wanted: str) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text(yaml.safe_dump({"clearml_agents": {"hosts": {"lonely": {**LOCAL, **variables}}}}))
    run = run_checks(file, playbook="agents.yml")
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert wanted in line
    assert KEY_PAIR[1] not in run.stdout + run.stderr


def test_deploy_refuses_them_before_it_looks_at_the_server(inventory: Inventory) -> None:
    host = "the-same-queue-twice"
    run = run_checks(inventory.path, "--limit", f"localhost,the-server,{host}")
    assert run.returncode == 2, run.stdout + run.stderr
    (line,) = error_lines(run)
    assert "the queue default 2 times" in line
    assert "TASK [Check the server's variables" not in run.stdout
    assert "Deploy the ClearML server" not in run.stdout
