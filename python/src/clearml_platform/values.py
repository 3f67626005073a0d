"""What is written down of an experiment, in types that the server stores: parameters, metrics, names and files."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

from clearml_platform.errors import InputError

# What pandas has for "no value"; pandas itself is not imported for it.
_MISSING = {"NAType", "NaTType"}


def parameters(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    """Return nested parameters with one name each: ``{"model": {"alpha": 1}}`` becomes ``{"model/alpha": 1}``.

    Raises:
        InputError: a name or a value that cannot be stored.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"Parameters are a mapping of names to values, not {_kind(mapping)}.")
    found: dict[str, Any] = {}
    try:
        _flatten(mapping, "", found)
    except RecursionError as error:
        raise InputError("These parameters contain themselves.") from error
    return found


def number(value: Any, name: str) -> float:
    """Return a metric's value, which is a finite number: Python's, numpy's, or an array of one element.

    Raises:
        InputError: anything else.
    """
    single = _scalar(value)
    if isinstance(single, bool | int | float | Decimal | Fraction):
        try:
            result = float(single)
        except OverflowError:
            result = math.inf
        if math.isfinite(result):
            return result
        raise InputError(f"Metric {name!r} is {value}; a metric is a finite number.")
    raise InputError(f"Metric {name!r} is {_kind(value)}; a metric is a finite number.")


def series(name: Any, what: str = "metric") -> tuple[str, str]:
    """Return the title and the series of a name: ``train/r2`` is series ``r2`` in ``train``, ``r2`` is in its own.

    Raises:
        InputError: it is no text, or a part of it is empty.
    """
    title, slash, rest = text(name, f"The name of a {what}").partition("/")
    if not title or (slash and not rest):
        raise InputError(f"The name of a {what} has an empty part: {name!r}.")
    return title, rest or title


def iteration(step: Any) -> int:
    """Return a step, which counts from 0.

    Raises:
        InputError: it is no whole number, or below 0.
    """
    try:
        result = operator.index(step)
    except TypeError:
        result = -1
    if result < 0:
        raise InputError(f"A step is a whole number from 0 on, not {step!r}.")
    return result


def text(value: Any, what: str) -> str:
    """Return a text that is neither empty nor impossible to store.

    Raises:
        InputError: anything else.
    """
    if not isinstance(value, str):
        raise InputError(f"{what} is text, not {_kind(value)}.")
    if not value.strip():
        raise InputError(f"{what} is empty.")
    return _storable(value, what)


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file or folder that can be read.

    Raises:
        InputError: there is none, or its name is not UTF-8, which the server cannot store.
    """
    found = Path(path).expanduser()
    _storable(str(found), "The path of a file")
    try:
        found.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"There is no file or folder {str(path)!r}.") from error
    if not os.access(found, os.R_OK):
        raise InputError(f"The file {str(path)!r} cannot be read: its permissions forbid it.")
    return found


def _flatten(mapping: Mapping[Any, Any], above: str, found: dict[str, Any]) -> None:
    for key, value in mapping.items():
        name = above + _name(key)
        if isinstance(value, Mapping) and value:
            _flatten(value, f"{name}/", found)
        elif name in found:
            raise InputError(f"Parameter {name!r} is given twice.")
        else:
            found[name] = _plain(value, name)


def _name(key: Any) -> str:
    # Weights of classes and the like have whole numbers for names.
    single = _scalar(key)
    if isinstance(single, int) and not isinstance(single, bool):
        return str(single)
    if not isinstance(single, str):
        raise InputError(f"The name of a parameter is text, not {key!r} ({type(key).__name__}).")
    return text(single, "The name of a parameter")


def _plain(value: Any, name: str) -> Any:
    single = _scalar(value)
    kind = type(single)
    if single is None or kind in (bool, int, float):
        return single
    if kind.__name__ in _MISSING:
        return None
    if isinstance(single, Enum):
        return single.name
    if isinstance(single, str | PurePath):
        return _storable(str(single), f"Parameter {name!r}")
    if isinstance(single, date | time | timedelta | Decimal | Fraction | complex) or _is_numpy_time(single):
        return str(single)
    # Subclasses of plain types.
    for plain in (int, float):
        if isinstance(single, plain):
            return plain(single)
    if isinstance(single, Mapping):
        return {_name(key): _plain(item, name) for key, item in single.items()}
    if isinstance(single, set | frozenset):
        return sorted((_plain(item, name) for item in single), key=str)
    if isinstance(single, list | tuple | range):
        return [_plain(item, name) for item in single]
    # Arrays, and pandas' series and indexes.
    if hasattr(single, "tolist"):
        return _plain(single.tolist(), name)
    raise InputError(
        f"Parameter {name!r} is {_kind(value)}; a parameter is text, a number, a date, or a list or mapping of them."
    )


def _scalar(value: Any) -> Any:
    """Return Python's own number of a numpy one, or of an array or a tensor of one element and no dimension."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not _is_numpy_time(value):
        return value.item()
    return value


def _is_numpy_time(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M") and getattr(value, "ndim", None) == 0


def _storable(value: str, what: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what} is not UTF-8, which the server needs: {value!a}.") from error
    return value


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
