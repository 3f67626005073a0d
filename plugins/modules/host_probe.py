#!/usr/bin/python
"""Ansible module host_probe: what a preflight needs to know about a host, in one call."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import platform
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: host_probe
short_description: Look at a host without changing it
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Gathers in one call what a preflight compares with its minimums.
    It judges nothing and fails on nothing that it finds, or fails to find.
  - Needs nothing but Python's standard library on the host. To name the holders of ports it has to run as root.
options:
  ports:
    description: TCP ports to look at.
    type: list
    elements: int
    default: []
  bind_address:
    description: IPv4 address on which the ports are wanted, or V(0.0.0.0) for all of them.
    type: str
    default: 127.0.0.1
  own_port_holders:
    description: Names of containers that may hold the ports, because they belong to the caller.
    type: list
    elements: str
    default: []
  paths:
    description: Paths whose free disk space is wanted, measured at the nearest parent that exists.
    type: list
    elements: path
    default: []
  registries:
    description:
      - Image registries that should answer at C(/v2/), as a URL (V(https://mirror.example.com)) or a name
        (V(mirror.example.com:5000), asked through https and http).
      - For V(docker.io), the mirrors that C(/etc/docker/daemon.json) names are asked too, and any answer counts.
      - The environment's proxy settings are used.
    type: list
    elements: str
    default: []
  registry_timeout:
    description: Seconds to wait for the answers of all registries together.
    type: int
    default: 10
  sysctls:
    description: Kernel settings to read.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: It only reads, so check mode is the same.
    support: full
"""

EXAMPLES = r"""
- name: Look at the host
  host_probe:
    ports: [8080, 8008, 8081]
    bind_address: 127.0.0.1
    own_port_holders: [clearml-webserver, clearml-server, clearml-fileserver]
    paths: [/opt/clearml]
    registries: [docker.io]
    sysctls: [vm.max_map_count]
  register: probe

- name: Refuse ports that others hold
  ansible.builtin.assert:
    that: item.value.free or item.value.own
    fail_msg: "Port {{ item.key }} is taken by {{ item.value.holder or 'another program' }}."
  loop: "{{ probe.ports | dict2items }}"
"""

RETURN = r"""
arch:
  description: The machine's type.
  returned: always
  type: str
  sample: x86_64
avx:
  description: Whether the processor has AVX, which MongoDB needs on x86_64. On other types always V(true).
  returned: always
  type: bool
gpus:
  description: GPUs that NVIDIA's driver has found, by their place on the bus.
  returned: always
  type: list
  elements: str
  sample: ["0000:65:00.0"]
cores:
  description: Processor cores that a program on this host may use.
  returned: always
  type: int
memory_mib:
  description: Memory of the host in MiB.
  returned: always
  type: int
os:
  description: C(ID), C(VERSION_ID) and C(VERSION_CODENAME) of C(/etc/os-release); empty when it has none.
  returned: always
  type: dict
  sample: {id: debian, version_id: "12", codename: bookworm}
bind_address_ok:
  description: Whether the bind address is one of this host's IPv4 addresses.
  returned: always
  type: bool
ports:
  description: What is known about each port.
  returned: always
  type: dict
  contains:
    free:
      description: Whether a program could listen on it now.
      type: bool
    holder:
      description: Who has it, as C(nginx (pid 123)) or C(container foo); null when it is free or nobody can be named.
      type: str
    own:
      description: Whether one of the containers of O(own_port_holders) has it.
      type: bool
  sample: {"8080": {free: false, holder: nginx (pid 123), own: false}}
disk_free_mib:
  description: Free disk space for each path, in MiB.
  returned: always
  type: dict
  sample: {/opt/clearml: 51200}
sysctls:
  description: The value of each kernel setting as text, null for one that this kernel does not have.
  returned: always
  type: dict
  sample: {vm.max_map_count: "65530"}
registries:
  description: For each registry whether it answered (with 200 or 401).
  returned: always
  type: dict
  contains:
    ok:
      description: Whether it answered.
      type: bool
    via:
      description: The URL that answered, null when none did.
      type: str
    error:
      description: What came instead of an answer; with an answer, what is wrong with its certificate, or null.
      type: str
engine_installed:
  description: Whether a Docker engine is installed, running or not.
  returned: always
  type: bool
docker:
  description: Versions of Docker's parts, null for each that is not there or does not answer.
  returned: always
  type: dict
  sample:
    client: 26.1.5
    server: 26.1.5
    compose: 2.26.1
"""

PROC = Path("/proc")
OS_RELEASE = Path("/etc/os-release")
DAEMON_JSON = Path("/etc/docker/daemon.json")
DOCKER_HUB = "https://registry-1.docker.io"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- compared with, never listened on
LISTEN = "0A"  # the state's number in /proc/net/tcp


# -- the machine


def has_avx(arch: str, cpuinfo: str) -> bool:
    """Tell whether the processor has AVX; other types than x86_64 do not need it."""
    if arch != "x86_64":
        return True
    return any("avx" in line.split() for line in cpuinfo.splitlines() if line.startswith("flags"))


def gpus() -> list[str]:
    """Return the GPUs that NVIDIA's driver has found, by their place on the bus."""
    folder = PROC / "driver" / "nvidia" / "gpus"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def memory_mib() -> int:
    """Return the memory of the host."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


def os_release(text: str) -> dict[str, str]:
    """Return ID, VERSION_ID and VERSION_CODENAME of /etc/os-release."""
    found = dict(re.findall(r"""^(ID|VERSION_ID|VERSION_CODENAME)=["']?([^"'\n]*)""", text, re.MULTILINE))
    return {
        "id": found.get("ID", ""),
        "version_id": found.get("VERSION_ID", ""),
        "codename": found.get("VERSION_CODENAME", ""),
    }


def disk_free_mib(path: str) -> int:
    """Return the free space on the file system that ``path`` is or will be on."""
    place = Path(path).absolute()
    for existing in (place, *place.parents):
        try:
            status = os.statvfs(existing)
        except OSError:
            continue  # not there yet
        return status.f_bavail * status.f_frsize // 2**20
    return 0


def sysctl(name: str) -> str | None:
    """Return a kernel setting, None when the kernel does not have it."""
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", name):
        return None
    return read(PROC / "sys" / name.replace(".", "/")).strip() or None


def read(path: Path) -> str:
    """Return a file's text, nothing when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# -- ports


def bind_error(address: str, port: int) -> int:
    """Return 0 when a program could listen there, otherwise the error's number."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do; otherwise connections that were closed a moment ago would count as a holder.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or errno.EINVAL
        return 0


def is_own_address(address: str) -> bool:
    """Tell whether ``address`` is one of this host's IPv4 addresses."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError:
        return False
    return bind_error(address, 0) == 0


def listening_inodes(address: str, port: int) -> set[str]:
    """Return the sockets that listen on the port in a way that keeps others from listening on the address."""
    number = socket.inet_aton(address)[::-1].hex().upper()
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in read(PROC / "net" / table).splitlines()[1:]:
            fields = line.split()
            local, _, local_port = fields[1].partition(":")
            # In tcp6 an IPv4 address stands in the last eight digits, and the wildcard is all zeros as in tcp.
            overlaps = address == ANY_ADDRESS or set(local) == {"0"} or local.endswith(number)
            if fields[3] == LISTEN and int(local_port, 16) == port and overlaps:
                inodes.add(fields[9])
    return inodes


def process_of(inodes: set[str]) -> str | None:
    """Return name and pid of the process that has one of the sockets."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted(PROC.glob("[0-9]*"), key=lambda path: int(path.name)):
        if open_files(process) & wanted:
            return f"{read(process / 'comm').strip()} (pid {process.name})"
    return None


def open_files(process: Path) -> set[str]:
    """Return what a process has open; less of it when it ends or closes files meanwhile, nothing without the right."""
    found = set()
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(link))  # noqa: PTH115 -- "socket:[123]" is no path
    return found


def look_at_port(address: str, port: int, own: list[str]) -> dict[str, Any]:
    """Return whether the port is free, and who has it otherwise."""
    if bind_error(address, port) != errno.EADDRINUSE:
        return {"free": True, "holder": None, "own": False}
    holder = process_of(listening_inodes(address, port))
    # Docker itself listens for a container (or, seen from inside a container, nobody does).
    if holder is None or holder.startswith(("docker-proxy ", "dockerd ")):
        containers = docker("ps", "--filter", f"publish={port}", "--format", "{{.Names}}").split()
        if containers:
            return {"free": False, "holder": f"container {containers[0]}", "own": containers[0] in own}
    return {"free": False, "holder": holder, "own": False}


# -- Docker


def docker(*arguments: str) -> str:
    """Return what the Docker client printed, nothing when there is no client or no engine."""
    client = shutil.which("docker")
    if client is None:
        return ""
    try:
        return subprocess.run(
            [client, *arguments], capture_output=True, text=True, timeout=20, check=False
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def mapping(text: str) -> dict[str, Any]:
    """Return the mapping in a JSON text, an empty one when there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def version(text: object) -> str | None:
    """Return the leading number of a version: 26.1.5 of v26.1.5+dfsg1."""
    found = re.match(r"v?(\d+(\.\d+)+)", str(text))
    return found.group(1) if found else None


def look_at_docker() -> dict[str, str | None]:
    """Return the versions of Docker's parts."""
    versions = mapping(docker("version", "--format", "{{json .}}"))
    return {
        "client": version((versions.get("Client") or {}).get("Version")),
        "server": version((versions.get("Server") or {}).get("Version")),
        "compose": version(docker("compose", "version", "--short")),
    }


# -- registries


def candidates(registry: str) -> list[str]:
    """Return the URLs under which a registry may answer, the preferred one first."""
    if registry in ("docker.io", "https://docker.io"):
        mirrors = mapping(read(DAEMON_JSON)).get("registry-mirrors")
        return [*(str(mirror) for mirror in mirrors or []), DOCKER_HUB]
    if "://" in registry:
        return [registry]
    return [f"https://{registry}", f"http://{registry}"]


def ask_registry(url: str, timeout: int, context: ssl.SSLContext | None = None) -> dict[str, Any]:
    """Return whether a registry answers at ``url``."""
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url.rstrip("/") + "/v2/", timeout=timeout) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError) and context is None:
            # It is there all the same. Whose certificates this host trusts may change before anything is pulled.
            again = ask_registry(url, timeout, ssl._create_unverified_context())  # noqa: S323
            return {**again, "error": again["error"] or f"its certificate is not trusted ({reason.verify_message})"}
        return {"ok": False, "via": None, "error": describe(reason, timeout)}
    if status in (200, 401):
        return {"ok": True, "via": url, "error": None}
    return {"ok": False, "via": None, "error": f"answered {status}"}


def describe(reason: object, timeout: int) -> str:
    """Return an error as words."""
    if isinstance(reason, (TimeoutError, socket.timeout)):
        return f"no answer within {timeout} s"
    return str(getattr(reason, "strerror", None) or reason)


def look_at_registries(registries: list[str], timeout: int) -> dict[str, dict[str, Any]]:
    """Ask all registries at the same time. Looking up a name knows no timeout, so nobody waits for the threads' end."""
    answers: dict[str, dict[str, Any]] = {}
    urls = {url for registry in registries for url in candidates(registry)}

    def ask(url: str) -> None:
        answers[url] = ask_registry(url, timeout)

    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout + 1
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = {"ok": False, "via": None, "error": f"no answer within {timeout} s"}

    found = {}
    for registry in registries:
        asked = {url: answers.get(url, late) for url in candidates(registry)}
        good = [answer for answer in asked.values() if answer["ok"]]
        errors = "; ".join(f"{url}: {answer['error']}" for url, answer in asked.items())
        found[registry] = good[0] if good else {"ok": False, "via": None, "error": errors}
    return found


def probe(
    *,
    ports: list[int],
    bind_address: str,
    own_port_holders: list[str],
    paths: list[str],
    registries: list[str],
    registry_timeout: int,
    sysctls: list[str],
) -> dict[str, Any]:
    """Return everything that was asked for."""
    arch = platform.machine()
    return {
        "arch": arch,
        "avx": has_avx(arch, read(PROC / "cpuinfo")),
        "gpus": gpus(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory_mib(),
        "os": os_release(read(OS_RELEASE)),
        "bind_address_ok": is_own_address(bind_address),
        "ports": {str(port): look_at_port(bind_address, port, own_port_holders) for port in ports},
        "disk_free_mib": {path: disk_free_mib(path) for path in paths},
        "sysctls": {name: sysctl(name) for name in sysctls},
        "registries": look_at_registries(registries, registry_timeout),
        "engine_installed": shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None,
        "docker": look_at_docker(),
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "default": []},
            "bind_address": {"type": "str", "default": "127.0.0.1"},
            "own_port_holders": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "path", "default": []},
            "registries": {"type": "list", "elements": "str", "default": []},
            "registry_timeout": {"type": "int", "default": 10},
            "sysctls": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    for port in module.params["ports"]:
        if not 1 <= port <= 65535:
            module.fail_json(msg=f"ports has {port}: it must be a whole number from 1 to 65535.")
    if module.params["registry_timeout"] < 1:
        module.fail_json(msg=f"registry_timeout is {module.params['registry_timeout']}: it must be 1 second or more.")
    module.exit_json(changed=False, **probe(**module.params))


if __name__ == "__main__":
    main()
