"""The lab's own decisions: what is built again, which images a release has, how hosts boot, what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lab.commands import compose, engine, hosts, images, registry, releases, shell
from lab.commands.hosts import Published
from lab.commands.shell import ROOT, LabError


def lab_command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the lab's command as a person does."""
    command = [sys.executable, str(ROOT / "lab" / "lab.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two releases."""
    (tmp_path / "1.0.0.env").write_text("# A comment with A=B\n\nCLEARML_REDIS_IMAGE=redis:1.2.3\nOTHER=value\n")
    (tmp_path / "1.1.0.env").write_text("CLEARML_REDIS_IMAGE=registry.example.com:5000/redis:1.2.4\n")
    return tmp_path


# -- releases


def test_a_release_file_is_read_without_comments(folder: Path) -> None:
    assert releases.read(folder / "1.0.0.env") == {"CLEARML_REDIS_IMAGE": "redis:1.2.3", "OTHER": "value"}
    assert releases.images("1.0.0", folder) == {"CLEARML_REDIS_IMAGE": "redis:1.2.3"}


def test_the_port_of_a_registry_is_no_tag(folder: Path) -> None:
    (folder / "2.0.0.env").write_text("CLEARML_REDIS_IMAGE=registry.example.com:5000/redis\n")
    assert releases.images("1.1.0", folder)
    with pytest.raises(LabError, match=r"CLEARML_REDIS_IMAGE in 2\.0\.0\.env is .*5000/redis: it must end with a tag"):
        releases.images("2.0.0", folder)


def test_releases_are_chosen_once_each(folder: Path) -> None:
    assert releases.chosen(["all"], folder) == ["1.0.0", "1.1.0"]
    assert releases.chosen(["1.1.0", "1.1.0"], folder) == ["1.1.0"]


def test_an_unknown_release_is_refused_by_name() -> None:
    result = lab_command("images", "--release", "0.0.1")
    assert result.returncode == 1
    assert "--release is 0.0.1: it must be one of" in result.stderr
    assert releases.default() in result.stderr


@pytest.mark.parametrize("release", releases.names())
def test_every_image_of_a_release_has_a_stand_in(release: str) -> None:
    stand_ins = images.stand_ins(release)
    assert {image.stands_for for image in stand_ins} == set(releases.images(release).values())
    for image in stand_ins:
        assert image.stands_for.endswith(f":{image.arguments['RELEASE']}")
        assert (images.RECIPES / image.recipe / "Dockerfile").is_file()


# -- what is built and pushed


@pytest.mark.parametrize("change", ["content", "name", "mode", "argument", "file"])
def test_a_change_of_anything_builds_again(tmp_path: Path, change: str) -> None:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    file = recipe / "Dockerfile"
    file.write_text("FROM scratch\n")
    before = images.content_hash([recipe], "argument")
    assert images.content_hash([recipe], "argument") == before
    match change:
        case "content":
            file.write_text("FROM scratch \n")
        case "name":
            file.rename(recipe / "Containerfile")
        case "mode":
            file.chmod(0o755)
        case "file":
            (recipe / "another").write_text("")
    assert images.content_hash([recipe], "another" if change == "argument" else "argument") != before


def test_bytecode_and_times_do_not_build_again(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("")
    before = images.content_hash([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "module.pyc").write_bytes(b"\0")
    os.utime(file, (0, 0))
    assert images.content_hash([tmp_path]) == before


def test_a_new_certificate_authority_builds_the_base_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "AUTHORITIES", tmp_path / "authorities")
    without = images.base_hash("debian13")
    (tmp_path / "authorities").mkdir()
    (tmp_path / "authorities" / "company.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    assert images.base_hash("debian13") != without
    assert images.base_hash("debian13") != images.base_hash("debian12")


def test_the_lab_server_is_built_from_its_source_as_well() -> None:
    (server,) = (image for image in images.stand_ins(releases.default()) if image.recipe == "server")
    assert ROOT / "lab" / "server" in server.sources
    assert all(source.is_relative_to(server.context) for source in server.sources)


def test_a_failed_build_shows_the_end_of_its_output_and_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "CACHE", tmp_path)
    with pytest.raises(LabError, match=r"Building clearml-lab/x:1 failed \(exit code 3, log .*x-1\.log\):\nwhy$"):
        images.log_or_fail("clearml-lab/x:1", "sh", "-c", "echo why; exit 3")


def test_images_are_pushed_under_every_name_that_is_asked_for() -> None:
    assert registry.names_of("mongo:1.2.3") == ["mongo:1.2.3", "library/mongo:1.2.3"]
    assert registry.names_of("clearml/server:1.2.3") == ["clearml/server:1.2.3"]


# -- test hosts


def test_hosts_boot_on_both_versions_of_cgroups() -> None:
    options = hosts.systemd_options("2")
    assert "--privileged" in options
    assert options[options.index("--cgroupns") + 1] == "private"
    assert hosts.init_command("2") == []
    options = hosts.systemd_options("1")
    assert "--privileged" not in options
    assert options[options.index("--cgroupns") + 1] == "host"
    assert "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" in hosts.init_command("1")


@pytest.mark.parametrize("value", ["8080", "8080:8080", "127.0.0.1:0:80", "127.0.0.1:80:x", "127.0.0.1:1:2:3"])
def test_a_wrong_port_is_refused_by_option(value: str) -> None:
    with pytest.raises(LabError, match=r"--publish is .*: it must be ADDRESS:PORT:PORT, as in 127\.0\.0\.1:8080:8080"):
        Published.parse(value)


def test_a_wrong_address_is_refused_by_option() -> None:
    with pytest.raises(LabError, match="--publish is localhost:1:2: 'localhost' is no IPv4 address"):
        Published.parse("localhost:1:2")


def test_a_taken_port_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = Published("127.0.0.1", holder.getsockname()[1], 80)
        assert port.problem() == f"127.0.0.1:{port.port} is taken on this machine"
    assert port.problem() == ""


def test_an_address_of_another_machine_is_seen() -> None:
    assert Published("192.0.2.1", 8080, 80).problem() == "192.0.2.1 is no address of this machine"


def test_nothing_is_made_when_a_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(hosts, "state_of", lambda _: "")
    monkeypatch.setattr(images, "exists", lambda _: True)
    monkeypatch.setattr(registry, "start", lambda: made.append("registry"))
    monkeypatch.setattr(hosts, "create", lambda *_: made.append("host"))
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(LabError, match=rf"^127\.0\.0\.1:{port} is taken on this machine: free it or choose"):
            hosts.up("some-host", "debian13", [Published("127.0.0.1", port, 80)], "lab")
    assert made == []


@pytest.mark.parametrize(("kind", "message"), [("", "is not a host of the lab"), ("official", "was made for official")])
def test_another_container_is_left_alone(monkeypatch: pytest.MonkeyPatch, kind: str, message: str) -> None:
    monkeypatch.setattr(hosts, "state_of", lambda _: "running")
    monkeypatch.setattr(hosts, "kind_of", lambda _: kind)
    with pytest.raises(LabError, match=message):
        hosts.up("some-host", "debian13", [], "lab")


def test_only_hosts_of_the_lab_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "state_of", lambda _: "running")
    monkeypatch.setattr(hosts, "kind_of", lambda _: "")
    monkeypatch.setattr(hosts, "run", lambda *words: pytest.fail(f"ran {words}"))
    with pytest.raises(LabError, match="The container some-host is not a host of the lab: it is left alone"):
        hosts.down("some-host")


# -- the engine, Compose, and running commands


def test_the_pid_file_of_a_killed_engine_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(str(os.getpid()))  # the number is another program's by now
    monkeypatch.setattr(engine, "PID_FILES", {"dockerd": pid_file, "containerd": tmp_path / "none.pid"})
    engine.forget_dead_engine()
    assert not pid_file.exists()


def test_the_pid_file_of_a_running_engine_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(str(os.getpid()))
    monkeypatch.setattr(engine, "PID_FILES", {Path(sys.executable).name: pid_file})
    engine.forget_dead_engine()
    assert pid_file.exists()


def test_an_engine_elsewhere_is_not_ours_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.setattr(engine, "answers", lambda: False)
    for verb in (engine.ensure, engine.require):
        with pytest.raises(
            LabError, match=r"DOCKER_HOST is tcp://192\.0\.2\.1:2375, but no Docker engine answers there"
        ):
            verb()


@pytest.mark.parametrize(("there", "message"), [(True, "join the group docker"), (False, "only root can start one")])
def test_without_root_no_engine_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, message: str
) -> None:
    socket_file = tmp_path / "docker.sock"
    if there:
        socket_file.touch()
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(engine, "SOCKET", socket_file)
    monkeypatch.setattr(engine, "answers", lambda: False)
    with pytest.raises(LabError, match=message):
        engine.ensure()
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/apt-get")
    with pytest.raises(LabError, match=r"needs mmdebstrap: install with `sudo apt-get install mmdebstrap`"):
        shell.apt_install("mmdebstrap")


def test_compose_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="--env is NAME: it must be NAME=VALUE"):
        compose.compose(tmp_path, ["ps"], ["NAME"])
    with pytest.raises(LabError, match=r"--project-directory is .*/none: there is no such folder"):
        compose.compose(tmp_path / "none", ["ps"], [])


def test_compose_in_a_container_sees_the_project_under_its_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "run", lambda *_: "unix:///run/user/1000/docker.sock")
    command = compose.tool_command(Path("/srv/a:b"), ["up", "--wait"], ["A=1"])
    assert "type=bind,source=/srv/a:b,target=/srv/a:b" in command
    assert "type=bind,source=/run/user/1000/docker.sock,target=/var/run/docker.sock" in command
    tool = command.index(images.COMPOSE.name)
    assert command[tool + 1 :] == ["docker", "compose", "up", "--wait"]
    assert command[tool - 2 : tool] == ["--env", "A=1"]


def test_waiting_ends_with_what_did_not_come() -> None:
    with pytest.raises(LabError, match=r"The end of the world did not come within 0 s\. Its log"):
        shell.wait_for("The end of the world", lambda: False, 0, lambda: "Its log")


def test_a_failed_command_shows_the_end_of_its_output() -> None:
    with pytest.raises(LabError, match=r"exit code 3:\nwhy"):
        shell.run("sh", "-c", "echo why; exit 3")


def test_the_demo_refuses_unknown_images() -> None:
    command = [sys.executable, str(ROOT / "lab" / "demo.py"), "--images", "mine"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "IMAGES is mine: it must be official or lab" in result.stderr
