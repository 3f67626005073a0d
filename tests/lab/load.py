"""Many clients that report at once, with the official SDK: how long the server takes, and whether anything is lost.

    python -m tests.lab.load --clients 20 --rate 100 --seconds 60

Each client is a process with a task of its own, as on the machines of a team. Needs CLEARML_CONFIG_FILE.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

# Requests are sent by the process that is measured, not by one that the SDK forks off.
os.environ["CLEARML__SDK__DEVELOPMENT__REPORT_USE_SUBPROCESS"] = "false"

from clearml import Task
from clearml.backend_api import Session
from clearml.backend_api.session.client import APIClient


@dataclass
class Load:
    """What the clients saw: points reported and found, and the milliseconds of each events.add_batch."""

    clients: int
    sent: int = 0
    found: int = 0
    requests: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Return the median."""
        return statistics.median(self.requests)

    @property
    def p99(self) -> float:
        """Return what 99 of 100 requests do not exceed."""
        return statistics.quantiles(self.requests, n=100)[98] if len(self.requests) > 1 else self.requests[0]


def measure(clients: int, rate: int, seconds: float) -> Load:
    """Let clients report `rate` scalars a second each; afterwards, count what the server has."""
    name = f"load-{uuid.uuid4().hex[:8]}"
    api = APIClient()
    project = api.projects.create(name=name).id
    try:
        load = Load(clients)
        with ProcessPoolExecutor(clients, multiprocessing.get_context("spawn")) as pool:
            results = [pool.submit(_client, name, number, rate, seconds) for number in range(clients)]
        for task, sent, requests in (result.result() for result in results):
            load.sent += sent
            load.found += _count(api, task)
            load.requests += requests
        return load
    finally:
        api.projects.delete(project=project, force=True, delete_contents=True)


def _client(project: str, number: int, rate: int, seconds: float) -> tuple[str, int, list[float]]:
    """Report at a steady rate; return the task, the number of points, and how long the requests took."""
    requests = _time_batches()
    # Not Task.init, whose look at the script's repository now and then waits minutes for a lock of its own.
    task = Task.create(project_name=project, task_name=f"client {number}")
    task.mark_started()
    logger = task.get_logger()
    start, sent = time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        while sent < passed * rate:
            logger.report_scalar("load", "value", value=sent, iteration=sent)
            sent += 1
        time.sleep(0.1)  # the pace of the load
    task.flush(wait_for_uploads=True)
    task.close()
    return task.id, sent, requests


def _time_batches() -> list[float]:
    """From now on, note how many milliseconds each events.add_batch takes, repetitions included."""
    times: list[float] = []
    send = Session.send_request

    def timed(self: Session, service: str, action: str, *arguments: object, **options: object) -> object:
        start = time.monotonic()
        answer = send(self, service, action, *arguments, **options)
        if (service, action) == ("events", "add_batch"):
            times.append((time.monotonic() - start) * 1000)
        return answer

    Session.send_request = timed
    return times


def _count(api: APIClient, task: str) -> int:
    """Return how many points the server has."""
    metric = {"metric": "load", "variants": ["value"]}
    answer = api.events.scalar_metrics_iter_raw(task=task, metric=metric, batch_size=1, count_total=True)
    return int(answer.total)


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.load", description=__doc__)
    parser.add_argument("--clients", type=int, default=20, help="processes (default: 20)")
    parser.add_argument("--rate", type=int, default=100, help="scalars a second, of each (default: 100)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    options = parser.parse_args()
    load = measure(options.clients, options.rate, options.seconds)
    figures = {"clients": load.clients, "sent": load.sent, "found": load.found, "requests": len(load.requests)}
    print(json.dumps(figures | {"p50_ms": round(load.p50, 1), "p99_ms": round(load.p99, 1)}))


if __name__ == "__main__":
    main()
