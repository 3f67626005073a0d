"""The second stage: data that is not as it has to be is refused, with a report that says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clearml_platform.errors import InputError, PlatformError
from clearml_platform.workflow.config import Config, DriftSettings
from clearml_platform.workflow.data import PreparedData, text_columns

if TYPE_CHECKING:
    import pandas as pd

    from clearml_platform.tracker import ClearMLTracker

TRAINING_SET, TEST_SET, NEW_DATA = "training set", "test set", "new data"
# Values that are shown of those that are wrong.
EXAMPLES = 3


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        table: which of the tables.
        column: which of its columns; "" for the table as a whole.
        expected: what it has to be like.
        found: what it is like.
        passed: whether that is the same.
    """

    table: str
    column: str
    expected: str
    found: str
    passed: bool


@dataclass(frozen=True)
class Report:
    """All that was looked at. ``source`` is where the data comes from, ``rows`` how many there are in each table."""

    source: str
    rows: dict[str, int]
    checks: list[Check]

    @property
    def failed(self) -> list[Check]:
        """The checks that the data did not pass."""
        return [check for check in self.checks if not check.passed]

    @property
    def passed(self) -> bool:
        """Whether the data can be used."""
        return not self.failed

    def summary(self) -> str:
        """Return one sentence."""
        if self.passed:
            return f"{self.source} passed all {len(self.checks)} checks."
        named = [f"{one.table}, {one.column or 'table'}: {one.found}, not {one.expected}" for one in self.failed[:3]]
        more = f"; and {len(self.failed) - 3} more" if len(self.failed) > 3 else ""
        return f"{self.source} failed {len(self.failed)} of {len(self.checks)} checks ({'; '.join(named)}{more})."

    def raise_if_refused(self) -> None:
        """Do nothing when the data passed.

        Raises:
            RefusedDataError: it did not.
        """
        if not self.passed:
            raise RefusedDataError(f"The data is refused: {self.summary()}")

    def to_dict(self) -> dict[str, Any]:
        """Return what a machine reads."""
        return {"passed": self.passed, **asdict(self)}

    def to_text(self) -> str:
        """Return what a terminal shows: what failed, and what there was to see."""
        lines = [f"{name}: {count} rows" for name, count in self.rows.items()]
        lines += [
            f"FAILED  {one.table} | {one.column or '(table)'} | {one.found} | not {one.expected}" for one in self.failed
        ]
        return "\n".join([*lines, self.summary()])

    def to_html(self) -> str:
        """Return a page for a browser."""
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        checks = sorted(self.checks, key=lambda check: check.passed)
        return environment.get_template("validation.html.j2").render(report=self, checks=checks)

    def write(self, path: Path) -> None:
        """Write the page.

        Raises:
            InputError: it cannot be written there.
        """
        try:
            path.write_text(self.to_html(), encoding="utf-8")
        except OSError as error:
            raise InputError(f"The report {str(path)!r} cannot be written: {error.strerror}.") from error


class RefusedDataError(PlatformError):
    """Data that failed its validation."""


def validate_data(
    config: Config, data: PreparedData, tracker: ClearMLTracker | None = None, *, new: pd.DataFrame | None = None
) -> Report:
    """Check the schema, the limits and the missing values of both tables, and the drift from one to the other.

    Args:
        config: what the data has to be like.
        data: the training set, and the test set.
        tracker: gets the report as artifacts.
        new: a table that is checked instead of the test set, such as the data of next month.

    Returns:
        The report; ``raise_if_refused`` ends whatever must not go on with bad data.
    """
    second, other = (TEST_SET, data.test) if new is None else (NEW_DATA, new)
    checks = [
        _enough_rows(config, data.train),
        *_table_checks(config, data, TRAINING_SET, data.train),
        *_table_checks(config, data, second, other),
        *_drift_checks(config.validation.drift, data.train, other, second),
    ]
    report = Report(data.source, {TRAINING_SET: len(data.train), second: len(other)}, checks)
    if tracker is not None:
        _record(report, config, tracker)
    return report


def _enough_rows(config: Config, train: pd.DataFrame) -> Check:
    least = config.validation.min_rows
    return Check(TRAINING_SET, "", f"at least {least} rows", f"{len(train)} rows", len(train) >= least)


def _table_checks(config: Config, data: PreparedData, name: str, frame: pd.DataFrame) -> Iterator[Check]:
    """Yield what pandera says of a table: columns, kinds of values, missing ones, limits."""
    import pandera.pandas as pa

    expected = _expectations(config, data)
    schema = pa.DataFrameSchema(
        {column: pa.Column(checks=list(checks.values()), nullable=True) for column, checks in expected.items()},
        strict=True,
    )
    failures: dict[tuple[str, str], list[Any]] = {}
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for row in errors.failure_cases.itertuples():
            column = row.failure_case if row.check in ("column_in_dataframe", "column_in_schema") else row.column
            failures.setdefault((str(column), str(row.check)), []).append(row.failure_case)
    for column in frame.columns:
        if column not in expected:
            yield Check(name, str(column), "no such column", "a column that the training set has not", passed=False)
    for column, checks in expected.items():
        if column not in frame.columns:
            yield Check(name, column, "a column", "missing", passed=False)
            continue
        for kind, check in checks.items():
            wrong = failures.get((column, str(check.error)))
            if kind == "missing":
                missing = int(frame[column].isna().sum())
                found = f"{missing} of {len(frame)} missing"
            else:
                found = _examples(frame[column], wrong, kind) if wrong else "as expected"
            yield Check(name, column, str(check.error), found, passed=not wrong)
            if kind == "kind" and wrong:
                # Limits mean nothing for values of another kind.
                break


def _expectations(config: Config, data: PreparedData) -> dict[str, dict[str, Any]]:
    """Return the checks of each column, by their kind."""
    import numpy as np
    import pandera.pandas as pa
    from pandas.api.types import is_numeric_dtype

    text = set(text_columns(data.train))
    limits = config.validation.columns
    result: dict[str, dict[str, Any]] = {}
    for column in dict.fromkeys([*map(str, data.train.columns), *limits]):
        limit = limits.get(column)
        bounded = limit is not None and (limit.min is not None or limit.max is not None)
        checks: dict[str, Any] = {}
        if column == data.target or bounded or column not in text:
            checks["kind"] = pa.Check(lambda values: is_numeric_dtype(values), error="numbers")
            checks["finite"] = pa.Check(lambda values: np.isfinite(values), error="finite numbers")
        else:
            checks["kind"] = pa.Check(lambda values: not is_numeric_dtype(values) or values.isna().all(), error="text")
        share = 0.0 if column == data.target else config.validation.max_missing
        checks["missing"] = pa.Check(
            lambda values, share=share: bool(values.isna().mean() <= share),
            error=f"at most {share:.1%} missing",
            ignore_na=False,
        )
        if limit is not None:
            if limit.min is not None:
                checks["min"] = pa.Check.ge(limit.min, error=f"at least {limit.min:g}")
            if limit.max is not None:
                checks["max"] = pa.Check.le(limit.max, error=f"at most {limit.max:g}")
            if limit.allowed is not None:
                checks["allowed"] = pa.Check.isin(limit.allowed, error=f"one of {', '.join(limit.allowed)}")
        result[column] = checks
    return result


def _examples(values: pd.Series[Any], wrong: list[Any], kind: str) -> str:
    """Return how many values are wrong, and the first of them."""
    import pandas as pd

    if kind == "kind":
        as_numbers = pd.to_numeric(values, errors="coerce")
        wrong = list(values[as_numbers.isna() & values.notna()]) or list(values.dropna())
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value)[:40] for value in wrong[:EXAMPLES])
    return f"{len(wrong)} of {len(values)} values are wrong: {shown}{', …' if len(wrong) > EXAMPLES else ''}"


def _drift_checks(settings: DriftSettings, train: pd.DataFrame, other: pd.DataFrame, name: str) -> Iterator[Check]:
    """Yield how the distribution of each column differs from that of the training set."""
    text = {*text_columns(train), *text_columns(other)}
    columns = [column for column in train.columns if column in other.columns]
    # All columns together are to give a false alarm with the chance alpha (Bonferroni).
    alpha = settings.alpha / max(len(columns), 1)
    for column in columns:
        first, second = train[column].dropna(), other[column].dropna()
        if first.empty or second.empty:
            continue
        difference, chance = (_text_difference if column in text else _number_difference)(first, second)
        yield Check(
            name,
            str(column),
            f"distributed as in the training set (difference below {settings.min_difference:g})",
            f"difference {difference:.2f}, by chance with p = {chance:.2g}",
            passed=difference < settings.min_difference or chance >= alpha,
        )


def _number_difference(first: pd.Series[Any], second: pd.Series[Any]) -> tuple[float, float]:
    """Return the greatest distance of two distribution functions, and its probability if they are the same."""
    from scipy.stats import ks_2samp

    result = ks_2samp(first, second)
    return float(result.statistic), float(result.pvalue)


def _text_difference(first: pd.Series[Any], second: pd.Series[Any]) -> tuple[float, float]:
    """Return the total variation distance of two columns of text, and its probability if they are the same."""
    import pandas as pd
    from scipy.stats import chi2_contingency

    counts = pd.concat([column.astype(str).value_counts() for column in (first, second)], axis=1).fillna(0)
    if len(counts) == 1:
        return 0.0, 1.0
    shares = counts / counts.sum()
    difference = float((shares.iloc[:, 0] - shares.iloc[:, 1]).abs().sum() / 2)
    return difference, float(chi2_contingency(counts.T).pvalue)


def _record(report: Report, config: Config, tracker: ClearMLTracker) -> None:
    import pandas as pd

    tracker.log_params(config.to_dict()["validation"], section="Validation")
    tracker.log_metrics({"checks": len(report.checks), "failed_checks": len(report.failed)})
    tracker.log_table(pd.DataFrame([asdict(check) for check in report.failed or report.checks]), "validation/checks")
    with TemporaryDirectory() as temporary:
        page, content = Path(temporary, "validation_report.html"), Path(temporary, "validation_report.json")
        report.write(page)
        content.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False), encoding="utf-8")
        tracker.log_artifact(page)
        tracker.log_artifact(content)
