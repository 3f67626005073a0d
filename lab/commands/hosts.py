"""Test hosts: containers that boot systemd, on which a role installs Docker as on any machine."""

from __future__ import annotations

import errno
import json
import socket
from dataclasses import dataclass

from lab.commands import images, registry
from lab.commands.registry import LABEL, NETWORK, state_of
from lab.commands.shell import LabError, run, step, succeeds, wait_for

# Marks a test host, and tells where its images come from: lab or official.
KIND_LABEL = "clearml-lab.images"


@dataclass(frozen=True)
class Published:
    """A port of this machine that leads to one of a host."""

    address: str
    port: int
    inside: int

    @classmethod
    def parse(cls, value: str) -> Published:
        """Read ADDRESS:PORT:PORT."""
        address, _, ports = value.partition(":")
        port, _, inside = ports.partition(":")
        if not all(number.isdecimal() and 0 < int(number) < 65536 for number in (port, inside)):
            raise LabError(f"--publish is {value}: it must be ADDRESS:PORT:PORT, as in 127.0.0.1:8080:8080.")
        try:
            socket.inet_aton(address)
        except OSError:
            raise LabError(f"--publish is {value}: {address!r} is no IPv4 address, such as 127.0.0.1.") from None
        return cls(address, int(port), int(inside))

    def problem(self) -> str:
        """Why this machine cannot listen there; empty when it can."""
        with socket.socket() as probe:
            # As engines do: a port whose last connections still fade out is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, self.port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return f"{self.address}:{self.port} is taken on this machine"
                if error.errno == errno.EADDRNOTAVAIL:
                    return f"{self.address} is no address of this machine"
                # Ports below 1024 belong to root, as whom the engine listens.
        return ""


def systemd_options(cgroup_version: str) -> list[str]:
    """Options of `docker run` with which systemd, and a Docker engine under it, work in a container."""
    options = [word for folder in ("/run", "/run/lock", "/tmp") for word in ("--tmpfs", folder)]  # noqa: S108
    options += ["--volume", "/var/lib/docker"]  # an engine cannot keep its layers on the layers of another
    if cgroup_version == "2":
        return [*options, "--privileged", "--cgroupns", "private"]
    # Version 1 has no private hierarchy that systemd could use. The rest is --privileged, but for CAP_SYS_RESOURCE,
    # which machines that are containers themselves may lack, and for the devices.
    for restriction in ("seccomp", "apparmor", "systempaths"):
        options += ["--security-opt", f"{restriction}=unconfined"]
    options += ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"]
    return [*options, "--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"]


def init_command(cgroup_version: str) -> list[str]:
    """The command of a host. Newer systemd boots on cgroup version 1 only when told that this is intended."""
    return [] if cgroup_version == "2" else ["/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]


def up(name: str, system: str, publish: list[Published], kind: str) -> None:
    """Boot a test host, or start the one that is there."""
    image = images.HOSTS[system]
    state = state_of(name)
    if state:
        made_for = kind_of(name)
        if not made_for:
            raise LabError(f"The container {name} is not a host of the lab: choose another name.")
        if made_for != kind:
            raise LabError(f"The host {name} was made for {made_for} images, not for {kind} ones: remove it first.")
    elif not images.exists(image):
        raise LabError(f"There is no image {image.name} yet: run `lab/lab.py images` first.")
    if state != "running":
        problems = [problem for problem in (port.problem() for port in publish) if problem]
        if problems:
            raise LabError(f"{' and '.join(problems)}: free it or choose another, then start again.")
    if kind == "lab":
        registry.start()
    if state == "running":
        wait_until_ready(name, kind)
        print(f"The host {name} is running.")
        return
    with step(f"Booting the host {name}"):
        if state:
            run("docker", "start", name)
        else:
            create(name, image.name, publish, kind)
        wait_until_ready(name, kind)


def create(name: str, image: str, publish: list[Published], kind: str) -> None:
    """Make and start the container of a host; leave nothing behind when it does not start."""
    registry.network()
    cgroup_version = run("docker", "info", "--format", "{{.CgroupVersion}}")
    options = ["--name", name, "--hostname", name, "--network", NETWORK, *systemd_options(cgroup_version)]
    options += ["--label", LABEL, "--label", f"{KIND_LABEL}={kind}"]
    for port in publish:
        options += ["--publish", f"{port.address}:{port.port}:{port.inside}"]
    try:
        run("docker", "run", "--detach", *options, image, *init_command(cgroup_version))
    except (LabError, KeyboardInterrupt):
        succeeds("docker", "rm", "--force", "--volumes", name)
        raise


def wait_until_ready(name: str, kind: str) -> None:
    """Wait until the services have started; a host of the lab also has its mirror configured and reaches it."""
    wait_for(f"The end of the boot of {name}", lambda: booted(name), 120, lambda: boot_state(name))
    if kind != "lab":
        return
    # As a company's hosts come with their mirror configured: the role docker has to merge with it.
    mirror = json.dumps({"registry-mirrors": [f"http://{registry.NAME}:5000"]})
    script = 'test -e "$0" || { mkdir -p /etc/docker && echo "$1" >"$0.new" && mv "$0.new" "$0"; }'
    run("docker", "exec", name, "sh", "-c", script, "/etc/docker/daemon.json", mirror)
    probe = f"import socket; socket.create_connection(('{registry.NAME}', 5000), 2)"
    wait_for(
        f"A connection from {name} to the lab's registry",
        lambda: succeeds("docker", "exec", name, "python3", "-c", probe),
        30,
    )


def booted(name: str) -> bool:
    """Whether a host's services have started."""
    if state_of(name) != "running":
        raise LabError(f"The host {name} ended while it booted:\n{run('docker', 'logs', '--tail', '20', name)}")
    state = run("docker", "exec", name, "systemctl", "is-system-running", check=False)
    return state in ("running", "degraded")


def boot_state(name: str) -> str:
    """What a host that does not come up is busy with."""
    return f"systemd's jobs:\n{run('docker', 'exec', name, 'systemctl', 'list-jobs', '--no-pager', check=False)}"


def kind_of(name: str) -> str:
    """Where a host's images come from; empty when the container is no host of the lab."""
    return run("docker", "inspect", "--format", f'{{{{index .Config.Labels "{KIND_LABEL}"}}}}', name, check=False)


def down(name: str) -> None:
    """Remove a test host with its volumes; nothing else is ever removed."""
    if not state_of(name):
        print(f"There is no host {name}.")
        return
    if not kind_of(name):
        raise LabError(f"The container {name} is not a host of the lab: it is left alone.")
    run("docker", "rm", "--force", "--volumes", name)
    print(f"Removed the host {name}.")
