"""The lab's own decisions: what is built again, which images a release has, how hosts are booted, what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import lab

ROOT = Path(lab.__file__).parent.parent


def lab_command(*words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run the lab's command as a person does."""
    environment = os.environ | ({"PATH": path} if path else {})
    command = [sys.executable, str(ROOT / "lab" / "lab.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_release_file_comments_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "1.env"
    file.write_text("# A comment with A=B\n\nCLEARML_REDIS_IMAGE=redis:1.2.3\n")
    assert lab.read_release(file) == {"CLEARML_REDIS_IMAGE": "redis:1.2.3"}


def test_every_image_of_a_release_has_a_stand_in() -> None:
    for path in lab.RELEASES.glob("*.env"):
        official = {value for name, value in lab.read_release(path).items() if name.endswith("_IMAGE")}
        assert {image.stands_for for image in lab.stand_ins(path.stem)} == official
        for image in lab.stand_ins(path.stem):
            assert image.stands_for.endswith(f":{image.arguments['RELEASE']}")
            assert (lab.IMAGES / image.name / "Dockerfile").is_file()


def test_unknown_release_is_refused_by_name() -> None:
    result = lab_command("images", "--release", "0.0.1")
    assert result.returncode == 1
    assert "--release is 0.0.1" in result.stderr
    assert lab.default_release() in result.stderr


@pytest.mark.parametrize("change", ["content", "name", "mode", "more", "extra"])
def test_a_change_of_anything_builds_again(tmp_path: Path, change: str) -> None:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    file = recipe / "Dockerfile"
    file.write_text("FROM scratch\n")
    before = lab.content_hash([recipe], "base")
    assert lab.content_hash([recipe], "base") == before
    match change:
        case "content":
            file.write_text("FROM scratch \n")
        case "name":
            file.rename(recipe / "Containerfile")
        case "mode":
            file.chmod(0o755)
        case "extra":
            (recipe / "more").write_text("")
    assert lab.content_hash([recipe], "other base" if change == "more" else "base") != before


def test_bytecode_does_not_build_again(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("")
    before = lab.content_hash([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "module.pyc").write_bytes(b"\0")
    assert lab.content_hash([tmp_path]) == before


def test_hosts_boot_on_both_cgroup_versions() -> None:
    options, init = lab.systemd_options("2")
    assert "--privileged" in options
    assert not init
    options, init = lab.systemd_options("1")
    assert "--privileged" not in options
    assert "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" in init


def test_a_taken_port_is_seen_before_anything_is_made() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert lab.busy(f"127.0.0.1:{port}:8080") == f"127.0.0.1:{port}"
    assert lab.busy(f"127.0.0.1:{port}:8080") == ""


def test_pid_file_of_a_killed_engine_is_forgotten_and_that_of_another_is_kept(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(str(os.getpid()))  # our own number, which is no engine
    lab.forget_dead_engine(pid_file)
    assert not pid_file.exists()
    lab.forget_dead_engine(pid_file)  # nothing there: nothing to do


def test_waiting_ends_with_what_did_not_happen() -> None:
    with pytest.raises(lab.LabError, match=r"The end of the world did not happen within 0 s\. Its log"):
        lab.wait_for("The end of the world", lambda: False, 0, lambda: "Its log")


def test_a_failed_command_shows_the_end_of_its_output() -> None:
    with pytest.raises(lab.LabError, match=r"exit code 3:\nwhy"):
        lab.run("sh", "-c", "echo why; exit 3")


def test_demo_refuses_unknown_images() -> None:
    command = [sys.executable, str(ROOT / "lab" / "demo.py"), "--images", "mine"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "IMAGES is mine: it must be official or lab" in result.stderr
