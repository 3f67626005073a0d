"""The filters for agents' instances, and the two modules that the role works with."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import PLUGINS

Load = Callable[[str], ModuleType]
COMMON: dict[str, Any] = {
    "api": {"api_server": "http://server:8008"},
    "agent": {"venvs_cache": {"max_entries": 10}, "force_git_ssh_protocol": True},
    "sdk": {"storage": {"cache": {"default_cache_manager_size": 100}}},
}
PLAIN = {"name": "gpu0", "queues": ["urgent", "a queue"]}
IMAGE = {"image": "python:3.12", "arguments": ["--ipc=host"]}


@pytest.fixture
def filters(load_plugin: Load) -> ModuleType:
    return load_plugin("filter/clearml_agents")


# -- what is wrong with instances


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([], []),
        ([PLAIN, {"name": "gpu1", "queues": ["urgent"]}], []),
        ([PLAIN, PLAIN], ["the name gpu0 2 times"]),
        ([{**PLAIN, "worker": "host:gpu1"}, {"name": "gpu1", "queues": ["urgent"]}], ["the worker host:gpu1 2 times"]),
        ([{"name": "a", "queues": []}], ["clearml_agent_instances[0] (a) has no queues"]),
        ([PLAIN, {"name": "b", "queues": ["x", "y", "x"]}], ["clearml_agent_instances[1] (b) has the queue x 2 times"]),
    ],
)
def test_problems(filters: ModuleType, instances: list[Any], said: list[str]) -> None:
    found = filters.agent_problems(instances, "host")
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


def test_hosts_may_not_share_a_worker(filters: ModuleType) -> None:
    red, blue = [{"name": "a", "worker": "blue:a"}, {"name": "b"}], [{"name": "a"}]
    assert filters.agent_conflicts({"red": [{"name": "a"}], "blue": blue}) == []
    found = filters.agent_conflicts({"red": red, "blue": blue, "unset": [], "wrong": ["x", 7]})
    assert len(found) == 1
    assert "the hosts red and blue have the worker blue:a" in found[0]


# -- what an instance becomes


def arguments_of(unit: str) -> list[str]:
    """The command that a drop-in makes systemd run."""
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


def test_a_unit_asks_queues_in_their_order(filters: ModuleType) -> None:
    command = arguments_of(filters.agent_unit(PLAIN, "/venv", "/run_agent.py", "host"))
    assert command[:4] == ["/venv/bin/python", "/run_agent.py", "daemon", "--foreground"]
    assert command[command.index("--queue") + 1 :] == ["urgent", "a queue"]


@pytest.mark.parametrize(
    ("gpus", "wanted"), [(None, ["--cpu-only"]), ("", ["--cpu-only"]), ("0,1", ["--gpus", "0,1"]), (0, ["--gpus", "0"])]
)
def test_a_unit_takes_the_gpus_that_it_was_given(filters: ModuleType, gpus: object, wanted: list[str]) -> None:
    """Without an option the official agent would take all that there are."""
    command = arguments_of(filters.agent_unit({**PLAIN, "gpus": gpus}, "/venv", "/run_agent.py", "host"))
    assert command[4 : command.index("--queue")] == wanted


def test_limits_hold_for_what_runs_the_tasks(filters: ModuleType) -> None:
    """The unit, or the containers, which are no children of the unit."""
    limited = {**PLAIN, "memory": "8g", "cpus": 1.5}
    unit = filters.agent_unit(limited, "/venv", "/run_agent.py", "host").splitlines()
    assert {"MemoryMax=8G", "CPUQuota=150%"} <= set(unit)
    assert "SupplementaryGroups=docker" not in unit

    inside = {**limited, "docker": IMAGE}
    unit = filters.agent_unit(inside, "/venv", "/run_agent.py", "host").splitlines()
    assert not [line for line in unit if line.startswith(("MemoryMax", "CPUQuota"))]
    assert "SupplementaryGroups=docker" in unit
    options = filters.agent_config(inside, COMMON, "host", "/data", ["--env=A"])["agent"]["extra_docker_arguments"]
    assert options == ["--env=A", "--memory=8g", "--cpus=1.5"]


def test_a_worker_has_a_fixed_name(filters: ModuleType) -> None:
    agent = filters.agent_config(PLAIN, COMMON, "host", "/data", [])["agent"]
    assert (agent["worker_id"], agent["worker_name"]) == ("host:gpu0", "host")
    agent = filters.agent_config({**PLAIN, "worker": "mine:7"}, COMMON, "host", "/data", [])["agent"]
    assert (agent["worker_id"], agent["worker_name"]) == ("mine:7", "mine")
    assert filters.agent_workers([PLAIN, {**PLAIN, "worker": "mine:7", "memory": "1g"}], "host") == [
        {"id": "host:gpu0", "name": "gpu0", "queues": ["urgent", "a queue"]},
        {"id": "mine:7", "name": "gpu0", "queues": ["urgent", "a queue"]},
    ]


def test_containers_have_caches_of_their_own(filters: ModuleType) -> None:
    """What root leaves there, the unprivileged user of the others could not use."""
    with_docker = filters.agent_config({**PLAIN, "docker": IMAGE}, COMMON, "host", "/data", [])
    without = filters.agent_config(PLAIN, COMMON, "host", "/data", [])

    def places(value: object) -> set[str]:
        if isinstance(value, dict):
            return set().union(*map(places, value.values()))
        return {value} if isinstance(value, str) and value.startswith("/data") else set()

    own = {"/data/instances/gpu0/venvs", "/data/instances/gpu0/apt-cache"}
    assert own <= places(with_docker) & places(without)
    assert places(with_docker) & places(without) == own
    assert without["agent"]["venvs_cache"]["max_entries"] == 10
    assert with_docker["agent"]["default_docker"]["image"] == "python:3.12"
    # The official rules would choose another image by the Python that a task was written with.
    assert with_docker["agent"]["default_docker"]["match_rules"] == []
    assert COMMON["agent"]["venvs_cache"] == {"max_entries": 10}


# -- the modules


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a module as Ansible does, and returns what it says."""

    def call(name: str, *, rc: int = 0, check: bool = False, **arguments: object) -> dict[str, Any]:
        request = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check, "_ansible_tmpdir": str(tmp_path)}}
        code = "import runpy, sys, tests.unit.conftest; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
        done = subprocess.run(
            [sys.executable, "-c", code, PLUGINS / "modules" / f"{name}.py"],
            input=json.dumps(request),
            cwd=PLUGINS.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == rc, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return call


Run = Callable[..., dict[str, Any]]
ME = {"owner": str(os.getuid()), "group": str(os.getgid())}


def test_text_files_writes_what_differs(run: Run, tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "new" / "a.conf"), "content": "key = ü\n", "mode": "0640", **ME}
    folder = {"path": str(tmp_path / "new"), "mode": "0750", **ME}
    wanted = {"files": [file], "directories": [folder]}

    assert run("text_files", check=True, **wanted)["written"] == [folder["path"], file["path"]]
    assert not Path(folder["path"]).exists()

    assert run("text_files", **wanted)["written"] == [folder["path"], file["path"]]
    path = Path(file["path"])
    assert path.read_bytes() == "key = ü\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert list(path.parent.iterdir()) == [path]
    again = run("text_files", **wanted)
    assert (again["changed"], again["written"]) == (False, [])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("other"),
        lambda path: path.chmod(0o644),
        lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
        lambda path: path.unlink(),
    ],
    ids=["content", "mode", "link", "gone"],
)
def test_text_files_mends(run: Run, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    path = tmp_path / "secret.conf"
    wanted = {"files": [{"path": str(path), "content": "right", "mode": "0600", **ME}]}
    run("text_files", **wanted)
    spoil(path)
    hostname = Path("/etc/hostname").read_text(encoding="utf-8")
    assert run("text_files", **wanted)["changed"]
    assert path.read_text(encoding="utf-8") == "right"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Path("/etc/hostname").read_text(encoding="utf-8") == hostname


def test_text_files_hides_what_it_writes(run: Run, tmp_path: Path) -> None:
    answer = run("text_files", files=[{"path": str(tmp_path / "a"), "content": "Hidden1", **ME}])
    assert "Hidden1" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"owner": "nobody-has-this-name"}, "There is no user nobody-has-this-name on this host."),
        ({"mode": "rw"}, "has the mode rw: it must be octal"),
        ({"path": "/proc/no/file"}, "cannot be written"),
    ],
)
def test_text_files_says_what_is_wrong(run: Run, tmp_path: Path, changed: dict[str, str], said: str) -> None:
    wanted = {"path": str(tmp_path / "a"), "content": "", **ME, **changed}
    assert said in run("text_files", rc=1, files=[wanted])["msg"]


@pytest.fixture
def units(load_plugin: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with another place for units; of them systemd says what stands in the file ``shown``."""
    module = load_plugin("modules/clearml_agent_units")
    for name in ("units", "units/multi-user.target.wants", "units/clearml-agent@there.service.d", "conf", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(module, "UNITS", tmp_path / "units")
    monkeypatch.setattr(module, "RUNTIME", tmp_path / "run")
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/shown\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return module


def test_instances_are_found_by_any_trace(units: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "conf" / "configured").mkdir()
    (tmp_path / "units" / "multi-user.target.wants" / "clearml-agent@enabled.service").symlink_to("/nowhere")
    (tmp_path / "units" / "clearml-agent@.service").touch()
    (tmp_path / "units" / "other@x.service.d").mkdir()
    assert units.instances(tmp_path / "conf") == {"configured", "enabled", "there"}


def test_what_is_newer_than_the_start_is_outdated(units: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "run_agent.py"
    paths = [
        program,
        tmp_path / "conf" / "there" / "clearml.conf",
        tmp_path / "units/clearml-agent@there.service.d/a.conf",
    ]
    started = tmp_path / "run" / "there" / "started"
    for path in [*paths, started]:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (1000, 1000))
    (tmp_path / "shown").write_text(
        "Id=clearml-agent@there.service\nActiveState=active\nStatusText=waiting for tasks\n"
    )

    def look() -> dict[str, Any]:
        found: dict[str, Any] = units.look(tmp_path / "conf", program)["there"]
        return found

    assert look() == {
        "state": "active",
        "doing": "waiting for tasks",
        "enabled": False,
        "outdated": False,
        "draining": False,
    }
    for path in paths:
        os.utime(path, (1001, 1001))
        assert look()["outdated"], path
        os.utime(path, (1000, 1000))
    started.with_name("drain").touch()
    assert look()["draining"]
    started.unlink()
    assert look()["outdated"], "an agent that did not say when it started"
    (tmp_path / "shown").write_text("Id=clearml-agent@there.service\nActiveState=inactive\nStatusText=\n")
    assert not look()["outdated"], "what does not run reads everything when it starts"
