"""The commands that come with the SDK."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from clearml import Dataset, Task

from .agents import Agent, ended
from .server import run_command

SCRIPT = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=1)
print("n is", parser.parse_args().n)
"""


def command(folder: Path, name: str, *arguments: str) -> str:
    """Run a command of the SDK, which keeps its state in the home directory; return what it prints."""
    program = Path(sys.executable).with_name(name)
    return run_command(folder, str(program), *arguments, environment={"HOME": str(folder)})


def test_clearml_task_makes_a_task_that_an_agent_runs(agent: Agent, project: str, tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(SCRIPT)
    what = ("--project", project, "--name", "by clearml-task", "--script", "count.py", "--args", "n=5")
    output = command(tmp_path, "clearml-task", *what, "--packages", "clearml", "--queue", agent.queue, "--tags", "made")
    (identifier,) = re.findall(r"task created id=(\w+)", output)
    task = Task.get_task(task_id=identifier)
    assert (task.name, task.get_tags(), task.get_parameters()["Args/n"]) == ("by clearml-task", ["made"], "5")
    assert ended(task, agent) == "completed"
    assert "n is 5" in "\n".join(task.get_reported_console_output(number_of_reports=100))


def test_clearml_data_makes_a_data_set_and_gets_it_back(project: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one.txt").write_text("one")
    command(tmp_path, "clearml-data", "create", "--project", project, "--name", "by-command", "--version", "1.0.0")
    command(tmp_path, "clearml-data", "add", "--files", "data")
    command(tmp_path, "clearml-data", "close")
    data = Dataset.get(dataset_project=project, dataset_name="by-command", only_completed=True)
    assert (data.version, data.list_files()) == ("1.0.0", ["one.txt"])
    assert "one.txt" in command(tmp_path, "clearml-data", "list", "--id", data.id)
    command(tmp_path, "clearml-data", "get", "--id", data.id, "--copy", "back")
    assert (tmp_path / "back/one.txt").read_text() == "one"
