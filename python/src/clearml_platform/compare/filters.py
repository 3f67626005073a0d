"""Filters such as ``test_r2>0.8 and (status=completed or tag=baseline)``.

A comparison is a name, an operator and a value. Names are those of metrics, of parameters, and of the fields below;
they may be shortened as long as one thing alone is meant: ``lr`` for ``General/lr``, ``test_r2`` for ``test/r2``. A
metric is its last value, or the least or the largest of all with ``.min`` or ``.max`` behind its name. Operators are
``=`` (or ``==``), ``!=``, ``<``, ``<=``, ``>``, ``>=`` and ``~`` (contains). Numbers are compared as numbers, text
without regard to capitals, ``started`` as a date (``started>=2026-11-01``), ``runtime`` in seconds, and ``tag=x`` means
that x is among the tags. Comparisons are joined by ``and``, ``or``, ``not`` and parentheses. Names and values with
spaces or signs are put in quotes. An experiment that does not have what a comparison is about does not match it,
whatever the operator.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from clearml_platform.compare.experiment import MACHINE, Experiment, smaller_is_better
from clearml_platform.errors import InputError

TOKEN = re.compile(
    r"""\s*(?:(?P<sign>[()])|(?P<operator>==|!=|<=|>=|=|<|>|~)|(?P<quoted>"[^"]*"|'[^']*')|(?P<word>[^\s()=!<>~"']+))"""
)
ORDERS: dict[str, Callable[[float | str, float | str], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EXAMPLE = "a comparison is written like test_r2>0.8, more of them with and, or, not and parentheses"
SHOWN = 12

Value = float | str | tuple[str, ...] | None
Getter = Callable[[Experiment], Value]

FIELDS: dict[str, Getter] = {
    "id": lambda task: task.id,
    "name": lambda task: task.name,
    "project": lambda task: task.project,
    "runtime": lambda task: task.runtime_seconds,
    "started": lambda task: task.started or None,
    "status": lambda task: task.status,
    "tag": lambda task: task.tags,
    "type": lambda task: task.type,
    "user": lambda task: task.user,
}


class Condition(Protocol):
    """What an experiment matches, or not."""

    def bind(self, names: Names) -> Callable[[Experiment], bool]:
        """Return the test, with the names that the experiments have."""


@dataclass(frozen=True)
class Filter:
    """An expression that could be read."""

    condition: Condition

    def matching(self, tasks: Sequence[Experiment]) -> list[Experiment]:
        """Return those that match.

        Raises:
            InputError: none of them has what a name in it means, or the name means several things.
        """
        test = self.condition.bind(Names(tasks)) if tasks else lambda _: True
        return [task for task in tasks if test(task)]


@dataclass(frozen=True)
class Compared:
    """``name operator value``."""

    name: str
    operator: str
    value: str

    def bind(self, names: Names) -> Callable[[Experiment], bool]:
        get = names.getter(self.name)
        wanted: float | str | None = number(self.value)
        dates = get is FIELDS["started"]
        if self.operator in ORDERS and wanted is None and not dates:
            raise InputError(f"The filter has {self.name}{self.operator}{self.value}, and that needs a number.")
        if dates or wanted is None:
            wanted = self.value
        return lambda task: _compare(get(task), self.operator, self.value, wanted)


@dataclass(frozen=True)
class Joined:
    """Conditions of which all (``all``) or one (``any``) has to hold."""

    how: Callable[[Iterable[bool]], bool]
    parts: tuple[Condition, ...]

    def bind(self, names: Names) -> Callable[[Experiment], bool]:
        tests = [part.bind(names) for part in self.parts]
        return lambda task: self.how(test(task) for test in tests)


@dataclass(frozen=True)
class Negated:
    """What does not match."""

    part: Condition

    def bind(self, names: Names) -> Callable[[Experiment], bool]:
        test = self.part.bind(names)
        return lambda task: not test(task)


def parse(text: str) -> Filter:
    """Read an expression.

    Raises:
        InputError: it cannot be read; the message says from where on.
    """
    return Filter(_Parser(text).read())


class Names:
    """What names mean among experiments."""

    def __init__(self, tasks: Sequence[Experiment]) -> None:
        self.metrics = sorted({name for task in tasks for name in task.metrics})
        self.parameters = sorted({name for task in tasks for name in task.parameters})

    def getter(self, name: str) -> Getter:
        """Return what gets the value of a name from an experiment."""
        if name in FIELDS or name == "tags":
            return FIELDS["tag" if name == "tags" else name]
        one, part = self._find(
            name, list(dict.fromkeys([*self.metrics, *self.parameters])), "metric, parameter or field"
        )
        if one in self.metrics:
            return lambda task: getattr(task.metrics[one], part) if one in task.metrics else None
        return lambda task: task.parameters.get(one)

    def metric(self, name: str) -> tuple[str, str]:
        """Return the metric that is meant, and what of it: last, min or max."""
        return self._find(name, self.metrics, "metric")

    @staticmethod
    def _find(name: str, known: Sequence[str], what: str) -> tuple[str, str]:
        for short, part in ((name, "last"), _part(name)):
            found = _meant(short, known)
            if len(found) > 1:
                raise InputError(f"{name!r} may be any of {', '.join(found)}: give the whole name.")
            if found:
                return found[0], part
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        listed = [*close, *(one for one in known if one not in close and not one.startswith(MACHINE))]
        listed += FIELDS if what.endswith("field") else []
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        names = f"known are {', '.join(listed[:SHOWN])}{more}" if listed else "there are none"
        raise InputError(f"No experiment has a {what} {name!r}; {names}.")


def ranked(tasks: Sequence[Experiment], metric: str, top: int | None) -> tuple[list[Experiment], str]:
    """Return the experiments with the best first, and the name of the metric.

    Those without the metric come last; among the best ``top`` they are not at all.
    """
    name, part = Names(tasks).metric(metric)
    sign = 1 if smaller_is_better(name) else -1
    having = [task for task in tasks if name in task.metrics]
    having.sort(key=lambda task: sign * float(getattr(task.metrics[name], part)))
    if top is not None:
        return having[:top], name
    return [*having, *(task for task in tasks if name not in task.metrics)], name


def number(value: object) -> float | None:
    """Return a finite number, None when it is none."""
    try:
        result = float(str(value).replace("_", "x"))
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def _part(name: str) -> tuple[str, str]:
    metric, dot, part = name.rpartition(".")
    return (metric, part) if dot and part in ("min", "max", "last") else (name, "last")


def _meant(name: str, known: Sequence[str]) -> list[str]:
    """Return the names that may be meant: the same one, else the same but for signs, else the same at the end."""
    plain = _plain(name)
    for fits in (
        lambda one: one == name,
        lambda one: _plain(one) == plain,
        lambda one: plain in (_plain(one.partition("/")[2]), _plain(one.rpartition("/")[2])),
    ):
        found = [one for one in known if fits(one)]
        if found:
            return found
    return []


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def _compare(have: Value, sign: str, text: str, wanted: float | str) -> bool:
    if have is None:
        return False
    if isinstance(have, tuple):
        has = any(_compare(one, "~" if sign == "~" else "=", text, text) for one in have)
        return has != (sign == "!=")
    if sign == "~":
        return text.casefold() in str(have).casefold()
    if isinstance(wanted, float):
        measured = number(have)
        if measured is not None:
            return ORDERS[sign](measured, wanted) if sign in ORDERS else (measured == wanted) == (sign == "=")
        return sign == "!="
    if sign in ORDERS:
        return ORDERS[sign](str(have), wanted)
    return (str(have).casefold() == text.casefold()) == (sign == "=")


class _Parser:
    """Recursive descent: or, and, not, a comparison or parentheses."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if not match:
                raise self.error(position)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            position = match.end()
        self.at = 0

    def error(self, position: int) -> InputError:
        rest = self.text[position:].strip()
        where = f"not from {rest!r} on" if rest else "it ends too early"
        return InputError(f"The filter {self.text!r} cannot be read ({where}): {EXAMPLE}.")

    def peek(self) -> tuple[str, str, int]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "", len(self.text))

    def next(self, *kinds: str) -> str:
        kind, value, position = self.peek()
        if kind not in kinds:
            raise self.error(position)
        self.at += 1
        return value[1:-1] if kind == "quoted" else value

    def takes(self, kind: str, value: str) -> bool:
        found = self.peek()
        taken = found[0] == kind and found[1].lower() == value
        self.at += taken
        return taken

    def read(self) -> Condition:
        condition = self.any_of()
        if self.peek()[0] != "end":
            raise self.error(self.peek()[2])
        return condition

    def any_of(self) -> Condition:
        parts = [self.all_of()]
        while self.takes("word", "or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Joined(any, tuple(parts))

    def all_of(self) -> Condition:
        parts = [self.one()]
        while self.takes("word", "and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Joined(all, tuple(parts))

    def one(self) -> Condition:
        if self.takes("word", "not"):
            return Negated(self.one())
        if self.takes("sign", "("):
            inside = self.any_of()
            if not self.takes("sign", ")"):
                raise self.error(self.peek()[2])
            return inside
        name = self.next("word", "quoted")
        sign = self.next("operator")
        value = self.next("word", "quoted")
        return Compared(name, "=" if sign == "==" else sign, value)
