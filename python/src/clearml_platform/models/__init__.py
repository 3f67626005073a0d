"""The model registry: versions of a name, stages, one champion.

A version is a model of the server. Its number, its hash, its task's parameters and metrics are in its metadata, where
the web application shows them. The API has no transactions, so this is what happens at the same instant:

* **Two registrations** of one name both succeed: the file is stored first, then one request creates the model with all
  that is known of it, so none is lost and none is half there. They may take the same number. The older model (by the
  server's clock, then by id) keeps it and the other gets the next one that is free. Each registration sees to its own
  number before it returns; every other call sees to all of them, if a registration died meanwhile. Only models whose
  creation overlaps within milliseconds can still get another number after their registration has returned, and one may
  be skipped when somebody lists them in that instant; ids never change.
* **Two promotions** to production are numbered too: the model with the highest promotion number is the champion, of two
  with the same number the younger one. All who look see the same one, at any time, so there is never more than one. A
  former champion has no stage. What the metadata shows as ``stage`` follows with the promotions themselves and with
  every later call. Archiving the champion, or moving it to staging, leaves the name without one; deleting it brings
  back the one before.
* **A request that got no answer** (the server went away half-way) is looked up by the file's address.

Any call repairs what it comes across; an account that may only read sees the result without writing it down.
"""

from __future__ import annotations

import json
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from clearml_platform.errors import InputError, ServerError
from clearml_platform.models import files, origin
from clearml_platform.models.comparison import compared
from clearml_platform.models.versions import (
    ARCHIVED,
    COMMIT,
    FIELDS,
    FILE,
    HASH,
    LABEL,
    METRICS,
    NO_STAGE,
    PARAMETERS,
    PRODUCTION,
    REPOSITORY,
    RESERVED,
    STAGE,
    STAGES,
    STAGING,
    VERSION,
    Entry,
    ModelVersion,
    as_metadata,
    entries,
    is_registered,
    next_promotion,
    next_version,
    promotion,
    stage_notes,
)
from clearml_platform.names import PROJECT
from clearml_platform.server import RefusedError, Server, exactly

__all__ = ["STAGES", "ClearMLModelManager", "ModelVersion"]

# How often a call looks again whether its repair has met another one's.
ROUNDS = 8
# The server's rule.
SHORTEST_NAME = 3
# Characters of one value of the metadata; an artifact is the place for more.
LONGEST_NOTE = 65_536
ID = re.compile(r"[0-9a-f]{32}")
Selector = int | str


class ClearMLModelManager:
    """The registry of one project. The module says what happens when several work in it at once."""

    def __init__(self, project_name: str = PROJECT, server: Server | None = None) -> None:
        """Open the registry of a project, which is made by the first registration.

        Args:
            project_name: the project whose models these are; models of its subprojects are not.
            server: the server; by default the one of ``clearml.conf``.

        Raises:
            InputError: the project's name is empty.
            ServerError: the server does not answer.
        """
        self.project_name = _text(project_name, "project_name")
        self.server = server or Server.connect()

    def register_model(
        self,
        model_path: str | Path,
        model_name: str,
        *,
        task_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        framework: str | None = None,
        stage: str | None = None,
        version: str | None = None,
    ) -> ModelVersion:
        """Store a file as the next version of a name.

        Args:
            model_path: the file.
            model_name: the name, 3 characters or more.
            task_id: the task that made it; its parameters, last metrics and code are noted with the model.
            metadata: more to note; numbers stay as they are written, structures become JSON. A ``version`` here is
                what ``version`` below is.
            tags: labels for people and filters.
            framework: such as "scikit-learn".
            stage: "staging", "production" or "archived".
            version: the caller's own name of the version, kept as ``version_label``.

        Raises:
            InputError: something of this cannot be used. Nothing was registered.
            ServerError: the server or the fileserver refused or did not answer; the text says what is registered.
        """
        path = files.checked_path(model_path, "model_path")
        name = _text(model_name, "model_name", shortest=SHORTEST_NAME)
        stage = stage and _stage(stage)
        labels = _tags(tags)
        framework = framework and _text(framework, "framework")
        notes = _notes(metadata or {}, version)
        task = origin.existing_task(self.server, _text(task_id, "task_id")) if task_id is not None else None

        project = self.server.made_project(self.project_name)
        known = self._entries([name])
        notes = {
            **(origin.notes(task) if task else {}),
            **notes,
            VERSION: str(next_version(known)),
            STAGE: stage or NO_STAGE,
            HASH: files.sha256(path),
            FILE: path.name,
        }
        if stage in (STAGING, PRODUCTION):
            notes |= stage_notes(stage, next_promotion(known) if stage == PRODUCTION else 0)
        uri = files.upload(self.server, path, self.project_name, name)
        identifier = self._created(
            uri,
            name=name,
            project=project,
            task=task and task["id"],
            framework=framework,
            tags=labels,
            system_tags=[ARCHIVED] if stage == ARCHIVED else [],
            ready=stage == PRODUCTION,
            metadata=as_metadata(notes),
        )
        try:
            if task:
                # The task's page then shows the model; the model names its task anyway.
                self._link(str(task["id"]), name, identifier)
            return next(model for model in self._settled([name], own=identifier) if model.id == identifier)
        except (ServerError, StopIteration) as error:
            raise ServerError(
                f"{name!r} is registered as model {identifier}, but its number could not be checked ({error})."
            ) from error

    def list_models(self, name: str | None = None, stage: str | None = None) -> list[ModelVersion]:
        """Return all versions of a name, or of all names, by name and number; one request for 500 of them.

        Raises:
            InputError: the project or the stage is not known.
            ServerError: the server does not answer.
        """
        wanted = stage and _stage(stage)
        names = None if name is None else [_text(name, "name")]
        self.server.existing_project(self.project_name)
        return [model for model in self._settled(names) if wanted in (None, model.stage)]

    def get(
        self, name: str, *, version: Selector | None = None, stage: str | None = None, latest: bool = False
    ) -> ModelVersion:
        """Return one version of a name.

        Args:
            name: the model's name.
            version: its number.
            stage: the newest version in this stage.
            latest: the newest version that is not archived. Without any of the three it is the champion, or the latest
                while there is none.

        Raises:
            InputError: there is no such version, or more than one of the three is given.
            ServerError: the server does not answer.
        """
        if (version is not None) + (stage is not None) + latest > 1:
            raise InputError("Give one of version, stage and latest.")
        wanted = stage and _stage(stage)
        found = self._known(name)
        if version is not None:
            return _numbered(found, version)
        if wanted:
            return _last([model for model in found if model.stage == wanted], f"{name!r} has no version in {wanted}.")
        champion = next((model for model in found if model.stage == PRODUCTION), None)
        if champion and not latest:
            return champion
        return _last(
            [model for model in found if model.stage != ARCHIVED], f"All versions of {name!r} are archived: name one."
        )

    def find(self, name_or_id: str, version: Selector | None = None) -> ModelVersion:
        """Return a version by the model's id, or by name and number as ``get`` does.

        Raises:
            InputError: there is no such version.
            ServerError: the server does not answer.
        """
        if version is None and ID.fullmatch(name_or_id):
            return self._by_ids([name_or_id])[0]
        return self.get(name_or_id, version=version)

    def champion(self, name: str) -> ModelVersion | None:
        """Return the version in production, None when there is none.

        Raises:
            ServerError: the server does not answer.
        """
        found = self._settled([_text(name, "name")])
        return next((model for model in found if model.stage == PRODUCTION), None)

    def compare(self, ids: Sequence[str]) -> dict[str, Any]:
        """Return models side by side: ``models``, ``parameters`` that differ, ``metrics``.

        A metric has ``values``, ``deltas`` from the first model, and ``best``, the position of the best one, all in the
        order of the ids. Two requests, whatever the number of models.

        Raises:
            InputError: fewer than two ids, or one of them is no registered model of this project.
            ServerError: the server does not answer.
        """
        wanted = list(dict.fromkeys(ids))
        if len(wanted) < 2:
            raise InputError("Comparing takes the ids of two models or more.")
        return compared(self._by_ids(wanted))

    def promote(self, name: str, version: Selector, stage: str = PRODUCTION) -> ModelVersion:
        """Put a version in a stage; return what it is then.

        In production it is the champion, and the one before has no stage any more. It is published as well, so that
        nobody deletes it or its task by accident. Its stage is another one on return only if somebody else promoted at
        the same time.

        Raises:
            InputError: the version or the stage is not known. Nothing was changed.
            ServerError: the server refused or did not answer.
        """
        wanted = _stage(stage)
        if wanted == ARCHIVED:
            return self.archive(name, version)
        model = _numbered(self._known(name), version)
        known = self._entries([model.name])
        entry = next((entry for entry in known if entry.row["id"] == model.id), None)
        if entry is None:
            raise InputError(f"Version {version} of {name!r} was deleted meanwhile.")
        if entry.stage != wanted:
            if entry.stage == ARCHIVED:
                self._many("models.unarchive_many", model.id)
            number = next_promotion(known) if wanted == PRODUCTION else promotion(entry.row)
            self._note(model.id, stage_notes(wanted, number))
        if wanted == PRODUCTION and not entry.row.get("ready"):
            self._publish(model.id)
        return self._again(model)

    def archive(self, name: str, version: Selector) -> ModelVersion:
        """Put a version away; return what it is then. Promoting it brings it back.

        Raises:
            InputError: the version is not known. Nothing was changed.
            ServerError: the server refused or did not answer.
        """
        model = _numbered(self._known(name), version)
        if model.stage != ARCHIVED:
            self._many("models.archive_many", model.id)
        return self._again(model)

    def download(self, name_or_id: str, target_dir: str | Path, *, version: Selector | None = None) -> Path:
        """Fetch a version's file under the name that it had; return its path.

        A file of that name in the folder is replaced, but only by one whose SHA-256 is the registered one.

        Args:
            name_or_id: the model's id, or a name: its ``version``, else as ``get`` chooses.
            target_dir: the folder, which is made when it is missing.
            version: the number of the version.

        Raises:
            InputError: there is no such version, or the folder cannot be written.
            ServerError: the file is not to be had.
            PlatformError: it is not the file that was registered.
        """
        model = self.find(name_or_id, version)
        # Metadata can be edited by anybody: a name must not lead out of the folder.
        own = Path(model.metadata.get(FILE, "")).name
        target = Path(target_dir) / (own if own not in ("", "..") else "model")
        files.download(self.server, model.uri, target, model.hash)
        return target

    def lineage(self, model_id: str) -> dict[str, Any]:
        """Return where a model comes from: ``model``, ``task``, ``commit``, ``repository``, ``data``.

        ``data`` has the ``datasets``, the ``artifacts`` (with ``mode``, input or output, and hash), the input
        ``models`` and the ``parameters`` that name data. When the task is gone, ``task`` is its id alone, and the code
        is what was noted with the model.

        Raises:
            InputError: it is no registered model of this project.
            ServerError: the server does not answer.
        """
        model = self._by_ids([model_id])[0]
        task = origin.find_task(self.server, model.task) if model.task else None
        summary = {key: getattr(model, key) for key in ("id", "name", "version", "stage", "hash", "uri", "created")}
        noted = {
            "task": model.task and {"id": model.task},
            "commit": model.metadata.get(COMMIT),
            "repository": model.metadata.get(REPOSITORY),
            "data": None,
        }
        return {"model": summary, **(origin.of_task(self.server, task) if task else noted)}

    def _known(self, name: str) -> list[ModelVersion]:
        name = _text(name, "name")
        found = self._settled([name])
        if not found:
            raise InputError(f"There is no registered model {name!r} in the project {self.project_name!r}.")
        return found

    def _by_ids(self, ids: Sequence[str]) -> list[ModelVersion]:
        """Return versions by their ids, in this order."""
        for identifier in ids:
            _text(identifier, "id")
        rows = self.server.pages("models.get_all", "models", id=list(ids), only_fields=["id", "name"])
        names = {str(row["name"]) for row in rows}
        found = {model.id: model for model in self._settled(sorted(names))} if names else {}
        for identifier in ids:
            if identifier not in found:
                raise InputError(
                    f"There is no registered model with the id {identifier!r} in the project {self.project_name!r}."
                )
        return [found[identifier] for identifier in ids]

    def _again(self, model: ModelVersion) -> ModelVersion:
        found = next((one for one in self._settled([model.name]) if one.id == model.id), None)
        if found is None:
            raise InputError(f"Version {model.version} of {model.name!r} was deleted meanwhile.")
        return found

    def _settled(self, names: Sequence[str] | None, own: str | None = None) -> list[ModelVersion]:
        """Return all versions of some names (all of the project with None), after repairing what is not right.

        A registration names its ``own`` model and leaves the numbers of others alone: with one writer a number, those
        that register at once do not drive each other to ever higher ones.
        """
        found = self._entries(names)
        for _ in range(ROUNDS):
            wrong = []
            for entry in found:
                identifier, notes = str(entry.row["id"]), entry.corrections
                if own not in (None, identifier):
                    notes.pop(VERSION, None)
                if notes:
                    wrong.append((identifier, notes))
            if not wrong:
                break
            try:
                for identifier, notes in wrong:
                    self._note(identifier, notes)
            except RefusedError:
                # Deleted meanwhile, or an account that may only read: the others can be seen all the same.
                return [entry.model() for entry in self._entries(names)]
            found = self._entries(names)
        return [entry.model() for entry in found]

    def _entries(self, names: Sequence[str] | None) -> list[Entry]:
        """Return all versions of some names, by name and number."""
        project = self.server.project_id(self.project_name)
        if project is None:
            return []
        pattern = "|".join(exactly(name) for name in names) if names else None
        found = self.server.pages("models.get_all", "models", project=[project], name=pattern, only_fields=FIELDS)
        rows = [row for row in found if is_registered(row) and (names is None or row["name"] in names)]
        rows.sort(key=lambda row: str(row["name"]))
        return [entry for _, same in groupby(rows, key=lambda row: row["name"]) for entry in entries(same)]

    def _created(self, uri: str, **fields: Any) -> str:
        """Create a model whose file is stored, and return its id; where it was not created, the file goes too."""
        try:
            return str(self.server.call("models.create", uri=uri, **fields)["id"])
        except RefusedError:
            files.remove(self.server, uri)
            raise
        except ServerError as error:
            return self._id_of(uri, error)

    def _id_of(self, uri: str, why: ServerError) -> str:
        """Return the id of the model with a file, after a request that got no answer."""
        try:
            found = self.server.call("models.get_all", uri=[uri], only_fields=["id"])["models"]
        except ServerError:
            raise ServerError(
                f"{why} Whether the model was registered can be seen in the list of models once the server is back."
            ) from why
        if not found:
            files.remove(self.server, uri)
            raise ServerError(f"{why} Nothing was registered.") from why
        return str(found[0]["id"])

    def _link(self, task: str, name: str, model: str) -> None:
        try:
            self.server.call("tasks.add_or_update_model", task=task, name=name, type="output", model=model)
        except RefusedError:
            return

    def _note(self, model: str, notes: Mapping[str, str]) -> None:
        # Each value is set by itself: those that others set at the same time stay.
        self.server.call("models.add_or_update_metadata", model=model, metadata=list(as_metadata(notes).values()))

    def _publish(self, model: str) -> None:
        try:
            self.server.call("models.set_ready", model=model, publish_task=False)
        except RefusedError:
            # Somebody else has just done so.
            return

    def _many(self, endpoint: str, model: str) -> None:
        failed = self.server.call(endpoint, ids=[model]).get("failed")
        if failed:
            raise ServerError(f"The server {self.server.api_host} refused {endpoint}: {failed[0]['error']['msg']}.")


def _text(value: str | None, option: str, shortest: int = 1) -> str:
    """Return a name or an id that can be used."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) < shortest:
        least = "is empty" if not text else f"is {text!r}, which is shorter than {shortest} characters"
        raise InputError(f"{option} {least}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{option}: {text!r} is not UTF-8.") from None
    return text


def _stage(stage: str) -> str:
    if stage not in STAGES:
        raise InputError(f"There is no stage {stage!r}: the stages are {', '.join(STAGES)}.")
    return stage


def _tags(tags: Iterable[str]) -> list[str]:
    if isinstance(tags, str):
        raise InputError(f"tags takes a list of words, not the one word {tags!r}.")
    return list(dict.fromkeys(_text(tag, "tags") for tag in tags))


def _notes(metadata: Mapping[str, Any], version: str | None) -> dict[str, str]:
    """Return a caller's metadata as the server keeps it."""
    given = {_text(key, "metadata: a key"): value for key, value in metadata.items()}
    label = given.pop(VERSION, None) if version is None else version
    given.pop(VERSION, None)
    notes = {}
    for key, value in given.items():
        if key in RESERVED or key.startswith((PARAMETERS, METRICS)):
            raise InputError(f"metadata: the key {key!r} is the registry's own; choose another one.")
        notes[key] = _note(key, value)
    if label is not None:
        notes[LABEL] = _text(str(label), VERSION)
    return notes


def _note(key: str, value: Any) -> str:
    if hasattr(value, "item"):  # a number of numpy or pandas
        value = value.item()
    if isinstance(value, str):
        text = value
    elif value is None or isinstance(value, (bool, numbers.Number)):
        text = str(value)
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"metadata: the value of {key!r} cannot be written as JSON ({error}).") from error
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"metadata: the value of {key!r} is not UTF-8.") from None
    if len(text) > LONGEST_NOTE:
        raise InputError(
            f"metadata: the value of {key!r} has {len(text)} characters, {LONGEST_NOTE} fit: log it as an artifact."
        )
    return text


def _numbered(found: Sequence[ModelVersion], version: Selector) -> ModelVersion:
    model = next((model for model in found if str(model.version) == str(version)), None)
    if model is None:
        there = ", ".join(str(model.version) for model in found[-10:])
        more = "" if len(found) <= 10 else f" (the last of {len(found)})"
        raise InputError(f"{found[0].name!r} has no version {version!r}; there are {there}{more}.")
    return model


def _last(found: Sequence[ModelVersion], otherwise: str) -> ModelVersion:
    if not found:
        raise InputError(otherwise)
    return found[-1]
