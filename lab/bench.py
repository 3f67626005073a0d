#!/usr/bin/env python3
"""Measure what the platform costs (`make bench`): times as ratios against plain Compose on the same host, and memory.

A test host of its own, `clearml-bench`, is deployed once, so that Docker and the images are there. Then, in turn and
from empty data each time, the stack is started with plain `docker compose up -d --wait` and with playbooks/deploy.yml.
After that, SDK clients load a stack on this machine's own engine, and agents.yml runs over 2 and over 20 hosts. With
--demo, `make demo` is timed too: cold (the lab's images removed first) and warm.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.bench_agents import bench_agents
from lab.bench_load import bench_load
from lab.measure import LAB, call, changed, say, timed

HOST = "clearml-bench"
PROJECT = "/opt/clearml/compose"
WIPE = f"""
cd {PROJECT} && docker compose down --timeout 10 --volumes >/dev/null 2>&1
for directory in data/mongo_4/db data/elastic_7 data/redis data/fileserver; do
  find /opt/clearml/$directory -mindepth 1 -delete
done
"""


def on_host(script: str) -> list[str]:
    """The command that runs a script on the bench host."""
    return ["docker", "exec", HOST, "bash", "-c", script]


def memory_mib() -> dict[str, float]:
    """Memory that each container of the stack uses, in MiB."""
    units = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 1024.0}
    usage: dict[str, float] = {}
    for line in call(*on_host("docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'")).splitlines():
        name, figure = line.split()[:2]
        number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]+)", figure).groups()  # type: ignore[union-attr]
        usage[name] = round(float(number) * units[unit], 1)
    return usage


def bench_deploy(rounds: int) -> dict[str, object]:
    """deploy.yml beside plain Compose, a second run, and the memory of the running stack."""
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "hosts.yml"
        inventory.write_text(
            json.dumps({"clearml_server": {"hosts": {HOST: {"ansible_connection": "community.docker.docker"}}}})
        )
        deploy = ["ansible-playbook", "-i", str(inventory), "playbooks/deploy.yml"]
        say("Preparing the bench host ...")
        call(*LAB, "engine")
        call(*LAB, "images")
        call(*LAB, "host", "up", HOST)
        try:
            first, _ = timed(*deploy)
            bare: list[float] = []
            ansible: list[float] = []
            for number in range(1, rounds + 1):
                say(f"Round {number} of {rounds}: plain Compose, then deploy.yml, each from empty data ...")
                call(*on_host(WIPE))
                bare.append(timed(*on_host(f"cd {PROJECT} && docker compose up -d --wait"))[0])
                call(*on_host(WIPE))
                ansible.append(timed(*deploy)[0])
            say("A second, unchanged run ...")
            second = [timed(*deploy) for _ in range(rounds)]
            usage = memory_mib()
        finally:
            call(*LAB, "host", "down", HOST, check=False)
    return {
        "deploy_bare_host_seconds": round(first, 1),
        "plain_compose_seconds": round(statistics.median(bare), 1),
        "deploy_prepared_host_seconds": round(statistics.median(ansible), 1),
        "deploy_to_plain_compose_ratio": round(statistics.median(ansible) / statistics.median(bare), 2),
        "second_run_seconds": round(statistics.median(seconds for seconds, _ in second), 1),
        "second_run_changed": max(changed(recap) for _, recap in second),
        "stack_memory_mib": round(sum(usage.values())),
        "memory_mib": usage,
    }


def bench_demo() -> dict[str, object]:
    """`make demo` with nothing built, then with the images built."""
    result: dict[str, object] = {}
    call("make", "clean")
    call(*LAB, "clean", "--images")
    for name in ("cold", "warm"):
        say(f"make demo, {name} ...")
        result[f"demo_{name}_seconds"] = round(timed("make", "demo", "IMAGES=lab")[0], 1)
        call("make", "clean")
    return result


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=3, help="repetitions of each measurement (default: 3; medians are shown)"
    )
    parser.add_argument(
        "--demo", action="store_true", help="also time `make demo`, which removes the demo host and the lab's images"
    )
    parser.add_argument("--only", choices=["deploy", "load", "agents"], help="one of the three measurements")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    result: dict[str, object] = {}
    if arguments.only in (None, "deploy"):
        result |= bench_deploy(arguments.rounds)
    if arguments.only in (None, "load"):
        result |= bench_load()
    if arguments.only in (None, "agents"):
        result |= bench_agents(arguments.rounds)
    if arguments.demo:
        result |= bench_demo()
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        if not isinstance(value, dict):
            print(f"{name.replace('_', ' '):35} {value:>10}")
    for name, mib in sorted(result.get("memory_mib", {}).items()):  # type: ignore[attr-defined]
        print(f"  {name:33} {mib:>10} MiB")


if __name__ == "__main__":
    main()
