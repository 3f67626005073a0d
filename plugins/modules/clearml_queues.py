#!/usr/bin/python
"""Ansible module clearml_queues: queues that must exist."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.clearml_api import Service, ServiceError, basic

DOCUMENTATION = r"""
---
module: clearml_queues
short_description: Create queues of a ClearML server
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Creates each queue that the server does not have yet. Others, and the tasks that wait in them, are left alone.
  - Needs nothing but Python's standard library on the host. Proxies of the environment are not used.
options:
  api_url:
    description: URL of the apiserver.
    type: str
    required: true
  access_key:
    description: Access key of an account that may make queues.
    type: str
    required: true
  secret_key:
    description: Secret of O(access_key).
    type: str
    required: true
  names:
    description: Names of the queues.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait for each answer.
    type: int
    default: 30
attributes:
  check_mode:
    description: Names what would be created. A server that is not up yet has no queues.
    support: full
"""

EXAMPLES = r"""
- name: Create the queues
  clearml_queues:
    api_url: http://127.0.0.1:8008
    access_key: "{{ key.access_key }}"
    secret_key: "{{ key.secret_key }}"
    names: [default, services]
"""

RETURN = r"""
created:
  description: Names of the queues that were created, in check mode of those that would be.
  returned: success
  type: list
  elements: str
  sample: [services]
"""


class Queues:
    """The queues of a server."""

    def __init__(self, api: Service, key_pair: tuple[str, str]) -> None:
        self.api = api
        data = self.call("logging in with the key pair", "auth.login", {}, basic(*key_pair))
        self.authorization = f"Bearer {data.get('token')}"

    def call(self, doing: str, endpoint: str, request: object, authorization: str | None = None) -> dict[str, Any]:
        """Call an endpoint."""
        data: dict[str, Any] = self.api.call(doing, endpoint, request, authorization or self.authorization)
        return data

    def names(self) -> set[str]:
        """Return the names of all queues."""
        found = self.call("listing the queues", "queues.get_all", {"only_fields": ["name"]}).get("queues")
        return {str(queue.get("name")) for queue in found or []}

    def create(self, name: str) -> bool:
        """Create a queue. Return false when somebody else has just done so."""
        try:
            self.call(f"creating the queue {name}", "queues.create", {"name": name})
        except ServiceError:
            if name not in self.names():
                raise
            return False
        return True


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "api_url": {"type": "str", "required": True},
            "access_key": {"type": "str", "required": True, "no_log": True},
            "secret_key": {"type": "str", "required": True, "no_log": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    wanted = list(dict.fromkeys(module.params["names"]))
    api = Service("apiserver", module.params["api_url"].rstrip("/"), module.params["timeout"])
    try:
        queues = Queues(api, (module.params["access_key"], module.params["secret_key"]))
        created = [name for name in wanted if name not in queues.names()]
        if not module.check_mode:
            created = [name for name in created if queues.create(name)]
    except ServiceError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        # What check mode does not start or configure cannot be asked.
        module.warn(f"{error} So nothing is known of the queues.")
        created = wanted
    module.exit_json(changed=bool(created), created=created)


if __name__ == "__main__":
    main()
