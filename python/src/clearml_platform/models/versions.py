"""What the rows of the server's list of models say: which version each is, and which one is the champion.

This is arithmetic on rows alone. Whoever looks at the same rows comes to the same result, whatever was registered or
promoted at the same instant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

STAGING, PRODUCTION, ARCHIVED = STAGES = ("staging", "production", "archived")
# Metadata of all registered versions; callers cannot set them.
VERSION, LABEL, STAGE, PROMOTION, HASH, FILE = "version", "version_label", "stage", "promotion", "sha256", "file_name"
REPOSITORY, COMMIT = "repository", "commit"
RESERVED = frozenset({VERSION, LABEL, STAGE, PROMOTION, HASH, FILE, REPOSITORY, COMMIT})
PARAMETERS, METRICS = "parameters/", "metrics/"
# What the metadata says of a version without a stage: the server keeps no empty values.
NO_STAGE = "none"
# What list_models and its like ask of the server.
FIELDS = "id name created tags system_tags framework task project uri ready metadata".split()
Row = Mapping[str, Any]


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model.

    Attributes:
        id: the server's id, which never changes.
        version: 1, 2, 3 ... within the name and project.
        version_label: the caller's own name of the version.
        stage: "staging", "production", "archived" or None. The one version in "production" is the champion.
        task: id of the task that made it.
        uri: address of the file.
        hash: SHA-256 of the file, in hexadecimal digits.
        metadata: everything else that was noted, such as ``file_name``, ``repository`` and ``commit``.
        metrics: last values of the task when the model was registered, such as ``test/r2``.
        parameters: those of the task, as ``Section/name``.
        created: when it was registered, by the server's clock.
    """

    id: str
    name: str
    version: int
    version_label: str | None
    stage: str | None
    tags: tuple[str, ...]
    framework: str | None
    task: str | None
    project: str
    uri: str
    hash: str
    metadata: dict[str, str]
    metrics: dict[str, float]
    parameters: dict[str, str]
    created: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values. A metric that is no finite number is None, as JSON has no word for it."""
        finite = {name: value if math.isfinite(value) else None for name, value in self.metrics.items()}
        return {**asdict(self), "tags": list(self.tags), "metrics": finite}


@dataclass(frozen=True)
class Entry:
    """A row with its version and stage as they are, which what is written in it may not say yet."""

    row: Row
    version: int
    stage: str | None

    @property
    def corrections(self) -> dict[str, str]:
        """What the row's metadata should say, where it says something else."""
        right = {VERSION: str(self.version), STAGE: self.stage or NO_STAGE}
        return {key: value for key, value in right.items() if noted(self.row, key) != value}

    def model(self) -> ModelVersion:
        """Return it as the package shows it."""
        row, notes = self.row, {key: noted(self.row, key) for key in self.row.get("metadata") or {}}
        shown = {VERSION, LABEL, STAGE, PROMOTION, HASH}
        return ModelVersion(
            id=str(row["id"]),
            name=str(row["name"]),
            version=self.version,
            version_label=notes.get(LABEL),
            stage=self.stage,
            tags=tuple(row.get("tags") or ()),
            framework=row.get("framework"),
            task=row.get("task"),
            project=str(row.get("project") or ""),
            uri=str(row.get("uri") or ""),
            hash=notes[HASH],
            metadata={
                key: value
                for key, value in notes.items()
                if key not in shown and not key.startswith((PARAMETERS, METRICS))
            },
            metrics={key: _number(value) for key, value in _below(METRICS, notes)},
            parameters=dict(_below(PARAMETERS, notes)),
            created=str(row["created"]),
        )


def is_registered(row: Row) -> bool:
    """Whether a model is one of the registry, and not just one that some task left."""
    return {VERSION, HASH} <= (row.get("metadata") or {}).keys()


def entries(rows: Iterable[Row]) -> list[Entry]:
    """Return all versions of one name, in the order of their numbers.

    Of two with the same number the older keeps it (by creation time, then id), the other gets the next one that is
    free.
    """
    by_age = sorted(rows, key=_age)
    written = {_written_version(row) for row in by_age}
    used: set[int] = set()
    found = []
    leader = max((row for row in by_age if promotion(row)), key=lambda row: (promotion(row), *_age(row)), default=None)
    for row in by_age:
        version = _written_version(row)
        if not version or version in used:
            version = next(number for number in count((version or max(written)) + 1) if number not in written | used)
        used.add(version)
        found.append(Entry(row, version, _stage(row, is_leader=row is leader)))
    return sorted(found, key=lambda entry: entry.version)


def next_version(found: Sequence[Entry]) -> int:
    """Return the number of the next registration."""
    return found[-1].version + 1 if found else 1


def next_promotion(found: Iterable[Entry]) -> int:
    """Return the number of the next promotion."""
    return 1 + max((promotion(entry.row) for entry in found), default=0)


def promotion(row: Row) -> int:
    """Return the number of the model's own last promotion to production, 0 when there was none."""
    return _whole(noted(row, PROMOTION).partition(" ")[0])


def stage_notes(stage: str, number: int) -> dict[str, str]:
    """Return the metadata that puts a model in a stage."""
    return {STAGE: stage, PROMOTION: f"{number} {stage}"}


def noted(row: Row, key: str) -> str:
    """Return one value of the metadata, empty when it is not there."""
    return str(((row.get("metadata") or {}).get(key) or {}).get("value") or "")


def as_metadata(notes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return metadata as the API takes it. The type is what the web application shows."""
    whole = {VERSION: "int"}
    return {
        key: {
            "key": key,
            "type": whole.get(key, "float" if key.startswith(METRICS) else "str"),
            "value": value,
        }
        for key, value in notes.items()
    }


def _stage(row: Row, *, is_leader: bool) -> str | None:
    if ARCHIVED in (row.get("system_tags") or ()):
        return ARCHIVED
    wanted = noted(row, PROMOTION).partition(" ")[2]
    if wanted == PRODUCTION:
        return PRODUCTION if is_leader else None
    return STAGING if wanted == STAGING else None


def _written_version(row: Row) -> int:
    return _whole(noted(row, VERSION))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _age(row: Row) -> tuple[str, str]:
    return str(row["created"]), str(row["id"])


def _below(prefix: str, notes: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return sorted((key.removeprefix(prefix), value) for key, value in notes.items() if key.startswith(prefix))
