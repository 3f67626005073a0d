"""The lab server, against what the official server answered in detail; and what a recording cannot show."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from .__main__ import DETAILED
from .callers import Server
from .recording import read
from .replay import Replay
from .server import empty_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that is empty when the first test of this file gets it."""
    with empty_server() as server:
        yield server


def test_every_detail_agrees(server: Server) -> None:
    """Needs the empty server, since it lists everything that is there."""
    replay = Replay(server)
    scores = [replay.score(read(path)) for path in DETAILED]
    assert [str(difference) for score in scores for difference in score.differences] == []
    assert {score.left_out for score in scores} == {0}


def call(server: Server, endpoint: str, **content: Any) -> dict[str, Any]:
    """Call an endpoint as the user."""
    answer = requests.post(f"{server.url}/{endpoint}", auth=server.user, json=content, timeout=60)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def filled_queue(server: Server, name: str, tasks: list[str]) -> str:
    """A new queue with these tasks, which need not exist."""
    queue: str = call(server, "queues.create", name=name)["id"]
    for task in tasks:
        call(server, "queues.add_task", queue=queue, task=task)
    return queue


def test_a_task_goes_to_one_agent_alone(server: Server) -> None:
    tasks = [f"task-{number}" for number in range(60)]
    queue = filled_queue(server, "taken by many", tasks)

    def agent(_: int) -> list[str]:
        taken = []
        while entry := call(server, "queues.get_next_task", queue=queue).get("entry"):
            taken.append(entry["task"])
        return taken

    with ThreadPoolExecutor(6) as agents:
        shares = list(agents.map(agent, range(6)))
    assert Counter(task for share in shares for task in share) == Counter(tasks)
    assert sum(1 for share in shares if share) > 1, "one agent took all: nothing was at stake"


@pytest.mark.parametrize(
    ("endpoint", "arguments", "position", "order"),
    [
        ("move_task_forward", {}, 1, "acbde"),
        ("move_task_forward", {"count": 2}, 0, "cabde"),
        ("move_task_forward", {"count": 9}, 0, "cabde"),
        ("move_task_forward", {"count": -1}, 3, "abdce"),
        ("move_task_backward", {}, 3, "abdce"),
        ("move_task_backward", {"count": 9}, 4, "abdec"),
        ("move_task_to_front", {}, 0, "cabde"),
        ("move_task_to_back", {}, 4, "abdec"),
    ],
)
def test_a_task_is_moved(server: Server, endpoint: str, arguments: dict[str, int], position: int, order: str) -> None:
    queue = filled_queue(server, f"{endpoint} {arguments}", list("abcde"))
    moved = call(server, f"queues.{endpoint}", queue=queue, task="c", **arguments)
    entries = call(server, "queues.get_by_id", queue=queue)["queue"]["entries"]
    assert (moved, "".join(entry["task"] for entry in entries)) == ({"position": position}, order)


def test_the_length_of_a_queue_is_remembered(server: Server) -> None:
    queue = filled_queue(server, "measured", ["a", "b"])
    now = int(time.time())
    period = {"from_date": now - 3600, "to_date": now + 3600, "interval": 86400}
    metrics: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30  # Elasticsearch shows what was written after a moment
    while not metrics and time.monotonic() < deadline:
        metrics = call(server, "queues.get_queue_metrics", queue_ids=[queue], refresh=True, **period)["queues"]
    assert [(item["queue"], item["queue_lengths"]) for item in metrics] == [(queue, [2])]


def test_task_log_is_a_file_with_every_line_in_order(server: Server) -> None:
    task = call(server, "tasks.create", name="talks a lot", type="training")["id"]
    lines = [f"line {number}" for number in range(2500)]  # more than are read at once
    batch = [
        {"type": "log", "task": task, "timestamp": 1795000000000 + number, "level": "info", "worker": "w", "msg": line}
        for number, line in enumerate(lines)
    ]
    body = "\n".join(json.dumps(event) for event in batch)
    kind = {"Content-Type": "application/json-lines"}
    sent = requests.post(f"{server.url}/events.add_batch", auth=server.user, data=body, headers=kind, timeout=60)
    assert sent.status_code == 200, sent.text
    url = f"{server.url}/events.download_task_log"
    answer = requests.post(url, auth=server.user, json={"task": task}, timeout=60)
    assert answer.headers["Content-Disposition"] == f"attachment; filename=task_{task}.log"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [(event["msg"], event["asctime"]) for event in events] == [(e["msg"], e["timestamp"]) for e in batch]
    assert not {"type", "task", "timestamp"} & events[0].keys()
