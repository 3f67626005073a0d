"""After processes died or the host restarted: everything came back by itself, and earlier work is still there."""

from __future__ import annotations

import json

import pytest

from helpers.containers import Inspected, condition
from helpers.expected import SERVICES, Service
from helpers.platform import Platform
from helpers.playbooks import EPHEMERAL
from helpers.published import KEY_PAIRS


@pytest.fixture(scope="module")
def work(platform: Platform) -> dict[str, str]:
    """What side_effect_work.yml left behind."""
    left: dict[str, str] = json.loads((EPHEMERAL / f"work-{platform.host}.json").read_text())
    return left


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_is_well(containers: Inspected, service: Service) -> None:
    assert condition(containers[service.name]) == ("healthy" if service.health_check else "running")


def test_the_task_is_there(platform: Platform, token: str, work: dict[str, str]) -> None:
    task = platform.call("tasks.get_by_id", token, task=work["task"]).data["task"]
    assert (task["name"], task["project"]) == (work["name"], work["project"])


def test_its_scalar_is_there(platform: Platform, token: str, work: dict[str, str]) -> None:
    scalars = platform.call("events.scalar_metrics_iter_histogram", token, task=work["task"]).data
    assert scalars["loss"]["train"]["y"] == [pytest.approx(0.125)]


def test_its_file_is_there(platform: Platform, token: str, work: dict[str, str]) -> None:
    assert platform.download(work["path"], token).body == work["content"].encode()


def test_new_work_is_possible(platform: Platform, token: str) -> None:
    """Every store takes new data, not only reads."""
    task = platform.call("tasks.create", token, name="after it came back", type="testing").data["id"]
    event = {"type": "training_stats_scalar", "task": task, "iter": 1, "metric": "a", "variant": "b", "value": 1.5}
    assert platform.report(token, **event).status == 200
    assert platform.upload("tests/after.bin", b"after", token).status == 200
    assert platform.call("tasks.delete", token, task=task, force=True).status == 200


def test_the_web_server_leads_to_both_services(platform: Platform) -> None:
    """Those behind it may have come back with other addresses."""
    assert platform.ask("GET", f"{platform.web}/api/debug.ping").data == {"msg": "ClearML server"}
    assert platform.ask("GET", f"{platform.web}/files/").body == b"OK"


def test_published_keys_are_still_refused(platform: Platform) -> None:
    assert {name: platform.login(*pair).status for name, pair in KEY_PAIRS.items()} == dict.fromkeys(KEY_PAIRS, 401)
