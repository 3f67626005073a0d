"""One training on record: its parameters, metrics, artifacts, figures and models."""

from __future__ import annotations

import atexit
import json
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any

from clearml_platform import values
from clearml_platform.errors import InputError, ServerError
from clearml_platform.names import PROJECT
from clearml_platform.offline import record_model, send_offline, set_offline
from clearml_platform.patience import Patience
from clearml_platform.server import AbsentError, login

__all__ = ["ClearMLTracker", "send_offline"]

STATUSES = ("completed", "failed", "stopped")
# Characters of one parameter's value. Whoever lists or compares tasks fetches all of their parameters.
LONGEST_PARAMETER = 1024 * 1024

_log = logging.getLogger(__name__)


class ClearMLTracker:
    """Records one experiment, as a context manager or as a plain object that ``finish`` closes.

    What goes wrong with the tracking (a server that is gone, an upload that fails) never ends the training: the first
    failure is logged as a warning, and ``failures`` counts them. What the caller did wrong raises InputError, and then
    nothing of that call is recorded.

    A server that does not answer at the start makes it an offline session, which ``send_offline`` sends later. One
    that goes away later is waited for, 30 seconds by calls that need its answer; metrics, figures and text are kept
    until it is back. ``finish`` waits for it 30 seconds at most before it gives them up.

    Attributes:
        id: The task's id.
        task: The SDK's ``Task``.
        failures: How many calls could not be recorded, wholly or in part.
        offline_session: The file to give to ``send_offline``, once finished; None when it was online.
    """

    def __init__(
        self,
        project_name: str = PROJECT,
        task_name: str = "experiment",
        *,
        tags: Sequence[str] = (),
        task_type: str = "training",
        offline: bool = False,
        task: Any = None,
    ) -> None:
        """Start an experiment.

        Args:
            project_name: Its project, which is made on first use.
            task_name: Its name, which need not be unique.
            tags: Labels to find it by.
            task_type: One of ClearML's types, such as ``training``, ``testing``, ``data_processing``.
            offline: Whether to record it without a server.
            task: A ``Task`` that is open already, such as that of a pipeline's step. All other arguments are then
                without effect, and ``finish`` leaves its status to whoever opened it.

        Raises:
            InputError: a name, tag or type that cannot be, or another task is open in this process.
            ServerError: the server refuses the key, or there is no ``clearml.conf``.
        """
        from clearml import Task

        names = values.text(project_name, "The project's name"), values.text(task_name, "The task's name")
        if isinstance(tags, str) or not all(isinstance(tag, str) and tag for tag in tags):
            raise InputError(f"Tags are a list of texts, not {tags!r}.")
        types = list(Task.TaskTypes.__members__)
        if task_type not in types:
            raise InputError(f"There is no task type {task_type!r}: it is one of {', '.join(types)}.")
        self.failures = 0
        self.offline_session: Path | None = None
        self._series: dict[Any, tuple[str, str]] = {}
        self._files: list[str] = []
        self._finished = False
        self._given = task is not None
        self._patience: Patience | None = None
        if task is not None:
            self._patience = None if Task.is_offline() else Patience(task.session)
        else:
            task = self._opened(*names, list(tags), task_type, offline)
        self.task: Any = task
        self.id = str(task.id)
        self._logger = task.get_logger()
        self._report_scalar: Callable[[str, str, float, int], None] = self._logger.report_scalar
        # The SDK's own work at exit waits for the server, unless it is told not to; the last to register goes first.
        atexit.register(self._hurry)

    def __enter__(self) -> ClearMLTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        elif issubclass(kind, KeyboardInterrupt):
            self._close("stopped", "interrupted")
        else:
            self._close("failed", f"{kind.__name__}: {error}"[:1000])

    def log_params(self, mapping: Mapping[str, Any], section: str = "General") -> None:
        """Record parameters, beside those of earlier calls.

        Args:
            mapping: Names and values. Nested mappings get names such as ``model/alpha``; numpy's and pandas' values
                become plain ones. A value of more than 1 MiB of text is left out, which counts as a failure.
            section: The heading that they stand under.

        Raises:
            InputError: a name that is no text, or a value that is neither text, number, date, nor a list of them.
        """
        self._check_open()
        if "/" in values.text(section, "A section"):
            raise InputError(f"A section has no slash in its name: {section!r}.")
        found = values.parameters(mapping)
        for name in [name for name, value in found.items() if _length(value) > LONGEST_PARAMETER]:
            size = _length(found.pop(name))
            self._failed(f"parameter {name!r}", f"{size:,} characters are too long, log it as an artifact")
        if found:
            with self._tracked("the parameters"):
                self.task.update_parameters({f"{section}/{name}": value for name, value in found.items()})

    def log_metrics(self, mapping: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics. They are sent in the background.

        Args:
            mapping: Names and finite numbers. ``train/r2`` is the series ``r2`` of the plot ``train``.
            step: The iteration, from 0 on; None for values that the experiment has only once.

        Raises:
            InputError: a value that is no finite number, or a name that is no text. None of the call is recorded.
        """
        # Called in innermost loops: this takes a microsecond or two, where the SDK takes fifteen.
        if self._finished:
            self._check_open()
        if type(step) is not int or step < 0:
            step = None if step is None else values.iteration(step)
        reports = []
        known = self._series
        try:
            for name, value in mapping.items():
                if type(value) is not float or not isfinite(value):
                    value = values.number(value, name)
                names = known.get(name)
                if names is None:
                    names = known[name] = values.series(name)
                reports.append((name, *names, value))
        except AttributeError as error:
            raise InputError(f"Metrics are a mapping of names to numbers, not {type(mapping).__name__}.") from error
        try:
            for name, title, series, value in reports:
                if step is None:
                    self._logger.report_single_value(name, value)
                else:
                    self._report_scalar(title, series, value, step)
        except Exception as error:  # noqa: BLE001 - tracking does not end a training
            self._failed("metrics", error)

    def log_artifact(self, path_or_object: Any, name: str | None = None) -> None:
        """Upload an artifact, and wait until it is there.

        Args:
            path_or_object: A file or folder (text is always a path), a DataFrame, an array, an image, a mapping, or
                anything that can be pickled.
            name: What to call it; None for the file's name.

        Raises:
            InputError: no such file, an object without a name, or one that cannot be pickled.
        """
        self._check_open()
        content = path_or_object
        if isinstance(content, str | os.PathLike):
            content = values.existing(content)
            name = content.resolve().name if name is None else name
        elif name is None:
            raise InputError("An artifact that is no file needs a name.")
        values.text(name, "The name of an artifact")
        if not isinstance(content, Path):
            _check_storable(content, str(name))
        with self._tracked(f"artifact {name!r}"):
            self._warm_up()
            if not self.task.upload_artifact(name, content, auto_pickle=True, wait_on_upload=True):
                raise OSError("it was not uploaded")

    def log_figure(self, figure: Any, name: str, step: int | None = None) -> None:
        """Record a figure of matplotlib or plotly; names are as those of metrics.

        Raises:
            InputError: it is no figure, or the name or step cannot be.
        """
        self._check_open()
        title, series = values.series(name, "figure")
        at = 0 if step is None else values.iteration(step)
        if hasattr(figure, "to_plotly_json"):
            report = self._logger.report_plotly
        elif hasattr(figure, "savefig"):
            report = self._logger.report_matplotlib_figure
        else:
            raise InputError(f"Figure {name!r} is neither matplotlib's nor plotly's, but {type(figure).__name__}.")
        with self._tracked(f"figure {name!r}"):
            report(title, series, figure=figure, iteration=at)

    def log_table(self, frame: Any, name: str, step: int | None = None) -> None:
        """Record a DataFrame as a table among the plots; names are as those of metrics.

        Raises:
            InputError: it is no DataFrame, or the name or step cannot be.
        """
        import pandas as pd

        self._check_open()
        title, series = values.series(name, "table")
        at = 0 if step is None else values.iteration(step)
        if not isinstance(frame, pd.DataFrame):
            raise InputError(f"Table {name!r} is no DataFrame, but {type(frame).__name__}.")
        with self._tracked(f"table {name!r}"):
            self._logger.report_table(title, series, iteration=at, table_plot=frame)

    def log_text(self, text: str) -> None:
        """Write a line or more into the experiment's log, and not to the terminal.

        Raises:
            InputError: it is no text.
        """
        self._check_open()
        values.text(text, "What is logged")
        with self._tracked("text"):
            self._logger.report_text(text, print_console=False)

    def log_model(self, path: str | os.PathLike[str], name: str | None = None, framework: str | None = None) -> None:
        """Upload a model's file as an output model of this experiment, and wait until it is there.

        ``ClearMLModelManager.register_model`` gives it a version as well.

        Args:
            path: The file, or a folder, which is packed.
            name: What to call the model; None for the file's name without its ending.
            framework: What can load it, such as ``scikit-learn``.

        Raises:
            InputError: no such file.
        """
        from clearml import Model, OutputModel

        self._check_open()
        file = values.existing(path).resolve()
        name = file.stem if name is None else values.text(name, "The name of a model")
        if framework is not None:
            values.text(framework, "A framework")
        # The SDK would let a second file of the same name replace the first, under both models.
        same = self._files.count(file.name)
        target = f"{file.stem}-{same + 1}{file.suffix}" if same else file.name
        self._files.append(file.name)
        if file.is_dir():
            # It is packed, and the SDK takes a .zip for TensorFlow's.
            target, framework = f"{target}.zip", framework or "Custom"
        with self._tracked(f"model {name!r}"):
            if self.task.is_offline():
                record_model(self.task, file, name, framework, target)
                return
            model = OutputModel(task=self.task, name=name, framework=framework)
            try:
                model.update_weights(
                    str(file),
                    upload_uri=self._warm_up(),
                    target_filename=target,
                    auto_delete_file=False,
                    async_enable=False,
                )
            except Exception:
                # A model without a file is worse than none.
                if model.id:
                    Model.remove(model.id, delete_weights_file=False, force=True)
                raise

    def finish(self, status: str = "completed") -> None:
        """Send what is left, and close the experiment. A second call does nothing.

        Args:
            status: ``completed``, ``failed`` or ``stopped``.

        Raises:
            InputError: it is none of these.
        """
        if status not in STATUSES:
            raise InputError(f"An experiment ends {', '.join(STATUSES[:-1])} or {STATUSES[-1]}, not {status!r}.")
        self._close(status, None)

    def _opened(self, project: str, name: str, tags: list[str], task_type: str, offline: bool) -> Any:
        """Return a new task; it is an offline one if the server is gone."""
        from clearml import Task
        from clearml.backend_interface.base import InterfaceBase
        from clearml.backend_interface.session import SendError

        if Task.current_task() and Task.running_locally():
            raise InputError(
                f"The task {Task.current_task().name!r} is open in this process: finish it, or pass it as `task`."
            )
        # Threads send the reports. A process beside them, which is the SDK's default on Linux, takes a hundred times
        # as long for ten thousand metrics, ten seconds more to close, and cannot be told to give up.
        Task._report_subprocess_enabled = False
        start = partial(
            Task.init,
            project_name=project,
            task_name=name,
            tags=tags,
            task_type=task_type,
            reuse_last_task_id=False,
            auto_connect_frameworks=False,
            auto_connect_arg_parser=False,
        )
        if not offline:
            set_offline(False)
            try:
                session = login()
                InterfaceBase._set_default_session(session)
                self._patience = Patience(session)
                return start()
            except AbsentError as error:
                self._failed("the start", f"{error} It goes on offline, for `send_offline`")
            except (SendError, ValueError) as error:
                if self._patience is None or not self._patience.gone:
                    raise ServerError(f"The server did not take task {name!r}: {error}.") from error
                self._failed("the start", f"{error} It goes on offline, for `send_offline`")
            self._patience = None
        set_offline(True)
        return start()

    def _close(self, status: str, message: str | None) -> None:
        if self._finished:
            return
        self._finished = True
        lost = self._patience.lost if self._patience else 0
        self._hurry()
        task = self.task
        with self._tracked("the end"):
            if self._given:
                task.flush(wait_for_uploads=True)
            elif task.is_offline():
                self._close_offline(status, message)
            else:
                self._close_online(status, message)
        atexit.unregister(self._hurry)
        if self._patience and self._patience.lost > lost:
            _log.info("%s reports were not sent.", self._patience.lost - lost)

    def _close_online(self, status: str, message: str | None) -> None:
        task = self.task
        end = {"completed": task.mark_completed, "failed": task.mark_failed, "stopped": task.mark_stopped}[status]
        if status != "completed":
            # The last thing that close() does is to mark the task as completed.
            task.mark_completed = partial(end, status_message=message)
        task.close()
        if status != "completed" and not task.running_locally():
            # An agent decides on its own, by the exit code, except when it was told before.
            end(status_message=message)

    def _close_offline(self, status: str, message: str | None) -> None:
        task = self.task
        folder = Path(task.get_offline_mode_folder())
        # Here nobody but the record itself knows how it ended.
        task._edit(status=status, status_message=message)
        try:
            task.close()
            self.offline_session = folder.with_name(folder.name + ".zip")
        finally:
            set_offline(False)

    def _hurry(self) -> None:
        if self._patience:
            self._patience.finish()

    def _warm_up(self) -> str:
        """Return where files go; fewer attempts are made there than the SDK's 18, which take a minute."""
        from clearml.storage.helper import StorageHelper

        destination = str(self.task.output_uri or self._logger.get_default_upload_destination())
        StorageHelper.get(destination, retries=1)
        return destination

    @contextmanager
    def _tracked(self, what: str) -> Iterator[None]:
        """Count it when something could not be recorded; nothing of it reaches the training."""
        refused = self._patience.refused if self._patience else 0
        try:
            yield
        except Exception as error:  # noqa: BLE001 - tracking does not end a training
            self._failed(what, error)
        else:
            # Of some refusals the SDK says nothing but a line in its log.
            if self._patience and self._patience.refused > refused:
                self._failed(what, self._patience.problem)

    def _failed(self, what: str, why: object) -> None:
        self.failures += 1
        first = self.failures == 1
        reason = " ".join(str(why).split())[:300].rstrip(".")
        _log.log(
            logging.WARNING if first else logging.DEBUG,
            "Tracking: %s could not be recorded (%s). The training goes on; further failures are only counted.",
            what,
            reason,
        )

    def _check_open(self) -> None:
        if self._finished:
            raise InputError(f"The experiment {self.id} is finished; nothing more can be logged to it.")


def _length(value: Any) -> int:
    return len(value if isinstance(value, str) else json.dumps(value)) if isinstance(value, str | list | dict) else 0


def _check_storable(content: Any, name: str) -> None:
    if content is None:
        raise InputError(f"Artifact {name!r} is None.")
    try:
        with Path(os.devnull).open("wb") as nowhere:
            pickle.Pickler(nowhere).dump(content)
    except Exception as error:
        raise InputError(f"Artifact {name!r} cannot be stored: {error}.") from error
