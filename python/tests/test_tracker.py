"""The tracker against a real server: what it records, what it refuses, and what it does when the server is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from clearml_platform import values
from clearml_platform.errors import InputError, ServerError
from clearml_platform.server import Server
from clearml_platform.tracker import LONGEST_PARAMETER, ClearMLTracker, send_offline


class Colour(Enum):
    """A parameter that has a name."""

    RED = 1


NESTED = {
    "model": {"alpha": np.float64(0.5), "depth": np.int64(3), "weights": {0: 1.0, np.int64(1): 2.0}},
    "columns": pd.Index(["a", "b"]),
    "limits": np.array([[1, 2], [3, 4]]),
    "values": pd.Series([1.5, 2.5]),
    "since": pd.Timestamp("2024-02-29"),
    "at": np.datetime64("2024-02-29T12:00:00.000000001"),
    "nothing": None,
    "missing": pd.NA,
    "never": pd.NaT,
    "nan": float("nan"),
    "yes": np.bool_(True),
    "empty": {},
    "colour": Colour.RED,
    "file": Path("data/wine.csv"),
    "a.b$c": "dots and dollars",
    "wörter": "ü",
}
STORED = {
    "General/model/alpha": "0.5",
    "General/model/depth": "3",
    "General/model/weights/0": "1.0",
    "General/model/weights/1": "2.0",
    "General/columns": '["a", "b"]',
    "General/limits": "[[1, 2], [3, 4]]",
    "General/values": "[1.5, 2.5]",
    "General/since": "2024-02-29 00:00:00",
    "General/at": "2024-02-29T12:00:00.000000001",
    "General/nothing": "",
    "General/missing": "",
    "General/never": "",
    "General/nan": "nan",
    "General/yes": "True",
    "General/empty": "{}",
    "General/colour": "RED",
    "General/file": "data/wine.csv",
    "General/a.b$c": "dots and dollars",
    "General/wörter": "ü",
}


def record(tracker: ClearMLTracker, folder: Path) -> None:
    """Log some of everything."""
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    tracker.log_params(NESTED)
    tracker.log_params({"lr": 0.1}, section="Args")
    for step in range(250):
        tracker.log_metrics({"train/loss": 1 / (step + 1), "test/a/b": np.float32(step), "lr": np.array(0.5)}, step)
    tracker.log_metrics({"test_r2": 0.75, "test/r2": np.float64(0.25)})
    for name, content in {"one": "1", "two": "2"}.items():
        (folder / name).mkdir()
        (folder / name / "model.txt").write_text(content)
        tracker.log_model(folder / name / "model.txt", name, "scikit-learn")
    tracker.log_model(folder / "one", "packed")
    tracker.log_artifact(folder / "one" / "model.txt")
    tracker.log_artifact(folder / "two", "a folder")
    tracker.log_artifact({"a": 1}, "mapping")
    tracker.log_artifact(pd.DataFrame({"a": [1, 2]}), "frame")
    tracker.log_artifact(np.zeros((2, 3, 4)), "sub/array")
    tracker.log_artifact([1, "two", 3.5], "pickled")
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    tracker.log_figure(figure, "curve")
    tracker.log_figure(go.Figure(go.Scatter(y=[1, 2])), "plots/scatter", step=2)
    tracker.log_table(pd.DataFrame({"a": [1, np.nan], "b": ["x", "y"]}), "table")
    tracker.log_text("first line\nzweite Zeile: ü")


def recorded(identifier: str) -> dict[str, Any]:
    """Return what a task holds, read by the SDK."""
    from clearml import Task

    task = Task.get_task(identifier)
    return {
        "name": task.name,
        "project": task.get_project_name(),
        "type": task.task_type,
        "tags": sorted(task.get_tags()),
        "parameters": task.get_parameters(),
        "scalars": {
            (title, name): list(zip(one["x"], one["y"], strict=True))
            for title, series in task.get_all_reported_scalars().items()
            if title != "Summary" and not title.startswith(":monitor")
            for name, one in series.items()
        },
        "values": task.get_reported_single_values(),
        "plots": sorted((one["metric"], one["variant"], one["iter"]) for one in task.get_reported_plots()),
        "artifacts": {name: _content(one.get(force_download=True)) for name, one in task.artifacts.items()},
        "models": {
            (one.name, one.framework): _content(Path(one.get_local_copy(force_download=True)))
            for one in task.models["output"]
        },
        "log": [line for line in "\n".join(task.get_reported_console_output(20)).splitlines() if "eile: ü" in line],
    }


def _content(thing: Any) -> Any:
    if isinstance(thing, pd.DataFrame):
        return thing.to_dict()
    if isinstance(thing, np.ndarray):
        return thing.tolist()
    # The SDK's paths are of a class of its own.
    if isinstance(thing, os.PathLike):
        thing = Path(thing)
        if thing.is_dir():
            return {str(one.relative_to(thing)): one.read_text() for one in thing.rglob("*") if one.is_file()}
        return thing.read_text()
    return thing


def check(found: dict[str, Any]) -> None:
    """Everything that was logged is there, with its values."""
    assert found["parameters"] == {**STORED, "Args/lr": "0.1"}
    loss = found["scalars"]["train", "loss"]
    assert [x for x, _ in loss] == list(range(250))
    assert [y for _, y in loss] == pytest.approx([1 / (step + 1) for step in range(250)])
    assert found["scalars"]["test", "a/b"] == [(step, float(step)) for step in range(250)]
    assert set(found["scalars"]) == {("train", "loss"), ("test", "a/b"), ("lr", "lr")}
    assert found["values"] == {"test_r2": 0.75, "test/r2": 0.25}
    assert found["artifacts"] == {
        "model.txt": "1",
        "a folder": {"model.txt": "2"},
        "mapping": {"a": 1},
        "frame": {"a": {0: 1, 1: 2}},
        "sub/array": np.zeros((2, 3, 4)).tolist(),
        "pickled": [1, "two", 3.5],
    }
    assert found["models"] == {
        ("one", "scikit-learn"): "1",
        ("two", "scikit-learn"): "2",
        ("packed", "Custom"): {"model.txt": "1"},
    }
    assert found["plots"] == [("curve", "curve", 0), ("plots", "scatter", 2), ("table", "table", 0)]
    assert found["log"] == ["zweite Zeile: ü"]


def status(server: Server, identifier: str) -> tuple[str, str]:
    """Return how a task ended, and what is said about it."""
    fields = ["status", "status_message"]
    task = server.call("tasks.get_all", id=[identifier], only_fields=fields)["tasks"][0]
    return task["status"], task.get("status_message") or ""


@pytest.fixture(scope="module")
def online(project: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a task holds that was recorded with a server."""
    with ClearMLTracker(project, "everything", tags=["a", "b"], task_type="testing") as tracker:
        record(tracker, tmp_path_factory.mktemp("online"))
    assert tracker.failures == 0
    return recorded(tracker.id)


def test_all_is_recorded(online: dict[str, Any], project: str) -> None:
    check(online)
    assert (online["name"], online["project"]) == ("everything", project)
    assert (online["type"], online["tags"]) == ("testing", ["a", "b"])


def test_an_offline_session_loses_nothing(online: dict[str, Any], project: str, server: Server, tmp_path: Path) -> None:
    with ClearMLTracker(project, "everything", tags=["a", "b"], task_type="testing", offline=True) as tracker:
        record(tracker, tmp_path)
    assert tracker.failures == 0
    assert tracker.offline_session is not None
    # It may have come from another machine: its own folder is not there.
    moved = tracker.offline_session.rename(tmp_path / "moved.zip")
    tracker.offline_session.with_suffix("").rename(tmp_path / "gone")
    identifier = send_offline(moved)
    assert recorded(identifier) == online
    assert status(server, identifier)[0] == "completed"
    assert moved.is_file()


@pytest.mark.parametrize("as_folder", [False, True])
def test_an_offline_session_keeps_its_end_and_may_change_its_project(
    project: str, server: Server, as_folder: bool
) -> None:
    with (
        pytest.raises(RuntimeError, match="diverged"),
        ClearMLTracker("never made", "failed offline", offline=True) as tracker,
    ):
        raise RuntimeError("it diverged")
    assert tracker.offline_session is not None
    path = tracker.offline_session
    identifier = send_offline(path.with_suffix("") if as_folder else path, project)
    assert status(server, identifier) == ("failed", "RuntimeError: it diverged")
    assert recorded(identifier)["project"] == project
    assert server.project_id("never made") is None


def test_what_is_no_offline_session_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    for path in (tmp_path / "missing.zip", tmp_path / "text.zip", tmp_path):
        with pytest.raises(InputError, match="no offline session"):
            send_offline(path)


@pytest.mark.parametrize("end", ["completed", "failed", "stopped"])
def test_finish_decides_the_status(project: str, server: Server, end: str) -> None:
    tracker = ClearMLTracker(project, end)
    tracker.log_metrics({"loss": 1})
    tracker.finish(end)
    assert status(server, tracker.id)[0] == end
    tracker.finish()
    assert status(server, tracker.id)[0] == end
    assert tracker.failures == 0
    with pytest.raises(InputError, match="is finished"):
        tracker.log_metrics({"loss": 1})


@pytest.mark.parametrize(("error", "expected"), [(ValueError, "failed"), (KeyboardInterrupt, "stopped")])
def test_an_exception_decides_the_status_and_goes_on(
    project: str, server: Server, error: type[BaseException], expected: str
) -> None:
    with pytest.raises(error, match="on purpose"), ClearMLTracker(project, "raises") as tracker:
        raise error("on purpose")
    found, message = status(server, tracker.id)
    assert found == expected
    assert error is KeyboardInterrupt or message == "ValueError: on purpose"


MISTAKES: dict[str, tuple[Callable[[ClearMLTracker], object], str]] = {
    "parameters of no mapping": (lambda t: t.log_params([1]), "a mapping of names to values, not a list"),  # type: ignore[arg-type]
    "nan as a name": (lambda t: t.log_params({float("nan"): 1}), r"name of a parameter is text, not nan"),  # type: ignore[dict-item]
    "None as a name": (lambda t: t.log_params({"a": {None: 1}}), "name of a parameter is text, not None"),
    "an empty name": (lambda t: t.log_params({" ": 1}), "name of a parameter is empty"),
    "a name twice": (lambda t: t.log_params({"a": {"b": 1}, "a/b": 2}), "'a/b' is given twice"),
    "an object": (lambda t: t.log_params({"a": {"b": object()}}), "'a/b' is an object"),
    "a table as a parameter": (lambda t: t.log_params({"a": pd.DataFrame()}), "'a' is a DataFrame"),
    "bytes": (lambda t: t.log_params({"a": b"x"}), "'a' is a bytes"),
    "no UTF-8": (lambda t: t.log_params({"a": "caf\udce9"}), "is not UTF-8"),
    "a section with a slash": (lambda t: t.log_params({"a": 1}, section="x/y"), "no slash"),
    "metrics of no mapping": (lambda t: t.log_metrics([("a", 1)]), "a mapping of names to numbers, not list"),  # type: ignore[arg-type]
    "a text as a metric": (lambda t: t.log_metrics({"ok": 1, "bad": "0.5"}), "'bad' is a str"),
    "nan": (lambda t: t.log_metrics({"bad": float("nan")}, 1), "'bad' is nan; a metric is a finite number"),
    "infinity": (lambda t: t.log_metrics({"bad": np.float64("inf")}, 1), "'bad' is inf"),
    "more than a float holds": (lambda t: t.log_metrics({"bad": 10**400}, 1), "a finite number"),
    "an array": (lambda t: t.log_metrics({"bad": np.zeros(2)}), "'bad' is a ndarray"),
    "a number as a metric's name": (lambda t: t.log_metrics({1: 1}), "name of a metric is text, not an int"),  # type: ignore[dict-item]
    "half a metric's name": (lambda t: t.log_metrics({"train/": 1}, 1), "empty part: 'train/'"),
    "a step below 0": (lambda t: t.log_metrics({"a": 1}, step=-1), "from 0 on, not -1"),
    "a broken step": (lambda t: t.log_metrics({"a": 1}, step=1.5), "from 0 on, not 1.5"),  # type: ignore[arg-type]
    "a missing file": (lambda t: t.log_artifact("no/such.csv"), "no file or folder 'no/such.csv'"),
    "an object without a name": (lambda t: t.log_artifact({"a": 1}), "needs a name"),
    "nothing": (lambda t: t.log_artifact(None, "nothing"), "'nothing' is None"),
    "what cannot be pickled": (lambda t: t.log_artifact(threading.Lock(), "lock"), "'lock' cannot be stored"),
    "no figure": (lambda t: t.log_figure("plot.png", "plot"), "neither matplotlib's nor plotly's, but str"),
    "no table": (lambda t: t.log_table([[1]], "table"), "no DataFrame, but list"),
    "no text": (lambda t: t.log_text(1), "is text, not an int"),  # type: ignore[arg-type]
    "a missing model": (lambda t: t.log_model("no/such.pkl"), "no file or folder 'no/such.pkl'"),
    "an unknown end": (lambda t: t.finish("done"), "completed, failed or stopped, not 'done'"),
    "a second tracker": (lambda _: ClearMLTracker("x", "y"), "task 'refuses' is open in this process"),
    "no task type": (lambda _: ClearMLTracker("x", "y", task_type="trainig"), "no task type 'trainig'"),
    "no project": (lambda _: ClearMLTracker("", "y"), "project's name is empty"),
    "one text for tags": (lambda _: ClearMLTracker("x", "y", tags="tag"), "list of texts, not 'tag'"),
}


class TestMistakes:
    """What the caller did wrong is said, and nothing is recorded."""

    @pytest.fixture(scope="class")
    def tracker(self, project: str) -> Iterator[ClearMLTracker]:
        """A tracker of which much is asked."""
        with ClearMLTracker(project, "refuses") as one:
            yield one

    @pytest.mark.parametrize("mistake", list(MISTAKES))
    def test_mistakes_are_refused(self, tracker: ClearMLTracker, mistake: str) -> None:
        call, message = MISTAKES[mistake]
        with pytest.raises(InputError, match=message) as raised:
            call(tracker)
        assert "\n" not in str(raised.value)
        assert tracker.failures == 0

    def test_files_of_a_name_that_is_not_utf8_are_refused(self, tracker: ClearMLTracker, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path) + b"/caf\xe9.csv"
        Path(os.fsdecode(path)).write_text("a")
        with pytest.raises(InputError, match="is not UTF-8"):
            tracker.log_artifact(os.fsdecode(path))
        with pytest.raises(InputError, match="is not UTF-8"):
            tracker.log_model(os.fsdecode(path))

    def test_parameters_that_contain_themselves_are_refused(self, tracker: ClearMLTracker) -> None:
        loop: dict[str, Any] = {}
        loop["self"] = loop
        with pytest.raises(InputError, match="contain themselves"):
            tracker.log_params(loop)


def test_too_long_a_parameter_is_left_out_and_counted(project: str, caplog: pytest.LogCaptureFixture) -> None:
    with ClearMLTracker(project, "too long") as tracker:
        tracker.log_params({"long": "x" * 5_000_000, "short": 1, "just": "y" * LONGEST_PARAMETER})
        tracker.log_params({"longer": ["x" * 5_000_000]})
    assert tracker.failures == 2
    warnings = [one.message for one in caplog.records if one.levelname == "WARNING" and "Tracking" in one.message]
    assert len(warnings) == 1 and "'long'" in warnings[0] and "5,000,000" in warnings[0]
    found = recorded(tracker.id)["parameters"]
    assert set(found) == {"General/short", "General/just"} and len(found["General/just"]) == LONGEST_PARAMETER


def test_what_the_server_refuses_is_counted(project: str, server: Server) -> None:
    with ClearMLTracker(project, "deleted meanwhile") as tracker:
        server.call("tasks.delete", task=tracker.id, force=True)
        tracker.log_params({"a": 1})
        assert tracker.failures == 1
        tracker.log_artifact({"a": 1}, "late")
        assert tracker.failures == 2


def test_a_given_task_is_left_open(project: str, server: Server) -> None:
    from clearml import Task

    task = Task.init(project, "given", reuse_last_task_id=False, auto_connect_frameworks=False)
    with ClearMLTracker(task=task) as tracker:
        tracker.log_metrics({"r2": 0.5})
        tracker.log_params({"a": 1})
    assert tracker.id == task.id
    assert status(server, task.id)[0] == "in_progress"
    task.close()
    assert status(server, task.id)[0] == "completed"
    found = recorded(task.id)
    assert found["values"] == {"r2": 0.5} and found["parameters"]["General/a"] == "1"


class Proxy:
    """A way to a server, which can be cut and mended, or be silent."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = (address.hostname, address.port)
        self._port = 0
        self._connections: list[socket.socket] = []
        self.silent = False
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        """Refuse connections, and end those that there are."""
        # A thread that waits in accept() keeps the socket open.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._connections += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.silent:
                    target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Script:
    """A training in a process of its own, which goes on step by step."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def expect(self, word: str) -> str:
        """Wait for a line that begins with a word; return the rest."""
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise AssertionError(f"no {word} in the output; stderr:\n{self.errors()}")

    def go_on(self) -> None:
        """Let it go on after a ``pause()``."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        return self._process.wait(60)

    def errors(self) -> str:
        return self._log.read_text()


def clean_environment() -> dict[str, str]:
    """Return the environment without what the SDK adds: its tasks' child processes belong to the task."""
    return {key: value for key, value in os.environ.items() if not key.endswith("_PROC_MASTER_ID")}


PREFACE = """
import sys, time
from clearml_platform import ClearMLTracker, patience
patience.PATIENCE = 3.0
def say(word, *values): print(word, *values, file=sys.__stdout__, flush=True)
def pause(): say("PAUSE"); sys.stdin.readline()
project = sys.argv[1]
"""


@contextmanager
def training(tmp_path: Path, project: str, api: Proxy, files: Proxy, script: str) -> Iterator[Script]:
    """Run a script by the proxies; it is over at the end."""
    environment = {**clean_environment(), "CLEARML_API_HOST": api.url, "CLEARML_FILES_HOST": files.url}
    log = tmp_path / "stderr"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PREFACE + script, project],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield Script(process, log)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def ways(server: Server) -> Iterator[tuple[Proxy, Proxy]]:
    """Ways to the API and to the fileserver."""
    proxies = Proxy(server.api_host), Proxy(server.files_host)
    yield proxies
    for one in proxies:
        one.cut()


def test_a_server_that_dies_does_not_end_the_training(
    tmp_path: Path, project: str, ways: tuple[Proxy, Proxy], server: Server
) -> None:
    script = """
tracker = ClearMLTracker(project, "dies")
tracker.log_params({"before": 1})
say("ID", tracker.id)
pause()
began = time.monotonic()
for step in range(1000):
    tracker.log_metrics({"loss": 1.0}, step)
say("METRICS", time.monotonic() - began)
for number in range(3):
    tracker.log_params({"after": number})
    tracker.log_artifact({"a": 1}, "after")
say("CALLS", time.monotonic() - began)
tracker.finish()
say("FINISH", time.monotonic() - began, tracker.failures)
began = time.monotonic()
with ClearMLTracker(project, "next") as other:
    other.log_params({"a": 1})
say("NEXT", time.monotonic() - began, other.failures, other.offline_session)
"""
    with training(tmp_path, project, *ways, script) as run:
        identifier = run.expect("ID")
        run.expect("PAUSE")
        for way in ways:
            way.cut()
        run.go_on()
        assert float(run.expect("METRICS")) < 2
        # The first waits; the others know.
        assert float(run.expect("CALLS")) < 3 * 3 + 5
        seconds, failures = run.expect("FINISH").split()
        assert float(seconds) < 3 * 3 + 5 + 10
        assert int(failures) == 3 + 3 + 1
        seconds, failures, session = run.expect("NEXT").split()
        assert float(seconds) < 10
        assert failures == "1"
        began = time.monotonic()
        assert run.end() == 0
        assert time.monotonic() - began < 10
        errors = run.errors()
    # One for each of the two trackers.
    assert errors.count("The training goes on") == 2
    assert "goes on offline" in errors
    assert recorded(identifier)["parameters"] == {"General/before": "1"}
    assert recorded(send_offline(session))["parameters"] == {"General/a": "1"}


def test_a_server_that_comes_back_has_it_all(tmp_path: Path, project: str, ways: tuple[Proxy, Proxy]) -> None:
    script = """
with ClearMLTracker(project, "comes back") as tracker:
    say("ID", tracker.id)
    pause()
    for step in range(500):
        tracker.log_metrics({"loss": 1.0}, step)
    # Longer than anyone waits in front of the training.
    time.sleep(5)
    pause()
    tracker.log_params({"after": 1})
say("FAILURES", tracker.failures)
"""
    with training(tmp_path, project, *ways, script) as run:
        identifier = run.expect("ID")
        run.expect("PAUSE")
        ways[0].cut()
        run.go_on()
        run.expect("PAUSE")
        ways[0].mend()
        run.go_on()
        assert run.expect("FAILURES") == "0"
        assert run.end() == 0
    found = recorded(identifier)
    assert [x for x, _ in found["scalars"]["loss", "loss"]] == list(range(500))
    assert found["parameters"] == {"General/after": "1"}


def test_a_server_that_is_silent_is_given_up_and_so_at_exit(
    tmp_path: Path, project: str, ways: tuple[Proxy, Proxy]
) -> None:
    script = """
patience.TIMEOUTS = (5.0, 5.0)
tracker = ClearMLTracker(project, "silent")
pause()
tracker.log_metrics({"loss": 1.0}, 0)
began = time.monotonic()
tracker.log_params({"after": 1})
say("CALL", time.monotonic() - began, tracker.failures)
"""
    with training(tmp_path, project, *ways, script) as run:
        run.expect("PAUSE")
        ways[0].silent = True
        run.go_on()
        seconds, failures = run.expect("CALL").split()
        assert float(seconds) < 20
        assert failures == "1"
        # Nobody calls finish(): the SDK does what is left to do when the process ends.
        began = time.monotonic()
        assert run.end() == 0
        assert time.monotonic() - began < 20


def test_a_fileserver_that_is_gone_costs_only_files(
    tmp_path: Path, project: str, ways: tuple[Proxy, Proxy], server: Server
) -> None:
    script = """
with ClearMLTracker(project, "no files") as tracker:
    say("ID", tracker.id)
    pause()
    began = time.monotonic()
    tracker.log_artifact({"a": 1}, "lost")
    say("FILE", time.monotonic() - began)
    tracker.log_model(__import__("os").__file__, "lost")
    tracker.log_params({"after": 1})
    tracker.log_metrics({"r2": 0.5})
say("FAILURES", tracker.failures)
"""
    with training(tmp_path, project, *ways, script) as run:
        identifier = run.expect("ID")
        run.expect("PAUSE")
        ways[1].cut()
        run.go_on()
        # The SDK's own way takes 45 seconds.
        assert float(run.expect("FILE")) < 15
        assert run.expect("FAILURES") == "2"
        assert run.end() == 0
    assert status(server, identifier)[0] == "completed"
    found = recorded(identifier)
    assert found["artifacts"] == {} and found["models"] == {}
    assert found["parameters"] == {"General/after": "1"} and found["values"] == {"r2": 0.5}


def test_a_key_that_is_not_known_is_an_error(monkeypatch: pytest.MonkeyPatch, project: str) -> None:
    monkeypatch.setenv("CLEARML_API_ACCESS_KEY", "NOBODY")
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "nothing")
    with pytest.raises(ServerError, match="does not know this access key"):
        ClearMLTracker(project, "unknown key")


def test_offline_needs_no_configuration(tmp_path: Path) -> None:
    script = (
        PREFACE
        + """
with ClearMLTracker(project, "alone", offline=True) as tracker:
    tracker.log_params({"a": 1})
say("SESSION", tracker.offline_session, tracker.failures)
"""
    )
    environment = {key: value for key, value in clean_environment().items() if not key.startswith("CLEARML_")}
    result = subprocess.run(
        [sys.executable, "-c", script, "anything"],
        env={**environment, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    _, session, failures = next(line for line in result.stdout.splitlines() if line.startswith("SESSION")).split()
    assert failures == "0"
    assert Path(session).is_file() and Path(session).is_relative_to(tmp_path)


def test_the_import_does_not_bring_the_sdk() -> None:
    code = "import sys, clearml_platform.tracker as t; print({'clearml', 'pandas', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_values() -> None:
    assert values.parameters({"a": {"b": {"x": {3, 1, 2}}}, "t": (1, np.int8(2))}) == {"a/b/x": [1, 2, 3], "t": [1, 2]}
    assert values.parameters({"d": datetime(2024, 1, 1), "n": [np.nan]})["d"] == "2024-01-01 00:00:00"  # noqa: DTZ001
    assert json.dumps(values.parameters({"l": [{"k": np.float32(0.5)}]})) == '{"l": [{"k": 0.5}]}'
    assert values.series("train/a/b") == ("train", "a/b")
    assert values.iteration(np.uint8(7)) == 7
    assert values.number(np.array(2), "x") == 2.0
    assert values.number(True, "x") == 1.0
