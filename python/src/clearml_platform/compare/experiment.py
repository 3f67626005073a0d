"""What is compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Metrics of these names are better the smaller they are; of all other names, the larger. A name is taken by its words,
# so that "test_rmse" is an error, and "same" is none.
SMALLER = {"loss", "error", "err", "rmse", "mae", "mse", "mape", "msle"}
# What the SDK reports of the machine, which is nothing that an experiment is judged by.
MACHINE = ":monitor:"
# Curves are collected of the first 100, which is what the server gives out at a time. Packages and changes to the code
# may be large, and nobody reads them of more: they are collected where there are no more.
DETAILED = 100


@dataclass(frozen=True)
class Metric:
    """The last value that was reported of a metric, and the extremes of all of its values."""

    last: float
    min: float
    max: float


@dataclass(frozen=True)
class Script:
    """The code that ran.

    ``changes`` is the diff of what was not committed; empty when there was nothing, or when it was not collected.
    """

    repository: str = ""
    branch: str = ""
    commit: str = ""
    entry_point: str = ""
    working_dir: str = ""
    changes: str = ""


@dataclass(frozen=True)
class Artifact:
    """A file or an object that an experiment kept. ``size`` is in bytes."""

    name: str
    type: str
    uri: str
    size: int | None


@dataclass(frozen=True)
class Experiment:
    """A task, or a version of a model, as it is compared.

    ``started`` is a time of ISO 8601 in UTC, empty when it never ran. ``runtime_seconds`` is the time that it ran, so
    far if it is running. ``parameters`` are named ``section/name``, ``metrics`` ``title/series``, and single values by
    their names alone. ``page`` is its address in the web application.
    """

    id: str
    name: str
    project: str
    status: str
    tags: tuple[str, ...] = ()
    type: str = ""
    user: str = ""
    started: str = ""
    runtime_seconds: float | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    script: Script = field(default_factory=Script)
    packages: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    page: str = ""


@dataclass(frozen=True)
class Curve:
    """The values of a metric in the course of an experiment: averages of neighbours, if there are very many."""

    iterations: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Comparison:
    """Experiments in the order in which they are compared; the first is what the others are compared with.

    ``metric`` is what they were ranked by, as the name of a metric. ``curves`` are by metric and id of the experiment.
    ``log`` is the end of the console output, where there is one experiment alone.
    """

    tasks: list[Experiment]
    metric: str | None = None
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    kind: str = "experiment"

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics: what they were ranked by first, and those of the machine last."""
        names = sorted({name for task in self.tasks for name in task.metrics})
        return sorted(names, key=lambda name: (name != self.metric, name.startswith(MACHINE)))

    @property
    def parameters(self) -> list[str]:
        """The names of all parameters."""
        return sorted({name for task in self.tasks for name in task.parameters})

    def best(self, metric: str) -> float | None:
        """The best of the last values of a metric, None when there are no two different ones."""
        values = {task.metrics[metric].last for task in self.tasks if metric in task.metrics}
        if len(values) < 2:
            return None
        return min(values) if smaller_is_better(metric) else max(values)


def smaller_is_better(metric: str) -> bool:
    """Whether a metric measures what goes wrong, by its name."""
    words = re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", metric).lower())
    return not SMALLER.isdisjoint(words)
