"""Experiments that are recorded without a server, and sent to one later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile, ZipFile

from clearml_platform.errors import InputError, PlatformError
from clearml_platform.patience import Patience
from clearml_platform.server import Server, login

RECORD = "task.json"


def set_offline(offline: bool) -> None:
    """Choose whether the SDK talks to a server, from the next task on."""
    from clearml import Task
    from clearml.backend_api import Session
    from clearml.backend_api.session.defs import ENV_OFFLINE_MODE
    from clearml.backend_interface.base import InterfaceBase

    if offline:
        Task.set_offline(True)
    elif Task.is_offline():
        # Task.set_offline(False) logs in with each session that is left over, and waits for the server to do so.
        ENV_OFFLINE_MODE.set(False)
        InterfaceBase._offline_mode = Session._offline_mode = False
        InterfaceBase._set_default_session(None)


def record_model(task: Any, file: Path, name: str, framework: str | None, target: str) -> None:
    """Keep a model's file or folder with a session.

    The SDK's own way ends with an error (2.1.12: a missing attribute ``locked``), and would keep one of two files of
    the same name.
    """
    models = task._offline_output_models
    home = Path(task.get_offline_mode_folder()) / "models" / str(len(models))
    home.mkdir(parents=True)
    if file.is_dir():
        kept = shutil.make_archive(str(home / file.resolve().name), "zip", file)
    else:
        kept = str(shutil.copy2(file, home))
    models.append(
        {
            "id": f"{task.id}-{len(models)}",
            "init": {"name": name, "framework": framework},
            "weights": {"weights_filename": kept, "target_filename": target, "is_package": file.is_dir()},
            "output_uri": None,
        }
    )
    task._edit()


def send_offline(path: str | Path, project_name: str | None = None) -> str:
    """Send an experiment that was recorded offline; return the id of the task that it becomes.

    Args:
        path: The session's ``.zip`` file, or its folder, as the tracker named it. It is left as it is.
        project_name: Where it belongs; None for the project that it was recorded for.

    Raises:
        InputError: this is no offline session.
        ServerError: there is no server to send it to.
        PlatformError: something of it did not arrive. The task on the server is then incomplete.
    """
    from clearml import Task
    from clearml.backend_interface.base import InterfaceBase

    with TemporaryDirectory(prefix="clearml-offline-") as temporary:
        folder = Path(temporary) / "session"
        record = _unpack(Path(path).expanduser(), folder)
        set_offline(False)
        session = login()
        InterfaceBase._set_default_session(session)
        server = Server(session)
        patience = Patience(session)
        patience.finish()
        if project_name:
            record["project_name"] = project_name
        _localize(record, folder, server.files_host)
        (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")
        try:
            identifier = Task.import_offline_session(str(folder))
        except Exception as error:
            raise PlatformError(f"The session {path} could not be sent: {error}.") from error
        missing = _missing(server, identifier, record)
        if patience.lost:
            missing.append(f"{patience.lost} reports ({patience.problem})")
    if missing:
        raise PlatformError(f"Of the session {path}, task {identifier} lacks {', '.join(missing)}.")
    status = record.get("status")
    if status in ("failed", "stopped"):
        # An import always ends as completed.
        endpoint = "tasks.failed" if status == "failed" else "tasks.stopped"
        server.call(endpoint, task=identifier, force=True, status_message=record.get("status_message"))
    return str(identifier)


def _unpack(path: Path, folder: Path) -> dict[str, Any]:
    try:
        if path.is_dir():
            shutil.copytree(path, folder)
        else:
            with ZipFile(path) as archive:
                archive.extractall(folder)
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        record["id"], record["offline_folder"]
    except (OSError, BadZipFile, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(path)!r} is no offline session: the tracker names the .zip file of one.") from error
    return record


def _localize(record: dict[str, Any], folder: Path, files_host: str) -> None:
    """Let models be found here, wherever they were recorded, and go to the server: the import would look there only."""
    home = record["offline_folder"].rstrip("/") + "/"
    for model in record.get("offline_output_models", []):
        weights = model["weights"]
        if weights.get("weights_filename"):
            weights["weights_filename"] = str(folder / weights["weights_filename"].removeprefix(home))
            weights["upload_uri"] = weights.get("upload_uri") or files_host
            weights["async_enable"] = False


def _missing(server: Server, identifier: str, record: dict[str, Any]) -> list[str]:
    """Return what the server does not have: the import only writes warnings when parts of it fail."""
    rows = server.call(
        "tasks.get_all", id=[identifier], only_fields=["hyperparams", "execution.artifacts", "models.output"]
    )["tasks"]
    if not rows:
        return ["everything"]
    task = rows[0]
    missing = [
        f"parameter {section}/{name}"
        for section, items in (record.get("hyperparams") or {}).items()
        for name in items
        if name not in (task.get("hyperparams") or {}).get(section, {})
    ]
    sent = {one["key"]: one.get("uri") or "" for one in (task.get("execution") or {}).get("artifacts") or []}
    missing += [
        f"artifact {one['key']}"
        for one in (record.get("execution") or {}).get("artifacts") or []
        if sent.get(one["key"], record["offline_folder"]).removeprefix("file://").startswith(record["offline_folder"])
    ]
    models = len(record.get("offline_output_models", [])) - len((task.get("models") or {}).get("output") or [])
    return missing + [f"{models} models"] * (models > 0)
