#!/usr/bin/python
"""Ansible module text_files: several files at once."""

# Runs on the host, with nothing but its Python (3.9 or newer) and the standard library.
from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: text_files
short_description: Install several text files in one call
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Gives each file its content, owner and mode, and makes directories that are missing. A file is written beside its
    place and renamed, so nobody ever reads half of it, and it has its owner and mode before it has its name.
  - A task of M(ansible.builtin.copy) with a loop does the same, with three calls for each file. On a host where
    nothing has to change these calls are most of what a run does.
options:
  files:
    description: The files. Contents may be secret, so the whole option is kept out of logs.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: What the file holds.
        type: str
        required: true
      owner:
        description: Name of the user whom it belongs to.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Permissions as an octal number in quotes.
        type: str
        default: "0644"
  directories:
    description: Directories that must exist, before the files are written, parents first.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Name of the user whom it belongs to.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Permissions as an octal number in quotes.
        type: str
        default: "0755"
attributes:
  check_mode:
    description: Names what would change. A user or group that does not exist yet is taken for one that will.
    support: full
"""

EXAMPLES = r"""
- name: Write the configuration
  text_files:
    directories:
      - {path: /etc/thing, owner: thing, group: thing, mode: "0700"}
    files:
      - {path: /etc/thing/thing.conf, content: "a = 1\n", owner: thing, group: thing, mode: "0600"}
      - {path: /etc/systemd/system/thing.service, content: "[Service]\nExecStart=/usr/bin/thing\n"}
"""

RETURN = r"""
written:
  description: Paths of the files and directories that were changed, in check mode of those that would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/thing/thing.conf]
"""

UNKNOWN = -1


@dataclass(frozen=True)
class Wanted:
    """What a file or a directory must be like."""

    path: Path
    owner: int
    group: int
    mode: int
    content: bytes | None = None  # None for a directory

    @classmethod
    def of(cls, item: dict[str, Any], *, check_mode: bool) -> Wanted:
        """Read what a task says."""
        try:
            mode = int(item["mode"], 8)
        except ValueError:
            raise ValueError(f"{item['path']} has the mode {item['mode']}: it must be octal, such as 0644.") from None
        return cls(
            Path(item["path"]),
            _number("user", item["owner"], check_mode=check_mode),
            _number("group", item["group"], check_mode=check_mode),
            mode,
            item["content"].encode() if "content" in item else None,
        )

    def is_there(self) -> bool:
        """Whether nothing has to be done."""
        try:
            found = self.path.lstat()
            right_kind = stat.S_ISDIR(found.st_mode) if self.content is None else stat.S_ISREG(found.st_mode)
            attributes = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
            if not right_kind or attributes != (self.owner, self.group, self.mode):
                return False
            if self.content is None:
                return True
            return found.st_size == len(self.content) and self.path.read_bytes() == self.content
        except FileNotFoundError:
            return False

    def make(self) -> None:
        """Make it so."""
        if self.content is None:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(self.path, self.owner, self.group)
            self.path.chmod(self.mode)
            return
        descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchown(file.fileno(), self.owner, self.group)
                os.fchmod(file.fileno(), self.mode)
                file.write(self.content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).rename(self.path)
        except BaseException:
            Path(temporary).unlink()
            raise


def _number(kind: str, name: str, *, check_mode: bool) -> int:
    """Return the number of a user or group."""
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        if check_mode:
            return UNKNOWN
        raise ValueError(f"There is no {kind} {name} on this host.") from None


def main() -> None:
    """Run as an Ansible module."""
    owned = {
        "path": {"type": "path", "required": True},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
    }
    file = {**owned, "content": {"type": "str", "required": True}, "mode": {"type": "str", "default": "0644"}}
    directory = {**owned, "mode": {"type": "str", "default": "0755"}}
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "no_log": True, "options": file},
            "directories": {"type": "list", "elements": "dict", "default": [], "options": directory},
        },
        supports_check_mode=True,
    )
    # The option is hidden as a whole in the journal, which would write contents in another form than it looks for. In
    # what the module says only contents are hidden: paths and names must be told.
    module.no_log_values = {file["content"] for file in module.params["files"] if file["content"]}
    written = []
    try:
        items = [*module.params["directories"], *module.params["files"]]
        for wanted in [Wanted.of(item, check_mode=module.check_mode) for item in items]:
            if wanted.is_there():
                continue
            if not module.check_mode:
                wanted.make()
            written.append(str(wanted.path))
    except ValueError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'A file'} cannot be written: {error.strerror}.")
    module.exit_json(changed=bool(written), written=written)


if __name__ == "__main__":
    main()
