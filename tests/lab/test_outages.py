"""Services that end in the middle of writing: clients try again, and nothing that was acknowledged is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from lab.stack import Stack

from tests.acceptance.server import Api, marked, run_script, wait_for
from tests.lab import outages

SERVICES = ("clearml-mongo", "clearml-elastic", "clearml-redis", "clearml-server")
LONG = pytest.mark.long
PAGE = 500  # no larger one is given
KILL, RESTART = outages.kill, outages.restart


class Writer(threading.Thread):
    """A client that makes a task and reports a point to it, over and over; it repeats what was not acknowledged."""

    def __init__(self, api: Api, project: str) -> None:
        super().__init__(daemon=True)
        self.api, self.project = api, project
        self.tasks: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        """Write until told to stop."""
        while not self.done.is_set():
            made = self._persist("tasks.create", name="written", type="testing", project=self.project)
            event = {"type": "training_stats_scalar", "metric": "m", "variant": "v", "iter": 1, "value": 1}
            if made and self._persist("events.add", task=made["id"], **event):
                self.tasks.append(made["id"])

    def _persist(self, endpoint: str, **content: Any) -> dict[str, Any] | None:
        """Call an endpoint until it answers well; without a good answer until the end, return None."""
        while not self.done.is_set():
            try:
                answer = self.api.answer(endpoint, **content)
                if answer.status == 200:
                    return answer.data
            except (requests.RequestException, ValueError):
                pass
            self.done.wait(0.1)
        return None


@contextmanager
def writing(api: Api, project: str) -> Iterator[Writer]:
    """A writer that has begun."""
    writer = Writer(api, project)
    writer.start()
    try:
        wait_for("the writer writes", lambda: len(writer.tasks) > 3, 60)
        yield writer
    finally:
        writer.done.set()
        writer.join(timeout=90)


@pytest.mark.parametrize(
    ("service", "end"),
    [
        *[(service, KILL) for service in SERVICES],
        *[pytest.param(service, RESTART, marks=LONG) for service in SERVICES],
    ],
)
def test_what_was_acknowledged_is_there(
    stack: Stack, api: Api, project: str, service: str, end: Callable[[Stack, str], None]
) -> None:
    place = api.project_id(project)
    with writing(api, place) as writer:
        outages.recover(stack, service, end)
        before = len(writer.tasks)
        wait_for("the writer writes again", lambda: len(writer.tasks) > before + 3, 60)
    for start in range(0, len(writer.tasks), PAGE):
        asked = writer.tasks[start : start + PAGE]
        found = api.call("tasks.get_all", id=asked, only_fields=["id"], page_size=PAGE)["tasks"]
        assert {task["id"] for task in found} == set(asked)
    for task in writer.tasks:
        answer = api.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "m"}, count_total=True)
        assert answer["total"] == 1, f"{task} lost its point"


REPORTING = """
    import os, pathlib, time
    from clearml import Task

    task = Task.init(os.environ["PROJECT"], "reports on", auto_connect_frameworks=False, auto_resource_monitoring=False)
    end = pathlib.Path(os.environ["END"])
    step = 0
    while not end.exists():
        task.get_logger().report_scalar("m", "v", value=step, iteration=step)
        pathlib.Path(os.environ["BEGUN"]).touch()
        step += 1
        time.sleep(0.02)
    task.upload_artifact("after", {"steps": step}, wait_on_upload=True)
    print("TASK", task.id, step)
    task.close()
"""


@pytest.mark.parametrize(
    ("service", "end"),
    [
        ("clearml-server", KILL),
        pytest.param("clearml-server", RESTART, marks=LONG),
        # The server answers 500 while Elasticsearch is away; the SDK repeats that only if it is told to.
        pytest.param("clearml-elastic", KILL, marks=LONG),
        pytest.param("clearml-mongo", KILL, marks=LONG),
    ],
)
def test_the_sdk_reports_on(
    stack: Stack, api: Api, project: str, tmp_path: Path, service: str, end: Callable[[Stack, str], None]
) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"

    def outage() -> None:
        wait_for("the script reports", begun.exists, 60)
        outages.recover(stack, service, end)
        ended.touch()

    breaker = threading.Thread(target=outage)
    breaker.start()
    variables = {"PROJECT": project, "BEGUN": str(begun), "END": str(ended), "CLEARML_API_EXTRA_RETRY_CODES": "500"}
    task, steps = marked(run_script(tmp_path, REPORTING, environment=variables), "TASK")
    breaker.join()
    answer = api.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "m"}, count_total=True)
    assert answer["total"] == int(steps)
    assert api.call("tasks.get_by_id", task=task)["task"]["status"] == "completed"
