"""Rules that this repository keeps: what is said in two places agrees, and versions are said in one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(folder.name for folder in (ROOT / "roles").iterdir() if folder.is_dir())
RELEASE_FILES = sorted((ROOT / "compose" / "releases").iterdir())
COMPOSE_FILES = sorted((ROOT / "compose").glob("*.yml"))
INVENTORIES = sorted(folder.name for folder in (ROOT / "inventory").iterdir() if folder.is_dir())
PLAYBOOKS = sorted(path.relative_to(ROOT) for path in (ROOT / "playbooks").glob("*.yml"))
IMAGES = ("CLEARML_SERVER_IMAGE", "CLEARML_MONGO_IMAGE", "CLEARML_ELASTIC_IMAGE", "CLEARML_REDIS_IMAGE")
PYTHON_TYPES = {"str": str, "path": str, "int": int, "bool": bool, "list": list, "dict": dict}


def read_yaml(path: Path) -> Any:
    """Read a YAML file of the repository."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_env(path: Path) -> dict[str, str]:
    """Read the settings of an .env file, those that are commented out as well."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def defaults_of(role: str) -> dict[str, Any]:
    """Return a role's defaults."""
    defaults: dict[str, Any] = read_yaml(ROOT / "roles" / role / "defaults" / "main.yml")
    return defaults


def options_of(role: str) -> dict[str, dict[str, Any]]:
    """Return what a role declares that playbooks may set."""
    specs = read_yaml(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for entry in specs.values() for name, option in entry.get("options", {}).items()}


def is_template(value: object) -> bool:
    """Whether a default depends on other variables, so that its value is not known here."""
    return "{{" in str(value)


def has_type(value: object, declared: str) -> bool:
    """Whether a default has the declared type; a template alone may become any type."""
    if isinstance(value, str) and is_template(value):
        return True
    return isinstance(value, PYTHON_TYPES[declared]) and (declared == "bool" or not isinstance(value, bool))


def tracked_files() -> Iterator[tuple[str, str]]:
    """Yield path and text of each file that git tracks, without lists of pins and recordings, which tools write."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for path in filter(None, listed.split("\0")):
        written_by_tools = re.search(r"(go\.(mod|sum)|package-lock\.json|requirements[^/]*\.txt|\.jsonl)$", path)
        if not written_by_tools and (ROOT / path).is_file():
            yield path, (ROOT / path).read_text(encoding="utf-8")


def files_with(pattern: str, *, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Return each place, as path:line, in tracked files that matches a pattern, but for files where it is allowed."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in tracked_files()
        if path not in allowed
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def whole(version: str) -> str:
    """Return a pattern that finds a version, but not as a part of a longer one."""
    return rf"(?<![\w.]){re.escape(version)}(?!\.?\w)"


# -- roles


@pytest.mark.parametrize("role", ROLES)
def test_declared_variables_are_the_defaults(role: str) -> None:
    # What is required has no default.
    with_default = [name for name, option in options_of(role).items() if not option.get("required")]
    assert sorted(with_default) == sorted(defaults_of(role))


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_the_name_of_their_role(role: str) -> None:
    assert [name for name in defaults_of(role) if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize(("role", "name"), [(role, name) for role in ROLES for name in options_of(role)])
def test_default_is_as_declared(role: str, name: str) -> None:
    option, default = options_of(role)[name], defaults_of(role).get(name)
    assert option["description"]
    if option.get("required"):
        return
    assert has_type(default, option["type"])
    if isinstance(default, list):
        assert all(has_type(element, option["elements"]) for element in default)
    if is_template(default):
        assert "default" not in option, "a default that depends on other variables cannot be declared"
    else:
        assert option["default"] == default
        assert default in option.get("choices", [default])


def test_generated_documentation_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# -- releases


@pytest.mark.parametrize("path", RELEASE_FILES, ids=lambda path: path.name)
def test_release_names_every_image_with_its_version(path: Path) -> None:
    images = read_env(path)
    assert tuple(images) == IMAGES
    for image in images.values():
        assert re.fullmatch(r"[a-z][a-z0-9/-]*:\d+\.\d+\.\d+", image), f"{image} is not pinned to a version"
    assert path.name == f"{images['CLEARML_SERVER_IMAGE'].partition(':')[2]}.env"


def test_default_release_is_one_and_the_same() -> None:
    release = defaults_of("clearml_server")["clearml_server_release"]
    assert f"{release}.env" in {path.name for path in RELEASE_FILES}
    assert read_env(ROOT / "compose" / ".env.example")["CLEARML_RELEASE"] == release


@pytest.mark.parametrize(
    "version",
    sorted(
        {image.partition(":")[2] for path in RELEASE_FILES for image in read_env(path).values()}
        - {p.stem for p in RELEASE_FILES}
    ),
)
def test_versions_of_data_stores_stand_in_the_release_files_alone(version: str) -> None:
    # The changelog tells what was, and stays when a version goes.
    allowed = frozenset({*(str(path.relative_to(ROOT)) for path in RELEASE_FILES), "CHANGELOG.md"})
    assert files_with(whole(version), allowed=allowed) == []


@pytest.mark.parametrize("release", [path.stem for path in RELEASE_FILES])
def test_releases_are_named_where_one_is_chosen_and_nowhere_else(release: str) -> None:
    allowed = frozenset(
        {
            *(str(path.relative_to(ROOT)) for path in RELEASE_FILES),
            "CHANGELOG.md",
            # The default, which test_default_release_is_one_and_the_same keeps equal, and what is generated from it.
            "compose/.env.example",
            "roles/clearml_server/defaults/main.yml",
            "roles/clearml_server/meta/argument_specs.yml",
            "roles/clearml_server/README.md",
            "docs/variables.md",
        }
    )
    assert files_with(whole(release), allowed=allowed) == []


def test_no_image_floats() -> None:
    assert files_with(r"(image|IMAGE|FROM)\S*[=: ]+\S+:" + "lat" + "est") == []


# -- the Compose files and what Ansible sets for them


def compose_variables() -> dict[str, set[str]]:
    """Return the default values that the Compose files give each of their variables."""
    found: dict[str, set[str]] = {}
    for path in COMPOSE_FILES:
        for name, default in re.findall(r"\$\{(CLEARML_[A-Z_]+)(?::-([^}]*))?", path.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(default)
    return found


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_file_is_of_the_current_format(path: Path) -> None:
    assert "version" not in read_yaml(path)


def test_settings_of_compose_are_documented_with_their_defaults() -> None:
    documented = read_env(ROOT / "compose" / ".env.example")
    # The overlays themselves are chosen by a variable of Compose; digests are for Ansible to set.
    used = {name: values for name, values in compose_variables().items() if not name.endswith(("_DIGEST", "_IMAGE"))}
    assert documented.keys() - {"COMPOSE_FILE"} == used.keys()
    wrong = {name: values for name, values in used.items() if values - {""} and values != {documented[name]}}
    assert wrong == {}


def test_ansible_sets_every_setting_of_compose() -> None:
    set_by_role = read_env(ROOT / "roles" / "clearml_server" / "templates" / "env.j2").keys() - {"COMPOSE_FILE"}
    assert set_by_role == {name for name in compose_variables() if not name.endswith("_IMAGE")}


def test_defaults_are_the_same_with_and_without_ansible() -> None:
    template = read_env(ROOT / "roles" / "clearml_server" / "templates" / "env.j2")
    defaults = defaults_of("clearml_server")
    documented = read_env(ROOT / "compose" / ".env.example")
    compared = {
        setting: (documented[setting], str(defaults[match[1]]))
        for setting, value in template.items()
        if (match := re.fullmatch(r"\{\{ (clearml_server_\w+)(?: \| bool \| lower)? \}\}", value))
        and not is_template(defaults[match[1]])
        # An example stands there where the default is empty.
        and defaults[match[1]] != ""
    }
    assert len(compared) > 20, "the template is not read as it should be"
    assert {setting: pair for setting, pair in compared.items() if pair[0].lower() != pair[1].lower()} == {}


# -- Python requirements


def pins(*paths: str) -> set[str]:
    """Return the pinned packages of requirements files, with names as pip compares them."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in paths]
    found = [pin for text in texts for pin in re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE)]
    return {f"{re.sub(r'[-_.]+', '-', name.lower())}=={version}" for name, version in found}


@pytest.mark.parametrize("chosen", ["requirements.in", "requirements-dev.in", "lab/server/requirements.txt"])
def test_pins_are_made_from_what_was_chosen(chosen: str) -> None:
    assert pins(chosen) <= pins("requirements.txt", "requirements-dev.txt")


# -- playbooks and inventories


def ansible(*command: str) -> str:
    """Run one of Ansible's commands in the repository and return what it says."""
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", INVENTORIES)
def test_inventory_has_a_server(name: str) -> None:
    inventory = yaml.safe_load(ansible("ansible-inventory", "-i", f"inventory/{name}", "--list"))
    assert len(inventory["clearml_server"]["hosts"]) == 1


def test_playbooks_and_examples_parse() -> None:
    examples = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "examples").glob("*.yml"))
    ansible("ansible-playbook", "--syntax-check", "-i", "inventory/example", *map(str, PLAYBOOKS), *examples)


# -- what people read


def make_verbs() -> list[str]:
    """Return the verbs that `make` lists."""
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    [*map(str, PLAYBOOKS), *(f"roles/{role}/README.md" for role in ROLES), *(f"make {verb}" for verb in make_verbs())],
)
def test_readme_names_everything_that_one_can_run(name: str) -> None:
    assert re.search(rf"{re.escape(name)}(?![\w-])", (ROOT / "README.md").read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, target: str, anchor: str) -> bool:
    """Whether a link of a page, to a file and a heading in it, has an end."""
    found = page.parent / target if target else page
    return found.exists() and (not anchor or anchor in anchors(found))


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{path}: {target}#{anchor}"
        for path, text in tracked_files()
        if path.endswith(".md")
        for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", text)
        if not leads_somewhere(ROOT / path, target, anchor)
    ]
    assert broken == []


def test_nothing_is_left_to_be_done() -> None:
    assert files_with(r"\b(TO" + r"DO|FIX" + r"ME)\b") == []
