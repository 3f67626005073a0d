"""The variables of a host as a run of deploy.yml sees them: rendered, from defaults, inventory and wiring together."""

from __future__ import annotations

import json
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

    def __init__(self, inventory: str, host: str) -> None:
        loader = DataLoader()
        hosts = InventoryManager(loader=loader, sources=[inventory])

        def read(path: str) -> Any:
            return loader.load_from_file(str(ROOT / path), trusted_as_template=True)

        self._raw: dict[str, Any] = {}
        for role in ROLES:
            self._raw |= read(f"roles/{role}/defaults/main.yml")
        self._raw |= VariableManager(loader=loader, inventory=hosts).get_vars(host=hosts.get_host(host))
        self._raw |= read("playbooks/deploy.yml")[0]["vars"]
        self._templar = Templar(loader=loader, variables=self._raw)

    def __getitem__(self, name: str) -> Any:
        # Through JSON, which leaves nothing but plain values.
        return json.loads(json.dumps(self._templar.template(self._raw[name])))

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)
