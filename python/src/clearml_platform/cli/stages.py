"""A stage of the workflow, run by hand: its settings, its data and its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearml_platform.tracker import ClearMLTracker
    from clearml_platform.workflow.config import Config
    from clearml_platform.workflow.data import PreparedData


@dataclass(frozen=True)
class Stage:
    """A stage that runs; without a tracker it leaves no record."""

    config: Config
    tracker: ClearMLTracker | None

    @property
    def task(self) -> str | None:
        """The id of its task."""
        return self.tracker.id if self.tracker else None

    def data(self, task: str | None, folder: str | None) -> PreparedData:
        """Return the data that a task or a folder has, or prepare it as the settings say."""
        from clearml_platform.workflow.data import given_data

        return given_data(self.config, task, folder)


@contextmanager
def stage(
    config: str, changes: Sequence[str] | None, project: str, name: str, task_type: str, *, record: bool = True
) -> Iterator[Stage]:
    """Read the settings, then open a task unless no record is wanted."""
    from clearml_platform.workflow import config as settings

    loaded = settings.load(config, changes or ())
    if not record:
        yield Stage(loaded, None)
        return
    from clearml_platform.tracker import ClearMLTracker

    with ClearMLTracker(project, name, task_type=task_type) as tracker:
        yield Stage(loaded, tracker)
