#!/usr/bin/python
"""Ansible module clearml_secrets: secrets that are made once and then kept."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import os
import re
import secrets
import stat
import string
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: clearml_secrets
short_description: Make secrets once, and keep them in a file
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Makes a random secret for each name that the file does not have yet, and returns all that it has.
    What is there is never changed, also when it has another length than asked for.
  - The file is flat YAML, a name and its value on each line, and belongs to root alone (mode 0600). It is written whole
    under another name and then renamed, so that an interrupted run leaves the old one or the new one.
  - Secrets are capital letters and digits and begin with a letter. Other signs are traps in HOCON, C(.env) files
    and URLs, and digits alone would be read as a number.
  - Returns secrets, so a task that uses it needs C(no_log=true).
options:
  path:
    description: The file. Its directory must exist, but for check mode.
    type: path
    required: true
  lengths:
    description:
      - Number of characters of each secret by its name.
      - A name is made of letters, digits, dots, underscores, at signs and dashes.
    type: dict
    required: true
attributes:
  check_mode:
    description: Secrets that are missing are made up and not kept.
    support: full
"""

EXAMPLES = r"""
- name: Make what is missing
  clearml_secrets:
    path: /opt/clearml/secrets.yml
    lengths: {token_secret: 60, platform_key: 30}
  register: kept
  no_log: true
"""

RETURN = r"""
secrets:
  description: All secrets of the file by their names.
  returned: success
  type: dict
  sample: {token_secret: C7…}
made:
  description: Names of the secrets that this run made.
  returned: success
  type: list
  elements: str
  sample: [platform_key]
"""

HEADER = "# Made once by Ansible. Keep it with the backups: without it nobody's key or session works.\n"
NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]*"
LINE = re.compile(rf"(?P<name>{NAME}): (?P<quote>['\"]?)(?P<value>[^\s'\"]+)(?P=quote)")


class SecretsError(Exception):
    """One sentence on what is wrong with the file or what is asked for."""


def read(path: Path) -> dict[str, str]:
    """Return the secrets of a file; none when it does not exist."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "---")):
            continue
        match = LINE.fullmatch(line.rstrip())
        if not match or match["name"] in found:
            # The line itself may hold a secret.
            raise SecretsError(
                f"{path}, line {number}, is not one name, a colon, a space and one value: "
                "mend it or put the file back from a backup, since new secrets would lock everybody out."
            )
        found[match["name"]] = match["value"]
    return found


def make(length: int) -> str:
    """Return a random secret."""
    rest = (secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length - 1))
    return secrets.choice(string.ascii_uppercase) + "".join(rest)


def write(path: Path, values: dict[str, str]) -> None:
    """Replace the file by one with these secrets, in one step."""
    unfinished = path.with_name(f"{path.name}.new")
    # What an interrupted run left may have another mode.
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(HEADER + "".join(f"{name}: {values[name]}\n" for name in sorted(values)))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def is_open(path: Path) -> bool:
    """Tell whether a file that exists is another's, or others may read it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return stat.S_IMODE(found.st_mode) != 0o600 or found.st_uid != os.geteuid()


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "lengths": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    path, lengths = Path(module.params["path"]), module.params["lengths"]
    for name, length in lengths.items():
        if not re.fullmatch(NAME, name) or not str(length).isdigit() or int(length) < 8:
            module.fail_json(msg=f"lengths.{name} is {length}: it must be a name and a whole number, 8 or more.")
    try:
        kept = read(path)
        made = {name: make(int(length)) for name, length in lengths.items() if name not in kept}
        exposed = is_open(path)
        if (made or exposed) and not module.check_mode:
            write(path, {**kept, **made})
    except SecretsError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        problem = f"{path} cannot be read or written ({error.strerror})"
        module.fail_json(msg=f"{problem}: it must be a file in a directory that is there.")
    module.exit_json(changed=bool(made or exposed), secrets={**kept, **made}, made=sorted(made))


if __name__ == "__main__":
    main()
