"""The four stages of the workflow: what they compute, what they refuse, and what they leave on the server."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
import pytest

from clearml_platform.errors import InputError
from clearml_platform.models import ClearMLModelManager, ModelVersion
from clearml_platform.server import Server
from clearml_platform.workflow import config as settings
from clearml_platform.workflow.config import MODEL_TYPES, Config
from clearml_platform.workflow.data import PreparedData, load_table, prepare_data
from clearml_platform.workflow.evaluation import Evaluation, evaluate_model
from clearml_platform.workflow.training import Trained, train_model
from clearml_platform.workflow.validation import Report, validate_data

PYTHON = Path(__file__).parents[1]
CONFIG = PYTHON / "config/train_params.yaml"
SECONDS = 420


@pytest.fixture(scope="module")
def config() -> Config:
    """The settings that the repository comes with."""
    return settings.load(CONFIG)


@pytest.fixture(scope="module")
def wine(config: Config) -> PreparedData:
    """The wine data."""
    return prepare_data(config)


@pytest.fixture(scope="module")
def ridge(config: Config, wine: PreparedData) -> Trained:
    """A model."""
    return train_model(config, "ridge", data=wine)


def of_csv(tmp_path: Path, content: str | bytes, *changes: str) -> Config:
    """Return settings for a CSV file with this content, and nothing that is known of its columns."""
    (tmp_path / "table.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "params.yaml").write_text("data: {source: table.csv, target: y}")
    return settings.load(tmp_path / "params.yaml", changes)


def mixed(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return a table with numbers, text, truth values, and missing values of each."""
    random = np.random.default_rng(seed)
    size, colour = random.normal(10, 2, rows), random.choice(["red", "green", "blue"], rows)
    y = 3 * size + np.where(colour == "red", 20, 0) + random.normal(0, 1, rows)
    frame = pd.DataFrame({"size": size, "colour": colour, "sold": random.random(rows) < 0.5, "y": y})
    frame.loc[::20, "size"] = np.nan
    frame.loc[5::20, "colour"] = None
    return frame


class TestSettings:
    """Reading the YAML file."""

    def test_the_file_says_what_the_defaults_are(self, config: Config) -> None:
        without = settings.load(None)
        assert replace(config, validation=without.validation, training=without.training) == without
        assert replace(config.validation, columns={}) == without.validation
        assert config.training.folds == without.training.folds
        assert config.training.models.keys() == set(MODEL_TYPES)

    def test_changes_win(self) -> None:
        changed = settings.load(CONFIG, ["training.models.ridge.alpha=7", "data.ignore=[ash]", "validation.columns={}"])
        assert changed.training.models["ridge"] == {"alpha": 7}
        assert changed.data.ignore == ["ash"]
        assert changed.validation.columns == {}

    def test_an_empty_file_is_all_defaults(self, tmp_path: Path) -> None:
        (tmp_path / "empty.yaml").touch()
        assert settings.load(tmp_path / "empty.yaml") == settings.load(None)

    def test_a_path_is_relative_to_the_file(self, tmp_path: Path) -> None:
        assert of_csv(tmp_path, "a,y\n1,2\n").data.source == str(tmp_path / "table.csv")

    def test_secrets_of_a_url_are_not_shown(self) -> None:
        loaded = settings.load(None, ["data.source=https://anna:secret@host:1/a.csv?signature=secret#secret"])
        assert loaded.to_dict()["data"]["source"] == "https://host:1/a.csv"

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("data: {target: [", "line 1 is no YAML"),
            ("\tdata: 1", "line 1 is no YAML"),
            ("- a\n- b", "is to be keys with values"),
            ("just text", "is to be keys with values"),
            ("dta: {}", "there is no key 'dta'; did you mean 'data'?"),
            ("data: {targt: y}", "there is no key 'data.targt'; did you mean 'target'?"),
            ("validation: {columns: {a: {mim: 1}}}", "'validation.columns.a.mim'; did you mean 'min'?"),
            ("training: {models: {rff: {}}}", "there is no model type 'rff'; did you mean 'rf'?"),
            ("data: 5", "data is 5; it should be a mapping."),
            ("data: {test_size: 1}", "data.test_size is 1; it should be less than 1."),
            ("data: {test_size: .nan}", "data.test_size is nan; it should be a finite number."),
            ("data: {target: yes}", "data.target is True; it should be a valid string."),
            ("data: {seed: '1'}", "data.seed is '1'; it should be a valid integer."),
            ("data: {target: y, ignore: [y]}", "data.ignore names the target 'y'."),
            ("validation: {columns: {a: {min: 2, max: 1}}}", "validation.columns.a has a min above its max."),
            ("evaluation: {metric: accuracy}", "evaluation.metric is 'accuracy'; it should be 'r2', 'rmse' or 'mae'."),
            ("model_name: ab", "at least 3 characters"),
            (b"model_name: caf\xe9", "is not UTF-8 text."),
        ],
    )
    def test_what_cannot_be_is_one_sentence(self, tmp_path: Path, content: str | bytes, says: str) -> None:
        path = tmp_path / "params.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(InputError) as raised:
            settings.load(path)
        message = str(raised.value)
        assert says in message
        assert str(path) in message
        assert "\n" not in message and len(message) < 400

    @pytest.mark.parametrize("change", ["data", "=1", "data.=1", "model_name.x=1", "data.target=["])
    def test_a_change_that_cannot_be(self, change: str) -> None:
        with pytest.raises(InputError, match="--set"):
            settings.load(CONFIG, [change])

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="There is no configuration file"):
            settings.load(tmp_path / "none.yaml")
        with pytest.raises(InputError, match="cannot be read"):
            settings.load(tmp_path)


class TestData:
    """Reading and splitting tables."""

    def test_wine(self, config: Config, wine: PreparedData) -> None:
        assert (len(wine.train), len(wine.test), len(wine.features)) == (142, 36, 12)
        assert wine.target == "alcohol" and "target" not in wine.features
        assert prepare_data(config).sha256() == wine.sha256()
        other = replace(config, data=replace(config.data, seed=1))
        assert prepare_data(other).sha256() != wine.sha256()

    def test_no_row_is_in_both_sets(self, config: Config, wine: PreparedData) -> None:
        both = pd.concat([wine.train, wine.test]).sort_values(list(wine.train.columns), ignore_index=True)
        table = load_table(config)
        pd.testing.assert_frame_equal(both, table.sort_values(list(table.columns), ignore_index=True))

    def test_files_hold_exactly_the_same(self, tmp_path: Path) -> None:
        frame = mixed()
        frame["code"] = [f"{number:04}" for number in range(len(frame) - 1)] + ["x"]
        data = prepare_data(of_csv(tmp_path, frame.to_csv(index=False)), folder=tmp_path / "out")
        again = PreparedData.read(tmp_path / "out")
        pd.testing.assert_frame_equal(again.train, data.train)
        pd.testing.assert_frame_equal(again.test, data.test)
        assert (again.target, again.source, again.sha256()) == (data.target, data.source, data.sha256())

    def test_truth_values_are_numbers_and_a_bom_is_no_name(self, tmp_path: Path) -> None:
        frame = load_table(of_csv(tmp_path, "\ufeffa,y\nTrue,1\nFalse,2\n"))
        assert list(frame.columns) == ["a", "y"]
        assert list(frame["a"]) == [1, 0]

    def test_columns_are_ignored(self, tmp_path: Path) -> None:
        frame = load_table(of_csv(tmp_path, "id;a;y\n1;2;3\n", "data.separator=;", "data.ignore=[id]"))
        assert list(frame.columns) == ["a", "y"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "is empty"),
            ("a,y\n", "has a header but no rows"),
            ("a,Y\n1,2\n", "has no column 'y' (data.target)"),
            ("a,yy\n1,2\n", "did you mean 'yy'?"),
            ("a;y\n1;2\n", "has no column 'y'"),
            ("y\n1\n", "has no column but the target 'y'"),
            ("a,b,y\n1,,2\n3,,4\n", "has columns without any value: b"),
            ("a,y\n1,\n2,\n", "has columns without any value: y"),
            (b"a,y\ncaf\xe9,1\n", "is not UTF-8 text: byte 7"),
            ("a,a,y\n1,2,3\n", "has columns of the same name: a"),
            ("a,y\n1,2\n1,2,3,4\n", "is no CSV"),
            ("a,y\n1,2,3\n1,2,3\n", "is no CSV"),
            ("a,y\n1,2\n", "cannot be split"),
            ("a,y\n1,2\n3,4\n5,6\n", "has fewer than 2"),
        ],
    )
    def test_a_table_that_cannot_be_used(self, tmp_path: Path, content: str | bytes, says: str) -> None:
        with pytest.raises(InputError) as raised:
            prepare_data(of_csv(tmp_path, content))
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("/nowhere/at/all.csv", "There is no file"),
            ("/", "cannot be read"),
            ("s3://bucket/table.csv", "is to be a path, or begin with http"),
            ("http://", "does not answer"),
            ("http://[1/table.csv", "does not answer"),
        ],
    )
    def test_a_source_that_is_none(self, source: str, says: str) -> None:
        with pytest.raises(InputError, match=says):
            prepare_data(settings.load(CONFIG, [f"data.source={source}"]))

    def test_a_url(self, tmp_path: Path, web: str) -> None:
        data = prepare_data(settings.load(None, [f"data.source={web}/table.csv", "data.target=y"]))
        assert len(data.train) + len(data.test) == 200
        assert data.source == f"{web}/table.csv"
        with pytest.raises(InputError, match=r"table2\.csv \(data\.source\) answers 404"):
            prepare_data(settings.load(None, [f"data.source={web}/table2.csv"]))

    def test_a_url_that_does_not_answer_shows_no_password(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            source = f"http://anna:secret@127.0.0.1:{port}/table.csv?key=secret"
            with pytest.raises(InputError, match="does not answer") as raised:
                prepare_data(settings.load(None, [f"data.source={source}"]))
        assert "secret" not in str(raised.value)

    def test_a_folder_without_data(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="has no prepared data"):
            PreparedData.read(tmp_path)
        for name in ("train.csv", "test.csv", "data.json"):
            (tmp_path / name).write_text("{}")
        with pytest.raises(InputError, match=r"data\.json is not what prepare_data writes"):
            PreparedData.read(tmp_path)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server that has a table."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(tmp_path))

        def log_message(self, *_: object) -> None:
            pass

    mixed().to_csv(tmp_path / "table.csv", index=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def failed(report: Report) -> set[tuple[str, str]]:
    """Return which columns failed, and how."""
    return {(check.column, check.expected.split(" (")[0]) for check in report.failed}


class TestValidation:
    """Refusing bad data."""

    def test_good_data_passes(self, config: Config, wine: PreparedData) -> None:
        report = validate_data(config, wine)
        assert report.passed
        assert {check.column for check in report.checks} == {*wine.train.columns, ""}
        report.raise_if_refused()

    @pytest.mark.parametrize(
        ("column", "change", "expected"),
        [
            ("alcohol", lambda values: values + 10, "at most 20"),
            ("ash", lambda values: values - 100, "at least 0"),
            ("hue", lambda values: values.astype(object).where(values.index != 3, "broken"), "numbers"),
            ("hue", lambda values: values.where(values.index != 3), "at most 0.0% missing"),
            ("alcohol", lambda values: values.where(values.index != 3), "at most 0.0% missing"),
            ("proline", lambda values: values.where(values.index != 3, np.inf), "finite numbers"),
            ("magnesium", lambda values: values * 1.4, "distributed as in the training set"),
            ("flavanoids", lambda values: values.sort_values().to_numpy()[0], "distributed as in the training set"),
        ],
    )
    def test_bad_values_are_refused(
        self, config: Config, wine: PreparedData, column: str, change: Any, expected: str
    ) -> None:
        bad = wine.test.assign(**{column: change(wine.test[column])})
        report = validate_data(config, replace(wine, test=bad))
        assert (column, expected) in failed(report)
        assert {name for name, _ in failed(report)} == {column}
        assert {check.table for check in report.failed} == {"test set"}
        with pytest.raises(Exception, match="The data is refused") as raised:
            report.raise_if_refused()
        assert cast("Any", raised.value).exit_code == 1

    def test_the_training_set_is_checked_as_well(self, config: Config, wine: PreparedData) -> None:
        report = validate_data(config, replace(wine, train=wine.train.assign(ash=wine.train["ash"] + 100)))
        assert ("ash", "at most 5") in {
            (one.column, one.expected) for one in report.failed if one.table == "training set"
        }

    def test_other_columns_are_refused(self, config: Config, wine: PreparedData) -> None:
        new = wine.test.drop(columns="ash").assign(colour="red")
        report = validate_data(config, wine, new=new)
        assert failed(report) == {("ash", "a column"), ("colour", "no such column")}
        assert {check.table for check in report.failed} == {"new data"}

    def test_a_declared_column_has_to_be_there(self, tmp_path: Path) -> None:
        config = of_csv(
            tmp_path, mixed().to_csv(index=False), "validation.columns.weight.min=0", "validation.max_missing=0.1"
        )
        assert failed(validate_data(config, prepare_data(config))) == {("weight", "a column")}

    def test_text_and_missing_values(self, tmp_path: Path) -> None:
        lenient = of_csv(tmp_path, mixed().to_csv(index=False), "validation.max_missing=0.1")
        data = prepare_data(lenient)
        assert validate_data(lenient, data).passed
        strict = settings.load(tmp_path / "params.yaml")
        assert {column for column, _ in failed(validate_data(strict, data))} == {"size", "colour"}
        allowed = replace(lenient.validation, columns={"colour": settings.ColumnLimits(allowed=["red", "green"])})
        assert failed(validate_data(replace(lenient, validation=allowed), data)) == {("colour", "one of red, green")}
        drifted = data.test.assign(colour="red")
        assert failed(validate_data(lenient, data, new=drifted)) == {("colour", "distributed as in the training set")}
        numbers = data.test.assign(colour=1.0)
        assert ("colour", "text") in failed(validate_data(lenient, data, new=numbers))

    def test_a_target_of_text_is_refused(self, tmp_path: Path) -> None:
        frame = mixed().assign(size=1.0, colour="red")
        frame["y"] = frame["y"].astype(object).where(frame.index != 7, "unknown")
        config = of_csv(tmp_path, frame.to_csv(index=False))
        report = validate_data(config, prepare_data(config))
        assert ("y", "numbers") in failed(report)
        assert "unknown" in report.to_text()

    def test_too_few_rows(self, config: Config, wine: PreparedData) -> None:
        report = validate_data(config, replace(wine, train=wine.train.head(29)))
        assert ("", "at least 30 rows") in failed(report)

    def test_drift_is_seldom_a_false_alarm(self, config: Config, wine: PreparedData) -> None:
        table = pd.concat([wine.train, wine.test])
        alarms = 0
        for seed in range(60):
            shuffled = table.sample(frac=1, random_state=seed, ignore_index=True)
            report = validate_data(config, replace(wine, train=shuffled[:142], test=shuffled[142:]))
            alarms += not report.passed
        assert alarms <= 3

    def test_the_report_can_be_read(self, config: Config, wine: PreparedData, tmp_path: Path) -> None:
        bad = wine.test.assign(ash=-1.0).rename(columns={"hue": "<script>"})
        report = validate_data(config, replace(wine, test=bad))
        report.write(tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        assert "Data refused" in page and "at least 0" in page and "36 of 36 values are wrong" in page
        assert "<script>" not in page and "&lt;script&gt;" in page
        assert page.index("failed</td>") < page.index("passed</td>")
        assert json.loads(json.dumps(report.to_dict()))["passed"] is False
        with pytest.raises(InputError, match="cannot be written"):
            report.write(tmp_path / "none" / "report.html")


class TestTraining:
    """Training models."""

    @pytest.mark.parametrize("model_type", MODEL_TYPES)
    def test_a_model_learns(self, config: Config, wine: PreparedData, model_type: str, tmp_path: Path) -> None:
        quick = replace(config, training=replace(config.training, folds=3))
        trained = train_model(quick, model_type, data=wine)
        metrics = trained.metrics
        assert metrics.keys() == {
            *(f"{name}_{metric}" for name in ("train", "test", "cv") for metric in ("r2", "rmse", "mae")),
            "cv_r2_std",
        }
        assert metrics["test_r2"] > 0.5 and metrics["train_r2"] > 0.5 and metrics["cv_r2"] > 0.2
        residual = trained.predictions[trained.predictions["set"] == "test"]["residual"]
        assert metrics["test_rmse"] == pytest.approx(np.sqrt((residual**2).mean()))
        assert metrics["test_mae"] == pytest.approx(residual.abs().mean())
        assert set(trained.importance["feature"]) == set(wine.features)
        assert trained.importance["importance"].is_monotonic_decreasing
        assert len(trained.folds) == 3
        loaded = joblib.load(trained.save(tmp_path))
        np.testing.assert_allclose(loaded.predict(wine.test[wine.features]), trained.predictions["predicted"][-36:])
        assert json.loads((tmp_path / "metrics.json").read_text()) == metrics

    def test_it_is_the_same_each_time(self, config: Config, wine: PreparedData, ridge: Trained) -> None:
        assert train_model(config, "ridge", data=wine).metrics == ridge.metrics

    def test_parameters_reach_the_model(self, wine: PreparedData) -> None:
        changed = settings.load(CONFIG, ["training.models.rf={n_estimators: 5, max_depth: 2}"])
        parameters = train_model(changed, "rf", data=wine).parameters
        assert (parameters["n_estimators"], parameters["max_depth"], parameters["random_state"]) == (5, 2, 42)

    def test_text_and_missing_values(self, tmp_path: Path) -> None:
        config = of_csv(tmp_path, mixed().to_csv(index=False))
        trained = train_model(config, "ridge", data=prepare_data(config))
        assert trained.metrics["test_r2"] > 0.8
        assert list(trained.importance["feature"][:2]) in (["colour", "size"], ["size", "colour"])
        new = pd.DataFrame({"size": [np.nan], "colour": ["purple"], "sold": [1]})
        assert np.isfinite(trained.model.predict(new)).all()

    def test_figures(self, ridge: Trained) -> None:
        figures = ridge.figures()
        assert figures.keys() == {"feature importance", "residuals", "predictions"}
        points = sum(len(trace.x) for trace in figures["residuals"].data)
        assert points == 178

    @pytest.mark.parametrize(
        ("model_type", "changes", "says"),
        [
            ("forest", [], "There is no model type 'forest'; known are ridge, lasso, rf, gbr."),
            ("rdige", [], "did you mean 'ridge'?"),
            ("ridge", ["training.models.ridge.alhpa=1"], "there is no parameter 'alhpa'; did you mean 'alpha'?"),
            ("ridge", ["training.models.ridge.alpha=-1"], "ridge cannot be trained: The 'alpha' parameter"),
            ("rf", ["training.models.rf.n_estimators=many"], "rf cannot be trained: The 'n_estimators' parameter"),
            ("ridge", ["training.folds=72"], "training.folds is 72"),
        ],
    )
    def test_what_cannot_be(self, wine: PreparedData, model_type: str, changes: list[str], says: str) -> None:
        with pytest.raises(InputError) as raised:
            train_model(settings.load(CONFIG, changes), model_type, data=wine)
        assert says in str(raised.value) and "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        ("y", "says"),
        [("x", "holds text"), (np.nan, "has missing values"), (1.0, "has the same value everywhere")],
    )
    def test_a_target_that_cannot_be_learnt(self, config: Config, wine: PreparedData, y: Any, says: str) -> None:
        data = replace(wine, train=wine.train.assign(alcohol=y))
        with pytest.raises(InputError, match=says):
            train_model(config, "ridge", data=data)


class Registry:
    """Versions in memory, for what does not need a server: which of two models is the better one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions: list[ModelVersion] = []
        self.best: int | None = None

    def add(self, model: Any, metrics: dict[str, float] | None = None) -> ModelVersion:
        number = len(self.versions) + 1
        joblib.dump(model, self.folder / str(number))
        self.versions.append(
            ModelVersion(
                id=str(number),
                name="model",
                version=number,
                version_label=None,
                stage=None,
                tags=(),
                framework=None,
                task=None,
                project="",
                uri="",
                hash="",
                metadata={},
                metrics=metrics or {},
                parameters={},
                created="",
            )
        )
        return self.versions[-1]

    def champion(self, name: str) -> ModelVersion | None:
        return self.versions[self.best - 1] if self.best else None

    def promote(self, name: str, version: int) -> None:
        self.best = version

    def download(self, identifier: str, folder: Path) -> Path:
        return self.folder / identifier


class Shifted:
    """A model that is wrong by as much as one says."""

    def __init__(self, offset: float) -> None:
        self.offset = offset

    def predict(self, features: pd.DataFrame) -> Any:
        # The answer is among the features, under another name.
        return features["answer"] + self.offset


class Broken:
    """A model that cannot be used."""

    def predict(self, features: pd.DataFrame) -> Any:
        raise KeyError("another column")


class TestEvaluation:
    """Promoting the better model, and no other."""

    @pytest.fixture
    def registry(self, tmp_path: Path) -> Registry:
        return Registry(tmp_path)

    @pytest.fixture(scope="class")
    def data(self) -> PreparedData:
        frame = pd.DataFrame({"y": np.arange(20.0), "answer": np.arange(20.0)})
        return PreparedData(frame, frame, "y", "made up")

    def evaluated(self, registry: Registry, data: PreparedData, model: Any, *changes: str, **more: Any) -> Evaluation:
        manager = cast("ClearMLModelManager", registry)
        added = registry.add(model)
        return evaluate_model(settings.load(None, changes), data, added, manager, **more)

    def test_the_first_has_to_beat_the_mean(self, registry: Registry, data: PreparedData) -> None:
        worse = self.evaluated(registry, data, Shifted(100))
        assert (worse.promoted, worse.champion, registry.best) == (False, None, None)
        assert "the mean of the training set" in worse.reason
        better = self.evaluated(registry, data, Shifted(1))
        assert (better.promoted, registry.best) == (True, 2)
        assert better.scores["mae"] == pytest.approx(1)

    @pytest.mark.parametrize("metric", ["r2", "rmse", "mae"])
    def test_only_a_better_one_is_promoted(self, registry: Registry, data: PreparedData, metric: str) -> None:
        outcomes = [
            self.evaluated(registry, data, Shifted(offset), f"evaluation.metric={metric}").promoted
            for offset in (2, 3, 2, -1, 1.5, 0.5)
        ]
        assert outcomes == [True, False, False, True, False, True]
        assert registry.best == 6

    def test_by_how_much(self, registry: Registry, data: PreparedData) -> None:
        rule = ("evaluation.metric=mae", "evaluation.min_improvement=0.5")
        self.evaluated(registry, data, Shifted(2), *rule)
        slightly = self.evaluated(registry, data, Shifted(1.6), *rule)
        assert not slightly.better and "more than 0.5" in slightly.reason
        assert self.evaluated(registry, data, Shifted(1.4), *rule).promoted

    def test_only_looking(self, registry: Registry, data: PreparedData) -> None:
        found = self.evaluated(registry, data, Shifted(1), promote=False)
        assert found.better and not found.promoted and registry.best is None
        assert "would be promoted" in found.reason

    def test_the_champion_itself(self, registry: Registry, data: PreparedData) -> None:
        self.evaluated(registry, data, Shifted(1))
        again = evaluate_model(settings.load(None), data, registry.versions[0], cast("ClearMLModelManager", registry))
        assert not again.promoted and "is the champion already" in again.reason

    def test_a_champion_that_cannot_be_used(self, registry: Registry, data: PreparedData) -> None:
        registry.add(Broken(), {"test_r2": 0.5})
        registry.best = 1
        worse = self.evaluated(registry, data, Shifted(8))
        assert not worse.promoted and worse.other_scores == {"r2": 0.5} and "as registered" in worse.reason
        assert self.evaluated(registry, data, Shifted(1)).promoted

    def test_a_champion_of_which_nothing_is_known(self, registry: Registry, data: PreparedData) -> None:
        registry.add(Broken())
        registry.best = 1
        found = self.evaluated(registry, data, Shifted(0))
        assert not found.promoted and "is not known" in found.reason

    def test_a_model_that_does_not_fit(self, registry: Registry, data: PreparedData) -> None:
        with pytest.raises(InputError, match="cannot be evaluated: 'another column'"):
            self.evaluated(registry, data, Broken())
        added = registry.add(1)
        (registry.folder / added.id).write_text("no pickle")
        with pytest.raises(InputError, match="cannot be evaluated"):
            evaluate_model(settings.load(None), data, added, cast("ClearMLModelManager", registry))


def run(
    script: str, *options: str, expected: int = 0, folder: Path = PYTHON, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script as a user would, and see that it ends as expected."""
    done = subprocess.run(
        [sys.executable, str(PYTHON / "scripts" / script), *options],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == expected, f"exit code {done.returncode}:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what a script printed for machines, and nothing else."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def task_of(server: Server, identifier: str) -> dict[str, Any]:
    """Return a task as the server knows it."""
    found: dict[str, Any] = server.call("tasks.get_by_id", task=identifier)["task"]
    return found


def artifacts_of(task: dict[str, Any]) -> set[str]:
    return {item["key"] for item in task["execution"]["artifacts"]}


def single_values(task: dict[str, Any]) -> dict[str, float]:
    values = [item for variants in task["last_metrics"].values() for item in variants.values()]
    return {item["variant"]: item["value"] for item in values if item["metric"] == "Summary"}


@pytest.fixture(scope="module")
def trained(project: str) -> dict[str, Any]:
    """What the third stage printed for the data that the first one prepared."""
    prepared = result(run("data/prepare_data.py", "--project", project, "--json"))
    found = result(
        run(
            "clearml/train_with_clearml.py",
            *("--project", project, "--data-task", prepared["task"], "--model-type", "ridge"),
            *("--experiment-name", "by hand", "--set", "training.folds=3", "--json"),
        )
    )
    return {**found, "data_task": prepared["task"]}


@pytest.fixture
def gone(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose server does not answer."""
    conf = Path(os.environ["CLEARML_CONFIG_FILE"]).read_text()
    (tmp_path / "clearml.conf").write_text(f'{conf}\napi.api_server: "http://127.0.0.1:9"\n')
    return {"CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf")}


class TestScripts:
    """The scripts of the stages, and what they leave on the server."""

    def test_data_is_on_the_server(self, server: Server, trained: dict[str, Any], wine: PreparedData) -> None:
        task = task_of(server, trained["data_task"])
        assert (task["status"], task["type"]) == ("completed", "data_processing")
        assert {"train.csv", "test.csv", "data.json"} <= artifacts_of(task)
        assert single_values(task) == {"train_rows": 142, "test_rows": 36}
        again = PreparedData.of_task(trained["data_task"])
        pd.testing.assert_frame_equal(again.train, wine.train)
        pd.testing.assert_frame_equal(again.test, wine.test)

    def test_a_training_is_an_experiment(self, server: Server, trained: dict[str, Any]) -> None:
        task = task_of(server, trained["task"])
        assert (task["name"], task["status"], task["type"]) == ("by hand", "completed", "training")
        parameters = task["hyperparams"]
        assert parameters["Args"]["model_type"]["value"] == "ridge"
        assert parameters["Args"]["data_task"]["value"] == trained["data_task"]
        assert parameters["Args"]["set"]["value"] == "training.folds=3"
        assert parameters["Model"]["alpha"]["value"] == "1.0"
        assert single_values(task) == pytest.approx(trained["metrics"])
        assert {"metrics", "predictions", "feature_importance"} <= artifacts_of(task)
        plots = server.call("events.get_task_plots", task=trained["task"])["plots"]
        assert {"residuals", "predictions", "feature importance"} <= {plot["metric"] for plot in plots}
        folds = server.call("events.scalar_metrics_iter_histogram", task=trained["task"])["cross-validation"]
        assert len(folds["r2"]["y"]) == 3

    def test_the_model_is_registered(self, trained: dict[str, Any], project: str, tmp_path: Path) -> None:
        manager = ClearMLModelManager(project)
        model = manager.get("wine_quality_model", version=trained["model"]["version"])
        assert (model.id, model.task, model.framework) == (trained["model"]["id"], trained["task"], "scikit-learn")
        assert model.metrics["test_r2"] == pytest.approx(trained["metrics"]["test_r2"])
        assert model.metadata["target"] == "alcohol"
        loaded = joblib.load(manager.download(model.id, tmp_path))
        data = PreparedData.of_task(trained["data_task"])
        assert len(loaded.predict(data.test[data.features])) == 36

    def test_evaluation_promotes_once(self, server: Server, trained: dict[str, Any], project: str) -> None:
        options = ("--project", project, "--data-task", trained["data_task"], "--train-task", trained["task"], "--json")
        first = result(run("models/evaluate_model.py", *options))
        assert first["promoted"] and first["champion"] is None
        champion = ClearMLModelManager(project).champion("wine_quality_model")
        assert champion is not None and champion.task == trained["task"]
        task = task_of(server, first["task"])
        assert (task["status"], task["type"]) == ("completed", "testing")
        assert single_values(task)["promoted"] == 1
        assert single_values(task)["test_r2"] == pytest.approx(trained["metrics"]["test_r2"])
        assert "evaluation" in artifacts_of(task)

    def test_refused_data_ends_with_1(
        self, server: Server, trained: dict[str, Any], project: str, tmp_path: Path
    ) -> None:
        data = PreparedData.of_task(trained["data_task"])
        pd.concat([data.train, data.test]).assign(ash=99).to_csv(tmp_path / "new.csv", index=False)
        options = ("--data-task", trained["data_task"], "--new", str(tmp_path / "new.csv"), "--report", "report.html")
        done = run(
            "data/validate_data.py",
            "--project",
            project,
            "--config",
            str(CONFIG),
            *options,
            "--json",
            expected=1,
            folder=tmp_path,
        )
        assert "error: The data is refused" in done.stderr
        report = result(done)
        assert not report["passed"]
        assert "Data refused" in (tmp_path / "report.html").read_text()
        task = task_of(server, report["task"])
        assert task["status"] == "failed"
        assert {"validation_report.html", "validation_report.json"} <= artifacts_of(task)

    def test_a_task_says_what_to_run(
        self, server: Server, trained: dict[str, Any], project: str, tmp_path: Path
    ) -> None:
        from clearml import Task

        task = Task.create(project_name=project, task_name="a step", task_type="data_processing")
        given = {
            "config": str(CONFIG),
            "data_task": trained["data_task"],
            "json": "False",
            "set": "validation.min_rows=10",
        }
        task.set_parameters({f"Args/{name}": value for name, value in given.items()})
        # What a controller does that runs its steps here.
        task.mark_started()
        step = {"CLEARML_TASK_ID": task.id, "CLEARML_SIMULATE_REMOTE_TASK": "1", "CLEARML_LOG_TASK_TO_BACKEND": "1"}
        done = run("data/validate_data.py", folder=tmp_path, environment=step)
        assert "passed all" in done.stdout
        record = task_of(server, task.id)
        assert {"validation_report.html", "validation_report.json"} <= artifacts_of(record)
        assert record["hyperparams"]["Validation"]["min_rows"]["value"] == "10"

    @pytest.mark.parametrize(
        ("script", "options", "says"),
        [
            ("data/prepare_data.py", ["--config", "none.yaml"], "There is no configuration file 'none.yaml'"),
            ("data/prepare_data.py", ["--ouput", "x"], "unrecognized arguments: --ouput x"),
            ("data/prepare_data.py", ["--no-tracking", "--output", "/proc/no"], "cannot be written to"),
            ("data/validate_data.py", ["--data-task", "1", "--data-folder", "x"], "not allowed with"),
            ("data/validate_data.py", ["--no-tracking", "--data-folder", "/nowhere"], "has no prepared data"),
            ("data/validate_data.py", ["--no-tracking", "--data-task", "0" * 32], "There is no task"),
            ("clearml/train_with_clearml.py", ["--no-tracking", "--model-type", "rdige"], "did you mean 'ridge'?"),
            ("models/evaluate_model.py", ["--version", "one"], "invalid int value: 'one'"),
        ],
    )
    def test_wrong_input_ends_with_2(self, script: str, options: list[str], says: str) -> None:
        done = run(script, *options, expected=2)
        assert says in done.stderr
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1

    def test_a_wrong_model_type_leaves_no_experiment(self, server: Server, project: str) -> None:
        run("clearml/train_with_clearml.py", "--project", f"{project}/none", "--model-type", "x", expected=2)
        assert server.project_id(f"{project}/none") is None

    def test_everything_works_without_a_server(self, tmp_path: Path) -> None:
        nowhere = {"CLEARML_CONFIG_FILE": str(tmp_path / "none.conf"), "CLEARML_API_HOST": "http://127.0.0.1:9"}
        options = ("--config", str(CONFIG), "--no-tracking", "--json")
        for script, more in (
            ("data/prepare_data.py", ["--output", "data"]),
            ("data/validate_data.py", ["--data-folder", "data"]),
            ("clearml/train_with_clearml.py", ["--data-folder", "data", "--output", "model"]),
        ):
            assert result(run(script, *options, *more, folder=tmp_path, environment=nowhere))["task"] is None
        assert (tmp_path / "model" / "model.joblib").is_file()

    def test_a_model_is_kept_when_the_server_is_gone(self, tmp_path: Path, gone: dict[str, str]) -> None:
        done = run(
            "clearml/train_with_clearml.py",
            *("--config", str(CONFIG), "--set", "training.folds=2", "--output", str(tmp_path / "model")),
            expected=3,
            folder=tmp_path,
            environment=gone,
        )
        assert f"the model is not registered, and was kept in {tmp_path}/model/model.joblib" in done.stderr
        assert joblib.load(tmp_path / "model" / "model.joblib")

    @pytest.mark.parametrize(
        ("script", "options"),
        [
            ("models/evaluate_model.py", []),
            ("data/validate_data.py", ["--data-task", "0" * 32]),
            ("data/validate_data.py", ["--no-tracking", "--data-task", "0" * 32]),
        ],
    )
    def test_what_needs_a_server_says_so(self, script: str, options: list[str], gone: dict[str, str]) -> None:
        done = run(script, *options, expected=3, environment=gone)
        assert "error: " in done.stderr
