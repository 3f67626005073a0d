"""Tasks as clients of earlier API versions know them. The agent is one: it asks for 2.5.

Before 2.9 parameters and configuration were `execution.parameters` and `execution.model_desc`, before 2.13 a task had
one input and one output model, and a Docker command in place of a container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..stores import now
from . import keys
from .call import Call
from .errors import error
from .registry import version_key

DEFAULT_SECTION, DEFINE_SECTION = "Args", "TF_DEFINE"
KIND = "legacy"
MODELS = {"input": ("execution", "Input Model"), "output": ("output", "Output Model")}
OLD_PATHS = {
    "execution.parameters": f"hyperparams.{DEFAULT_SECTION}",
    "execution.model_desc": "configuration",
    "execution.docker_cmd": "container",
}


def upgrade(call: Call, fields: dict[str, Any], previous: Mapping[str, Any] | None) -> None:
    """Move what old clients send to where it belongs now."""
    execution = fields.get("execution")
    if isinstance(execution, dict):
        _upgrade_parameters(fields, execution, previous)
        _upgrade_configuration(fields, execution, previous)
    if version_key(call.requested) < (2, 13):
        _upgrade_models(fields)
        command = execution.pop("docker_cmd", None) if isinstance(execution, dict) else None
        if command is not None:
            fields["container"] = {**fields.get("container", {}), **container(command)}


def downgrade(call: Call, task: dict[str, Any]) -> None:
    """Show to old clients what they look for."""
    version = version_key(call.requested)
    if version < (2, 9):
        for name, old, items in (
            ("hyperparams", "parameters", _all_parameters(task.get("hyperparams") or {})),
            ("configuration", "model_desc", (task.get("configuration") or {}).values()),
        ):
            legacy = {_full_name(item): item["value"] for item in items if item.get("type") == KIND}
            if name in task and legacy:
                task["execution"] = {**task.get("execution", {}), old: legacy}
    if version < (2, 13):
        _downgrade_models(task)
        image = (task.get("container") or {}).get("image")
        if image:
            words = [image, task["container"].get("arguments")]
            task["execution"] = {**task.get("execution", {}), "docker_cmd": " ".join(filter(None, words))}


def container(docker_command: str) -> dict[str, str]:
    """Return the container that a Docker command describes: its image, then its arguments."""
    image, _, arguments = docker_command.partition(" ")
    return {"image": image, "arguments": arguments}


def _upgrade_parameters(fields: dict[str, Any], execution: dict[str, Any], previous: Mapping[str, Any] | None) -> None:
    def put(target: dict[str, Any], full_name: str, value: str) -> None:
        section, _, name = full_name.partition("/")
        if section != DEFINE_SECTION:
            section, name = DEFAULT_SECTION, full_name
        elif not name:
            raise error("validation_error", "Parameter name cannot be empty")
        item = {"name": name, "type": KIND, "value": value, "section": section}
        target[section] = {**target.get(section, {}), name: item}

    kept: dict[str, Any] = {}
    for section, items in ((previous or {}).get("hyperparams") or {}).items():
        others = {keys.unescape(key): item for key, item in items.items() if item.get("type") != KIND}
        if others:
            kept[keys.unescape(section)] = others
    _replace(fields, "hyperparams", execution.pop("parameters", None), kept, put)


def _upgrade_configuration(
    fields: dict[str, Any], execution: dict[str, Any], previous: Mapping[str, Any] | None
) -> None:
    def put(target: dict[str, Any], name: str, value: str) -> None:
        target[name] = {"name": name, "type": KIND, "value": value}

    items = keys.unescape_keys((previous or {}).get("configuration") or {})
    kept = {key: item for key, item in items.items() if item.get("type") != KIND}
    _replace(fields, "configuration", execution.pop("model_desc", None), kept, put)


def _replace(
    fields: dict[str, Any],
    name: str,
    old: Mapping[str, Any] | None,
    kept: dict[str, Any],
    put: Callable[[dict[str, Any], str, str], None],
) -> None:
    """Let old values replace old values alone; what is not sent in the old form stays."""
    if old is None or (not old and not kept):
        return
    target = dict(fields.get(name) or kept)
    for full_name, value in old.items():
        put(target, full_name, str(value))
    fields[name] = target


def _upgrade_models(fields: dict[str, Any]) -> None:
    for mode, (parent, title) in MODELS.items():
        place = fields.get(parent)
        model = place.pop("model", None) if isinstance(place, dict) else None
        if model is not None:
            items = [{"name": title, "model": model, "updated": now()}] if model else []
            fields["models"] = {**fields.get("models", {}), mode: items}


def _downgrade_models(task: dict[str, Any]) -> None:
    for mode, (parent, _) in MODELS.items():
        models = (task.get("models") or {}).get(mode)
        if models:
            chosen = models[0] if mode == "input" else models[-1]
            task[parent] = {**task.get(parent, {}), "model": chosen.get("model")}


def _all_parameters(sections: Mapping[str, Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (item for section in sections.values() for item in section.values())


def _full_name(item: Mapping[str, Any]) -> str:
    prefix = f"{DEFINE_SECTION}/" if item.get("section") == DEFINE_SECTION else ""
    return prefix + str(item["name"])
