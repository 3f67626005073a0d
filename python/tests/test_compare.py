"""Experiments side by side, on a real server: collected, filtered, shown, exported, and as a page in a browser."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from clearml_platform import command
from clearml_platform.compare import Comparison, Experiment, Metric, collect, filters, of_models, show, write
from clearml_platform.compare.collect import packages
from clearml_platform.compare.experiment import smaller_is_better
from clearml_platform.compare.table import sections
from clearml_platform.errors import InputError
from clearml_platform.server import Server

SCRIPT = Path(__file__).parents[1] / "scripts" / "clearml" / "compare_experiments.py"
SINGLE = -(2**31)
EVIL = "</script><script>document.title='owned'</script>"
NOWHERE = "0" * 32
SECONDS = 20


def report(events: list[dict[str, Any]]) -> None:
    """Report events of any number of tasks in one request."""
    from clearml.backend_api import Session

    lines = "\n".join(map(json.dumps, events))
    kind = {"Content-Type": "application/json-lines"}
    answer = Session().send_request("events", "add_batch", method="post", data=lines, headers=kind)
    assert answer.json()["data"]["added"] == len(events), answer.text


def scalar(task: str, metric: str, variant: str, value: float, iteration: int = SINGLE) -> dict[str, Any]:
    moment = {"iter": iteration, "timestamp": int(time.time() * 1000)}
    return {
        "type": "training_stats_scalar",
        "task": task,
        "metric": metric,
        "variant": variant,
        "value": value,
    } | moment


def make(server: Server, project: str, name: str, **details: Any) -> str:
    """Make a task with parameters, code and packages."""
    values = {"lr": "0.1", "seed": "7", **details.pop("parameters", {})}
    parameters = {key: {"section": "General", "name": key, "value": value} for key, value in values.items()}
    script = {
        "repository": "https://git.example/wine.git",
        "branch": "main",
        "version_num": "a" * 40,
        "entry_point": "train.py",
        "requirements": {"pip": "# Python 3.11\nnumpy==1.26.0\npandas >= 2.2\n"},
    }
    script |= details.pop("script", {})
    fields = {"type": "training", "hyperparams": {"General": parameters}, "script": script, **details}
    return str(server.call("tasks.create", name=name, project=server.made_project(project), **fields)["id"])


@pytest.fixture(scope="module")
def ids(server: Server, project: str) -> dict[str, str]:
    """The experiments of the tests, by name; the last is in a project of its own inside of the project."""
    changed = {
        "version_num": "b" * 40,
        "diff": "+one\n+two\n",
        "requirements": {"pip": ["numpy==2.0.1", "pandas>=2.2"]},
    }
    artifact = {"key": "report", "type": "custom", "uri": "javascript:alert(1)", "content_size": 12, "hash": "0"}
    made = {
        "base": make(server, project, "base", tags=["baseline", "wine"]),
        "better": make(server, project, "better", tags=["wine"], parameters={"lr": "0.01"}, script=changed),
        "worse": make(server, project, "worse", parameters={"lr": "1", "model/alpha": "2"}),
        "evil": make(
            server,
            project,
            EVIL,
            tags=[EVIL],
            parameters={"name": EVIL, "lr": "0.5"},
            execution={"artifacts": [artifact]},
        ),
        "inside": make(server, f"{project}/more", "inside", parameters={"lr": "0.2"}),
    }
    server.call("tasks.started", task=made["better"])
    events = []
    for task in made.values():
        events += [scalar(task, "loss", "train", 1 / (step + 1), step) for step in range(5)]
        events += [scalar(task, ":monitor:machine", "cpu_usage", 50.0, 1)]
    for name, value in {"base": 0.7, "better": 0.9, "worse": 0.5, "inside": 0.8}.items():
        events += [scalar(made[name], "Summary", "test_r2", value)]
    now = int(time.time() * 1000)
    said = {"type": "log", "task": made["evil"], "level": "info"}
    events += [{**said, "timestamp": now + step, "msg": f"step {step}\x1b[0m {EVIL}\n"} for step in range(250)]
    report(events)
    server.call("tasks.completed", task=made["better"])
    return made


def names(comparison: Comparison) -> list[str]:
    return [task.name for task in comparison.tasks]


def test_ids_are_compared_in_their_order(server: Server, ids: dict[str, str]) -> None:
    found = collect(server, ids=[ids["better"], ids["base"], ids["better"]])
    assert names(found) == ["better", "base"]
    better = found.tasks[0]
    assert better.parameters == {"General/lr": "0.01", "General/seed": "7"}
    assert better.metrics["test_r2"] == Metric(0.9, 0.9, 0.9)
    assert better.metrics["loss/train"] == Metric(0.2, 0.2, 1.0)
    assert better.tags == ("wine",) and better.status == "completed" and better.runtime_seconds is not None
    assert better.script.commit == "b" * 40 and better.script.changes == "+one\n+two\n"
    assert better.packages == {"numpy": "2.0.1", "pandas": ">=2.2"}
    assert ids["better"] in better.page


def test_a_project_is_compared_with_the_projects_in_it(server: Server, project: str, ids: dict[str, str]) -> None:
    assert names(collect(server, project=project)) == ["base", "better", "worse", EVIL, "inside"]
    server.call("tasks.edit", task=ids["worse"], force=True, system_tags=["archived"])
    try:
        assert "worse" not in names(collect(server, project=project))
        assert names(collect(server, ids=[ids["worse"]])) == ["worse"]
    finally:
        server.call("tasks.edit", task=ids["worse"], force=True, system_tags=[])


def test_tags_filter_and_top_narrow_it(server: Server, project: str, ids: dict[str, str]) -> None:
    assert names(collect(server, project=project, tags=["wine"])) == ["base", "better"]
    assert names(collect(server, project=project, tags=["wine", "baseline"])) == ["base"]
    assert names(collect(server, ids=[ids["base"], ids["better"]], tags=["baseline"])) == ["base"]
    assert names(collect(server, project=project, where="test_r2>0.6 and lr<=0.1")) == ["base", "better"]
    best = collect(server, project=project, metric="test_r2", top=3)
    assert names(best) == ["better", "inside", "base"] and best.metric == "test_r2"
    assert names(collect(server, project=project, metric="test_r2"))[-1] == EVIL


def test_names_in_a_project_stand_for_ids(server: Server, project: str, ids: dict[str, str]) -> None:
    found = collect(server, ids=["better", ids["base"], "base"], project=project)
    assert [task.id for task in found.tasks] == [ids["better"], ids["base"]]
    twin = make(server, project, "base")
    try:
        with pytest.raises(InputError, match="2 experiments") as error:
            collect(server, ids=["base"], project=project)
        assert twin in str(error.value) and ids["base"] in str(error.value)
    finally:
        server.call("tasks.delete", task=twin, force=True)


def test_curves_and_log_are_collected_when_asked_for(server: Server, ids: dict[str, str]) -> None:
    found = eventually(
        lambda: collect(server, ids=[ids["evil"]], curves=True), lambda one: bool(one.curves) and len(one.log) == 200
    )
    curve = found.curves["loss/train"][ids["evil"]]
    assert list(curve.iterations) == [0, 1, 2, 3, 4] and curve.values[1] == pytest.approx(0.5)
    assert found.log[-1] == f"step 249 {EVIL}"
    assert found.tasks[0].artifacts[0].name == "report"
    assert not collect(server, ids=[ids["evil"]]).curves


def test_few_requests_whatever_the_number(server: Server, project: str, ids: dict[str, str]) -> None:
    before = server.requests
    collect(server, ids=list(ids.values()), where="test_r2>0", metric="test_r2")
    assert server.requests - before == 1
    before = server.requests
    collect(server, project=project, curves=True)
    assert server.requests - before == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ids": [NOWHERE]}, f"no experiment with the id {NOWHERE}"),
        ({"ids": ["nothing"], "project": "PROJECT"}, "no experiment named 'nothing'"),
        ({"ids": ["BASE"], "project": "PROJECT/more"}, "no experiment with the id"),
        ({"project": "no such project"}, "no project 'no such project'"),
        ({"project": "PROJECT", "tags": ["no-such-tag"]}, "No experiment is in 'PROJECT' tagged no-such-tag"),
        ({"project": "PROJECT", "where": "test_r2>2"}, "that matches 'test_r2>2'"),
        ({"project": "PROJECT", "where": "test_r3>0.8"}, "'test_r3'; known are test_r2"),
        ({"project": "PROJECT", "where": "lr<fast"}, "lr<fast, and that needs a number"),
        ({"project": "PROJECT", "where": "test_r2>"}, "it ends too early"),
        ({"project": "PROJECT", "where": "(lr=1"}, "it ends too early"),
        ({"project": "PROJECT", "where": "lr=1 lr=2"}, "not from 'lr=2' on"),
        ({"project": "PROJECT", "where": 'name="base'}, "not from"),
        ({"project": "PROJECT", "metric": "lr", "top": 1}, "metric 'lr'; known are loss/train, test_r2"),
        ({"project": "PROJECT", "top": 3}, "--metric"),
        ({"project": "PROJECT", "metric": "test_r2", "top": 0}, "1 or more"),
    ],
)
def test_wrong_input_is_one_sentence(
    server: Server, project: str, ids: dict[str, str], wrong: dict[str, Any], said: str
) -> None:
    given = json.loads(json.dumps(wrong).replace("PROJECT", project).replace("BASE", ids["base"]))
    with pytest.raises(InputError) as error:
        collect(server, **given)
    assert said.replace("PROJECT", project) in str(error.value)
    assert "\n" not in str(error.value)


def experiment(name: str, **details: Any) -> Experiment:
    return Experiment(id=name.rjust(32, "0"), name=name, project="p", status="completed", **details)


TASKS = [
    experiment(
        "a", tags=("x",), parameters={"General/lr": "0.1", "Args/seed": "1"}, metrics={"test/r2": Metric(0.5, 0, 1)}
    ),
    experiment("b", tags=("x", "y y"), parameters={"General/lr": "1e-3"}, metrics={"loss": Metric(2, 1, 3)}),
    experiment("c", parameters={"Args/lr": "True"}, started="2026-11-02T10:00:00+00:00", runtime_seconds=90.0),
]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("test_r2>=0.5", "a"),
        ("test/r2 = .5", "a"),
        ("r2.max > 0.9", "a"),
        ("loss.min<=1", "b"),
        ("loss<=1", ""),
        ("General/lr<0.01", "b"),
        ("General/lr!=0.1", "b"),
        ("tag=x", "ab"),
        ("tag!=x", "c"),
        ("tags='Y Y'", "b"),
        ("tag~y", "b"),
        ("started>=2026-11-01", "c"),
        ("runtime<100", "c"),
        ("Args/lr=true", "c"),
        ("not tag=x", "c"),
        ("name=a or name=b and loss>5", "a"),
        ("(name=a or name=b) and General/lr==0.001", "b"),
        ("NAME=a", None),
        ("lr=1", None),
        ("", None),
    ],
)
def test_filter(where: str, left: str | None) -> None:
    if left is None:
        with pytest.raises(InputError):
            filters.parse(where).matching(TASKS)
    else:
        assert "".join(task.name for task in filters.parse(where).matching(TASKS)) == left


@pytest.mark.parametrize("name", ["loss", "train/loss", "test_rmse", "MAE", "valError", "mse/test", "val_loss.min"])
def test_less_is_better(name: str) -> None:
    assert smaller_is_better(name)


@pytest.mark.parametrize("name", ["test_r2", "accuracy", "maestro", "lossless", "f1"])
def test_more_is_better(name: str) -> None:
    assert not smaller_is_better(name)


def test_packages_of_any_requirements() -> None:
    text = (
        "numpy==1.26.0\nScikit_Learn [extra] >= 1.5 ; x\nclearml\n# a == 1\nx @ git+https://h/y.git\n  torch===2.0 # c"
    )
    assert packages(text.replace(" [", "[")) == {
        "numpy": "1.26.0",
        "scikit-learn": ">=1.5",
        "x": "@git+https://h/y.git",
        "torch": "2.0",
    }


def test_what_differs_is_shown_with_deltas_and_the_best(server: Server, ids: dict[str, str]) -> None:
    comparison = collect(server, ids=[ids["base"], ids["better"]])
    parts = {section.title.split(" of ")[0]: section for section in sections(comparison)}
    assert [row.name for row in parts["Parameters"].rows] == ["General/lr"] and parts["Parameters"].same == 1
    assert {row.name for row in parts["Code"].rows} == {"commit", "not committed"}
    assert [row.name for row in parts["Packages"].rows] == ["numpy"]
    metrics = {row.name: [str(cell) for cell in row.cells] for row in parts["Metrics"].rows}
    assert metrics == {"loss/train": ["0.2", "0.2"], "test_r2": ["0.7", "0.9 (+0.2) *"]}
    assert "project" not in [row.name for row in parts["Experiments"].rows]
    everything = {section.title: section for section in sections(comparison, everything=True)}
    assert [row.name for row in everything["Parameters"].rows] == ["General/lr", "General/seed"]
    assert ":monitor:machine/cpu_usage" in [row.name for row in everything["Metrics"].rows]


def test_mixed_projects_are_a_row_of_their_own(server: Server, project: str, ids: dict[str, str]) -> None:
    about = sections(collect(server, ids=[ids["base"], ids["inside"]]))[0]
    (row,) = [row for row in about.rows if row.name == "project"]
    assert [str(cell) for cell in row.cells] == [project, f"{project}/more"]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("width", [30, 80, 200])
def test_terminals_of_any_width(server: Server, project: str, ids: dict[str, str], width: int, beside: bool) -> None:
    output = io.StringIO()
    show(collect(server, project=project), Console(file=output, width=width), beside=beside)
    lines = output.getvalue().splitlines()
    assert "\x1b" not in output.getvalue()
    assert max(map(len, lines)) <= width
    for identifier in ids.values():
        assert identifier in output.getvalue() or width == 30 or beside
    assert ("0.9 (+0.2) *" in output.getvalue()) or width < 200


def test_exports(server: Server, project: str, ids: dict[str, str], tmp_path: Path) -> None:
    comparison = collect(server, project=project)
    for suffix in ("json", "csv", "md", "html"):
        write(comparison, tmp_path / f"all.{suffix}")
    content = json.loads((tmp_path / "all.json").read_text())
    assert [task["id"] for task in content["experiments"]] == list(ids.values())
    assert content["metrics"]["test_r2"]["best"] == [ids["better"]]
    assert content["metrics"]["test_r2"]["delta"][ids["worse"]] == pytest.approx(-0.2)
    assert "General/seed" not in content["differing"]["parameters"]
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["metric:test_r2"] for row in rows] == ["0.7", "0.9", "0.5", "", "0.8"]
    assert rows[3]["name"] == EVIL and rows[2]["parameter:General/model/alpha"] == "2"
    text = (tmp_path / "all.md").read_text()
    assert "0.9 (+0.2) \\*" in text and "<script>" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {7}
    assert oct((tmp_path / "all.md").stat().st_mode & 0o777) == oct(0o666 & ~umask())
    assert not list(tmp_path.glob(".compare-*"))


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("name", ["x.pdf", "x", "missing/x.json", "taken.md"])
def test_exports_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken.md").mkdir()
    with pytest.raises(InputError):
        write(Comparison(TASKS), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.md"]


def test_a_folder_that_refuses() -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write(Comparison(TASKS), Path("/proc/comparison.json"))


def test_models_are_compared_alike() -> None:
    one = SimpleNamespace(
        id="1" * 32, name="wine", version=1, stage="production", tags=["x"], framework="sklearn", project="p",
        metrics={"test_r2": 0.7, "note": "text"}, parameters={"alpha": 1}, created="2026-11-02T10:00:00+00:00",
    )  # fmt: skip
    other = SimpleNamespace(**{**vars(one), "id": "2" * 32, "version": 2, "metrics": {"test_r2": 0.8}})
    comparison = of_models([one, other])
    rows = {row.name: [str(cell) for cell in row.cells] for part in sections(comparison) for row in part.rows}
    assert rows["test_r2"] == ["0.7", "0.8 (+0.1) *"] and rows["status"] == ["production", "production"]


class Page(HTMLParser):
    """What a page would load, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.data: dict[str, Any] = {}
        self.reading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [f"{tag} {name}" for name in ("src", "srcset", "data", "action") if given.get(name)]
        self.loads += ["link"] if tag == "link" else []
        self.links += [str(given["href"])] if tag == "a" else []
        if tag == "script":
            self.scripts.append(given)
            self.reading = given.get("id") == "data"

    def handle_data(self, data: str) -> None:
        if self.reading:
            self.data = json.loads(data)
            self.reading = False


def test_the_page_needs_nothing_else(server: Server, project: str, ids: dict[str, str], tmp_path: Path) -> None:
    found = eventually(lambda: collect(server, project=project, curves=True), lambda one: bool(one.curves))
    write(found, tmp_path / "all.html")
    page = Page((tmp_path / "all.html").read_text())
    assert page.loads == [] and len(page.scripts) == 3
    assert all(link.startswith("http") for link in page.links)
    assert [curve["name"] for curve in page.data["curves"]] == ["loss/train"]
    assert len(page.data["curves"][0]["lines"]) == 5
    assert [one["name"] for one in page.data["parameters"]] == ["General/lr", "General/model/alpha", "General/name"]
    assert EVIL in page.data["titles"]


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no Chromium on this machine")
@pytest.mark.parametrize("what", ["several", "many", "one"])
def test_the_page_in_a_browser(server: Server, project: str, ids: dict[str, str], tmp_path: Path, what: str) -> None:
    chosen = [ids["evil"]] if what == "one" else list(ids.values())
    found = eventually(
        lambda: collect(server, ids=chosen, curves=True),
        lambda one: bool(one.curves) and (what != "one" or bool(one.log)),
    )
    if what == "many":
        found = Comparison(found.tasks * 2, curves=found.curves)
    write(found, tmp_path / "page.html")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    options += ["--enable-unsafe-swiftshader", "--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom"]
    result = subprocess.run(
        ["chromium", *options, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    complaints = re.findall(r"CONSOLE.*", result.stderr)
    assert [line for line in complaints if "GL Driver Message" not in line] == []
    drawn = result.stdout
    assert "<title>owned" not in drawn
    assert len(re.findall(r'class="[^"]*\bsvg-container"', drawn)) == (1 if what == "one" else 3)
    assert ('class="parcoords' in drawn) == (what != "one")
    assert ('id="log"' in drawn) == (what == "one") and ('id="list"' in drawn) == (what == "many")
    assert "javascript:alert" not in re.findall(r'href="([^"]*)"', drawn)


def eventually(get: Callable[[], Comparison], enough: Callable[[Comparison], bool]) -> Comparison:
    """Ask until what was reported can be found."""
    deadline = time.monotonic() + SECONDS
    while not enough(found := get()):
        assert time.monotonic() < deadline, "what was reported was not found"
        time.sleep(0.2)
    return found


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_experiments", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_lists_compares_and_exports(
    project: str, ids: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = script().main
    assert command.run(main, ["--list", "--project", project, "--filter", "test_r2>0.6", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["experiments"]] == ["base", "better", "inside"]
    export = str(tmp_path / "top.html")
    arguments = ["--compare", "--project", project, "--top", "2", "--metric", "test_r2", "--export", export]
    assert command.run(main, arguments) == 0
    assert "better" in capsys.readouterr().out and Path(export).stat().st_size > 1_000_000
    assert command.run(main, ["--compare", ids["base"], ids["better"]]) == 0
    assert "0.9 (+0.2) *" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--compare", NOWHERE],
        ["--list", "--export", "x.pdf"],
        ["--list", "--export", "/no/such/folder/x.md"],
        ["--list", "--filter", "lr>>1"],
        ["--list", "--top", "3"],
    ],
)
def test_the_script_says_what_is_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(script().main, arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1


def test_the_script_alone_and_a_server_that_is_gone(tmp_path: Path) -> None:
    config = tmp_path / "clearml.conf"
    keys = '"credentials": {"access_key": "a", "secret_key": "b"}'
    hosts = ", ".join(f'"{name}_server": "http://127.0.0.1:9"' for name in ("api", "web", "files"))
    config.write_text(f"api {{{hosts}, {keys}}}")
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--list"],
        env={**os.environ, "CLEARML_CONFIG_FILE": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 3, result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
