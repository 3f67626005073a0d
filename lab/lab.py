#!/usr/bin/env python3
"""The lab: everything needed to run the platform on a machine that reaches no image registry.

Stand-in images are built from package registries alone, a local registry serves them under the official names, and test
hosts are containers that boot systemd. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.commands import clean, compose, engine, hosts, images, registry, releases
from lab.commands.shell import ROOT, LabError, alone


def prepare_images(wanted: list[str], only: str | None) -> None:
    """Build what is not built yet, start the registry, and put the stand-ins there; or build one image only."""
    start = time.monotonic()
    stand_ins = [image for release in wanted for image in images.stand_ins(release)]
    others = [*images.HOSTS.values(), images.REGISTRY, images.COMPOSE]
    chosen = [images.ALONE[only]] if only else [*stand_ins, *others]
    with alone("images"):
        replaced = images.build_all(chosen)
        pushed = [image for image in chosen if image.stands_for]
        if pushed:
            registry.start()
            registry.push_all(pushed)
        images.forget(replaced)
    print(f"The lab's images are ready ({time.monotonic() - start:.0f} s).")


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verbs.add_parser("engine", help="make sure that a Docker engine answers: the one here, or the distribution's")

    verb = verbs.add_parser("images", help="build the images that are not built yet, and push the stand-ins")
    default = releases.default()
    known = f"one of {', '.join(releases.names())}, or all; repeatable (default: {default})"
    verb.add_argument("--release", action="append", help=known)
    only = (
        "only the test host, which official images run on as well, or what is built on demand: the browser, or Python"
    )
    verb.add_argument("--only", choices=sorted(images.ALONE), help=only)
    verb.set_defaults(default_release=default)

    verbs.add_parser("registry", help="start the registry")

    actions = verbs.add_parser("host", help="boot or remove a test host").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    verb = actions.add_parser("up", help="boot a test host, or start the one that is there")
    verb.add_argument("name", help="name of the container and of the host")
    systems = sorted(images.HOSTS)
    verb.add_argument("--image", default="debian13", choices=systems, help="operating system (default: %(default)s)")
    publish = "a port of this machine that leads to one of the host's, as in 127.0.0.1:8080:8080; repeatable"
    verb.add_argument("--publish", action="append", default=[], metavar="ADDRESS:PORT:PORT", help=publish)
    kind = "what it pulls: lab configures the lab's registry as its mirror of Docker Hub (default: %(default)s)"
    verb.add_argument("--images", default="lab", choices=["lab", "official"], help=kind)
    verb = actions.add_parser("down", help="remove a test host with its data")
    verb.add_argument("name", help="name of the host")

    verb = verbs.add_parser("compose", help="run Compose v2, or the lab's own, on this machine's engine")
    verb.add_argument("--project-directory", type=Path, default=ROOT / "compose", help="(default: compose/)")
    verb.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable; repeatable")
    verb.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS", help="as for docker compose")

    verb = verbs.add_parser("clean", help="remove the lab's containers, volumes and network")
    verb.add_argument("--images", action="store_true", help="and its images")
    return parser.parse_args(words)


def main() -> int:
    """Run a verb; what it cannot do is one message, without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = parse(sys.argv[1:])
        match options.verb:
            case "engine":
                engine.ensure()
            case "images":
                wanted = releases.chosen(options.release or [options.default_release])
                engine.require()
                prepare_images(wanted, options.only)
            case "registry":
                engine.require()
                registry.start()
            case "host" if options.action == "up":
                publish = [hosts.Published.parse(value) for value in options.publish]
                engine.require()
                hosts.up(options.name, options.image, publish, options.images)
            case "host":
                engine.require()
                hosts.down(options.name)
            case "compose":
                arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
                engine.require()
                return compose.compose(options.project_directory.resolve(), arguments, options.env)
            case "clean":
                clean.clean(with_images=options.images)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: run it again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
