"""A pipeline of the four stages, on the SDK's ``PipelineController``: on agents, or here."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clearml_platform.errors import InputError
from clearml_platform.names import PROJECT
from clearml_platform.pipeline.templates import (
    STAGES,
    Source,
    Stage,
    checkout,
    create_templates,
    find_source,
)
from clearml_platform.server import Server, exactly
from clearml_platform.workflow import config as settings

# Parts of the settings: what begins with one of them changes a setting.
SECTIONS = tuple(one.name for one in fields(settings.Config))
# Imports the SDK, so it is imported only where a pipeline runs.
CONTROLLER = Path(__file__).parent / "controller.py"


@dataclass
class Pipeline:
    """A pipeline that can be started, any number of times.

    Attributes:
        name: its name.
        project: the project of the templates and of the experiments that the stages become.
        parameters: what a run begins with, by name; they can be changed in the web application, too.
        options: further options of the stages' scripts, by stage and option.
        queue: the queue of the stages.
        controller_queue: the queue of the controller, which waits for the stages.
        repository: the git URL that agents clone, or the folder of a checkout.
        commit: the commit that they check out.
        cache: whether a stage is skipped when it succeeded before with the same code and parameters.
        version: the pipeline's version.
        notes: what the last start found worth saying.
    """

    name: str
    project: str
    parameters: dict[str, str]
    options: dict[str, dict[str, str]] = field(default_factory=dict)
    queue: str | None = None
    controller_queue: str = "services"
    repository: str | None = None
    commit: str | None = None
    cache: bool = True
    version: str = "1.0.0"
    notes: list[str] = field(default_factory=list)

    def start(self) -> str:
        """Start a run on agents; return the id of its controller.

        Raises:
            InputError: the queues cannot run it, or agents cannot clone the code. Nothing was started.
        """
        server = Server.connect()
        controller = self.draft(server)
        self.enqueue(server, controller)
        return controller

    def draft(self, server: Server) -> str:
        """Make the controller of a run without starting it; return its id."""
        if not self.queue:
            raise InputError("--queue: name the queue of the agents that run the stages, or run with --local.")
        self.notes = check_queues(server, self.queue, self.controller_queue)
        config, fixed = self._config_on_agents()
        source = find_source(self.repository, self.commit)
        self.notes += source.notes
        templates = create_templates(self.project, source.repository, source.commit, server=server)
        steps = {stage.name: self._step(stage, fixed, templates[stage.template], source) for stage in STAGES}
        parameters = {**self.parameters, "config": config}
        return self._controller(steps, parameters)

    def enqueue(self, server: Server, controller: str) -> None:
        """Hand a draft to the agents."""
        server.call("tasks.enqueue", task=controller, queue=_queue_id(server, self.controller_queue))

    def start_locally(self) -> str:
        """Run the controller and the stages here, without agents and git; return the controller's id when it ended.

        Whether the run succeeded says the status of the controller, such as ``monitor`` shows it.

        Raises:
            InputError: a file is missing, or another task is running in this process.
        """
        folder = checkout(self.repository)
        config, fixed = self._config_here(folder)
        parameters = {**self.parameters, "config": str(config)}
        Server.connect()
        from clearml import PipelineController, Task

        from clearml_platform.pipeline.controller import LOOKS_EVERY, add_steps

        if Task.current_task():
            raise InputError("A task is running in this process, and a pipeline would take it for its own: close it.")
        code = _code_version(folder, config)
        pipeline = PipelineController(
            name=self.name, project=self.project, version=self.version, pool_frequency=LOOKS_EVERY, packages=["clearml"]
        )
        for name, value in parameters.items():
            pipeline.add_parameter(name, value)
        steps = {
            stage.name: {**self._step(stage, fixed), "factory": _here(self.project, stage, folder, code)}
            for stage in STAGES
        }
        add_steps(pipeline, steps, int(parameters["retries"]))
        identifier = str(pipeline.id)
        pipeline.start_locally(run_pipeline_steps_locally=True)
        return identifier

    def _step(
        self, stage: Stage, fixed: bool, template: str | None = None, source: Source | None = None
    ) -> dict[str, Any]:
        """Return a stage as the SDK keeps it; ``fixed`` says that its data cannot have changed since."""
        options = {**stage.parameters, **self.options.get(stage.name, {})}
        # Templates move on with the code; a run stays with what it was made for.
        pinned = {"script.repository": source.repository, "script.version_num": source.commit} if source else None
        return {
            "base_task_id": template,
            "parents": list(stage.parents),
            "parameters": {f"Args/{name}": value for name, value in options.items()},
            "task_overrides": pinned,
            "cache_executed_step": self.cache and stage.cached and (fixed or bool(stage.parents)),
            "status": "pending",
        }

    def _controller(self, steps: dict[str, dict[str, Any]], parameters: dict[str, str]) -> str:
        from clearml import PipelineController

        controller = PipelineController.create(
            project_name=self.project,
            task_name=self.name,
            script=str(CONTROLLER),
            packages=["clearml>=2.1.7"],
            force_single_script_file=True,
            version=self.version,
        )
        arguments = {f"Args/{name}": value for name, value in parameters.items()}
        controller.task.set_parameters({**arguments, "pipeline/default_queue": self.queue})
        controller.task.set_configuration_object("Pipeline", json.dumps(steps, indent=2), config_type="dictionary")
        return str(controller.id)

    def _config_on_agents(self) -> tuple[str, bool]:
        """Return the path of the settings in the clone of an agent, and whether their data is fixed."""
        if self.repository and not Path(self.repository).is_dir():
            return self.parameters["config"] or settings.DEFAULT_FILE, False
        folder = checkout(self.repository)
        path, fixed = self._config_here(folder)
        if not path.is_relative_to(folder):
            raise InputError(f"--config: {path} is not in {folder}, and agents see nothing but what they clone.")
        return str(path.relative_to(folder)), fixed

    def _config_here(self, folder: Path) -> tuple[Path, bool]:
        """Return the path of the settings, and whether their data is fixed: a file or URL may change at any time."""
        given = self.parameters["config"]
        path = Path(given).expanduser().resolve() if given else folder / settings.DEFAULT_FILE
        config = settings.load(path, shlex.split(self.parameters["set"]))
        return path, config.data.source == settings.WINE


def create_clearml_pipeline(
    pipeline_name: str,
    project_name: str = PROJECT,
    *,
    model_type: str = "rf",
    queue: str | None = None,
    controller_queue: str = "services",
    config: str | None = None,
    repository: str | None = None,
    commit: str | None = None,
    parameters: Mapping[str, object] | None = None,
    retries: int = 1,
    cache: bool = True,
    version: str = "1.0.0",
) -> Pipeline:
    """Describe a pipeline prepare_data → validate_data → train_model → evaluate_model. Nothing is made until it starts.

    Args:
        pipeline_name: its name.
        project_name: the project of the templates and the experiments.
        model_type: the model that is trained: ridge, lasso, rf or gbr.
        queue: the queue of the agents that run the stages; None for a pipeline that runs here.
        controller_queue: the queue of the agent that runs the controller.
        config: the YAML file of the stages; config/train_params.yaml when None.
        repository: the git URL that agents clone, or the folder of a checkout; this checkout when None.
        commit: the commit that they check out; what is checked out here when None.
        parameters: changes for this run: settings, such as ``{"data.test_size": 0.3}``, pipeline parameters by name,
            and options of one stage's script, such as ``{"evaluate_model.no_promote": True}``.
        retries: how often a stage that failed is run again.
        cache: whether a stage is skipped when it succeeded before with the same code and parameters.
        version: the pipeline's version, such as 1.2.0.

    Raises:
        InputError: a name or a value that cannot be.
    """
    if not pipeline_name.strip() or "/" in pipeline_name:
        raise InputError(f"The pipeline's name {pipeline_name!r} has to be some text without '/'.")
    values = {"model_type": model_type, "config": config or "", "set": "", "retries": str(retries)}
    changes: list[str] = []
    options: dict[str, dict[str, str]] = {}
    stages = [stage.name for stage in STAGES]
    for name, value in (parameters or {}).items():
        stage, _, option = name.partition(".")
        if stage in stages and option:
            options.setdefault(stage, {})[option.replace("-", "_")] = str(value)
        elif stage in SECTIONS:
            changes.append(f"{name}={value}")
        elif name in values:
            values[name] = str(value)
        else:
            known = ", ".join([*values, *(f"{one}…" for one in SECTIONS), *(f"{one}.OPTION" for one in stages)])
            raise InputError(f"--param: there is no parameter {name!r}; there are {known}.")
    values["set"] = " ".join(filter(None, (values["set"], shlex.join(changes))))
    if values["model_type"] not in settings.MODEL_TYPES:
        raise InputError(f"--model-type: {values['model_type']!r} is none of {', '.join(settings.MODEL_TYPES)}.")
    if not values["retries"].isdecimal():
        raise InputError(f"retries: {values['retries']!r} is no whole number from 0.")
    return Pipeline(
        pipeline_name, project_name, values, options, queue, controller_queue, repository, commit, cache, version
    )


def check_queues(server: Server, queue: str, controller_queue: str) -> list[str]:
    """See that the stages can run while the controller waits for them; return what is worth a note.

    Raises:
        InputError: a queue is missing, or one agent alone would have to run both.
    """
    identifiers = {name: _queue_id(server, name) for name in (queue, controller_queue)}
    workers = server.call("workers.get_all")["workers"]
    listening = {
        name: {worker["id"] for worker in workers if identifier in {one["id"] for one in worker.get("queues") or []}}
        for name, identifier in identifiers.items()
    }
    everyone = set.union(*listening.values())
    alone = len(everyone) == 1 and all(listening.values())
    if alone or (queue == controller_queue and len(everyone) < 2):
        who = f"only the agent {next(iter(everyone))!r} listens" if everyone else "no agent listens yet"
        raise InputError(
            f"--queue {queue} and --controller-queue {controller_queue}: {who}, and a controller that waits there "
            "for its stages would wait for ever: give the controller a queue and an agent of its own."
        )
    return [
        f"No agent listens on the queue {name!r}: the run waits for one." for name in identifiers if not listening[name]
    ]


def _queue_id(server: Server, name: str) -> str:
    found = server.call("queues.get_all", name=exactly(name), only_fields=["id", "name"])["queues"]
    for one in found:
        if one["name"] == name:
            return str(one["id"])
    names = sorted(one["name"] for one in server.call("queues.get_all", only_fields=["name"])["queues"])
    raise InputError(f"There is no queue {name!r}; there are {', '.join(names[:10]) or 'none'}.")


def _here(project: str, stage: Stage, folder: Path, code: str) -> Callable[[Any], Any]:
    """Return what makes the task of a stage that runs as a process here."""

    def made(_: Any) -> Any:
        from clearml import Task

        task = Task.create(project_name=project, task_name=stage.name, task_type=stage.type)
        # Not a commit, but it has the same purpose: a stage is found again only while the code is the same.
        task.set_script(working_dir=".", entry_point=str(folder / stage.script), commit=code)
        return task

    return made


def _code_version(folder: Path, config: Path) -> str:
    """Return a digest of the stages' scripts, the package that they use, and their settings."""
    package = Path(__file__).parents[1]
    files = [*sorted(package.rglob("*.py")), *(folder / stage.script for stage in STAGES), config]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:40]
