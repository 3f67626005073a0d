"""The releases that compose/ has, and the images of each."""

from __future__ import annotations

from pathlib import Path

from lab.commands.shell import ROOT, LabError

FOLDER = ROOT / "compose" / "releases"
EXAMPLE = ROOT / "compose" / ".env.example"


def read(path: Path) -> dict[str, str]:
    """The variables of a file that Compose reads."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def names(folder: Path = FOLDER) -> list[str]:
    """All releases."""
    return sorted(path.stem for path in folder.glob("*.env"))


def default(example: Path = EXAMPLE) -> str:
    """The release that .env.example names."""
    return read(example)["CLEARML_RELEASE"]


def images(release: str, folder: Path = FOLDER) -> dict[str, str]:
    """The images of a release, by the name of their variable."""
    found = {name: value for name, value in read(folder / f"{release}.env").items() if name.endswith("_IMAGE")}
    for name, value in found.items():
        if ":" not in value.rpartition("/")[2]:
            raise LabError(f"{name} in {release}.env is {value}: it must end with a tag, as in mongo:1.2.3.")
    return found


def chosen(wanted: list[str], folder: Path = FOLDER) -> list[str]:
    """Translate the option --release into releases."""
    known = names(folder)
    if "all" in wanted:
        return known
    for release in wanted:
        if release not in known:
            raise LabError(f"--release is {release}: it must be one of {', '.join(known)}, or all.")
    return list(dict.fromkeys(wanted))
