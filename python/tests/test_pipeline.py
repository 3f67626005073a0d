"""Pipelines: what is refused, templates, runs here and on agents, the monitor, the graph and the schedule."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from clearml_platform.errors import InputError
from clearml_platform.pipeline import Pipeline, create_clearml_pipeline, create_templates
from clearml_platform.pipeline.create import check_queues
from clearml_platform.pipeline.graph import COLOURS, duration, mermaid, svg
from clearml_platform.pipeline.monitor import monitor
from clearml_platform.pipeline.run import Run, Stage, latest, read
from clearml_platform.pipeline.schedule import last_due, next_time, run_due, run_forever
from clearml_platform.pipeline.templates import PACKAGES, STAGES, find_source
from clearml_platform.server import Server

PYTHON = Path(__file__).parents[1]
SCRIPT = PYTHON / "scripts" / "clearml" / "ml_pipeline.py"
NAMES = [stage.name for stage in STAGES]
UTC = timezone.utc


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a repository with stand-ins for the stages, and the remote that it was pushed to."""
    return made_checkout(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that tests do not change."""
    return made_checkout(tmp_path_factory.mktemp("shared"))


def made_checkout(folder: Path) -> Path:
    root, remote = folder / "checkout", folder / "remote.git"
    for stage in STAGES:
        path = root / "python" / stage.script
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(__file__).with_name("pipeline_stage.py"), path)
    settings = root / "python/config/train_params.yaml"
    settings.parent.mkdir()
    settings.write_text("model_name: given\n", encoding="utf-8")
    git(folder, "init", "-q", "--bare", "-b", "main", str(remote))
    git(folder, "init", "-q", "-b", "main", str(root))
    git(root, "remote", "add", "origin", str(remote))
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    git(root, "push", "-q", "origin", "main")
    return root


@pytest.fixture
def queues(server: Server) -> Iterator[tuple[str, str]]:
    """Two queues: of the stages, and of the controller."""
    names = [f"python-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    identifiers = [server.call("queues.create", name=name)["id"] for name in names]
    yield names[0], names[1]
    for identifier in identifiers:
        server.call("queues.delete", queue=identifier, force=True)


@pytest.fixture
def pipeline(project: str, shared: Path, queues: tuple[str, str]) -> Pipeline:
    """A pipeline for agents that are not there."""
    name = f"pipeline {uuid.uuid4().hex[:8]}"
    return create_clearml_pipeline(name, project, queue=queues[0], controller_queue=queues[1], repository=str(shared))


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ml_pipeline", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(*arguments: str, seconds: int = 300) -> tuple[int, str, str]:
    """Run ml_pipeline.py as a user does; return its exit code and what it printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PYTHON / "src"), os.environ.get("PYTHONPATH", "")])}
    answer = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env=environment,
    )
    return answer.returncode, answer.stdout, answer.stderr


# What is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pipeline_name": " "}, "pipeline's name"),
        ({"pipeline_name": "a/b"}, "pipeline's name"),
        ({"model_type": "forest"}, "--model-type: 'forest' is none of ridge, lasso, rf, gbr"),
        ({"parameters": {"model_type": "forest"}}, "--model-type"),
        ({"parameters": {"speed": 1}}, "no parameter 'speed'"),
        ({"parameters": {"train_model.": 1}}, "no parameter 'train_model.'"),
        ({"retries": -1}, "retries"),
        ({"parameters": {"retries": "often"}}, "retries"),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_clearml_pipeline(**{"pipeline_name": "p", **changes})


def test_parameters_of_a_run_and_options_of_a_stage() -> None:
    changes = {"model_type": "gbr", "train_model.experiment-name": "night", "data.target": "the hue", "model_name": "m"}
    pipeline = create_clearml_pipeline("p", parameters=changes, retries=3)
    assert pipeline.parameters == {
        "model_type": "gbr",
        "config": "",
        "set": "'data.target=the hue' model_name=m",
        "retries": "3",
    }
    assert pipeline.options == {"train_model": {"experiment_name": "night"}}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "say what to do"),
        (("--local", "--queue", "default"), 2, "leave out"),
        (("--local", "--schedule", "0 3 * * *"), 2, "leave out"),
        (("--local", "--param", "model_type"), 2, "no name=value"),
        (("--queue", "q", "--model-type", "forest"), 2, "--model-type"),
        (("--queue", "q", "--monitor", "abc"), 2, "--monitor ID"),
        (("--monitor", "0" * 32), 2, "no task"),
        (("--monitor", "--project", "no such project"), 2, "no project 'no such project'"),
        (("--local", "--config", "missing.yaml"), 2, "no configuration file"),
        (("--local", "--param", "data.seed=-1"), 2, "data.seed"),
        (("--local", "--repository", "/"), 2, "scripts of the stages are not in /"),
    ],
)
def test_wrong_options(
    arguments: tuple[str, ...], code: int, said: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = () if "--repository" in arguments else ("--repository", str(shared))
    try:
        answer = script().main([*arguments, *repository])
    except SystemExit as end:
        answer = end.code
    captured = capsys.readouterr()
    assert answer == code
    assert said in captured.err and not captured.out


# The code that agents clone


def test_the_code_is_what_is_checked_out_and_pushed(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "More")
    git(checkout, "push", "-q", "origin", "main")
    (checkout / "python/config/train_params.yaml").write_text("model_name: other\n", encoding="utf-8")
    found = find_source(str(checkout))
    assert found.repository == (checkout.parent / "remote.git").as_uri()
    assert found.commit == git(checkout, "rev-parse", "HEAD")
    assert found.notes and "not committed" in found.notes[0]
    # One that is behind what was pushed last is in the remote, too.
    assert find_source(str(checkout), first).commit == first


def test_a_remote_without_a_checkout(checkout: Path) -> None:
    url = (checkout.parent / "remote.git").as_uri()
    for repository in (url, str(checkout.parent / "remote.git")):
        found = find_source(repository)
        assert (found.repository, found.commit) == (url, git(checkout, "rev-parse", "HEAD"))
    with pytest.raises(InputError, match="no full commit id"):
        find_source(url, "main")


def test_a_checkout_without_a_remote_is_refused(checkout: Path) -> None:
    git(checkout, "remote", "remove", "origin")
    with pytest.raises(InputError, match="has no git remote"):
        find_source(str(checkout))


def test_a_folder_that_is_no_checkout_is_refused(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    with pytest.raises(InputError, match="no git checkout"):
        find_source(str(checkout))


@pytest.mark.parametrize("url", ["file:///nowhere/at/all.git", "http://user:hush@127.0.0.1:9/code.git", "-oops"])
def test_a_remote_that_cannot_be_reached_is_refused_without_a_prompt(checkout: Path, url: str) -> None:
    git(checkout, "config", "remote.origin.url", url)
    start = time.monotonic()
    with pytest.raises(InputError, match="cannot be reached from here") as caught:
        find_source(str(checkout))
    assert "hush" not in str(caught.value)
    assert time.monotonic() - start < 15


def test_a_commit_that_is_not_pushed_is_refused(checkout: Path) -> None:
    git(checkout, "commit", "-q", "--allow-empty", "-m", "Mine alone")
    with pytest.raises(InputError, match="is not in the remote"):
        find_source(str(checkout))
    with pytest.raises(InputError, match="no commit 'nonsense'"):
        find_source(str(checkout), "nonsense")


def test_agents_install_what_the_package_needs() -> None:
    text = (PYTHON / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.split("dependencies = [", 1)[1].split("]", 1)[0]
    assert [line.strip(' ",') for line in listed.strip().splitlines()] == list(PACKAGES)


def test_a_configuration_that_agents_do_not_see_is_refused(checkout: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    elsewhere = tmp_path / "own.yaml"
    elsewhere.touch()
    pipeline.parameters["config"] = str(elsewhere)
    with pytest.raises(InputError, match=r"own\.yaml is not in"):
        pipeline.start()


# Templates


def test_templates_are_made_once_and_follow_the_code(server: Server, project: str) -> None:
    first = create_templates(project, "https://example.com/code.git", "a" * 40, server=server)
    assert create_templates(project, "https://example.com/code.git", "a" * 40, server=server) == first
    assert list(first) == [f"{name}_template" for name in NAMES]
    assert create_templates(project, "https://example.com/code.git", "b" * 40, server=server) == first
    tasks = {
        task["name"]: task
        for task in server.pages(
            "tasks.get_all", "tasks", project=[server.existing_project(project)], name="_template$",
            only_fields=["name", "type", "status", "script"],
        )
    }  # fmt: skip
    assert {name: task["type"] for name, task in tasks.items()} == {
        "prepare_data_template": "data_processing",
        "validate_data_template": "data_processing",
        "train_model_template": "training",
        "evaluate_model_template": "testing",
    }
    code = tasks["train_model_template"]["script"]
    assert (code["repository"], code["version_num"]) == ("https://example.com/code.git", "b" * 40)
    assert (code["working_dir"], code["entry_point"]) == ("python", "scripts/clearml/train_with_clearml.py")
    assert "scikit-learn" in code["requirements"]["pip"]


# Queues


def test_a_queue_that_is_missing_is_refused(server: Server, queues: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="no queue 'nowhere'"):
        check_queues(server, queues[0], "nowhere")


def test_a_controller_that_would_wait_for_itself_is_refused(server: Server, queues: tuple[str, str]) -> None:
    identifiers = [server.call("queues.get_all", name=name, only_fields=["id"])["queues"][0]["id"] for name in queues]
    workers = [f"{queues[0]}:{number}" for number in range(2)]
    assert len(check_queues(server, *queues)) == 2
    with pytest.raises(InputError, match="no agent listens yet"):
        check_queues(server, queues[0], queues[0])
    try:
        server.call("workers.register", worker=workers[0], queues=identifiers, timeout=60)
        for controller in queues:
            with pytest.raises(InputError, match="would wait for ever"):
                check_queues(server, queues[0], controller)
        server.call("workers.register", worker=workers[1], queues=identifiers, timeout=60)
        assert check_queues(server, *queues) == check_queues(server, queues[0], queues[0]) == []
    finally:
        for worker in workers:
            server.call("workers.unregister", worker=worker)


# Runs as the server knows them


class Made:
    """A run that is written to the server call by call, so that each state can be looked at."""

    def __init__(self, server: Server, project: str) -> None:
        self.server = server
        self.name = f"made {uuid.uuid4().hex[:8]}"
        self.parent = server.made_project(f"{project}/.pipelines/{self.name}")
        self.nodes: dict[str, dict[str, Any]] = {}
        self.id = self.task(self.name, "controller", system_tags=["pipeline"])
        server.call("tasks.started", task=self.id)

    def task(self, name: str, kind: str = "training", **fields: Any) -> str:
        call = self.server.call("tasks.create", name=name, type=kind, project=self.parent, **fields)
        return str(call["id"])

    def stage(self, name: str, *parents: str, status: str = "pending", end: str | None = None) -> str | None:
        """Add a stage; ``end`` is the call that ended its task, "" while it runs."""
        task = None
        if end is not None:
            task = self.task(name, parent=self.id)
            self.server.call("tasks.started", task=task)
            if end:
                self.server.call(f"tasks.{end}", task=task, status_message="it said no" if end == "failed" else "")
        self.nodes[name] = {"parents": list(parents), "status": status, "job_id": task, "executed": None}
        self.save()
        return task

    def save(self) -> None:
        content = [{"name": "Pipeline", "type": "dictionary", "value": json.dumps(self.nodes)}]
        self.server.call("tasks.edit_configuration", task=self.id, configuration=content, force=True)

    def end(self, how: str) -> None:
        self.server.call(f"tasks.{how}", task=self.id, status_message="Pipeline step failed" if how == "failed" else "")


@pytest.fixture
def made(server: Server, project: str) -> Made:
    """A run without stages, which is running."""
    return Made(server, project)


def log_and_metric(server: Server, task: str) -> None:
    """Report a text and a value in a task, as the SDK does."""
    from clearml import Task

    logger = Task.get_task(task_id=task).get_logger()
    logger.report_text("first line\nlast line")
    logger.report_scalar("test", "r2", 0.875, 3)
    logger.flush(wait=True)


def plain() -> Console:
    return Console(record=True, width=120, force_terminal=False)


def test_a_failed_run_is_read_shown_and_drawn(server: Server, made: Made) -> None:
    made.stage("prepare", status="cached", end="completed")
    failed = made.stage("train <1>", "prepare", end="failed")
    made.stage("evaluate", "train <1>")
    made.end("failed")
    assert failed
    log_and_metric(server, failed)
    wait_until(lambda: read(server, made.id, lines=5).stages[1].log and read(server, made.id).stages[1].metrics)
    run = read(server, made.id, lines=1)
    assert (run.status, run.succeeded, run.ended) == ("failed", False, True)
    assert [stage.status for stage in run.stages] == ["cached", "failed", "skipped"]
    assert run.stages[1].metrics == {"test/r2": 0.875}
    assert run.stages[1].log == ("last line",)
    assert run.stages[1].reason == "it said no"
    console = plain()
    assert monitor(server, made.id, console) == 1
    shown = console.export_text()
    for word in ("cached", "skipped", "it said no", "test/r2 0.875", "last line", failed):
        assert word in shown
    picture = ET.fromstring(svg(run))  # noqa: S314 - our own
    fills = [rectangle.get("fill") for rectangle in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert fills == [COLOURS[status][0] for status in ("cached", "failed", "skipped")]


def test_a_run_with_a_cached_stage_succeeded(server: Server, made: Made) -> None:
    made.stage("prepare", status="cached", end="completed")
    made.stage("train", "prepare", end="completed")
    made.end("completed")
    assert monitor(server, made.id, plain()) == 0


def test_a_run_is_followed_until_it_ends(server: Server, made: Made) -> None:
    task = made.stage("prepare", end="")
    made.stage("train", "prepare")
    console = plain()
    codes: list[int] = []
    watch = threading.Thread(target=lambda: codes.append(monitor(server, made.id, console, every=0.05)))
    watch.start()
    try:
        wait_until(lambda: "prepare: running" in console.export_text(clear=False))
        server.call("tasks.completed", task=task)
        wait_until(lambda: "prepare: completed" in console.export_text(clear=False))
        assert watch.is_alive()
    finally:
        made.end("stopped")
        watch.join(timeout=20)
    assert codes == [1]
    assert "skipped" in console.export_text()


def test_a_running_run_is_shown_once(server: Server, made: Made) -> None:
    made.stage("prepare", end="")
    console = plain()
    assert monitor(server, made.id, console, once=True) == 0
    assert "running" in console.export_text()


def test_in_a_terminal_the_table_is_drawn_anew(server: Server, made: Made) -> None:
    made.stage("prepare", end="")
    console = Console(record=True, width=120, force_terminal=True)
    end = threading.Timer(0.5, made.end, ["completed"])
    end.start()
    try:
        assert monitor(server, made.id, console, every=0.1) == 0
    finally:
        end.join()
    assert "completed" in console.export_text()


def test_the_newest_run_is_found_and_a_draft_is_none(server: Server, project: str, made: Made) -> None:
    draft = made.task("a draft", "controller", system_tags=["pipeline"])
    assert latest(server, project) == made.id != draft


def test_a_task_that_is_no_run_is_refused(server: Server, made: Made) -> None:
    stage = made.stage("prepare", end="completed")
    assert stage
    with pytest.raises(InputError, match=f"no run of a pipeline. Its pipeline may be {made.id}"):
        read(server, stage)


def wait_until(look: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


# The graph


def test_the_graph_of_stages_that_run_beside_each_other() -> None:
    stages = (
        Stage('a "quoted"; name', "completed", seconds=65),
        Stage("b", "running", ('a "quoted"; name',)),
        Stage("c", "queued", ('a "quoted"; name', "gone")),
        Stage("d", "pending", ("b", "c")),
    )
    run = Run("1", "all & sundry", "p", "running", 3.0, stages)
    text = mermaid(run)
    assert text.splitlines()[0] == "flowchart LR"
    assert 's0["a #34;quoted#34;#59; name<br/>completed · 1 min 05 s"]:::completed' in text
    assert [line.strip() for line in text.splitlines() if "-->" in line] == [
        "s0 --> s1",
        "s0 --> s2",
        "s1 --> s3",
        "s2 --> s3",
    ]
    assert f"classDef running fill:{COLOURS['running'][0]}" in text
    picture = ET.fromstring(svg(run))  # noqa: S314 - our own
    boxes = [(box.get("x"), box.get("y")) for box in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(set(boxes)) == 4 and boxes[1][0] == boxes[2][0]
    assert len([path for path in picture.iter("{http://www.w3.org/2000/svg}path") if path.get("marker-end")]) == 4


def test_the_graph_of_nothing() -> None:
    run = Run("1", "p", "p", "queued", None, ())
    assert mermaid(run) == "flowchart LR\n"
    ET.fromstring(svg(run))  # noqa: S314 - our own


def test_durations_are_readable() -> None:
    assert [duration(one) for one in (None, 0.4, 59.6, 3661)] == ["", "0 s", "1 min 00 s", "1 h 01 min"]


# The schedule


@pytest.mark.parametrize("cron", ["", "0 3 * *", "61 * * * *", "every night at three o'clock", "0 3 30 2 *"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(InputError, match="--schedule"):
        next_time(cron, datetime(2030, 1, 1, tzinfo=UTC))


def test_times_are_utc() -> None:
    assert next_time("30 3 * * *", datetime(2030, 1, 1, 4, tzinfo=UTC)) == datetime(2030, 1, 2, 3, 30, tzinfo=UTC)


def queued(server: Server, name: str) -> list[str]:
    found = server.call("queues.get_all", name=name, only_fields=["entries.task"])["queues"][0]
    return [entry["task"] for entry in found.get("entries") or []]


def test_a_time_is_started_once(server: Server, pipeline: Pipeline) -> None:
    draft, due = pipeline.draft(server), datetime(2030, 1, 1, 3, tzinfo=UTC)
    first = run_due(server, pipeline, draft, due)
    assert first and run_due(server, pipeline, draft, due) is None
    assert queued(server, pipeline.controller_queue) == [first]
    assert last_due(server, pipeline) == due
    assert [stage.name for stage in read(server, first).stages] == NAMES


def test_a_time_whose_scheduler_died_is_started_by_the_next(server: Server, pipeline: Pipeline) -> None:
    draft, due = pipeline.draft(server), datetime(2030, 1, 1, 3, tzinfo=UTC)
    left = server.call("tasks.clone", task=draft, new_task_name="left", new_task_tags=["due 2030-01-01T03:00Z"])["id"]
    assert run_due(server, pipeline, draft, due) == left
    assert queued(server, pipeline.controller_queue) == [left]


def test_two_schedulers_start_a_time_once(pipeline: Pipeline) -> None:
    servers = [Server.connect() for _ in range(4)]
    draft, due = pipeline.draft(servers[0]), datetime(2030, 1, 1, 3, tzinfo=UTC)
    started: list[str | None] = []
    threads = [
        threading.Thread(target=lambda one=one: started.append(run_due(one, pipeline, draft, due))) for one in servers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 4
    assert len([one for one in started if one]) == 1
    assert queued(servers[0], pipeline.controller_queue) == [one for one in started if one]


class Night:
    """A clock that the sleeper moves, until it has seen enough."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.time, self.end = start, end

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        if self.time > self.end:
            raise KeyboardInterrupt


def test_a_scheduler_that_is_started_again_runs_nothing_twice(server: Server, pipeline: Pipeline) -> None:
    said: list[str] = []

    def schedule(start: datetime, end: datetime) -> None:
        clock = Night(start, end)
        with pytest.raises(KeyboardInterrupt):
            run_forever(server, pipeline, "0 * * * *", said.append, now=clock.now, sleep=clock.sleep)

    day = datetime(2030, 1, 1, tzinfo=UTC)
    schedule(day + timedelta(minutes=50), day + timedelta(hours=2, minutes=5))
    assert len(queued(server, pipeline.controller_queue)) == 2
    # Away from 02:05 to 05:10: of three times that were missed, the last one is made up for.
    schedule(day + timedelta(hours=5, minutes=10), day + timedelta(hours=6, minutes=1))
    runs = [read(server, one).name.rpartition(" ")[2] for one in queued(server, pipeline.controller_queue)]
    assert runs == [f"2030-01-01T{hour:02}:00Z" for hour in (1, 2, 5, 6)]
    # The draft that they were cloned from is gone.
    project = server.project_id(f"{pipeline.project}/.pipelines/{pipeline.name}")
    assert server.call("tasks.get_all", project=[project], search_hidden=True, status=["created"])["tasks"] == []


# Runs


def check(server: Server, run: Run, config: str = "model_name: given") -> None:
    """See that each stage got what the ones before it left."""
    from clearml import Task

    assert run.succeeded and [stage.name for stage in run.stages] == NAMES
    tasks = [Task.get_task(task_id=stage.task) for stage in run.stages]
    prepared, _, trained, evaluated = tasks
    assert [task.artifacts["data"].get()["rows"] for task in tasks] == [4, 5, 5, 5]
    assert trained.artifacts["data"].get()["config"] == config
    assert trained.get_parameters()["Args/data_task"] == prepared.id
    assert trained.get_parameters()["Args/model_type"] == "ridge"
    assert trained.get_parameters()["Args/note"] == "a b"
    assert evaluated.get_parameters()["Args/train_task"] == trained.id
    assert [str(task.task_type) for task in tasks] == ["data_processing", "data_processing", "training", "testing"]
    assert [task.get_reported_single_value("rows") for task in tasks] == [3, 4, 4, 4]


OPTIONS = ("--model-type", "ridge", "--param", "train_model.note=a b", "--name", "real")


def test_a_pipeline_runs_here_without_a_remote_and_tries_again(server: Server, project: str, checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    arguments = ("--local", "--repository", str(checkout), "--project", project, "--json", *OPTIONS)
    code, out, err = run_script(*arguments, "--param", f"train_model.flaky={checkout / 'flaky'}")
    assert code == 0, err
    assert "this is retry number 1" in err
    run = read(server, json.loads(out)["id"])
    check(server, run)


@pytest.mark.long
def test_what_succeeded_before_is_not_run_again_and_a_failure_is_one(
    server: Server, project: str, checkout: Path, tmp_path: Path
) -> None:
    arguments = ("--local", "--repository", str(checkout), "--project", project, "--name", "fails", "--json")
    _, out, _ = run_script(*arguments, "--retries", "0", "--param", "evaluate_model.fails=1")
    first = read(server, json.loads(out)["id"])
    assert [stage.status for stage in first.stages] == ["completed", "completed", "completed", "failed"]
    picture = tmp_path / "graph.svg"
    code, out, _ = run_script(*arguments, "--retries", "0", "--param", "train_model.fails=1", "--graph", str(picture))
    assert code == 1
    second = json.loads(out)
    assert [stage["status"] for stage in second["stages"]] == ["cached", "cached", "failed", "skipped"]
    assert [stage["task"] for stage in second["stages"]][:2] == [stage.task for stage in first.stages][:2]
    assert not second["succeeded"] and "fails every time" in second["stages"][2]["log"][-1]
    assert COLOURS["cached"][0] in picture.read_text(encoding="utf-8")
    # With other code, all of it is run again.
    for stage in STAGES:
        path = checkout / "python" / stage.script
        path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    _, out, _ = run_script(*arguments, "--retries", "0", "--param", "prepare_data.fails=1")
    assert [stage["status"] for stage in json.loads(out)["stages"]] == ["failed", "skipped", "skipped", "skipped"]


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The queues of two official agents: of the stages, and of the controller."""
    from tests.acceptance.agents import started
    from tests.acceptance.server import Api

    folders = [tmp_path / "stages", tmp_path / "services"]
    for folder in folders:
        folder.mkdir()
    with (
        started(Api(), "pipeline-stages", folders[0]) as stages,
        started(Api(), "pipeline-services", folders[1]) as own,
    ):
        yield stages.queue, own.queue


@pytest.mark.long
def test_a_pipeline_runs_on_agents_which_clone_the_code(
    server: Server, project: str, checkout: Path, agents: tuple[str, str]
) -> None:
    where = ("--queue", agents[0], "--controller-queue", agents[1], "--repository", str(checkout))
    arguments = (*where, "--project", project, "--monitor", "--json", *OPTIONS)
    flaky = ("--param", f"train_model.flaky={checkout / 'flaky'}")
    code, out, err = run_script(*arguments, *flaky, seconds=900)
    assert code == 0, err
    run = read(server, json.loads(out)["id"])
    check(server, run)
    controller = server.call("tasks.get_by_id", task=run.id)["task"]
    assert controller["last_worker"].startswith("pipeline-services")
    trained = server.call("tasks.get_by_id", task=run.stages[2].task)["task"]
    assert trained["last_worker"].startswith("pipeline-stages")
    assert trained["script"]["version_num"] == git(checkout, "rev-parse", "HEAD")
    # What has not changed does not run again; evaluation does, and the run succeeded.
    code, out, err = run_script(*arguments, *flaky, seconds=900)
    again = json.loads(out)
    assert code == 0 and again["succeeded"], err
    assert [stage["status"] for stage in again["stages"]] == ["cached", "cached", "cached", "completed"]
