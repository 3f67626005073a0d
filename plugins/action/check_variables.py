"""The action check_variables: whether a role's variables are such as the role can work with.

Ansible's own validation of a role's arguments comes when the role starts, after other roles changed the host, and
converts as it checks: it takes text for a list, and true for text. This action can be the first task of a preflight.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.validation import check_type_bool, check_type_float, check_type_int
from ansible.plugins.action import ActionBase

# How types are called in a sentence.
TYPES = {
    "str": "a string",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
}
ELEMENTS = {"str": "strings", "path": "paths", "int": "whole numbers", "dict": "mappings"}
LONGEST_VALUE = 80
SECRET = re.compile(r"password|secret|hash|salt|token|(access|user|secret)_?key")
# How alike two names must be for one to be a misspelling of the other: what follows the role's prefix, or all of it.
ALIKE = 0.75
VERY_ALIKE = 0.92


@dataclass(frozen=True)
class Form:
    """What the values of some variables must look like, and how to say so."""

    pattern: re.Pattern[str]
    wanted: str


class Checker:
    """Finds what is wrong with values of declared options, a sentence for each."""

    def __init__(self, forms: Mapping[str, Form]) -> None:
        self._forms = forms

    def problems(self, name: str, value: object, option: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the value of one variable."""
        return list(self._look(name, name, value, option, secret=False))

    def _look(self, label: str, path: str, value: object, option: Mapping[str, Any], *, secret: bool) -> Iterator[str]:
        """Yield problems of a value and of all that it holds. The label says [0] where the path of a form says []."""
        secret = secret or bool(option.get("no_log")) or bool(SECRET.search(path.rpartition(".")[2]))
        form = self._forms.get(path)
        declared = option.get("type", "str")
        right_type = has_type(value, declared)
        # Those of a list are meant for what it holds.
        allowed = option.get("choices") if declared != "list" else None
        if not right_type or (allowed and value not in allowed):
            yield f"{label} is {shown(value, secret=secret)}: it must be {form.wanted if form else wanted(option)}."
        elif form and not form.pattern.search(str(value)):
            yield f"{label} {what_is_wrong(value) if secret else f'is {shown(value)}'}: it must be {form.wanted}."
        elif isinstance(value, Mapping) and option.get("options"):
            yield from self._look_inside(label, path, value, option["options"], secret=secret)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                inner = f"{path}.{key}" if f"{path}.{key}" in self._forms else f"{path}.*"
                yield from self._look(f"{label}.{key}", inner, item, {"type": "raw"}, secret=secret)
        elif isinstance(value, (list, tuple)):
            element = {**option, "type": option.get("elements", "raw")}
            for number, item in enumerate(value):
                yield from self._look(f"{label}[{number}]", f"{path}[]", item, element, secret=secret)

    def _look_inside(
        self, label: str, path: str, value: Mapping[Any, Any], options: Mapping[str, Any], *, secret: bool
    ) -> Iterator[str]:
        """Yield problems of a mapping whose keys are declared."""
        for key in value:
            if key not in options:
                known = did_you_mean(str(key), options) or f"there are {', '.join(options)}."
                yield f"{label}.{key} does not exist: {known}"
        for key, option in options.items():
            if key in value:
                yield from self._look(f"{label}.{key}", f"{path}.{key}", value[key], option, secret=secret)
            elif option.get("required"):
                form = self._forms.get(f"{path}.{key}")
                yield f"{label} has no {key}: it must have one, {form.wanted if form else wanted(option)}."


def has_type(value: object, declared: str) -> bool:
    """Whether a value can be used as the type. What -e sets is text, which may stand for all but lists and mappings."""
    if declared in ("str", "path"):
        # 2.4 and 8080 are fine as text; true and null are what YAML makes of yes and of nothing.
        return isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if declared == "list":
        return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    if declared == "dict":
        return isinstance(value, Mapping)
    convert = {"int": check_type_int, "float": check_type_float, "bool": check_type_bool}.get(declared)
    if convert is None:
        return True
    if isinstance(value, bool) and declared != "bool":
        return False
    try:
        convert(value)
    except (TypeError, ValueError):
        return False
    return True


def wanted(option: Mapping[str, Any]) -> str:
    """Say what a value of an option must be."""
    if "choices" in option:
        return f"one of {', '.join(str(choice) for choice in option['choices'])}"
    declared = option.get("type", "str")
    if declared == "list" and option.get("elements") in ELEMENTS:
        return f"a list of {ELEMENTS[option['elements']]}"
    if declared == "dict" and option.get("options"):
        return f"a mapping of {', '.join(option['options'])}"
    return TYPES.get(str(declared), str(declared))


def shown(value: object, *, secret: bool = False) -> str:
    """Return a value as a sentence can hold it. Of a secret only its type is told."""
    if secret:
        kinds = {"bool": "true or false", "int": "a number", "float": "a number", "str": "a string", "NoneType": "null"}
        kind = "a mapping" if isinstance(value, Mapping) else kinds.get(_plain_type(value), "a list")
        return f"{kind} (not shown)" if value is not None else kind
    if isinstance(value, str) and value and value.isprintable() and value == value.strip():
        return value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "..."
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def _plain_type(value: object) -> str:
    """Return the name of a value's plain type: Ansible's own are derived from them."""
    return next((kind.__name__ for kind in (bool, int, float, str) if isinstance(value, kind)), type(value).__name__)


def what_is_wrong(value: object) -> str:
    """Say what is unusual about a secret without telling it: its length, and the first sign that is odd."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return f"is {shown(value, secret=True)}"
    text = str(value)
    odd = next((sign for sign in text if not (sign.isascii() and sign.isalnum())), None)
    if odd is not None:
        kind = f", among them {odd!r}" if odd.isprintable() and odd.isascii() else ", among them an unusual one"
    else:
        kind = ", all of them digits" if text.isdigit() else ""
    return f"has {len(text)} characters{kind}"


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "", alike: float = ALIKE) -> str | None:
    """Ask for the known name that is most like this one; None when none is. What all begin with says nothing."""
    rests = [other.removeprefix(prefix) for other in known]
    found = difflib.get_close_matches(name.removeprefix(prefix), rests, n=1, cutoff=alike)
    return f"did you mean {prefix}{found[0]}?" if found else None


def unknown(
    names: list[str],
    *,
    role: str,
    roles: list[str],
    known: Mapping[str, Any],
    renamed: Mapping[str, str],
    shared_prefix: bool,
) -> list[str]:
    """Return a sentence for each name that the role does not know, but that was meant for it."""
    sentences = []
    for name in names:
        # A longer role's name may begin with a shorter one.
        owner = max((other for other in roles if name.startswith(f"{other}_")), key=len, default=None)
        if name in renamed:
            sentences.append(f"{name} is no variable of the role {role} any more: set {renamed[name]} instead.")
        elif name not in known and owner in (role, None):
            if owner == role:
                guess = did_you_mean(name, known, prefix=f"{role}_")
            else:
                guess = did_you_mean(name, known, alike=VERY_ALIKE)
            if guess:
                sentences.append(f"{name} is no variable of the role {role}: {guess}")
            elif owner == role and not shared_prefix:
                sentences.append(f"{name} is no variable of the role {role}: docs/variables.md has all that there are.")
    return sentences


class ActionModule(ActionBase):  # type: ignore[misc]
    """Check the variables of the role that the task belongs to."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the sentences about everything that is wrong, as a failure, or that nothing is."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "facts": {"type": "list", "elements": "str", "default": []},
                "forms": {"type": "list", "elements": "dict", "default": []},
                "made_later": {"type": "list", "elements": "str", "default": []},
                "renamed": {"type": "dict", "default": {}},
                "shared_prefix": {"type": "bool", "default": False},
            }
        )
        if "role_path" not in variables:
            raise AnsibleActionFail("check_variables must be a task of a role: it checks that role's variables.")
        folder = Path(variables["role_path"])
        known = self._declared(folder)
        sentences = unknown(
            # What begins with _ is the roles' own.
            sorted(name for name in variables if not name.startswith("_") and name not in arguments["facts"]),
            role=folder.name,
            roles=[other.name for other in folder.parent.iterdir() if other.is_dir()],
            known=known,
            renamed=arguments["renamed"],
            shared_prefix=arguments["shared_prefix"],
        )
        forms = {
            name: Form(re.compile(re.sub(r"\$$", r"\\Z", form["form"])), form["wanted"])  # $ lets a line feed follow
            for form in arguments["forms"]
            for name in form["variables"]
        }
        for name in arguments["made_later"]:
            known.pop(name, None)
        sentences += self._wrong_values(variables, known, self._defaults(folder), Checker(forms))
        result.update(changed=False, failed=bool(sentences), msg=" ".join(sentences) or "All variables are usable.")
        return result

    def _wrong_values(
        self,
        variables: Mapping[str, Any],
        known: Mapping[str, Any],
        defaults: Mapping[str, Any],
        checker: Checker,
    ) -> list[str]:
        """Return a sentence for each wrong value. A default that a wrong value made wrong is not worth another one."""
        set_by_user: list[str] = []
        derived: list[str] = []
        for name, option in known.items():
            if name in variables:
                is_default = name in defaults and variables[name] == defaults[name]
                (derived if is_default else set_by_user).extend(self._problems(name, variables, option, checker))
            elif option.get("required"):
                set_by_user.append(f"{name} is not set: it must be {wanted(option)}.")
        return set_by_user or derived[:1]

    def _problems(
        self, name: str, variables: Mapping[str, Any], option: Mapping[str, Any], checker: Checker
    ) -> list[str]:
        """Return what is wrong with one variable."""
        try:
            value = self._templar.template(variables[name])
        except AnsibleError as error:
            reason = str(error.message).rstrip(".")
            if "vault" in reason:
                return [f"{name} cannot be decrypted ({reason}): give the vault's password, see --vault-password-file."]
            return [f"{name} cannot be resolved ({reason}): define what its template uses, or set {name} itself."]
        return checker.problems(name, value, option)

    def _declared(self, folder: Path) -> dict[str, Any]:
        """Return the options of all entry points of a role."""
        specs = self._loader.load_from_file(str(folder / "meta" / "argument_specs.yml"))["argument_specs"]
        # What another entry point requires may be absent while main's preflight runs.
        return {
            name: option if entry_point == "main" else {**option, "required": False}
            for entry_point, spec in specs.items()
            for name, option in (spec.get("options") or {}).items()
        }

    def _defaults(self, folder: Path) -> dict[str, Any]:
        """Return a role's defaults as they are written, templates unresolved."""
        return dict(self._loader.load_from_file(str(folder / "defaults" / "main.yml")) or {})
