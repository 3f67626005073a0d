"""The addresses that clients use are written, compared and deleted under the names that the inventory gives them."""

from __future__ import annotations

import stat
from pathlib import Path

import pyhocon
import pytest
import testinfra.host

from helpers.containers import Inspected
from helpers.platform import Platform
from helpers.variables import Variables


def test_clients_are_told_the_public_addresses(
    host: testinfra.host.Host, variables: Variables, credentials: dict[str, str]
) -> None:
    web, api, files = (variables[f"clearml_server_{name}_url"] for name in ("web", "api", "files"))
    assert (credentials["web_host"], credentials["api_host"], credentials["files_host"]) == (web, api, files)
    text = host.file(f"{variables['clearml_server_data_root']}/client/clearml.conf").content_string
    told = pyhocon.ConfigFactory.parse_string(text)["api"]
    assert (told["web_server"], told["api_server"], told["files_server"]) == (web, api, files)
    key = (told["credentials.access_key"], told["credentials.secret_key"])
    assert key == (credentials["access_key"], credentials["secret_key"])


@pytest.mark.parametrize("name", ["clearml.conf", "credentials.json"])
def test_the_controller_has_the_same_files(host: testinfra.host.Host, variables: Variables, name: str) -> None:
    copy = Path(variables["clearml_access_client_dir"]) / name
    assert copy.read_text() == host.file(f"{variables['clearml_server_data_root']}/client/{name}").content_string
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["clearml-server", "clearml-async-delete"])
def test_files_of_all_addresses_may_be_deleted(containers: Inspected, variables: Variables, name: str) -> None:
    """Who schedules deletions and who does them must agree on what is theirs."""
    environment = dict(setting.split("=", 1) for setting in containers[name]["Config"]["Env"])
    # As the server reads it.
    prefixes = environment["CLEARML__services__async_urls_delete__fileserver__url_prefixes"]
    wanted = [variables["clearml_server_files_url"], *variables["clearml_server_former_files_urls"]]
    assert pyhocon.ConfigFactory.parse_string(f"prefixes: {prefixes}")["prefixes"] == wanted


def test_a_file_stored_under_any_address_goes_with_its_task(
    platform: Platform, token: str, variables: Variables
) -> None:
    addresses = [variables["clearml_server_files_url"], *variables["clearml_server_former_files_urls"]]
    stored = {f"of-a-test/{number}.bin": address for number, address in enumerate(addresses)}
    task = platform.call("tasks.create", token, name="stored elsewhere", type="testing").data["id"]
    artifacts = [
        {"key": path, "type": "custom", "mode": "output", "uri": f"{address}/{path}"}
        for path, address in stored.items()
    ]
    assert platform.call("tasks.add_or_update_artifacts", token, task=task, artifacts=artifacts).status == 200
    for path in stored:
        assert platform.upload(path, b"goes", token).status == 200
    assert platform.upload("of-a-test/stays.bin", b"stays", token).status == 200
    assert platform.call("tasks.delete", token, task=task, force=True).status == 200
    gone = platform.wait_until(lambda: all(platform.download(path, token).status == 404 for path in stored))
    assert gone, {path: platform.download(path, token).status for path in stored}
    assert platform.download("of-a-test/stays.bin", token).body == b"stays"
