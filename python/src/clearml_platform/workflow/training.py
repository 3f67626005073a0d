"""The third stage: a model is trained, and measured on data that it has not seen."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from clearml_platform.errors import InputError, ServerError
from clearml_platform.workflow.config import MODEL_TYPES, Config, did_you_mean, known_model_type
from clearml_platform.workflow.data import PreparedData, prepare_data, text_columns

if TYPE_CHECKING:
    import pandas as pd

    from clearml_platform.models import ModelVersion
    from clearml_platform.tracker import ClearMLTracker

FRAMEWORK = "scikit-learn"
# Of a column of text; the rest count as one.
MOST_CATEGORIES = 30
# How often a column is shuffled to see what the model is without it, and in how many rows.
SHUFFLES = 10
SHUFFLED_ROWS = 2000


@dataclass(frozen=True)
class Trained:
    """A model, and how good it is.

    Attributes:
        model_type: one of MODEL_TYPES.
        model: scikit-learn's pipeline, which takes the columns of the table as they are.
        parameters: of the estimator, all of them.
        metrics: ``train_r2``, ``test_r2``, ``cv_r2`` and so on; rmse and mae have the unit of the target.
        folds: r2, rmse and mae of each fold of the cross-validation.
        importance: columns ``feature``, ``importance`` (by how much r2 falls on the test set without it), ``std``.
        predictions: columns ``set``, ``actual``, ``predicted``, ``residual`` (actual less predicted).
        data: what it was trained with.
    """

    model_type: str
    model: Any
    parameters: dict[str, Any]
    metrics: dict[str, float]
    folds: pd.DataFrame
    importance: pd.DataFrame
    predictions: pd.DataFrame
    data: PreparedData

    def figures(self) -> dict[str, Any]:
        """Return plotly's figures, by name."""
        import plotly.express as px

        shown = self.importance.iloc[::-1]
        importance = px.bar(
            shown, x="importance", y="feature", error_x="std", title="Loss of r2 without the feature (test set)"
        )
        residuals = px.scatter(
            self.predictions, x="predicted", y="residual", color="set", title=f"Residuals of {self.data.target}"
        )
        residuals.add_hline(y=0)
        fit = px.scatter(
            self.predictions, x="actual", y="predicted", color="set", title=f"Predictions of {self.data.target}"
        )
        ends = [float(self.predictions["actual"].min()), float(self.predictions["actual"].max())]
        fit.add_scatter(x=ends, y=ends, mode="lines", name="perfect")
        return {"feature importance": importance, "residuals": residuals, "predictions": fit}

    def save(self, folder: Path) -> Path:
        """Write model.joblib, metrics.json and predictions.csv; return the path of the model."""
        import joblib

        path = folder / "model.joblib"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            joblib.dump(self.model, path)
            (folder / "metrics.json").write_text(json.dumps(self.metrics, indent=2) + "\n", encoding="utf-8")
            self.predictions.to_csv(folder / "predictions.csv", index=False)
        except OSError as error:
            raise InputError(f"The folder {str(folder)!r} cannot be written to: {error.strerror}.") from error
        return path


def train_model(
    config: Config, model_type: str, tracker: ClearMLTracker | None = None, *, data: PreparedData | None = None
) -> Trained:
    """Train a model and measure it.

    Args:
        config: parameters of the model, folds of the cross-validation.
        model_type: one of MODEL_TYPES.
        tracker: gets parameters, metrics, plots and artifacts.
        data: what to train with; what the configuration names when None.

    Raises:
        InputError: an unknown type or parameter, or data that cannot be learnt from.
    """
    import pandas as pd

    if data is None:
        data = prepare_data(config)
    model = _model(config, model_type, data)
    _check_data(config, data)
    sets = {"train": data.train, "test": data.test}
    try:
        folds = _cross_validation(config, model, data)
        model.fit(data.train[data.features], data.train[data.target])
    except (ValueError, TypeError) as error:
        # What scikit-learn says of parameters is a sentence.
        raise InputError(f"{model_type} cannot be trained: {' '.join(str(error).split()).rstrip('.')}.") from error
    metrics: dict[str, float] = {}
    predictions = []
    for name, frame in sets.items():
        predicted = model.predict(frame[data.features])
        metrics |= {f"{name}_{metric}": value for metric, value in scores(frame[data.target], predicted).items()}
        rows = pd.DataFrame({"set": name, "actual": frame[data.target], "predicted": predicted})
        predictions.append(rows.assign(residual=rows["actual"] - rows["predicted"]))
    metrics |= {f"cv_{metric}": float(folds[metric].mean()) for metric in folds}
    metrics["cv_r2_std"] = float(folds["r2"].std(ddof=0))
    trained = Trained(
        model_type,
        model,
        model[-1].get_params(),
        metrics,
        folds,
        _importance(config, model, data),
        pd.concat(predictions, ignore_index=True),
        data,
    )
    if tracker is not None:
        _record(trained, config, tracker)
    return trained


def train_and_register(
    config: Config,
    model_type: str,
    tracker: ClearMLTracker | None,
    *,
    data: PreparedData,
    project: str,
    output: Path | None = None,
) -> tuple[Trained, ModelVersion | None]:
    """Train a model, and register it if it is tracked.

    Args:
        config: as for ``train_model``.
        model_type: as for ``train_model``.
        tracker: as for ``train_model``; the model is linked to its task.
        data: as for ``train_model``.
        project: the project that the model belongs to.
        output: where to write model.joblib, metrics.json and predictions.csv.

    Raises:
        InputError: as ``train_model``.
        ServerError: the model could not be registered. It was kept, and the message says where.
    """
    trained = train_model(config, model_type, tracker, data=data)
    if tracker is None:
        if output is not None:
            trained.save(output)
        return trained, None
    folder = output or Path(mkdtemp(prefix="model-"))
    path = trained.save(folder)
    try:
        version = register(trained, path, config, tracker, project)
    except ServerError as error:
        raise ServerError(f"{str(error).rstrip('.')}; the model is not registered, and was kept in {path}.") from error
    if output is None:
        shutil.rmtree(folder, ignore_errors=True)
    return trained, version


def register(trained: Trained, path: Path, config: Config, tracker: ClearMLTracker, project: str) -> ModelVersion:
    """Make a saved model the next version of the name that the configuration has for it.

    Raises:
        ServerError: the server does not answer.
    """
    from clearml_platform.models import ClearMLModelManager

    if tracker.task.is_offline():
        # No session of the SDK works in this mode, not even when the server is back.
        raise ServerError("The server does not answer, and the experiment is recorded offline.")
    # The registry reads parameters and metrics from the task.
    tracker.task.flush(wait_for_uploads=True)
    return ClearMLModelManager(project).register_model(
        path,
        config.model_name,
        task_id=tracker.id,
        metadata={
            "model_type": trained.model_type,
            "data": trained.data.source,
            "data_sha256": trained.data.sha256(),
            "target": trained.data.target,
            "features": len(trained.data.features),
        },
        tags=[trained.model_type],
        framework=FRAMEWORK,
    )


def scores(actual: Any, predicted: Any) -> dict[str, float]:
    """Return r2, rmse and mae, the latter two in the unit of the target."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    return {
        "r2": float(r2_score(actual, predicted)),
        "rmse": float(root_mean_squared_error(actual, predicted)),
        "mae": float(mean_absolute_error(actual, predicted)),
    }


def _model(config: Config, model_type: str, data: PreparedData) -> Any:
    """Return a pipeline from the columns of the table to the prediction."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [name for name in text_columns(data.train) if name != data.target]
    numbers = [name for name in data.features if name not in text]
    encoder = OneHotEncoder(max_categories=MOST_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), text),
    )
    return make_pipeline(columns, _estimator(config, model_type))


def _estimator(config: Config, name: str) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import Lasso, Ridge

    kinds = dict(zip(MODEL_TYPES, (Ridge, Lasso, RandomForestRegressor, GradientBoostingRegressor), strict=True))
    parameters: dict[str, Any] = dict(config.training.models.get(known_model_type(name), {}))  # type: ignore[call-overload]
    known = kinds[name]().get_params()
    for parameter in parameters:
        if parameter not in known:
            raise InputError(
                f"training.models.{name}: there is no parameter {parameter!r}; {did_you_mean(str(parameter), known)}"
            )
    return kinds[name](**{"random_state": config.data.seed, **parameters})


def _check_data(config: Config, data: PreparedData) -> None:
    from pandas.api.types import is_numeric_dtype

    target, folds = data.target, config.training.folds
    for frame in (data.train, data.test):
        if not is_numeric_dtype(frame[target]):
            raise InputError(f"The target {target!r} holds text, such as {frame[target].dropna().iloc[0]!r}.")
        if frame[target].isna().any():
            raise InputError(f"The target {target!r} has missing values.")
    if data.train[target].nunique() < 2:
        raise InputError(f"The target {target!r} has the same value everywhere.")
    if len(data.train) < 2 * folds:
        raise InputError(
            f"training.folds is {folds}: {len(data.train)} rows are not enough, since each fold needs 2 of them."
        )


def _cross_validation(config: Config, model: Any, data: PreparedData) -> pd.DataFrame:
    """Return r2, rmse and mae of each fold of the training set."""
    import pandas as pd
    from sklearn.base import clone
    from sklearn.model_selection import KFold

    features, target = data.train[data.features], data.train[data.target]
    rows = []
    for fit, held in KFold(config.training.folds, shuffle=True, random_state=config.data.seed).split(features):
        fold = clone(model).fit(features.iloc[fit], target.iloc[fit])
        rows.append(scores(target.iloc[held], fold.predict(features.iloc[held])))
    return pd.DataFrame(rows)


def _importance(config: Config, model: Any, data: PreparedData) -> pd.DataFrame:
    """Return by how much r2 falls when a column is shuffled: the same measure for all kinds of models."""
    import pandas as pd
    from sklearn.inspection import permutation_importance

    test = data.test.sample(n=min(len(data.test), SHUFFLED_ROWS), random_state=config.data.seed)
    result = permutation_importance(
        model,
        test[data.features],
        test[data.target],
        scoring="r2",
        n_repeats=SHUFFLES,
        random_state=config.data.seed,
    )
    table = pd.DataFrame(
        {"feature": data.features, "importance": result.importances_mean, "std": result.importances_std}
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _record(trained: Trained, config: Config, tracker: ClearMLTracker) -> None:
    data = trained.data
    tracker.log_params({"model_type": trained.model_type, **trained.parameters}, section="Model")
    tracker.log_params({"folds": config.training.folds, "seed": config.data.seed}, section="Training")
    tracker.log_params(
        {"source": data.source, "target": data.target, "features": data.features, "sha256": data.sha256()},
        section="Data",
    )
    for fold, row in enumerate(trained.folds.to_dict("records")):
        tracker.log_metrics({f"cross-validation/{metric}": value for metric, value in row.items()}, step=fold)
    tracker.log_metrics(trained.metrics)
    for name, figure in trained.figures().items():
        tracker.log_figure(figure, name)
    tracker.log_table(trained.importance, "feature importance/table")
    tracker.log_artifact(trained.metrics, "metrics")
    tracker.log_artifact(trained.predictions, "predictions")
    tracker.log_artifact(trained.importance, "feature_importance")
