"""The table of faults, and how one is put into a copy of the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

TABLE = Path(__file__).with_name("mutants.yml")
# Cheapest first; of the fast ones each fault takes seconds.
LAYERS = ("unit", "config", "preflight", "stack", "clients", "host")
FAST = ("unit", "config")
# What can happen on the host: it is made anew, deploy.yml runs, or runs with --check.
RUNS = ("bare", "deploy", "check")


class TableError(Exception):
    """What is wrong with the table, a sentence a line."""


@dataclass(frozen=True)
class Mutant:
    """One fault: a text of one file that becomes another, and the test files of which one must fail then."""

    layer: str
    name: str
    fault: str
    file: str
    replace: str
    into: str
    tests: tuple[str, ...]
    # For the layer host: what happens on a host without a platform before the tests look at it.
    runs: tuple[str, ...] = ("deploy",)

    def applied_to(self, text: str) -> str:
        """Return the text with the fault in it."""
        pattern = self._pattern()
        found = len(pattern.findall(text))
        if found != 1:
            raise TableError(
                f"{self.name} is stale: what it replaces is {found} times in {self.file}, it must be there once."
            )
        return pattern.sub(lambda match: self._replacement(match["indent"]), text)

    def _pattern(self) -> re.Pattern[str]:
        # What ends with a line feed is whole lines, however deep they are indented; anything else is a part of a line.
        if not self.replace.endswith("\n"):
            return re.compile(f"(?P<indent>){re.escape(self.replace)}")
        first, *rest = map(re.escape, self.replace.splitlines())
        lines = [f"^(?P<indent> *){first}", *(f"(?P=indent){line}" if line else "" for line in rest)]
        return re.compile("\n".join(lines) + "\n", re.MULTILINE)

    def _replacement(self, indent: str) -> str:
        return "".join(indent + line if line.strip() else line for line in self.into.splitlines(keepends=True))


def load(path: Path = TABLE) -> list[Mutant]:
    """Read the table; the layers are its chapters."""
    try:
        chapters = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TableError(f"{path.name} does not parse: {error}") from error
    if unknown := chapters.keys() - set(LAYERS):
        raise TableError(f"{path.name} has the layer {', '.join(sorted(unknown))}: known are {', '.join(LAYERS)}.")
    mutants = [_mutant(layer, entry) for layer in LAYERS for entry in chapters.get(layer) or []]
    names = [mutant.name for mutant in mutants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TableError(f"{path.name} has {', '.join(twice)} more than once: a name belongs to one fault.")
    return mutants


def _mutant(layer: str, entry: dict[str, Any]) -> Mutant:
    name = entry.get("name", entry)
    wanted = {"name", "fault", "file", "replace", "tests"}
    allowed = wanted | {"with"} | ({"runs"} if layer == "host" else set())
    if not wanted <= entry.keys() <= allowed:
        raise TableError(f"{name} has {', '.join(entry)}: it must have {', '.join(sorted(wanted))}, and may have with.")
    for key in ("name", "fault", "file", "replace", "with"):
        if not isinstance(entry.get(key, ""), str):
            raise TableError(f"{name} has {key} {entry[key]}: it must be a string (put it in quotes).")
    runs = tuple(entry.get("runs", ["deploy"]))
    if wrong := set(runs) - set(RUNS):
        raise TableError(f"{name} has the run {', '.join(sorted(wrong))}: known are {', '.join(RUNS)}.")
    return Mutant(
        layer=layer,
        name=name,
        fault=entry["fault"],
        file=entry["file"],
        replace=entry["replace"],
        into=entry.get("with", ""),
        tests=tuple(entry["tests"]),
        runs=runs,
    )


def check(mutants: list[Mutant], root: Path) -> None:
    """Refuse a table that no longer fits the repository: it would prove nothing."""
    problems = []
    for mutant in mutants:
        problems += [
            f"{mutant.name} names {test}, which does not exist." for test in mutant.tests if not (root / test).exists()
        ]
        try:
            must_parse(mutant.file, mutant.applied_to((root / mutant.file).read_text(encoding="utf-8")))
        except OSError as error:
            problems.append(f"{mutant.name} names {mutant.file}: {error.strerror}.")
        except TableError as error:
            problems.append(str(error))
    if problems:
        raise TableError("\n".join(problems))


def must_parse(name: str, text: str) -> None:
    """Refuse a fault that is only a slip of the pen: any test would stumble over a file that does not parse."""
    try:
        match Path(name).suffix:
            case ".yml":
                yaml.compose(text)
            case ".py":
                ast.parse(text)
            case ".j2":
                jinja2.Environment(autoescape=True).parse(text)
            case ".sh":
                subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=True)
    except (yaml.YAMLError, SyntaxError, jinja2.TemplateError, subprocess.CalledProcessError) as error:
        raise TableError(f"{name} would not parse any more: {error}") from error
