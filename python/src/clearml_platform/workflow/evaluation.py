"""The fourth stage: a model that is better than the champion takes its place, and no other does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clearml_platform.errors import InputError, PlatformError
from clearml_platform.workflow.config import Config
from clearml_platform.workflow.data import PreparedData
from clearml_platform.workflow.training import scores

if TYPE_CHECKING:
    from clearml_platform.models import ClearMLModelManager, ModelVersion
    from clearml_platform.tracker import ClearMLTracker


@dataclass(frozen=True)
class Evaluation:
    """What came of a comparison.

    Attributes:
        model_name: the name of both models.
        version: the version that was evaluated.
        champion: the version that was the champion before; None without one.
        metric: what was compared, on the test set.
        scores: r2, rmse and mae of the version that was evaluated, the latter two in the unit of the target.
        other: what it was compared with.
        other_scores: the same of the other; empty when they are not known.
        better: whether it is better by more than ``evaluation.min_improvement``.
        promoted: whether it is the champion since.
        reason: one sentence.
    """

    model_name: str
    version: int
    champion: int | None
    metric: str
    scores: dict[str, float]
    other: str
    other_scores: dict[str, float]
    better: bool
    promoted: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return what a machine reads."""
        return asdict(self)


def evaluate_model(
    config: Config,
    data: PreparedData,
    candidate: ModelVersion,
    manager: ClearMLModelManager,
    tracker: ClearMLTracker | None = None,
    *,
    promote: bool = True,
) -> Evaluation:
    """Compare a version with the champion, both on this test set, and promote it when it is better.

    A champion that cannot be used with this data is compared by the metrics that it was registered with.

    Args:
        config: the metric, and how much better it has to be.
        data: the test set; without a champion, the model is compared with the mean of the training set.
        candidate: a version that was registered by ``training.register``.
        manager: the registry.
        tracker: gets metrics and the result as artifact.
        promote: False to only look.

    Raises:
        InputError: the model cannot be loaded, or does not fit the data.
    """
    metric = config.evaluation.metric
    try:
        own = _scores(manager, candidate, data)
    except _Unusable as error:
        raise InputError(f"Version {candidate.version} of {candidate.name!r} cannot be evaluated: {error}.") from error
    champion = manager.champion(candidate.name)
    other, other_scores = _rival(manager, champion, data)
    gain = None if metric not in other_scores else own[metric] - other_scores[metric]
    if gain is not None and metric != "r2":
        gain = -gain
    is_champion = champion is not None and champion.id == candidate.id
    better = not is_champion and gain is not None and gain > config.evaluation.min_improvement
    if better and promote:
        manager.promote(candidate.name, candidate.version)
    evaluation = Evaluation(
        candidate.name,
        candidate.version,
        champion.version if champion else None,
        metric,
        own,
        other,
        other_scores,
        better,
        better and promote,
        _reason(config, candidate, own, other, other_scores, gain, is_champion=is_champion, promote=promote),
    )
    if tracker is not None:
        _record(evaluation, config, tracker)
    return evaluation


def find_candidate(
    config: Config, manager: ClearMLModelManager, *, task_id: str | None = None, version: int | None = None
) -> ModelVersion:
    """Return the version that a task registered, or that has a number; the latest when neither is given.

    Raises:
        InputError: there is none.
    """
    name = config.model_name
    if task_id is None:
        return manager.get(name, version=version) if version is not None else manager.get(name, latest=True)
    found = [one for one in manager.list_models(name) if one.task == task_id]
    if not found:
        raise InputError(f"Task {task_id} registered no model {name!r}.")
    return max(found, key=lambda one: one.version)


class _Unusable(Exception):
    """A model that cannot be loaded here, or does not take this data."""


def _scores(manager: ClearMLModelManager, model: ModelVersion, data: PreparedData) -> dict[str, float]:
    import joblib

    with TemporaryDirectory() as temporary:
        path = manager.download(model.id, Path(temporary))
        try:
            predicted = joblib.load(path).predict(data.test[data.features])
            return scores(data.test[data.target], predicted)
        except Exception as error:
            # Unpickling and whatever was unpickled may fail in any way.
            raise _Unusable(" ".join(str(error).split()).rstrip(".") or type(error).__name__) from error


def _rival(
    manager: ClearMLModelManager, champion: ModelVersion | None, data: PreparedData
) -> tuple[str, dict[str, float]]:
    """Return what a model is compared with, and its scores."""
    if champion is None:
        mean = [float(data.train[data.target].mean())] * len(data.test)
        return "the mean of the training set", scores(data.test[data.target], mean)
    name = f"the champion, version {champion.version}"
    try:
        return name, _scores(manager, champion, data)
    except (_Unusable, PlatformError) as error:
        recorded = {metric: champion.metrics.get(f"test_{metric}") for metric in ("r2", "rmse", "mae")}
        known = {metric: value for metric, value in recorded.items() if value is not None}
        return f"{name} (as registered, since it cannot be used here: {str(error).rstrip('.')})", known


def _reason(
    config: Config,
    candidate: ModelVersion,
    own: dict[str, float],
    other: str,
    other_scores: dict[str, float],
    gain: float | None,
    *,
    is_champion: bool,
    promote: bool,
) -> str:
    metric, least = config.evaluation.metric, config.evaluation.min_improvement
    what = f"Version {candidate.version} of {candidate.name}"
    if is_champion:
        return f"{what} is the champion already: {metric} {own[metric]:.4f}."
    if gain is None:
        return f"{what} is not promoted: {metric} {own[metric]:.4f}, and that of {other}, is not known."
    values = f"{metric} {own[metric]:.4f}, {other} {other_scores[metric]:.4f}"
    if gain > least:
        return f"{what} {'is promoted' if promote else 'would be promoted'}: {values}."
    needed = f", and it takes more than {least:g} of improvement" if least else ""
    return f"{what} is not promoted: {values}{needed}."


def _record(evaluation: Evaluation, config: Config, tracker: ClearMLTracker) -> None:
    import pandas as pd

    tracker.log_params(
        {**config.to_dict()["evaluation"], "model_name": evaluation.model_name, "version": evaluation.version},
        section="Evaluation",
    )
    tracker.log_metrics({f"test_{name}": value for name, value in evaluation.scores.items()})
    tracker.log_metrics({f"other_{name}": value for name, value in evaluation.other_scores.items()})
    tracker.log_metrics({"promoted": float(evaluation.promoted)})
    table = pd.DataFrame(
        {f"version {evaluation.version}": evaluation.scores, evaluation.other: evaluation.other_scores}
    )
    tracker.log_table(table.reset_index(names="metric"), "evaluation/comparison")
    tracker.log_artifact(evaluation.to_dict(), "evaluation")
    tracker.log_text(evaluation.reason)
