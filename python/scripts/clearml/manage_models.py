#!/usr/bin/env python3
"""List, compare, register, promote, archive and download the models of a project."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from clearml_platform.command import assigned, print_json, run
from clearml_platform.errors import InputError
from clearml_platform.models import STAGES, ClearMLModelManager, ModelVersion
from clearml_platform.models.table import show_comparison, show_models
from clearml_platform.names import PROJECT

EXAMPLES = """\
examples:
  manage_models.py --list
  manage_models.py --list --name wine_quality_model --json
  manage_models.py --register model.pkl --name wine_quality_model --task-id TASK_ID --tags ridge baseline
  manage_models.py --compare MODEL_ID MODEL_ID
  manage_models.py --promote wine_quality_model 2
  manage_models.py --promote MODEL_ID --stage staging
  manage_models.py --archive wine_quality_model 1
  manage_models.py --download wine_quality_model --output models/

A MODEL is an id, or a name with the number of a version; --download takes a name alone for its champion (the version in
production), or for the latest version while there is none.

exit codes: 0 done, 1 failed, 2 wrong input, 3 the server's fault"""


def parser() -> argparse.ArgumentParser:
    """Return what the command understands."""
    result = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    action = result.add_mutually_exclusive_group(required=True)
    action.add_argument("--list", action="store_true", help="all versions; --name and --stage choose")
    action.add_argument("--compare", nargs="+", metavar="ID", help="two versions or more side by side")
    action.add_argument("--register", metavar="PATH", help="make a file the next version of --name")
    action.add_argument("--promote", nargs="+", metavar="MODEL", help="put a version in --stage (default: production)")
    action.add_argument("--archive", nargs="+", metavar="MODEL", help="put a version away")
    action.add_argument("--download", nargs="+", metavar="MODEL", help="fetch a version's file and check its hash")
    action.add_argument("--lineage", metavar="ID", help="the task, code and data that a version comes from")

    result.add_argument("--name", help="the model's name")
    result.add_argument("--task-id", metavar="ID", help="with --register: the task that made the model")
    result.add_argument("--tags", nargs="+", default=[], metavar="TAG", help="with --register: labels of the version")
    result.add_argument(
        "--metadata", nargs="+", default=[], metavar="KEY=VALUE", help="with --register: more to note with the version"
    )
    result.add_argument("--framework", help="with --register: such as scikit-learn")
    result.add_argument("--version", help="a version's number; with --register: your own name of the version")
    result.add_argument("--stage", choices=STAGES, help="with --register, --promote or --list")
    result.add_argument("--output", default=".", metavar="FOLDER", help="with --download: where to (default: here)")
    result.add_argument("--project", default=PROJECT, help="default: %(default)s")
    result.add_argument("--json", action="store_true", help="print what machines read")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit code."""
    options = parser().parse_args(arguments)
    console = Console()
    if options.compare:
        comparison = _manager(options).compare(options.compare)
        print_json(comparison) if options.json else show_comparison(comparison, console)
    elif options.lineage:
        print_json(_manager(options).lineage(options.lineage))
    elif options.download:
        name, version = _wanted(options.download, options, "--download")
        path = _manager(options).download(name, options.output, version=version)
        print_json({"path": str(path)}) if options.json else console.print(f"{path}", markup=False, highlight=False)
    elif options.list:
        models = _manager(options).list_models(options.name, options.stage)
        print_json([model.to_json() for model in models]) if options.json else show_models(models, console)
    else:
        _tell(_changed(options), options, console)
    return 0


def _changed(options: argparse.Namespace) -> ModelVersion:
    """Register, promote or archive; return the version as it is then."""
    if options.register is not None:
        if options.name is None:
            raise InputError("--register takes the model's --name too.")
        return _manager(options).register_model(
            Path(options.register),
            options.name,
            task_id=options.task_id,
            metadata=assigned(options.metadata, "--metadata"),
            tags=options.tags,
            framework=options.framework,
            stage=options.stage,
            version=options.version,
        )
    promoting = options.promote is not None
    name, version = _wanted(options.promote or options.archive, options, "--promote" if promoting else "--archive")
    manager = _manager(options)
    model = manager.find(name, version)
    if version is None and model.id != name:
        raise InputError(f"Which version of {name!r}? Give its number too.")
    if promoting:
        return manager.promote(model.name, model.version, options.stage or "production")
    return manager.archive(model.name, model.version)


def _manager(options: argparse.Namespace) -> ClearMLModelManager:
    return ClearMLModelManager(options.project)


def _wanted(words: Sequence[str], options: argparse.Namespace, option: str) -> tuple[str, str | None]:
    """Return the name or id, and the number of the version if there is one."""
    if len(words) > 2 or (len(words) == 2 and options.version is not None):
        raise InputError(f"{option} takes an id, or a name and the number of a version.")
    return words[0], words[1] if len(words) == 2 else options.version


def _tell(model: ModelVersion, options: argparse.Namespace, console: Console) -> None:
    print_json(model.to_json()) if options.json else show_models([model], console)


if __name__ == "__main__":
    sys.exit(run(main))
