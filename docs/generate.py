#!/usr/bin/env python3
"""Write each role's README and docs/variables.md from what the roles declare, or check that they are up to date.

Sources, for each role: meta/argument_specs.yml, defaults/main.yml, and the playbook docs/examples/<role>.yml.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Made by docs/generate.py: change {sources}, then run it again. -->"
LONGEST_DEFAULT = 90


class SourceError(Exception):
    """A role does not declare what its documentation needs; the text says which file, and what it must hold."""


@dataclass(frozen=True)
class Variable:
    """One row of a table."""

    name: str
    type: str
    default: str
    text: str


@dataclass(frozen=True)
class EntryPoint:
    """A file of a role's tasks that playbooks may use."""

    name: str
    purpose: str
    text: tuple[str, ...]
    variables: tuple[Variable, ...]


@dataclass(frozen=True)
class Role:
    """What a role says of itself."""

    name: str
    entry_points: tuple[EntryPoint, ...]
    example: str

    @property
    def main(self) -> EntryPoint:
        """The entry point that a playbook reaches by the role's name alone."""
        return self.entry_points[0]


def load_yaml(path: Path) -> Any:
    """Read a YAML file that must exist."""
    if not path.is_file():
        raise SourceError(f"{path.relative_to(ROOT)} is missing.")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def markdown(text: str) -> str:
    """Turn Ansible's markup into Markdown: O(option), V(value), C(code) and the like become code."""
    return re.sub(r"\b[A-Z]\(([^()]*)\)", r"`\1`", " ".join(text.split()))


def sentences(description: str | list[str]) -> tuple[str, ...]:
    """Return the paragraphs of a description, which may be one text or a list of them."""
    return tuple(markdown(text) for text in ([description] if isinstance(description, str) else description))


def in_yaml(value: object) -> str:
    """Write a value as one would in an inventory, on one line."""
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, sort_keys=False, width=sys.maxsize)
    return text.removesuffix("...\n").strip()


def shown_default(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Say what holds when the variable is not set."""
    if option.get("required"):
        return "required"
    if name in defaults:
        value = in_yaml(defaults[name])
    elif "default" in option:
        value = in_yaml(option["default"])
    else:
        return "none"
    return f"`{value}`" if len(value) <= LONGEST_DEFAULT else "see `defaults/main.yml`"


def variables(options: dict[str, Any], defaults: dict[str, Any], within: str = "") -> Iterator[Variable]:
    """Yield a row for each option, followed by the rows of what it is made of."""
    for key, option in options.items():
        name = f"{within}{key}"
        kind = option.get("type", "str")
        text = " ".join(sentences(option["description"]))
        if "choices" in option:
            text += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
        yield Variable(
            name=name,
            type=f"list of {option['elements']}" if kind == "list" and "elements" in option else kind,
            default=shown_default(name, option, defaults),
            text=text,
        )
        yield from variables(option.get("options", {}), {}, f"{name}[]." if kind == "list" else f"{name}.")


def read_role(folder: Path) -> Role:
    """Read what a role declares."""
    specs = load_yaml(folder / "meta" / "argument_specs.yml")["argument_specs"]
    if next(iter(specs), None) != "main":
        raise SourceError(f"roles/{folder.name}/meta/argument_specs.yml must declare main, as its first entry point.")
    defaults = load_yaml(folder / "defaults" / "main.yml") or {}
    example = ROOT / "docs" / "examples" / f"{folder.name}.yml"
    if not example.is_file():
        raise SourceError(f"{example.relative_to(ROOT)} is missing: a playbook that shows how to use {folder.name}.")
    return Role(
        name=folder.name,
        entry_points=tuple(
            EntryPoint(
                name=name,
                purpose=markdown(spec["short_description"]),
                text=sentences(spec.get("description", [])),
                variables=tuple(variables(spec.get("options", {}), defaults)),
            )
            for name, spec in specs.items()
        ),
        example=example.read_text(encoding="utf-8").removeprefix("---\n").strip(),
    )


def table(rows: tuple[Variable, ...]) -> str:
    """Lay variables out as a Markdown table."""
    if not rows:
        return "No variables of its own.\n"
    lines = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row.name}`", row.type, row.default, row.text)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def role_readme(role: Role) -> str:
    """Write a role's README.md."""
    parts = [
        NOTE.format(sources=f"meta/argument_specs.yml, defaults/main.yml or docs/examples/{role.name}.yml"),
        f"\n# Role `{role.name}`\n\n{role.main.purpose}.\n",
        *(f"- {text}" for text in role.main.text),
        "\n## Requirements\n",
        "- On the controller: the Python packages of `requirements.txt`; `ansible` carries the collections.",
        "- On the host: Python 3.9 or newer, and root (`become: true`).",
        f"\n## Variables\n\n{table(role.main.variables)}",
        "## Entry points\n",
        "| entry point | what it does |",
        "|---|---|",
    ]
    for entry in role.entry_points:
        reached = f"`{entry.name}`" if entry.name == "main" else f"`{entry.name}` (`tasks_from: {entry.name}.yml`)"
        more = "" if entry.name == "main" else "".join(f" {text}" for text in entry.text)
        parts.append(f"| {reached} | {entry.purpose}.{more} |")
    parts.extend(
        f"\nVariables of `{entry.name}`:\n\n{table(entry.variables)}"
        for entry in role.entry_points[1:]
        if entry.variables
    )
    parts.append(f"\n## Example\n\n```yaml\n{role.example}\n```\n")
    return "\n".join(parts)


def variables_page(roles: list[Role]) -> str:
    """Write docs/variables.md."""
    parts = [
        NOTE.format(sources="a role's meta/argument_specs.yml or defaults/main.yml"),
        "\n# Variables\n",
        "Every variable of every role. Set them in the inventory, such as",
        "`inventory/example/group_vars/clearml_server.yml`, or for one run with `-e name=value`.",
        "`playbooks/deploy.yml` sets some of the role `host` itself, from those of `clearml_server`.\n",
    ]
    for role in roles:
        purpose = role.main.purpose
        parts.append(f"## `{role.name}`\n\n{purpose} ([role](../roles/{role.name}/README.md)).\n")
        parts.extend(table(entry.variables) for entry in role.entry_points if entry.variables)
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """Return every generated file with the text that it must have."""
    roles = [read_role(folder) for folder in sorted((ROOT / "roles").iterdir()) if folder.is_dir()]
    texts = {ROOT / "roles" / role.name / "README.md": role_readme(role) for role in roles}
    texts[ROOT / "docs" / "variables.md"] = variables_page(roles)
    return texts


def main() -> int:
    """Write what is stale, or only name it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 and name stale files")
    check = parser.parse_args().check
    try:
        texts = pages()
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run docs/generate.py", file=sys.stderr)
        else:
            path.write_text(texts[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
