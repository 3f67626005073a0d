"""What a second, unchanged run of agents.yml costs on a few and on many hosts."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from lab.commands.registry import NETWORK, network
from lab.measure import LAB, call, changed, say, timed
from lab.stack import docker, running

NAME = "clearml-bench-agents"
FEW, MANY = 2, 20


def bench_agents(rounds: int) -> dict[str, object]:
    """Make workers of many hosts, and run the playbook again: over a few, and over all."""
    hosts = [f"{NAME}-{number:02}" for number in range(1, MANY + 1)]
    with tempfile.TemporaryDirectory() as folder, running(NAME) as stack:
        network()
        docker("network", "connect", NETWORK, f"{NAME}-server")
        access_key, secret_key = stack.key_pair()
        api = f"http://{NAME}-server:8008"
        inventory = Path(folder) / "hosts.json"
        inventory.write_text(
            json.dumps(
                {
                    "clearml_agents": {
                        "hosts": {host: {} for host in hosts},
                        "vars": {
                            "ansible_connection": "community.docker.docker",
                            "clearml_agent_api_url": api,
                            "clearml_agent_web_url": api,
                            "clearml_agent_files_url": api,
                            "clearml_agent_access_key": access_key,
                            "clearml_agent_secret_key": secret_key,
                        },
                    }
                }
            )
        )
        run = ["ansible-playbook", "-i", str(inventory), "playbooks/agents.yml"]
        try:
            say(f"Booting {MANY} hosts, and making workers of them ...")
            for host in hosts:
                call(*LAB, "host", "up", host)
            first, _ = timed(*run)
            few, many = [], []
            for number in range(1, rounds + 1):
                say(f"Round {number} of {rounds}: unchanged, {FEW} hosts, then {MANY} ...")
                few.append(timed(*run, "--limit", f"localhost,{','.join(hosts[:FEW])}"))
                many.append(timed(*run))
        finally:
            for host in hosts:
                call(*LAB, "host", "down", host, check=False)
    small, large = (statistics.median(seconds for seconds, _ in runs) for runs in (few, many))
    return {
        f"agents_first_run_{MANY}_hosts_seconds": round(first, 1),
        f"agents_second_run_{FEW}_hosts_seconds": round(small, 1),
        f"agents_second_run_{MANY}_hosts_seconds": round(large, 1),
        f"agents_second_run_{MANY}_to_{FEW}_hosts_ratio": round(large / small, 2),
        "agents_second_run_changed": sum(changed(recap) for _, recap in [*few, *many]),
    }
