"""Every combination of overlays and release is a valid Compose project, and bad settings are refused by name."""

from __future__ import annotations

import itertools

import pytest
from lab.commands.shell import ROOT
from lab.stack import Project

OVERLAYS = ("host-data.yml", "debug-ports.yml", "managed-secrets.yml")
COMBINATIONS = [chosen for count in range(len(OVERLAYS) + 1) for chosen in itertools.combinations(OVERLAYS, count)]
RELEASES = sorted(path.stem for path in (ROOT / "compose" / "releases").glob("*.env"))
DATABASES = ("clearml-mongo", "clearml-elastic", "clearml-redis")


def set_up(project: Project, overlays: tuple[str, ...], **settings: str) -> None:
    """Choose overlays as an operator does, by COMPOSE_FILE in .env."""
    chosen = {"COMPOSE_FILE": ":".join(("docker-compose.yml", *overlays)), **settings}
    if "host-data.yml" in overlays:
        chosen["CLEARML_DATA_ROOT"] = "/opt/clearml"
    project.write_env(**chosen)


def test_no_overlay_is_forgotten() -> None:
    files = {path.name for path in (ROOT / "compose").glob("*.yml")}
    assert files == {"docker-compose.yml", "stack.yml", *OVERLAYS}


def test_the_example_is_complete(project: Project) -> None:
    """`cp .env.example .env` is all that has to be done."""
    project.write_env()
    assert len(project.config()["services"]) == 8


@pytest.mark.parametrize("setting", ["CLEARML_RELEASE", "CLEARML_FILES_HOST"])
def test_a_missing_setting_is_named(project: Project, setting: str) -> None:
    set_up(project, (), **{setting: ""})
    result = project.compose("config", "--quiet", check=False)
    assert result.returncode != 0
    assert setting in result.stderr or "name a file of releases in .env" in result.stderr


def test_a_missing_data_root_is_named(project: Project) -> None:
    project.write_env(COMPOSE_FILE="docker-compose.yml:host-data.yml")
    result = project.compose("config", "--quiet", check=False)
    assert result.returncode != 0
    assert "CLEARML_DATA_ROOT" in result.stderr


def test_databases_are_published_by_the_overlay_alone(project: Project) -> None:
    set_up(project, ())
    assert [name for name in DATABASES if project.config()["services"][name].get("ports")] == []
    set_up(project, ("debug-ports.yml",))
    services = project.config()["services"]
    published = {(port["host_ip"], port["published"]) for name in DATABASES for port in services[name]["ports"]}
    assert published == {("127.0.0.1", port) for port in ("27017", "9200", "9300", "6379")}


def test_a_mirror_redirects_every_image(project: Project) -> None:
    set_up(project, (), CLEARML_REGISTRY_PREFIX="mirror.example.com/")
    images = {service["image"] for service in project.config()["services"].values()}
    assert images
    assert [image for image in images if not image.startswith("mirror.example.com/")] == []


def test_managed_secrets_switches_the_one_shot_service_off(project: Project) -> None:
    set_up(project, ("managed-secrets.yml",))
    assert "clearml-secrets" not in project.config()["services"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("overlays", COMBINATIONS, ids=lambda overlays: "+".join(overlays) or "alone")
def test_is_valid(project: Project, overlays: tuple[str, ...], release: str) -> None:
    set_up(project, overlays, CLEARML_RELEASE=release)
    project.compose("config", "--quiet")
