"""Lets the unit tests import the plugins as Ansible does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"

# A module says "from ansible.module_utils.published_keys import …", as it must outside of a collection.
ansible.module_utils.__path__.append(os.fspath(PLUGINS / "module_utils"))


@pytest.fixture(scope="session")
def load_plugin() -> Callable[[str], ModuleType]:
    """Return a function that imports a plugin by its path below plugins/ without the suffix."""

    def load(name: str) -> ModuleType:
        unique = "plugin_" + name.replace("/", "_")
        if unique not in sys.modules:
            spec = importlib.util.spec_from_file_location(unique, PLUGINS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[unique] = module
            spec.loader.exec_module(module)
        return sys.modules[unique]

    return load


@pytest.fixture
def run_ansible(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs one of Ansible's own commands with this repository's plugins.

    It runs in ``tmp_path``, returns what the command printed, and fails unless the exit code is ``rc``.
    """
    # Not the repository's own settings: its callbacks come from collections that these tests do not need.
    settings = tmp_path / "ansible.cfg"
    settings.touch()

    def run(*command: str, rc: int = 0) -> str:
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": os.fspath(settings),
            "ANSIBLE_LIBRARY": os.fspath(PLUGINS / "modules"),
            "ANSIBLE_MODULE_UTILS": os.fspath(PLUGINS / "module_utils"),
            "ANSIBLE_FILTER_PLUGINS": os.fspath(PLUGINS / "filter"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
        }
        program = Path(sys.executable).with_name(command[0])
        done = subprocess.run(
            [program, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout

    return run
