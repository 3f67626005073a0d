"""What the scripts of the four stages do alike, so that each runs by hand, as a step of a pipeline, and on an agent."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from clearml_platform.command import print_json
from clearml_platform.errors import InputError, ServerError
from clearml_platform.names import PROJECT
from clearml_platform.workflow import config as settings
from clearml_platform.workflow.config import Config
from clearml_platform.workflow.data import PreparedData, given_data

if TYPE_CHECKING:
    from clearml_platform.models import ClearMLModelManager
    from clearml_platform.tracker import ClearMLTracker

# Under this heading the SDK, too, keeps what a script was called with.
SECTION = "Args"


class Parser(argparse.ArgumentParser):
    """A parser with the options that all stages have."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        self.add_argument(
            "--config", default=settings.DEFAULT_FILE, metavar="FILE", help="the YAML file with all settings"
        )
        self.add_argument(
            "--set",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help="change settings for this run, such as data.test_size=0.3",
        )
        self.add_argument("--project", default=PROJECT, help="the project of the experiment and of its models")
        self.add_argument("--json", action="store_true", help="print the result as JSON")

    def add_data_options(self) -> None:
        """Add the options that say where prepared data is."""
        group = self.add_mutually_exclusive_group()
        group.add_argument("--data-task", metavar="ID", help="take the data that this task prepared")
        group.add_argument("--data-folder", metavar="DIR", help="take the data that prepare_data.py --output wrote")

    def add_tracking_option(self) -> None:
        """Add the option that does without a server."""
        self.add_argument("--no-tracking", action="store_true", help="record nothing, and need no server")

    def error(self, message: str) -> NoReturn:
        """Raise what every wrong input raises."""
        raise InputError(f"{message} (--help lists all options).")


@dataclass(frozen=True)
class Step:
    """A stage that runs.

    Attributes:
        options: what it was called with.
        config: the settings.
        tracker: its record; None when it leaves none.
        project: the name of its project.
        output: where machines read the result.
    """

    options: argparse.Namespace
    config: Config
    tracker: ClearMLTracker | None
    project: str
    output: TextIO

    @property
    def task(self) -> str | None:
        """The id of its task."""
        return self.tracker.id if self.tracker else None

    def show(self, text: str, **content: object) -> None:
        """Print the result: text, or with --json what machines read."""
        if self.options.json:
            with redirect_stdout(self.output):
                print_json({"task": self.task, **content})
        else:
            print(text)

    def registry(self) -> ClearMLModelManager:
        """Return the models of the project.

        Raises:
            ServerError: the server does not answer.
        """
        from clearml_platform.models import ClearMLModelManager

        self._need_server("The models are on the server")
        return ClearMLModelManager(self.project)

    def data(self) -> PreparedData:
        """Return the data of --data-task or --data-folder, or prepare that of the settings.

        Raises:
            InputError: there is none, or it was made for another target.
            ServerError: the server does not answer.
        """
        if self.options.data_task:
            self._need_server(f"The data of task {self.options.data_task} is on the server")
        return given_data(self.config, self.options.data_task, self.options.data_folder)

    def _need_server(self, why: str) -> None:
        """Raise an error when the tracker found no server: no session of the SDK works then, in this process."""
        if self.tracker and self.tracker.task.is_offline():
            raise ServerError(f"{why}, which does not answer.")


@contextmanager
def opened(parser: Parser, argv: Sequence[str] | None, task_name: str, task_type: str) -> Iterator[Step]:
    """Open the step: by hand, a new task with what the command line says; on an agent, its task and what that says.

    Args:
        parser: the options.
        argv: the command line; None for that of the process.
        task_name: the name of a new task; an option ``experiment_name`` goes before.
        task_type: the type of a new task.

    Raises:
        InputError: options or settings that cannot be. By hand, there is no task then.
    """
    output = sys.stdout
    if _is_remote():
        with _tracker() as given:
            options = parser.parse_args(_recorded(given.task))
            config = settings.load(options.config, options.set)
            yield Step(options, config, given, given.task.get_project_name() or options.project, output)
        return
    options = parser.parse_args(argv)
    config = settings.load(options.config, options.set)
    with ExitStack() as stack:
        if options.json:
            # The SDK prints to the same place.
            stack.enter_context(redirect_stdout(sys.stderr))
        tracker: ClearMLTracker | None = None
        if not getattr(options, "no_tracking", False):
            name = getattr(options, "experiment_name", None) or task_name
            tracker = stack.enter_context(_tracker(options.project, name, task_type=task_type))
            recorded = {key: shlex.join(value) if key == "set" else value for key, value in vars(options).items()}
            tracker.log_params(recorded, section=SECTION)
        yield Step(options, config, tracker, options.project, output)


def _is_remote() -> bool:
    """Whether this process runs a task that is there already, as agents and pipelines do."""
    if not os.environ.get("CLEARML_TASK_ID"):
        return False
    from clearml.config import running_remotely

    return bool(running_remotely())


def _tracker(*names: str, **more: Any) -> ClearMLTracker:
    from clearml import Task

    from clearml_platform.tracker import ClearMLTracker

    # It is in the checkout, and in no registry that an agent could install it from.
    Task.ignore_requirements("clearml-platform")
    return ClearMLTracker(*names, **more)


def _recorded(task: Any) -> list[str]:
    """Return the command line that a task has for its parameters."""
    recorded = task.get_parameters_as_dict().get(SECTION) or {}
    line: list[str] = []
    for name, value in recorded.items():
        option = f"--{name.replace('_', '-')}"
        if value in ("", "None", None):
            continue
        if name == "set":
            line += [option, *shlex.split(value)]
        elif value in ("True", "False"):
            line += [option] * (value == "True")
        else:
            line.append(f"{option}={value}")
    return line
