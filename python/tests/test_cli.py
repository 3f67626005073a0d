"""The command clearml-platform: quick help, completion, exit codes, and verbs against the server."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clearml_platform import connect
from clearml_platform.cli import main
from clearml_platform.server import Server

VERBS = """
init
compare
train
evaluate
models list
models compare
models register
models promote
models archive
models download
models lineage
pipeline run
pipeline monitor
pipeline templates
data prepare
data validate
offline send
""".split("\n")[1:-1]
HEAVY = ("clearml", "pandas", "sklearn", "numpy", "plotly", "matplotlib", "requests")
SCRIPTS = Path(__file__).parents[1] / "scripts"
# A busy server may take its time; one that hangs fails the test.
SECONDS = 180
SKIP = "comes with another part of the package"


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip a test while a part of the package is not there yet."""
    missing = [one for one in modules if importlib.util.find_spec(f"clearml_platform.{one}") is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)}: {SKIP}")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python by itself."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command by itself, without a terminal."""
    code = f"import sys; from clearml_platform.cli import main; sys.exit(main({list(arguments)!r}))"
    return python(code, **environment)


# -- quick


@pytest.mark.parametrize(
    "code",
    [
        "import clearml_platform",
        "import clearml_platform.cli",
        "from clearml_platform.cli import main; assert main(['--help']) == 0",
        *(f"from clearml_platform.cli import main; assert main({[*verb.split(), '--help']!r}) == 0" for verb in VERBS),
    ],
)
def test_help_imports_nothing_heavy(code: str) -> None:
    done = python(f"{code}\nimport sys, json\nprint('\\n' + json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "clearml_platform" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_import_takes_half_a_second_at_most(record_property: Callable[[str, object], None]) -> None:
    code = "import time; start = time.perf_counter(); import clearml_platform{}; print(time.perf_counter() - start)"
    for what in ("", ".cli", ".connect"):
        seconds = statistics.median(float(python(code.format(what)).stdout) for _ in range(3))
        record_property(f"import clearml_platform{what}", f"{seconds:.3f} s")
        print(f"import clearml_platform{what}: {seconds:.3f} s")
        assert seconds <= 0.5


# -- help, completion, exit codes


def test_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert main([*verb.split(), "--help"]) == 0
        shown = capsys.readouterr().out
        assert "Usage" in shown and len(re.sub(r"\s", "", shown)) > 200, verb


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("clearml-platform mo", "models"),
        ("clearml-platform models pro", "promote"),
        ("clearml-platform models promote --stage a", "archived"),
        ("clearml-platform train --model-type r", "ridge"),
        ("clearml-platform pipeline run --loc", "--local"),
    ],
)
def test_completion(typed: str, offered: str) -> None:
    words = typed.split()
    environment = {
        "_CLEARML_PLATFORM_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    assert offered in command(**environment).stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(shell: str) -> None:
    done = command("--show-completion", shell)
    if done.returncode:
        # Which shell it is for is looked up, when no name is taken.
        done = command("--show-completion", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_CLEARML_PLATFORM_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["--nothing"],
        ["models", "nothing"],
        ["models", "promote"],
        ["models", "promote", "name", "1", "2"],
        ["models", "register", "path"],
        ["offline", "send"],
        ["pipeline", "run", "--queue", "q", "--retries", "-1"],
        [],
    ],
)
def test_usage_errors_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert "Usage" in shown.out + shown.err and "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pipeline", "run"], "--queue"),
        (["pipeline", "run", "--local", "--queue", "q"], "--local runs everything here"),
        (["pipeline", "run", "--queue", "q", "--param", "x"], "--param"),
        (["models", "register", "p", "--name", "n", "--metadata", "=x"], "--metadata"),
        (["evaluate", "--train-task", "abc", "--version", "3"], "--version"),
        (["init", "--check", "--username", "anna"], "--check"),
    ],
)
def test_wrong_input_is_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"clearml-platform \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(connect, "command", interrupted)
    assert main(["init"]) == 130


# -- init


def test_init_check(server: Server) -> None:
    done = command("init", "--check", "--json")
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["api_host"] == server.api_host


def test_init_writes_the_same_as_the_script(server: Server, tmp_path: Path) -> None:
    from clearml_platform import conf

    values = conf.values(conf.read(Path(os.environ["CLEARML_CONFIG_FILE"])))
    options = [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", value)]
    one, other = tmp_path / "one.conf", tmp_path / "other.conf"
    assert command("init", "--output", str(one), *options).returncode == 0
    script = [sys.executable, str(SCRIPTS / "clearml" / "init_clearml.py"), "--output", str(other), *options]
    assert subprocess.run(script, capture_output=True, check=False).returncode == 0
    assert one.read_bytes() == other.read_bytes()


def test_script_and_command_have_the_same_options() -> None:
    script = [sys.executable, str(SCRIPTS / "clearml" / "init_clearml.py"), "--help"]
    wide = {**os.environ, "COLUMNS": "200"}
    of_script = subprocess.run(script, env=wide, capture_output=True, text=True, check=True).stdout
    of_command = command("init", "--help", COLUMNS="200").stdout
    option = re.compile(r"--[a-z]+(?:-[a-z]+)*")
    wanted = set(option.findall(of_script))
    assert "--api-host" in wanted and wanted <= set(option.findall(of_command))


def test_no_secret_in_the_errors_of_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from clearml_platform import connect\n"
        "from clearml_platform.cli import main\n"
        "def broken(*a, **b): raise RuntimeError('broken')\n"
        "connect.command = broken\n"
        "main(['init', '--secret-key', 'TOPSECRET'])"
    )
    done = python(code)
    assert done.returncode == 1 and "broken" in done.stderr and "TOPSECRET" not in done.stderr


# -- the other verbs, against the server


@needs("workflow", "tracker")
def test_data_and_training_without_a_server(tmp_path: Path) -> None:
    environment = {"CLEARML_API_HOST": "http://127.0.0.1:1"}
    config = str(SCRIPTS.parent / "config" / "train_params.yaml")
    folder = tmp_path / "data"
    done = command(
        "data", "prepare", "--config", config, "--no-tracking", "--output", str(folder), "--json", **environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["train_rows"] > 100
    done = command(
        "data", "validate", "--config", config, "--no-tracking", "--data-folder", str(folder), "--json", **environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] is None
    bad = tmp_path / "bad.csv"
    header = (folder / "train.csv").read_text().splitlines()[0]
    bad.write_text(header + "\n" + ",".join("-1" for _ in header.split(",")) + "\n")
    done = command(
        *("data", "validate", "--config", config, "--no-tracking", "--data-folder", str(folder), "--json"),
        *("--new", str(bad), "--report", str(tmp_path / "report.html")),
        **environment,
    )
    assert done.returncode == 1 and json.loads(done.stdout), done.stderr
    assert (tmp_path / "report.html").is_file() and "Traceback" not in done.stderr
    done = command(
        *("train", "--config", config, "--no-tracking", "--data-folder", str(folder), "--json"),
        *("--model-type", "ridge", "--output", str(tmp_path / "model")),
        **environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["test_r2"] > 0
    assert (tmp_path / "model" / "model.joblib").is_file()


@needs("models", "compare")
def test_the_life_of_a_model(project: str, tmp_path: Path) -> None:
    def models(verb: str, *arguments: str, fails: bool = False) -> str:
        done = command("models", verb, *arguments, "--project", project)
        assert done.returncode == (2 if fails else 0), done.stderr
        return done.stderr if fails else done.stdout

    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    options = ["--name", "model", "--tag", "a", "--tag", "b", "--metadata", "k=v", "--json"]
    first = json.loads(models("register", str(file), *options))
    assert (first["version"], sorted(first["tags"]), first["metadata"]["k"]) == (1, ["a", "b"], "v")
    second = json.loads(models("register", str(file), "--name", "model", "--json"))
    listed = json.loads(models("list", "--json"))
    assert [(one["id"], one["name"], one["version"]) for one in listed] == [
        (first["id"], "model", 1),
        (second["id"], "model", 2),
    ]
    assert "model" in models("list")
    page = tmp_path / "models.html"
    assert json.loads(models("compare", first["id"], second["id"], "--json", "--export", str(page)))["models"]
    assert page.stat().st_size > 1000
    assert json.loads(models("promote", "model", "1", "--json"))["stage"] == "production"
    assert json.loads(models("promote", second["id"], "--stage", "staging", "--json"))["stage"] == "staging"
    assert Path(models("download", "model", "1", "--output", str(tmp_path / "out")).strip()).read_bytes() == b"weights"
    assert json.loads(models("lineage", first["id"]))["model"]["id"] == first["id"]
    assert "Which version" in models("archive", "model", fails=True)
    assert json.loads(models("archive", "model", "2", "--json"))["stage"] == "archived"


@needs("workflow", "tracker", "models", "compare")
@pytest.mark.long
def test_from_training_to_a_champion(project: str, tmp_path: Path) -> None:
    config = str(SCRIPTS.parent / "config" / "train_params.yaml")
    trained = []
    for model_type in ("ridge", "lasso"):
        done = command("train", "--config", config, "--model-type", model_type, "--project", project, "--json")
        assert done.returncode == 0, done.stderr
        trained.append(json.loads(done.stdout))
    page = tmp_path / "page.html"
    done = command("compare", *(one["task"] for one in trained), "--project", project, "--json", "--export", str(page))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) and page.stat().st_size > 1000
    number = str(trained[1]["model"]["version"])
    done = command("evaluate", "--config", config, "--version", number, "--project", project, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["version"] == int(number), done.stderr


@needs("tracker", "offline")
def test_offline_send(project: str, tmp_path: Path, server: Server) -> None:
    code = (
        "from clearml_platform import ClearMLTracker\n"
        f"with ClearMLTracker({project!r}, 'recorded', offline=True) as tracker:\n"
        "    tracker.log_metrics({'loss': 1.0}, step=1)\n"
        "    folder = str(tracker.task.get_offline_mode_folder())\n"
        "print('\\n' + folder)"
    )
    environment = {"HOME": str(tmp_path), "CLEARML_CACHE_DIR": str(tmp_path)}
    recorded = python(code, **environment)
    assert recorded.returncode == 0, recorded.stderr
    folder = Path(recorded.stdout.splitlines()[-1])
    session = folder if folder.is_dir() else folder.with_suffix(".zip")
    done = command("offline", "send", str(session), "--project", project, "--json", **environment)
    assert done.returncode == 0, done.stderr
    task = json.loads(done.stdout)["id"]
    assert server.call("tasks.get_all", id=[task], only_fields=["name"])["tasks"][0]["name"] == "recorded"


@needs("offline")
def test_what_is_no_offline_session(tmp_path: Path) -> None:
    done = command("offline", "send", str(tmp_path / "none.zip"))
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "none.zip" in done.stderr


@needs("pipeline")
def test_pipeline_of_a_queue_that_is_not_there(project: str) -> None:
    done = command("pipeline", "run", "--queue", "no-such-queue", "--project", project)
    assert done.returncode == 2 and "no-such-queue" in done.stderr
    assert "Traceback" not in done.stderr


@needs("pipeline")
def test_monitor_without_a_run(project: str) -> None:
    done = command("pipeline", "monitor", "--once", "--project", project)
    assert done.returncode == 2 and done.stderr.startswith("error: ")


@needs("pipeline", "workflow", "models")
@pytest.mark.long
def test_pipeline_run_locally(project: str, tmp_path: Path) -> None:
    graph = tmp_path / "graph.svg"
    done = command(
        "pipeline", "run", "--local", "--model-type", "ridge", "--project", project, "--graph", str(graph), "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["succeeded"] and graph.read_text().startswith("<svg")


def test_progress_shows_at_a_terminal_alone(capfd: pytest.CaptureFixture[str]) -> None:
    from clearml_platform.cli.options import working

    with working("Training"):
        pass
    assert capfd.readouterr().err == ""
    code = "import time; from clearml_platform.cli.options import working\nwith working('Training'): time.sleep(0.3)"
    assert "Training" in python(code, FORCE_COLOR="1", TERM="xterm").stderr


def test_only_json_keeps_stdout_clean() -> None:
    done = python(
        "import subprocess\n"
        "from clearml_platform.command import only_json\n"
        "with only_json(wanted=True):\n"
        "    print('of the SDK')\n"
        "    subprocess.run(['echo', 'of a process'])\n"
        "print('{}')"
    )
    assert done.stdout == "{}\n" and sorted(done.stderr.splitlines()) == ["of a process", "of the SDK"]
