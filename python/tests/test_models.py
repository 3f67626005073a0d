"""The model registry, alone and with many at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clearml_platform.errors import InputError, PlatformError, ServerError
from clearml_platform.models import ClearMLModelManager, ModelVersion, files, origin
from clearml_platform.models.versions import Entry, as_metadata, entries
from clearml_platform.server import Server

SCRIPT = Path(__file__).parents[1] / "scripts" / "clearml" / "manage_models.py"
MANY = 8
UNKNOWN = "0" * 32
COMMIT = "5b1a0a0d8f4b4c6e9b7a3f0c2d1e4f5a6b7c8d9e"


class Cut(Server):
    """The server, to which the connection breaks at one endpoint, before or after the request has arrived."""

    def __init__(self, whole: Server, endpoint: str, *, arrived: bool = False, ever_after: bool = True) -> None:
        super().__init__(whole._session)
        self.endpoint, self.arrived, self.ever_after = endpoint, arrived, ever_after
        self.gone = False

    def call(self, endpoint: str, *, version: str = "2.30", **data: Any) -> dict[str, Any]:
        if endpoint == self.endpoint and not self.gone:
            self.gone = True
            if self.arrived:
                super().call(endpoint, version=version, **data)
        elif not (self.gone and self.ever_after):
            return super().call(endpoint, version=version, **data)
        raise ServerError(f"The server did not answer {endpoint}.")


class NoFiles(Server):
    """The server with a fileserver that is down."""

    @property
    def files_host(self) -> str:
        return "http://127.0.0.1:9"


@pytest.fixture
def manager(server: Server, project: str) -> ClearMLModelManager:
    return ClearMLModelManager(project, server)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return str(request.node.name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(os.urandom(3000))
    return path


def made_task(server: Server, project: str, alpha: str, metrics: Sequence[tuple[str, str, float]]) -> str:
    """A task with parameters, metrics, code and data."""
    values = {"alpha": alpha, "data_url": "https://example/wine.csv", "huge": "x" * 20_000}
    made: str = server.call(
        "tasks.create",
        name="train",
        type="training",
        project=server.existing_project(project),
        script={"repository": "https://git.example/wine.git", "version_num": COMMIT, "branch": "main"},
        hyperparams={
            "General": {key: {"section": "General", "name": key, "value": value} for key, value in values.items()},
            "Datasets": {"wine": {"section": "Datasets", "name": "wine", "value": "d" * 32}},
        },
        execution={
            "artifacts": [{"key": "wine.csv", "type": "custom", "mode": "input", "uri": "http://x/w.csv", "hash": "ab"}]
        },
    )["id"]
    server.call("tasks.started", task=made)
    for title, series, value in metrics:
        server.call("events.add", task=made, type="training_stats_scalar", metric=title, variant=series, value=value)
    return made


@pytest.fixture(scope="module")
def task(server: Server, project: str) -> str:
    measured = [("test", "r2", 0.75), ("train", "rmse", 0.5), (":monitor:machine", "cpu", 9.0)]
    return made_task(server, project, "0.5", measured)


def fork(work: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """Do the same in many processes at the same instant."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(arguments))

    def begin(*own: Any) -> None:
        # Whoever is late would test nothing.
        work(barrier, *own)

    processes = [context.Process(target=begin, args=own) for own in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(arguments)


def as_row(model: str, created: str, version: object = 1, **more: Any) -> dict[str, Any]:
    notes = {"version": str(version), "sha256": "a", "stage": "none", **more.pop("notes", {})}
    return {"id": model, "name": "n", "created": created, "metadata": as_metadata(notes), **more}


def facts(found: list[Entry]) -> list[tuple[str, int, str | None]]:
    return [(entry.row["id"], entry.version, entry.stage) for entry in found]


# What rows mean.


def test_the_older_of_two_keeps_a_number_and_the_rest_stay() -> None:
    rows = [as_row("c", "03", 2), as_row("b", "02", 1), as_row("a", "02", 1), as_row("d", "04", 3)]
    assert facts(entries(rows)) == facts(entries(rows[::-1]))
    assert facts(entries(rows)) == [("a", 1, None), ("c", 2, None), ("d", 3, None), ("b", 4, None)]


def test_an_unreadable_number_is_given_anew() -> None:
    assert facts(entries([as_row("a", "01", "one"), as_row("b", "02", 7)])) == [("b", 7, None), ("a", 8, None)]


def test_the_last_promotion_wins_and_a_repair_says_so() -> None:
    old = as_row("a", "01", 1, notes={"promotion": "2 production", "stage": "production"})
    new = as_row("b", "02", 2, notes={"promotion": "3 production", "stage": "none"})
    twin = as_row("c", "03", 3, notes={"promotion": "3 production", "stage": "production"})
    found = entries([old, new, twin])
    assert facts(found) == [("a", 1, None), ("b", 2, None), ("c", 3, "production")]
    assert [entry.corrections for entry in found] == [{"stage": "none"}, {}, {}]


@pytest.mark.parametrize(
    "withdrawn", [{"system_tags": ["archived"]}, {"notes": {"promotion": "3 staging", "stage": "staging"}}]
)
def test_a_withdrawn_champion_leaves_none(withdrawn: dict[str, Any]) -> None:
    notes = {"promotion": "3 production", **withdrawn.get("notes", {})}
    former = as_row("a", "01", 1, notes={"promotion": "2 production"})
    leader = as_row("b", "02", 2, **{**withdrawn, "notes": notes})
    assert "production" not in [entry.stage for entry in entries([former, leader])]


def test_a_parameter_of_5_mb_is_cut() -> None:
    item = {"section": "General", "name": "huge", "value": "x" * 5_000_000}
    kept = origin.notes({"hyperparams": {"General": {"huge": item}}})["parameters/General/huge"]
    assert len(kept) < 1100 and kept.endswith("(5000000 characters, whole in the task)")


# Registering.


def test_versions_count_up_and_keep_all_that_is_known(
    manager: ClearMLModelManager, name: str, file: Path, task: str, server: Server
) -> None:
    first = manager.register_model(
        file,
        name,
        task_id=task,
        metadata={"version": "2024-q1", "rows": 178, "columns": ["a", "b"], "dotted.key": 1.5},
        tags=["ridge", "ridge", "baseline"],
        framework="scikit-learn",
    )
    second = manager.register_model(file, name, version="hotfix")
    assert (first.version, second.version) == (1, 2)
    assert (first.version_label, second.version_label) == ("2024-q1", "hotfix")
    assert (first.task, first.framework, first.stage) == (task, "scikit-learn", None)
    assert first.tags == ("baseline", "ridge")
    assert first.metrics == {"test/r2": 0.75, "train/rmse": 0.5}
    assert first.parameters["General/alpha"] == "0.5"
    assert len(first.parameters["General/huge"]) < 1100
    assert first.metadata["rows"] == "178" and json.loads(first.metadata["columns"]) == ["a", "b"]
    assert first.metadata["dotted.key"] == "1.5"
    shown = server.call("models.get_by_id", model=first.id)["model"]["metadata"]["version"]
    assert shown == {"key": "version", "type": "int", "value": "1"}
    outputs = server.call("tasks.get_by_id", task=task)["task"]["models"]["output"]
    assert (name, first.id) in [(item["name"], item["model"]) for item in outputs]
    assert json.loads(json.dumps(first.to_json()))["metrics"]["test/r2"] == 0.75


def test_a_first_registration_makes_the_project(server: Server, project: str, name: str, file: Path) -> None:
    inside = ClearMLModelManager(f"{project}/below", server)
    assert inside.register_model(file, name).version == 1
    with pytest.raises(InputError, match="no registered model"):
        ClearMLModelManager(project, server).get(name)


def test_many_processes_that_register_at_once_lose_nothing(
    manager: ClearMLModelManager, project: str, name: str, tmp_path: Path
) -> None:
    def work(barrier: Any, number: int) -> None:
        own = ClearMLModelManager(f"{project}/at-once", Server.connect())
        path = tmp_path / f"{number}.bin"
        path.write_text(str(number))
        barrier.wait(30)
        made = own.register_model(path, name, tags=[str(number)])
        (tmp_path / f"{number}.json").write_text(json.dumps(made.to_json()))

    fork(work, *((number,) for number in range(MANY)))
    found = ClearMLModelManager(f"{project}/at-once", manager.server).list_models(name)
    assert [model.version for model in found] == list(range(1, MANY + 1))
    assert sorted(model.tags[0] for model in found) == [str(number) for number in range(MANY)]
    # They are settled before the registrations return, and what is written is what is shown.
    returned = {json.loads(path.read_text())["id"] for path in tmp_path.glob("*.json")}
    assert returned == {model.id for model in found}
    rows = manager.server.call("models.get_all", id=sorted(returned), only_fields=["metadata"])["models"]
    assert sorted(int(row["metadata"]["version"]["value"]) for row in rows) == list(range(1, MANY + 1))


def test_a_dead_registration_s_number_is_repaired_by_any_later_call(
    manager: ClearMLModelManager, name: str, file: Path, server: Server
) -> None:
    first, second = manager.register_model(file, name), manager.register_model(file, name)
    same = list(as_metadata({"version": "1"}).values())
    server.call("models.add_or_update_metadata", model=second.id, metadata=same)
    assert [(model.id, model.version) for model in manager.list_models(name)] == [(first.id, 1), (second.id, 2)]
    assert server.call("models.get_by_id", model=second.id)["model"]["metadata"]["version"]["value"] == "2"


# Stages.


def test_one_champion_at_a_time(manager: ClearMLModelManager, name: str, file: Path, server: Server) -> None:
    assert manager.champion(name) is None
    for _ in range(3):
        manager.register_model(file, name)
    assert manager.get(name).version == 3  # the latest, while there is no champion
    assert manager.promote(name, 1).stage == "production"
    assert manager.promote(name, 2, "staging").stage == "staging"
    assert manager.promote(name, 2).stage == "production"
    assert [model.stage for model in manager.list_models(name)] == [None, "production", None]
    assert manager.promote(name, 1).stage == "production"
    champion = manager.champion(name)
    assert (
        champion and champion.version == 1 == manager.get(name).version == manager.get(name, stage="production").version
    )
    assert manager.get(name, latest=True).version == 3
    assert server.call("models.get_by_id", model=champion.id)["model"]["ready"]


def test_archived_is_away_and_comes_back(manager: ClearMLModelManager, name: str, file: Path, server: Server) -> None:
    model = manager.register_model(file, name, stage="production")
    assert model.stage == "production"
    assert manager.archive(name, "1").stage == "archived"
    assert server.call("models.get_by_id", model=model.id)["model"]["system_tags"] == ["archived"]
    assert manager.champion(name) is None
    with pytest.raises(InputError, match="archived"):
        manager.get(name, latest=True)
    assert manager.promote(name, 1).stage == "production"
    assert manager.promote(name, 1, "archived").stage == "archived"


def test_many_processes_that_promote_at_once_leave_one_champion(
    manager: ClearMLModelManager, project: str, name: str, file: Path, server: Server
) -> None:
    for _ in range(MANY):
        manager.register_model(file, name)

    def work(barrier: Any, version: int) -> None:
        own = ClearMLModelManager(project, Server.connect())
        barrier.wait(30)
        own.promote(name, version)

    fork(work, *((version,) for version in range(1, MANY + 1)))
    stages = [model.stage for model in manager.list_models(name)]
    assert stages.count("production") == 1 and stages.count(None) == MANY - 1
    rows = server.pages("models.get_all", "models", name=f"^{name}$", only_fields=["metadata"])
    assert [row["metadata"]["stage"]["value"] for row in rows].count("production") == 1


# Reading.


def test_reading_takes_few_requests(manager: ClearMLModelManager, name: str, file: Path, server: Server) -> None:
    models = [manager.register_model(file, name) for _ in range(5)]

    def requests(work: Callable[[], object]) -> int:
        before = server.requests
        work()
        return server.requests - before

    assert requests(lambda: manager.list_models(name)) <= 3
    assert requests(lambda: manager.get(name, version=2)) <= 2
    assert requests(lambda: manager.compare([model.id for model in models])) <= 3


def test_comparison_says_what_differs_and_what_is_best(
    manager: ClearMLModelManager, name: str, file: Path, task: str, server: Server, project: str
) -> None:
    first = manager.register_model(file, name, task_id=task)
    better = made_task(server, project, "2", [("train", "rmse", 0.25)])
    second = manager.register_model(file, name, task_id=better)
    result = manager.compare([second.id, first.id])
    assert [model["version"] for model in result["models"]] == [2, 1]
    assert result["parameters"] == {"General/alpha": ["2", "0.5"]}
    assert result["metrics"]["train/rmse"] == {"values": [0.25, 0.5], "deltas": [0.0, 0.25], "best": 0}
    assert result["metrics"]["test/r2"] == {"values": [None, 0.75], "deltas": [None, None], "best": 1}


def test_download_gives_the_file_back_or_nothing(
    manager: ClearMLModelManager, name: str, file: Path, tmp_path: Path, server: Server
) -> None:
    model = manager.register_model(file, name)
    path = manager.download(name, tmp_path / "deep" / "folder")
    assert path.name == "model.pkl" and path.read_bytes() == file.read_bytes()
    assert manager.download(model.id, path.parent, version=None) == path
    other = list(as_metadata({"sha256": "0" * 64}).values())
    server.call("models.add_or_update_metadata", model=model.id, metadata=other)
    path.write_text("mine")
    with pytest.raises(PlatformError, match="SHA-256"):
        manager.download(model.id, path.parent)
    assert path.read_text() == "mine" and list(path.parent.iterdir()) == [path]
    server.call("models.edit", model=model.id, uri=f"{model.uri}.gone")
    with pytest.raises(ServerError, match="no longer there"):
        manager.download(model.id, path.parent)


def test_a_stored_file_name_does_not_lead_out_of_the_folder(
    manager: ClearMLModelManager, name: str, file: Path, tmp_path: Path, server: Server
) -> None:
    model = manager.register_model(file, name)
    for stored, expected in (("../../evil", "evil"), ("..", "model")):
        notes = list(as_metadata({"file_name": stored}).values())
        server.call("models.add_or_update_metadata", model=model.id, metadata=notes)
        assert manager.download(name, tmp_path / "in") == tmp_path / "in" / expected


def test_lineage_leads_to_task_code_and_data(
    manager: ClearMLModelManager, name: str, file: Path, task: str, server: Server
) -> None:
    model = manager.register_model(file, name, task_id=task)
    found = manager.lineage(model.id)
    assert found["task"]["id"] == task and found["model"]["version"] == 1
    assert (found["commit"], found["repository"]) == (COMMIT, "https://git.example/wine.git")
    assert found["data"]["datasets"] == {"wine": "d" * 32}
    assert found["data"]["artifacts"] == [{"name": "wine.csv", "mode": "input", "uri": "http://x/w.csv", "hash": "ab"}]
    assert found["data"]["parameters"] == {"General/data_url": "https://example/wine.csv"}


def test_a_deleted_task_leaves_what_was_noted(
    manager: ClearMLModelManager, name: str, file: Path, server: Server, project: str
) -> None:
    short = made_task(server, project, "1", [])
    model = manager.register_model(file, name, task_id=short)
    server.call("tasks.delete", task=short, force=True, delete_output_models=False)
    found = manager.lineage(model.id)
    assert (found["commit"], found["repository"], found["data"]) == (COMMIT, "https://git.example/wine.git", None)


def test_other_models_of_the_project_are_left_alone(
    manager: ClearMLModelManager, name: str, file: Path, server: Server, project: str
) -> None:
    own = server.call(
        "models.create", name=name, uri="http://x/m", project=server.existing_project(project), metadata={}
    )["id"]
    assert manager.register_model(file, name).version == 1
    assert [model.id for model in manager.list_models(name)] != [own]
    assert server.call("models.get_by_id", model=own)["model"].get("metadata", {}) == {}


@pytest.mark.parametrize("odd", ["a.*b", "x|y z", "größe (1)", "back\\slash", "[tag] 100%"])
def test_odd_names_are_names(manager: ClearMLModelManager, odd: str, file: Path, tmp_path: Path) -> None:
    made = manager.register_model(file, odd)
    assert manager.register_model(file, odd).version == made.version + 1
    assert manager.get(odd, version=1).name == odd
    assert manager.download(odd, tmp_path / "back").read_bytes() == file.read_bytes()


# Bad input, and a server that goes away.


def rows_of(manager: ClearMLModelManager, name: str) -> list[ModelVersion]:
    return manager.list_models(name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_path": "no-such-file"}, "no file 'no-such-file'"),
        ({"model_path": "."}, "is a folder"),
        ({"model_path": os.fsdecode(b"bad-\xff.pkl")}, "not UTF-8"),
        ({"model_path": "/dev/null"}, "no file"),
        ({"model_name": ""}, "model_name is empty"),
        ({"model_name": "  ab "}, "shorter than 3"),
        ({"model_name": "bad-\udcff"}, "not UTF-8"),
        ({"task_id": UNKNOWN}, f"no task '{UNKNOWN}'"),
        ({"task_id": ""}, "task_id is empty"),
        ({"stage": "live"}, "the stages are staging, production, archived"),
        ({"metadata": {"sha256": "x"}}, "'sha256' is the registry's own"),
        ({"metadata": {"metrics/test/r2": 1}}, "the registry's own"),
        ({"metadata": {" ": 1}}, "a key is empty"),
        ({"metadata": {"notes": "x" * 5_000_000}}, "log it as an artifact"),
        ({"metadata": {"odd": object()}}, "cannot be written as JSON"),
        ({"tags": "ridge"}, "list of words"),
        ({"tags": [""]}, "tags is empty"),
        ({"version": ""}, "version is empty"),
    ],
)
def test_what_cannot_be_registered(manager: ClearMLModelManager, file: Path, change: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"model_path": file, "model_name": "never registered", **change}
    path, name = given.pop("model_path"), given.pop("model_name")
    with pytest.raises(InputError, match=says) as refused:
        manager.register_model(path, name, **given)
    assert "\n" not in str(refused.value)
    assert rows_of(manager, "never registered") == []


def test_what_is_not_there(manager: ClearMLModelManager, name: str, file: Path, server: Server) -> None:
    model = manager.register_model(file, name)
    for work, says in (
        (lambda: manager.get("no such model"), "no registered model 'no such model'"),
        (lambda: manager.get(name, version=9), "no version 9; there are 1"),
        (lambda: manager.get(name, stage="production"), "no version in production"),
        (lambda: manager.get(name, version=1, latest=True), "one of version, stage and latest"),
        (lambda: manager.promote(name, 9), "no version 9"),
        (lambda: manager.promote(name, 1, "live"), "no stage 'live'"),
        (lambda: manager.archive(name, "x"), "no version 'x'"),
        (lambda: manager.compare([model.id]), "two models or more"),
        (lambda: manager.compare([model.id, UNKNOWN]), f"id '{UNKNOWN}'"),
        (lambda: manager.lineage("x"), "id 'x'"),
        (lambda: manager.download(UNKNOWN, "x"), f"id '{UNKNOWN}'"),
        (lambda: manager.download(name, file), "cannot be written"),
        (lambda: manager.list_models(stage="live"), "no stage 'live'"),
        (lambda: ClearMLModelManager("no such project", server).list_models(), "no project"),
        (lambda: ClearMLModelManager(" ", server), "project_name is empty"),
    ):
        with pytest.raises(InputError, match=says):
            work()
    assert manager.get(name, version=1).stage is None


def test_a_fileserver_that_is_down_leaves_nothing(server: Server, project: str, name: str, file: Path) -> None:
    with pytest.raises(ServerError, match=r"did not take the file \(connection refused\)"):
        ClearMLModelManager(project, NoFiles(server._session)).register_model(file, name)
    assert rows_of(ClearMLModelManager(project, server), name) == []


@pytest.mark.parametrize("endpoint", ["projects.get_all", "models.get_all", "models.create"])
def test_a_server_that_goes_away_before_leaves_nothing(
    server: Server, manager: ClearMLModelManager, project: str, name: str, file: Path, endpoint: str
) -> None:
    with pytest.raises(ServerError):
        ClearMLModelManager(project, Cut(server, endpoint)).register_model(file, name)
    assert rows_of(manager, name) == []


def test_a_refused_model_s_file_is_removed(
    server: Server, manager: ClearMLModelManager, project: str, name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    monkeypatch.setattr("clearml_platform.models.files.remove", lambda _, url: kept.append(url))
    with pytest.raises(ServerError, match="Nothing was registered"):
        ClearMLModelManager(project, Cut(server, "models.create", ever_after=False)).register_model(file, name)
    assert rows_of(manager, name) == [] and len(kept) == 1
    monkeypatch.undo()
    files.remove(server, kept[0])
    with pytest.raises(ServerError, match="no longer there"):
        files.download(server, kept[0], file.with_name("back"), "")


def test_a_lost_answer_is_looked_up(
    server: Server, manager: ClearMLModelManager, project: str, name: str, file: Path
) -> None:
    cut = Cut(server, "models.create", arrived=True, ever_after=False)
    made = ClearMLModelManager(project, cut).register_model(file, name)
    assert [model.id for model in rows_of(manager, name)] == [made.id]


def test_a_server_that_goes_away_afterwards_has_the_whole_model(
    server: Server, manager: ClearMLModelManager, project: str, name: str, file: Path, task: str, tmp_path: Path
) -> None:
    with pytest.raises(ServerError, match="is registered as model"):
        ClearMLModelManager(project, Cut(server, "tasks.add_or_update_model")).register_model(file, name, task_id=task)
    (model,) = rows_of(manager, name)
    assert (model.version, model.task, model.metrics["test/r2"]) == (1, task, 0.75)
    assert manager.download(model.id, tmp_path / "back").read_bytes() == file.read_bytes()


# The script.


def script(project: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--project", project, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_script_from_registration_to_download(project: str, name: str, file: Path, task: str) -> None:
    made = script(project, "--register", str(file), "--name", name, "--task-id", task, "--tags", "a", "b", "--json")
    assert made.returncode == 0, made.stderr
    model = json.loads(made.stdout)
    assert (model["version"], model["tags"], model["task"]) == (1, ["a", "b"], task)
    assert script(project, "--promote", name, "1").returncode == 0
    listed = json.loads(script(project, "--list", "--name", name, "--json").stdout)
    assert {"id", "name", "version", "tags", "stage", "task"} <= listed[0].keys()
    assert [(one["id"], one["stage"]) for one in listed] == [(model["id"], "production")]
    folder = file.parent / "back"
    fetched = script(project, "--download", name, "--output", str(folder))
    assert Path(fetched.stdout.strip()).read_bytes() == file.read_bytes()
    assert script(project, "--archive", model["id"]).returncode == 0
    shown = script(project, "--list", "--stage", "archived").stdout
    assert model["id"] in shown


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--register", "nothing.pkl", "--name", "some model"), "no file 'nothing.pkl'"),
        (("--register", "nothing.pkl"), "--name"),
        (("--promote", "no such model", "1"), "no registered model"),
        (("--compare", UNKNOWN, UNKNOWN[:-1] + "1"), "no registered model with the id"),
    ],
)
def test_the_script_says_what_is_wrong_in_one_sentence(project: str, options: tuple[str, ...], says: str) -> None:
    result = script(project, *options)
    assert result.returncode == 2 and not result.stdout
    assert result.stderr.startswith("error: ") and says in result.stderr and result.stderr.count("\n") == 1


def test_a_name_alone_is_no_version_to_promote(
    project: str, manager: ClearMLModelManager, name: str, file: Path
) -> None:
    manager.register_model(file, name)
    result = script(project, "--promote", name)
    assert result.returncode == 2 and "Which version" in result.stderr
    assert manager.champion(name) is None
