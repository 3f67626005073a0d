"""What would leave the data behind, or hand it to another release, is refused before anything changed."""

from __future__ import annotations

import pytest
import testinfra.host

from helpers.containers import inspect, touched
from helpers.expected import ROOT, role_defaults
from helpers.playbooks import ansible_playbook, runs

OTHER_RELEASE = next(
    path.stem
    for path in sorted((ROOT / "compose" / "releases").glob("*.env"))
    if path.stem != role_defaults("clearml_server")["clearml_server_release"]
)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("clearml_server_release", OTHER_RELEASE), ("clearml_server_data_root", "/srv/clearml")],
    ids=lambda word: word,
)
def test_data_stays_with_its_release_and_place(host: testinfra.host.Host, variable: str, value: str) -> None:
    before = inspect(host)
    result = ansible_playbook("playbooks/deploy.yml", "--extra-vars", f"{variable}={value}")
    assert result.returncode != 0
    sentence = " ".join(result.stdout.partition("[ERROR]")[2].partition("Origin:")[0].split())
    assert f"{variable} is {value}, but " in sentence
    assert runs("deploy.yml")[-1].changed == []
    assert not host.file("/srv/clearml").exists
    assert touched(before, inspect(host)) == set()
