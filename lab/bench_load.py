"""What load does to the lab's stack: twenty SDK clients beside one alone, losses, start-up, and the server's memory."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from lab.commands.shell import ROOT
from lab.measure import say
from lab.stack import CLIENTS_PYTHON, docker, running

NAME = "clearml-bench-load"
SERVER = f"{NAME}-server"
CLIENTS, RATE, SECONDS = 20, 100, 60
SAMPLE_EVERY = 5.0


class Memory(threading.Thread):
    """The apiserver's memory in MiB, sampled while something else happens."""

    def __init__(self, container: str) -> None:
        super().__init__(daemon=True)
        self.container = container
        self.samples: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self.done.is_set():
            self.samples.append(memory_mib(self.container))
            self.done.wait(SAMPLE_EVERY)


def memory_mib(container: str) -> float:
    """Return what the processes of a container have in memory."""
    lines = docker("top", container, "-eo", "pid,rss").splitlines()[1:]
    return round(sum(int(line.split()[1]) for line in lines) / 1024, 1)


def bench_load() -> dict[str, object]:
    """Start a stack, load it, and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "clearml.conf"
        say("Starting a stack ...")
        start = time.monotonic()
        with running(NAME) as stack:
            ready = time.monotonic() - start
            stack.client_config(config)
            idle = memory_mib(SERVER)
            say(f"One client reports {RATE} scalars a second for {SECONDS} s ...")
            alone, _ = _load(config, 1)
            say(f"{CLIENTS} clients do, twice ...")
            together, first = _load(config, CLIENTS)
            again, second = _load(config, CLIENTS)
            whole = sum(memory_mib(container["Id"]) for container in stack.project.containers().values())
    return {
        "stack_ready_seconds": round(ready, 1),
        "load_sent": together["sent"] + again["sent"],
        "load_found": together["found"] + again["found"],
        "add_batch_p50_ms": together["p50_ms"],
        "add_batch_p99_ms": together["p99_ms"],
        "add_batch_p99_ms_one_client": alone["p99_ms"],
        "add_batch_p99_to_one_client_ratio": round(together["p99_ms"] / alone["p99_ms"], 2),
        "server_memory_idle_mib": idle,
        "server_memory_first_load_mib": max(first),
        "server_memory_second_load_mib": max(second),
        "loaded_stack_memory_mib": round(whole),
    }


def _load(config: Path, clients: int) -> tuple[dict[str, Any], list[float]]:
    """Run the clients; return what they saw, and the server's memory meanwhile."""
    memory = Memory(SERVER)
    memory.start()
    command = [
        str(CLIENTS_PYTHON),
        "-m",
        "tests.lab.load",
        f"--clients={clients}",
        f"--rate={RATE}",
        f"--seconds={SECONDS}",
    ]
    environment = {**os.environ, "CLEARML_CONFIG_FILE": str(config)}
    try:
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    finally:
        memory.done.set()
        memory.join()
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return figures, memory.samples
