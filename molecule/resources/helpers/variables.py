"""The variables of a host as a run of deploy.yml sees them: rendered, from defaults, inventory and wiring together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

from helpers.expected import ROOT

init_plugin_loader()
ROLES = tuple(sorted(folder.name for folder in (ROOT / "roles").iterdir()))


class Variables(Mapping[str, Any]):
    """Variables by name. Each is rendered when it is asked for, because some can be rendered in a run alone."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw
        self._templar = Templar(loader=DataLoader(), variables=raw)

    @classmethod
    def by_default(cls) -> Variables:
        """The defaults of all roles."""
        raw: dict[str, Any] = {}
        for role in ROLES:
            raw |= read(f"roles/{role}/defaults/main.yml")
        return cls(raw)

    @classmethod
    def of(cls, host: str) -> Variables:
        """The defaults, the inventory of the scenario, and the wiring of the play, each over the one before."""
        loader = DataLoader()
        inventory = InventoryManager(loader=loader, sources=[os.environ["MOLECULE_INVENTORY_FILE"]])
        variables = VariableManager(loader=loader, inventory=inventory).get_vars(host=inventory.get_host(host))
        raw = cls.by_default()._raw | variables
        for play in read("playbooks/deploy.yml"):
            raw |= play.get("vars", {})
        return cls(raw)

    def __getitem__(self, name: str) -> Any:
        # Through JSON, which leaves nothing but plain values.
        return json.loads(json.dumps(self._templar.template(self._raw[name])))

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def read(path: str) -> Any:
    """A YAML file of this repository, its templates still to be rendered."""
    return DataLoader().load_from_file(str(ROOT / path), trusted_as_template=True)
