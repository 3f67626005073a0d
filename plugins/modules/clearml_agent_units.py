#!/usr/bin/python
"""Ansible module clearml_agent_units: the agents of a host, as its systemd has them."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: clearml_agent_units
short_description: Look at the systemd units of ClearML agents
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Tells of each instance of C(clearml-agent@.service) whether it runs, what it is doing, and whether it runs with what
    the host has on disk. Instances that the host only has files of are told, too.
options:
  config_dir:
    description: Directory that has one directory for each instance.
    type: path
    required: true
  program:
    description: The program that the units run; what is newer than a unit's start is not yet in use there.
    type: path
    required: true
attributes:
  check_mode:
    description: It only reads, so check mode is the same.
    support: full
"""

EXAMPLES = r"""
- name: Look at the agents
  clearml_agent_units:
    config_dir: /etc/clearml-agent
    program: /opt/clearml-agent/run_agent.py
  register: agents
"""

RETURN = r"""
instances:
  description: What there is of each instance.
  returned: success
  type: dict
  contains:
    state:
      description: What systemd says (C(active), C(activating), C(inactive), C(failed)).
      type: str
    doing:
      description: What the agent itself says that it is doing, such as C(running task 1f…).
      type: str
    enabled:
      description: Whether it starts with the host.
      type: bool
    outdated:
      description: Whether it runs with an older configuration than the one on disk.
      type: bool
    draining:
      description: Whether it was told to take no more tasks.
      type: bool
  sample: {default: {state: active, doing: waiting for tasks, enabled: true, outdated: false, draining: false}}
"""

UNITS = Path("/etc/systemd/system")
RUNTIME = Path("/run/clearml-agent")
UNIT = re.compile(r"clearml-agent@(?P<name>[A-Za-z0-9_.-]+)\.service(\.d)?")


def instances(config_dir: Path) -> set[str]:
    """Return the names of all instances that left a trace on the host."""
    names = {entry.name for entry in config_dir.iterdir() if entry.is_dir()} if config_dir.is_dir() else set()
    for folder in (UNITS, UNITS / "multi-user.target.wants"):
        for entry in folder.iterdir() if folder.is_dir() else ():
            found = UNIT.fullmatch(entry.name)
            if found:
                names.add(found["name"])
    return names


def unit_files(name: str) -> list[Path]:
    """Return what systemd reads of an instance."""
    return [UNITS / "clearml-agent@.service", UNITS / f"clearml-agent@{name}.service.d"]


def newest(paths: list[Path]) -> float:
    """Return when any of these files, or of those in these folders, was changed last."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)


def show(names: list[str]) -> dict[str, dict[str, str]]:
    """Return what systemd knows of some instances. A host that has no systemd running knows nothing."""
    if not names:
        return {}
    properties = "Id,ActiveState,StatusText"
    command = ["systemctl", "show", f"--property={properties}", *(f"clearml-agent@{name}.service" for name in names)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for block in shown.stdout.strip().split("\n\n"):
        facts = dict(line.partition("=")[::2] for line in block.splitlines())
        match = UNIT.fullmatch(facts.get("Id", ""))
        if match:
            found[match["name"]] = facts
    return found


def look(config_dir: Path, program: Path) -> dict[str, dict[str, Any]]:
    """Return what there is of each instance."""
    found: dict[str, dict[str, Any]] = {}
    names = sorted(instances(config_dir))
    units = show(names)
    for name in names:
        unit, runtime = units.get(name, {}), RUNTIME / name
        started = runtime / "started"
        running = unit.get("ActiveState") not in ("inactive", "failed", None)
        read_at = started.stat().st_mtime if started.exists() else 0.0
        found[name] = {
            "state": unit.get("ActiveState", "inactive"),
            "doing": unit.get("StatusText", ""),
            "enabled": os.path.lexists(UNITS / "multi-user.target.wants" / f"clearml-agent@{name}.service"),
            "outdated": running and newest([config_dir / name, program, *unit_files(name)]) > read_at,
            "draining": (runtime / "drain").exists(),
        }
    return found


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "config_dir": {"type": "path", "required": True},
            "program": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, instances=look(Path(module.params["config_dir"]), Path(module.params["program"])))


if __name__ == "__main__":
    main()
