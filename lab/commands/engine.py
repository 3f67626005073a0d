"""A Docker engine that answers: the one that is there, or else the distribution's."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from lab.commands.shell import LabError, apt_install, run, step, succeeds, tail, wait_for

LOG = Path("/var/log/dockerd.log")
SOCKET = Path("/var/run/docker.sock")
PID_FILES = {
    "dockerd": Path("/var/run/docker.pid"),
    "containerd": Path("/var/run/docker/containerd/containerd.pid"),
}
SERVER_VERSION = ("docker", "version", "--format", "{{.Server.Version}}")


def ensure() -> None:
    """Make sure that an engine answers. One that is there is used as it is, never configured."""
    if answers():
        print(f"Using the Docker engine that is already here ({run(*SERVER_VERSION)}).")
        return
    if out_of_reach():
        raise LabError(out_of_reach())
    if os.geteuid() != 0:
        raise LabError("No Docker engine answers on this machine, and only root can start one: use sudo once.")
    if shutil.which("dockerd") is None:
        print("There is no Docker engine on this machine: installing the distribution's.")
        apt_install("docker.io", "iptables")
    if shutil.which("docker") is None:
        apt_install("docker-cli")  # Debian 13 splits the client off
    if not answers():
        with step("Starting the Docker engine"):
            start()
    print(f"The Docker engine {run(*SERVER_VERSION)} answers.")


def answers() -> bool:
    """Whether the client reaches an engine."""
    return shutil.which("docker") is not None and succeeds("docker", "info")


def require() -> None:
    """Stop where no engine answers."""
    if not answers():
        raise LabError(out_of_reach() or "No Docker engine answers: `lab/lab.py engine` starts or installs one.")


def out_of_reach() -> str:
    """Why an engine that is there, or somewhere else, does not answer; empty when simply none runs here."""
    address = os.environ.get("DOCKER_HOST")
    if address:
        return f"DOCKER_HOST is {address}, but no Docker engine answers there: start it, or unset DOCKER_HOST."
    if os.geteuid() != 0 and SOCKET.exists():
        user = getpass.getuser()
        return f"The Docker engine does not answer {user}: join the group docker and log in again, or use sudo."
    return ""


def start() -> None:
    """Start the engine with whatever starts services here."""
    if Path("/run/systemd/system").is_dir():
        if not succeeds("systemctl", "start", "docker"):
            raise LabError(f"systemd could not start the Docker engine. Its log ends with:\n{journal()}")
        wait_for("An answer of the Docker engine", answers, 60, journal)
        return
    if shutil.which("service") and succeeds("service", "docker", "start"):
        try:
            wait_for("An answer of the Docker engine", answers, 15)
        except LabError:
            print("The service docker was started, but does not answer: starting the engine by itself.")
        else:
            return
    # No init system runs here, as in many containers.
    forget_dead_engine()
    with LOG.open("ab") as output:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )

    def answers_or_ended() -> bool:
        return answers() or process.poll() is not None

    wait_for("An answer of the Docker engine", answers_or_ended, 60, lambda: f"Its log, {LOG}, ends with:\n{tail(LOG)}")
    if process.poll() is not None:
        raise LabError(f"The Docker engine ended with exit code {process.returncode}. Its log, {LOG}:\n{tail(LOG)}")


def journal() -> str:
    """The end of the engine's log where systemd runs it."""
    return run("journalctl", "--unit", "docker", "--lines", "20", "--no-pager", "--output", "cat", check=False)


def forget_dead_engine() -> None:
    """Remove the pid files of an engine that was killed: the numbers may be other programs' by now."""
    for program, pid_file in PID_FILES.items():
        if pid_file.exists():
            # Empty for a process that ended and that nobody has waited for.
            command = Path("/proc", pid_file.read_text().strip(), "cmdline")
            if not command.exists() or program not in command.read_text():
                pid_file.unlink()
