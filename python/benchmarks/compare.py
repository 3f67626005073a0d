#!/usr/bin/env python3
"""Compare 10, 100 and 1,000 experiments: requests and seconds, beside one Task.get_task for each of them.

It makes the experiments on the server of CLEARML_CONFIG_FILE in a project of its own, and deletes them in the end. Both
ways get the same of the same experiments: name, tags, run time, parameters and last metrics. Logging in is not counted.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import requests

from clearml_platform import command
from clearml_platform.compare import collect
from clearml_platform.server import Server

PARAMETERS, METRICS = 10, 8
SINGLE = -(2**31)
AT_ONCE = 1000


@dataclass(frozen=True)
class Cost:
    """What it took."""

    requests: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return its exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tasks", type=int, nargs="+", default=[10, 100, 1000], metavar="N", help="how many")
    options.add_argument("--json", action="store_true", help="print JSON, for machines")
    given = options.parse_args(arguments)
    server = Server.connect()
    results = []
    with experiments(server, max(given.tasks)) as ids:
        # The SDK's modules and its login are paid for once, whatever the number of experiments.
        naively(ids[:1])
        for number in given.tasks:
            ours = cost(partial(collect, server, ids=ids[:number]))
            naive = cost(partial(naively, ids[:number]))
            ratio = round(naive.seconds / ours.seconds, 1)
            results.append({"tasks": number, "compare": asdict(ours), "naive": asdict(naive), "times_faster": ratio})
            if not given.json:
                print(
                    f"{number:5} experiments: compare {ours.requests:4} requests {ours.seconds:7.2f} s,"
                    f" Task.get_task {naive.requests:5} requests {naive.seconds:7.2f} s: {ratio} times faster",
                    flush=True,
                )
    if given.json:
        print(json.dumps(results, indent=2))
    return 0


@contextmanager
def experiments(server: Server, number: int) -> Iterator[list[str]]:
    """Make experiments; delete them in the end."""
    name = f"benchmark compare {uuid.uuid4().hex[:8]}"
    project = server.made_project(name)
    chance = random.Random(number)  # noqa: S311  # values to look at, and no secrets
    try:
        ids = []
        events: list[dict[str, Any]] = []
        for index in range(number):
            values = {f"parameter_{one}": str(chance.random()) for one in range(PARAMETERS)}
            parameters = {key: {"section": "General", "name": key, "value": value} for key, value in values.items()}
            made = server.call(
                "tasks.create",
                name=f"experiment {index}",
                type="training",
                project=project,
                tags=["benchmark"],
                hyperparams={"General": parameters},
            )
            ids.append(str(made["id"]))
            events += [scalar(ids[-1], f"metric_{one}", chance.random()) for one in range(METRICS)]
        report(events)
        yield ids
    finally:
        server.call("projects.delete", project=project, force=True, delete_contents=True)


def scalar(task: str, name: str, value: float) -> dict[str, Any]:
    """Return a single value as the SDK reports it."""
    moment = {"iter": SINGLE, "timestamp": int(time.time() * 1000)}
    return {
        "type": "training_stats_scalar",
        "task": task,
        "metric": "Summary",
        "variant": name,
        "value": value,
    } | moment


def report(events: list[dict[str, Any]]) -> None:
    """Report values of many tasks, many in a request."""
    from clearml.backend_api import Session

    session = Session()
    kind = {"Content-Type": "application/json-lines"}
    for start in range(0, len(events), AT_ONCE):
        lines = "\n".join(map(json.dumps, events[start : start + AT_ONCE]))
        session.send_request("events", "add_batch", method="post", data=lines, headers=kind).raise_for_status()


def naively(ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """Get experiments as the SDK offers them: one by one."""
    from clearml import Task

    found = []
    for one in ids:
        task = Task.get_task(task_id=one)
        found.append(
            (task.name, task.data.tags, task.data.active_duration, task.get_parameters(), task.data.last_metrics)
        )
    return found


def cost(work: Callable[[], object]) -> Cost:
    """Do the work; return the HTTP requests that were sent for it, by whomever in this process, and its time."""
    send, sent = requests.Session.send, []

    def counted(self: requests.Session, request: requests.PreparedRequest, **details: Any) -> requests.Response:
        sent.append(request.url)
        return send(self, request, **details)

    requests.Session.send = counted  # type: ignore[method-assign]
    begin = time.perf_counter()
    try:
        work()
    finally:
        requests.Session.send = send  # type: ignore[method-assign]
    return Cost(len(sent), round(time.perf_counter() - begin, 3))


if __name__ == "__main__":
    sys.exit(command.run(main))
