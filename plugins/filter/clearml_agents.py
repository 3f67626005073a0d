"""Filters for the instances of the role clearml_agent: what is wrong with them, and what becomes of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

VARIABLE = "clearml_agent_instances"


def agent_problems(instances: Sequence[Mapping[str, Any]], host: str) -> list[str]:
    """Return a sentence for each thing that is wrong with a host's instances whose types and forms are right."""
    names = [instance["name"] for instance in instances]
    problems = [*_repeated("the name", names)]
    if not problems:
        problems += _repeated("the worker", [_worker(instance, host) for instance in instances])
    for number, instance in enumerate(instances):
        where = f"{VARIABLE}[{number}] ({instance.get('name')})"
        queues = instance.get("queues")
        if queues is not None and not queues:
            problems.append(f"{where} has no queues: it must have one at least.")
        for queue, count in Counter(queues or []).items():
            if count > 1:
                problems.append(f"{where} has the queue {queue} {count} times: once is enough.")
    return problems


def agents_cut_off(instances: Sequence[Mapping[str, Any]], url: str) -> list[str]:
    """Return the names of instances whose containers could not reach a server, because it is the host itself there."""
    host = urlsplit(url).hostname or ""
    if host not in ("localhost", "::1") and not host.startswith("127."):
        return []
    found = []
    for instance in instances:
        arguments = " ".join((instance.get("docker") or {}).get("arguments") or []).replace("=", " ")
        if instance.get("docker") and not re.search(r"--net(work)? host\b", arguments):
            found.append(str(instance["name"]))
    return found


def agent_conflicts(fleet: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each worker that several hosts have. ``fleet`` has the instances of each, right or not."""
    hosts: dict[str, list[str]] = {}
    for host, instances in fleet.items():
        named = [one for one in instances if isinstance(one, Mapping) and "name" in one] if instances else []
        for worker in dict.fromkeys(_worker(instance, host) for instance in named):
            hosts.setdefault(worker, []).append(host)
    return [
        f"{VARIABLE} of the hosts {' and '.join(found)} have the worker {worker}: each must have its own."
        for worker, found in hosts.items()
        if len(found) > 1
    ]


def _repeated(what: str, values: Sequence[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{VARIABLE} has {what} {value} {count} times: each must have its own."


def agent_config(
    instance: Mapping[str, Any], common: Mapping[str, Any], host: str, folder: str, container_options: Sequence[str]
) -> dict[str, Any]:
    """Return the content of an instance's clearml.conf: what all instances of a host share, and what is its own.

    ``host`` is what the id of a worker begins with that has no other, ``folder`` where tasks' files are, and
    ``container_options`` what every container of an instance in Docker mode is started with.
    """
    worker, own = _worker(instance, host), f"{folder}/instances/{instance['name']}"
    # Shared by the instances of a host, which lock them against each other. Tasks in containers are root, and so is
    # what they leave there, so they have others.
    cache = f"{folder}/docker-cache" if instance.get("docker") else f"{folder}/cache"
    agent = common["agent"]
    agent = {
        **agent,
        "worker_id": worker,
        "worker_name": worker.partition(":")[0],
        "venvs_dir": f"{own}/venvs",
        "venvs_cache": {**agent["venvs_cache"], "path": f"{cache}/venvs"},
        "vcs_cache": {"enabled": True, "path": f"{cache}/vcs"},
        "pip_download_cache": {"enabled": True, "path": f"{cache}/pip-download"},
        "docker_pip_cache": f"{cache}/pip",
        "docker_apt_cache": f"{own}/apt-cache",
    }
    storage = common["sdk"]["storage"]
    storage = {**storage, "cache": {**storage["cache"], "default_base_dir": f"{cache}/storage"}}
    if instance.get("docker"):
        # A container is no child of the agent, so the limits of the agent's unit do not hold for it.
        limits = [f"--memory={instance['memory']}"] if instance.get("memory") else []
        limits += [f"--cpus={instance['cpus']}"] if instance.get("cpus") else []
        agent["default_docker"] = {
            "image": instance["docker"]["image"],
            "arguments": list(instance["docker"].get("arguments", [])),
            # The official ones prefer other images, by the Python that a task was written with.
            "match_rules": [],
        }
        agent["extra_docker_arguments"] = [*container_options, *limits]
        # Otherwise every container installs these from the distribution's mirror before its task begins.
        agent["docker_install_opencv_libs"] = False
        agent["disable_ssh_mount"] = not agent.get("force_git_ssh_protocol", False)
    return {**common, "agent": agent, "sdk": {**common["sdk"], "storage": storage}}


def agent_unit(instance: Mapping[str, Any], venv: str, program: str, host: str) -> str:
    """Return what systemd reads of an instance beside the template of all."""
    command = [f"{venv}/bin/python", program, "daemon", "--foreground"]
    # Without one of the two it would take every GPU that it finds.
    command += ["--gpus", str(instance["gpus"])] if instance.get("gpus") not in (None, "") else ["--cpu-only"]
    command += ["--queue", *(f'"{queue}"' for queue in instance["queues"])]
    if instance.get("docker"):
        # In the container is the agent of the same release, not the newest one.
        command += ["--docker", "--force-current-version"]
    lines = ["# Written by Ansible.", "[Service]", f"ExecStart={' '.join(command)}"]
    # Where the host lacks the Python that a task was written with, the agent takes the host's.
    lines += [f"Environment=CLEARML_BOOTSTRAP_UV_EXEC={venv}/bin/uv", "Environment=UV_PYTHON_DOWNLOADS=never"]
    if instance.get("docker"):
        lines += ["# The agent alone may use Docker: its user may not, and nor may the tasks of other instances."]
        lines += ["SupplementaryGroups=docker"]
        lines += ["# A container is no child of the agent, and outlives one that is killed."]
        mine = f"docker ps --all --quiet --filter label=clearml-worker-id={_worker(instance, host)}"
        lines += [f"ExecStopPost=-/bin/sh -c '{mine} | xargs --no-run-if-empty docker rm --force'"]
    else:
        lines += [f"MemoryMax={str(instance['memory']).upper()}"] if instance.get("memory") else []
        lines += [f"CPUQuota={round(float(instance['cpus']) * 100)}%"] if instance.get("cpus") else []
    return "\n".join([*lines, ""])


def agent_workers(instances: Sequence[Mapping[str, Any]], host: str) -> list[dict[str, Any]]:
    """Return what the server should know of a host's instances: their ids, names and queues."""
    return [
        {"id": _worker(instance, host), "name": instance["name"], "queues": instance["queues"]}
        for instance in instances
    ]


def _worker(instance: Mapping[str, Any], host: str) -> str:
    return str(instance.get("worker") or f"{host}:{instance['name']}")


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return them by name."""
        return {
            "agent_conflicts": agent_conflicts,
            "agent_problems": agent_problems,
            "agent_config": agent_config,
            "agent_unit": agent_unit,
            "agent_workers": agent_workers,
            "agents_cut_off": agents_cut_off,
        }
