"""Configuration in layers, last one wins: defaults, directories of *.conf files, TRAINS__*, CLEARML__* variables.

The layers, the value syntax (HOCON) and their traps are the official server's: an operator's file that is read wrongly
here would be read wrongly there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pyhocon import ConfigFactory

CONFIG_DIRECTORIES = "/opt/trains/config:/opt/clearml/config"
MISSING = object()


class ConfigurationError(Exception):
    """A layer that cannot be parsed. The message names the layer and never repeats its text, which may be a secret."""


class Config:
    """A merged configuration tree, read with dotted paths."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree = tree

    def get(self, path: str, default: Any = MISSING) -> Any:
        """Return the value at `path`; raise KeyError when it is missing and no default was given."""
        node: Any = self.tree
        for key in path.split("."):
            if not isinstance(node, dict) or key not in node:
                if default is MISSING:
                    raise KeyError(path)
                return default
            node = node[key]
        return node


def load(program: str, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration of a program: "apiserver" (the asynchronous deleter uses it too) or "fileserver"."""
    tree = {**parse(_default(program), f"the defaults of {program}"), "secure": parse(_default("secure"), "secure")}
    for directory in config_directories(environ):
        merge(tree, read_directory(directory))
    for prefix in ("TRAINS__", "CLEARML__"):
        merge(tree, read_environment(prefix, environ))
    return Config(tree)


def config_directories(environ: Mapping[str, str]) -> list[Path]:
    """Return the directories to read. One that does not exist is only worth a warning, even when it was asked for."""
    asked = environ.get("CLEARML_CONFIG_DIR") or environ.get("TRAINS_CONFIG_DIR")
    paths = [Path(os.path.expandvars(name)).expanduser() for name in (asked or CONFIG_DIRECTORIES).split(":")]
    invalid = [str(path) for path in paths if not path.is_dir()]
    if asked and invalid:
        print(f"WARNING: Invalid paths in CLEARML_CONFIG_DIR env var: {' '.join(invalid)}", flush=True)
    return [path for path in paths if path.is_dir()]


def read_directory(directory: Path) -> dict[str, Any]:
    """Return the tree of a directory, where services/tasks.conf holds the keys below services.tasks."""
    tree: dict[str, Any] = {}
    for path in sorted(directory.rglob("*.conf")):
        content: dict[str, Any] = parse(path.read_text(encoding="utf-8"), str(path))
        for key in reversed(path.relative_to(directory).with_suffix("").parts):
            content = {key: content}
        merge(tree, content)
    return tree


def read_environment(prefix: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the tree of variables such as CLEARML__a__b=value. Keys become lower case; values are HOCON."""
    tree: dict[str, Any] = {}
    for name in sorted(environ):
        if name.startswith(prefix):
            path = name[len(prefix) :].replace("__", ".").lower()
            merge(tree, parse(f"{path}: {environ[name]}", f"the environment variable {name}"))
    return tree


def merge(tree: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Merge `layer` into `tree`, key by key; a key written as `-key` replaces what is there as a whole."""
    for name, value in layer.items():
        key = name.removeprefix("-")
        if key == name and isinstance(tree.get(key), dict) and isinstance(value, dict):
            merge(tree[key], value)
        else:
            tree[key] = value


def parse(text: str, source: str) -> dict[str, Any]:
    """Parse HOCON into plain dictionaries."""
    try:
        return _plain(ConfigFactory.parse_string(text))  # type: ignore[no-any-return]
    except Exception as ex:  # noqa: BLE001 - pyhocon passes on whatever its parser raises
        line, column = getattr(ex, "lineno", None), getattr(ex, "column", None)
        where = f" (line {line}, column {column})" if line else ""
        raise ConfigurationError(f"Failed parsing {source}: {type(ex).__name__}{where}") from None


def _plain(value: Any) -> Any:
    """Turn pyhocon's trees into dictionaries: quoted keys lose their quotes, its NoneValue becomes None."""
    if isinstance(value, dict):
        return {key.strip('"'): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if type(value).__name__ == "NoneValue" else value


def _default(name: str) -> str:
    return (resources.files(__package__) / "defaults" / f"{name}.conf").read_text(encoding="utf-8")
