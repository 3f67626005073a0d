"""The first stage: a table is read, and split into the training set and the test set."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clearml_platform.errors import InputError, ServerError
from clearml_platform.server import Server
from clearml_platform.workflow.config import WINE, Config, did_you_mean, public

if TYPE_CHECKING:
    import pandas as pd

    from clearml_platform.tracker import ClearMLTracker

# To connect, and between two packets.
TIMEOUT_SECONDS = (10, 60)
TRAIN, TEST, ABOUT = "train.csv", "test.csv", "data.json"


@dataclass(frozen=True)
class PreparedData:
    """A table that has been split.

    Attributes:
        train: the training set; columns hold numbers, or text.
        test: the test set, with the same columns.
        target: the column to predict.
        source: where it comes from, without secrets.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    target: str
    source: str

    @property
    def features(self) -> list[str]:
        """The columns to predict from."""
        return [name for name in self.train.columns if name != self.target]

    def sha256(self) -> str:
        """Return a digest of both sets, which says whether two models had the same data."""
        digest = hashlib.sha256()
        for frame in (self.train, self.test):
            digest.update(frame.to_csv(index=False, lineterminator="\n").encode())
        return digest.hexdigest()

    def write(self, folder: Path) -> list[Path]:
        """Write train.csv, test.csv and data.json, which says what is in them; return their paths."""
        about = {
            "source": self.source,
            "target": self.target,
            "text_columns": text_columns(self.train),
            "train_rows": len(self.train),
            "test_rows": len(self.test),
            "sha256": self.sha256(),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.train.to_csv(folder / TRAIN, index=False, lineterminator="\n")
            self.test.to_csv(folder / TEST, index=False, lineterminator="\n")
            (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"The folder {str(folder)!r} cannot be written to: {error.strerror}.") from error
        return [folder / name for name in (TRAIN, TEST, ABOUT)]

    @classmethod
    def read(cls, folder: Path) -> PreparedData:
        """Read what ``write`` wrote.

        Raises:
            InputError: the folder does not hold it.
        """
        return _read_prepared({name: folder / name for name in (TRAIN, TEST, ABOUT)}, f"The folder {str(folder)!r}")

    @classmethod
    def of_task(cls, task_id: str) -> PreparedData:
        """Read the artifacts of a task that prepared data.

        Raises:
            InputError: there is no such task, or it prepared no data.
            ServerError: the server does not hand them out.
        """
        from clearml import Task

        # The SDK waits for a server that is gone, for hours.
        Server.connect()
        try:
            artifacts = Task.get_task(task_id=task_id).artifacts
        except ValueError as error:
            raise InputError(f"There is no task {task_id!r} with prepared data.") from error
        files = {}
        for name in (TRAIN, TEST, ABOUT):
            if name not in artifacts:
                raise InputError(f"Task {task_id} has no artifact {name!r}: it is no task that prepared data.")
            copy = artifacts[name].get_local_copy()
            if copy is None:
                raise ServerError(f"The artifact {name!r} of task {task_id} cannot be downloaded.")
            files[name] = Path(copy)
        return _read_prepared(files, f"Task {task_id}")


def prepare_data(config: Config, tracker: ClearMLTracker | None = None, folder: Path | None = None) -> PreparedData:
    """Read the table and split it.

    Args:
        config: which table, and how to split it.
        tracker: gets both sets as artifacts.
        folder: where to write them, too.

    Raises:
        InputError: no such table, or one that cannot be used.
    """
    from sklearn.model_selection import train_test_split

    settings = config.data
    frame = load_table(config)
    try:
        train, test = train_test_split(frame, test_size=settings.test_size, random_state=settings.seed)
    except ValueError as error:
        raise InputError(f"{public(settings.source)} has {len(frame)} rows, which cannot be split.") from error
    if min(len(train), len(test)) < 2:
        raise InputError(
            f"{public(settings.source)} has {len(frame)} rows: with data.test_size {settings.test_size} "
            "one of the two sets has fewer than 2."
        )
    data = PreparedData(
        train.reset_index(drop=True), test.reset_index(drop=True), settings.target, public(settings.source)
    )
    if folder is not None:
        data.write(folder)
    if tracker is not None:
        _record(data, config, tracker)
    return data


def given_data(config: Config, task: str | None, folder: str | None) -> PreparedData:
    """Return the data that a task prepared or that a folder has, or prepare that of the settings.

    Raises:
        InputError: there is none, or it was made for another target.
    """
    if not task and not folder:
        return prepare_data(config)
    data = PreparedData.of_task(task) if task else PreparedData.read(Path(folder or ""))
    target = config.data.target
    if data.target != target:
        raise InputError(f"The data was prepared for the target {data.target!r}, and data.target is {target!r}.")
    return data


def load_table(config: Config, source: str | None = None) -> pd.DataFrame:
    """Return a table without the columns that are to be ignored. Its columns hold numbers, or text.

    Args:
        config: how to read it.
        source: a path or URL, when it is not that of the configuration.

    Raises:
        InputError: there is none, or it has not what the configuration names.
    """
    settings = config.data
    source = source or settings.source
    name = public(source)
    frame = _wine() if source == WINE else _csv(_content(source), settings.separator, name)
    for column in (settings.target, *settings.ignore):
        if column not in frame.columns:
            key = "data.target" if column == settings.target else "data.ignore"
            raise InputError(f"{name} has no column {column!r} ({key}); {did_you_mean(column, frame.columns)}")
    frame = frame.drop(columns=settings.ignore)
    if len(frame.columns) < 2:
        raise InputError(
            f"{name} has no column but the target {settings.target!r} (data.separator is {settings.separator!r})."
        )
    if frame.empty:
        raise InputError(f"{name} has a header but no rows.")
    empty = [str(column) for column in frame.columns if frame[column].isna().all()]
    if empty:
        raise InputError(f"{name} has columns without any value: {', '.join(empty)}; data.ignore leaves them out.")
    return _plain(frame)


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold no numbers."""
    from pandas.api.types import is_numeric_dtype

    return [str(name) for name in frame.columns if not is_numeric_dtype(frame[name])]


def _wine() -> pd.DataFrame:
    from sklearn.datasets import load_wine

    frame: pd.DataFrame = load_wine(as_frame=True).frame
    # The cultivar, which this data set was made to tell.
    return frame.drop(columns="target")


def _content(source: str) -> bytes:
    if "://" not in source:
        try:
            return Path(source).read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"There is no file {source!r} (data.source).") from error
        except (OSError, ValueError) as error:
            raise InputError(f"The file {source!r} cannot be read: {getattr(error, 'strerror', error)}.") from error
    import requests

    if not source.startswith(("http://", "https://")):
        raise InputError(f"{public(source)} (data.source) is to be a path, or begin with http:// or https://.")
    try:
        answer = requests.get(source, timeout=TIMEOUT_SECONDS)
    except (requests.RequestException, ValueError) as error:
        # The message of the error would show the name and the password in the URL.
        raise InputError(f"{public(source)} (data.source) does not answer: {type(error).__name__}.") from error
    if not answer.ok:
        raise InputError(f"{public(source)} (data.source) answers {answer.status_code} {answer.reason}.")
    return answer.content


def _csv(content: bytes, separator: str, name: str, text: Sequence[str] = ()) -> pd.DataFrame:
    import pandas as pd

    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: byte {error.start} is not; save it as UTF-8.") from error
    try:
        header = next(csv.reader(io.StringIO(decoded), delimiter=separator), [])
        twice = sorted({column for column in header if header.count(column) > 1})
        if twice:
            raise InputError(f"{name} has columns of the same name: {', '.join(twice)}.")
        with warnings.catch_warnings():
            # Rows longer than the header would be cut off.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                io.StringIO(decoded),
                sep=separator,
                low_memory=False,
                index_col=False,
                float_precision="round_trip",
                dtype=dict.fromkeys(text, "str"),
            )
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{name} is empty.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error, TypeError, ValueError) as error:
        problem = str(error).strip().splitlines()[-1].rstrip(".")
        raise InputError(f"{name} is no CSV with the separator {separator!r}: {problem}.") from error
    return frame


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns are numbers or text, and nothing between."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    columns = {}
    for name, column in frame.items():
        if is_bool_dtype(column):
            columns[name] = column.astype(int)
        elif is_numeric_dtype(column):
            columns[name] = column
        else:
            columns[name] = column.astype(object).where(column.isna(), column.astype(str))
    return type(frame)(columns)


def _read_prepared(files: dict[str, Path], what: str) -> PreparedData:
    try:
        about: dict[str, Any] = json.loads(files[ABOUT].read_text(encoding="utf-8"))
        text = [str(name) for name in about["text_columns"]]
        train, test = (_csv(files[name].read_bytes(), ",", f"{what}: {name}", text) for name in (TRAIN, TEST))
        return PreparedData(_plain(train), _plain(test), str(about["target"]), str(about["source"]))
    except OSError as error:
        raise InputError(f"{what} has no prepared data: {TRAIN}, {TEST} and {ABOUT}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{what}: {ABOUT} is not what prepare_data writes.") from error


def _record(data: PreparedData, config: Config, tracker: ClearMLTracker) -> None:
    settings = config.to_dict()["data"]
    tracker.log_params({**settings, "sha256": data.sha256()}, section="Data")
    tracker.log_metrics({"train_rows": len(data.train), "test_rows": len(data.test)})
    summary = data.train.describe(include="all").T.reset_index(names="column")
    tracker.log_table(summary, "data/training set")
    with TemporaryDirectory() as temporary:
        for file in data.write(Path(temporary)):
            tracker.log_artifact(file)
