"""The YAML file that says what the four stages do: ``config/train_params.yaml`` explains every key."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_type_hints
from urllib.parse import urlsplit, urlunsplit

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from clearml_platform.errors import InputError

# The table that comes with scikit-learn.
WINE = "wine"
DEFAULT_FILE = "config/train_params.yaml"
MODEL_TYPES = ("ridge", "lasso", "rf", "gbr")

Text = Annotated[str, MinLen(1)]
Share = Annotated[float, Ge(0), Le(1)]


class _Strict:
    """What pydantic is to be strict about: no unknown keys, no text for a number, no infinite ones."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True)
class DataSettings(_Strict):
    """Which table, and how it is split. ``test_size`` is a share of the rows."""

    source: Text = WINE
    separator: Annotated[str, MinLen(1), MaxLen(1)] = ","
    target: Text = "alcohol"
    ignore: list[Text] = field(default_factory=list)
    test_size: Annotated[float, Gt(0), Lt(1)] = 0.2
    seed: Annotated[int, Ge(0), Lt(2**32)] = 42


@dataclass(frozen=True)
class ColumnLimits(_Strict):
    """What the values of a column may be; the limits themselves are allowed."""

    min: float | None = None
    max: float | None = None
    allowed: list[str] | None = None


@dataclass(frozen=True)
class DriftSettings(_Strict):
    """``alpha``: chance of a false alarm in a whole table; ``min_difference``: of two distributions, from 0 to 1."""

    alpha: Annotated[float, Gt(0), Lt(1)] = 0.01
    min_difference: Share = 0.2


@dataclass(frozen=True)
class ValidationSettings(_Strict):
    """What data has to be like. ``max_missing`` is a share of a column's values."""

    min_rows: Annotated[int, Ge(1)] = 30
    max_missing: Share = 0.0
    drift: DriftSettings = field(default_factory=DriftSettings)
    columns: dict[str, ColumnLimits] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSettings(_Strict):
    """How models are trained. ``models`` has the parameters of each type, as scikit-learn names them."""

    folds: Annotated[int, Ge(2)] = 5
    models: dict[Literal["ridge", "lasso", "rf", "gbr"], dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSettings(_Strict):
    """When a model is better than another."""

    metric: Literal["r2", "rmse", "mae"] = "r2"
    min_improvement: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True)
class Config(_Strict):
    """All of the file."""

    model_name: Annotated[str, MinLen(3)] = "wine_quality_model"
    data: DataSettings = field(default_factory=DataSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def to_dict(self) -> dict[str, Any]:
        """Return what others may see."""
        return asdict(replace(self, data=replace(self.data, source=public(self.data.source))))


def load(path: str | Path | None = DEFAULT_FILE, changes: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: the YAML file; None for the defaults alone.
        changes: values that take the place of those in the file, such as ``data.test_size=0.3``.

    Raises:
        InputError: no such file, no YAML, an unknown key, or a value that cannot be.
    """
    from pydantic import TypeAdapter, ValidationError

    content = _read(Path(path)) if path is not None else {}
    for change in changes:
        _change(content, change)
    where = "The settings" if path is None else f"{path}{' with --set' if changes else ''}"
    try:
        # As JSON, because of Python's objects pydantic's strict mode takes only finished dataclasses.
        config = TypeAdapter(Config).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise InputError(f"{where}: {_explained(error.errors()[0])}") from error
    for name, limits in config.validation.columns.items():
        if limits.min is not None and limits.max is not None and limits.min > limits.max:
            raise InputError(f"{where}: validation.columns.{name} has a min above its max.")
    if config.data.target in config.data.ignore:
        raise InputError(f"{where}: data.ignore names the target {config.data.target!r}.")
    source = config.data.source
    if path is not None and source != WINE and "://" not in source:
        source = str((Path(path).parent / Path(source).expanduser()).resolve())
    return replace(config, data=replace(config.data, source=source))


def known_model_type(name: str) -> str:
    """Return the name of a model type that there is.

    Raises:
        InputError: there is none of this name.
    """
    if name not in MODEL_TYPES:
        raise InputError(f"There is no model type {name!r}; {did_you_mean(name, MODEL_TYPES)}")
    return name


def public(source: str) -> str:
    """Return a URL without name, password and query, which whoever reads a task could use."""
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
    except ValueError:
        return source.partition("://")[0] + "://…"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one, or all of them."""
    names = [str(one) for one in known]
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no configuration file {str(path)!r}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"The configuration file {str(path)!r} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path}{line} is no YAML: {problem}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path} is to be keys with values, such as `model_name: {Config.model_name}`.")
    return content


def _change(content: dict[str, Any], change: str) -> None:
    """Put one value into nested mappings."""
    import yaml

    name, equals, text = change.partition("=")
    *parents, key = name.split(".")
    if not equals or not all((*parents, key)):
        raise InputError(f"--set {change}: it is to be KEY=VALUE, such as training.folds=10.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {change}: the value is no YAML.") from error
    for parent in parents:
        inner = content.get(parent)
        if inner is None:
            inner = content[parent] = {}
        if not isinstance(inner, dict):
            raise InputError(f"--set {change}: {parent} is a value and has no keys.")
        content = inner
    content[key] = value


def _explained(error: Any) -> str:
    """Return a sentence about what pydantic found."""
    location = [str(part) for part in error["loc"] if part != "[key]"]
    name = ".".join(location) or "it"
    if error["type"] in ("unexpected_keyword_argument", "literal_error") and "models" in location[1:2]:
        return f"there is no model type {location[-1]!r}; {did_you_mean(location[-1], MODEL_TYPES)}"
    if error["type"] == "unexpected_keyword_argument":
        return f"there is no key {name!r}; {did_you_mean(location[-1], _keys(location[:-1]))}"
    said = str(error["msg"]).replace("Input should be", "it should be").replace("an object", "a mapping")
    value = error["input"]
    given = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:100]
    return f"{name} is {given}; {said[0].lower()}{said[1:]}."


def _keys(location: Sequence[str]) -> list[str]:
    """Return the keys that the file may have at a place."""
    kind: Any = Config
    for part in location:
        kind = get_type_hints(kind)[part] if is_dataclass(kind) else kind.__args__[1]
    return [one.name for one in fields(kind)]
