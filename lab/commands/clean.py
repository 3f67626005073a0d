"""Removing what the lab made on this machine's engine."""

from __future__ import annotations

from lab.commands import engine, images, registry
from lab.commands.shell import LabError, run, succeeds


def clean(with_images: bool) -> None:
    """Remove the lab's containers, volumes and network, and its images when asked to."""
    if not engine.answers():
        if engine.out_of_reach():
            raise LabError(engine.out_of_reach())
        print("No Docker engine answers, so there is nothing to remove.")
        return
    labelled = ["--quiet", "--filter", f"label={registry.LABEL}"]
    for container in run("docker", "ps", "--all", *labelled).split():
        run("docker", "rm", "--force", "--volumes", container)
    for volume in run("docker", "volume", "ls", *labelled).split():
        run("docker", "volume", "rm", "--force", volume)
    for network in run("docker", "network", "ls", *labelled).split():
        run("docker", "network", "rm", network)
    if with_images:
        remove_images()
    print(f"Removed the lab's containers, volumes and network{', and its images' if with_images else ''}.")


def remove_images() -> None:
    """Remove the lab's images, under all of their names, and the stages that they were built in."""
    prefixes = ("clearml-lab/", f"{registry.ADDRESS}:{registry.PORT}/")
    for reference in run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if reference.startswith(prefixes) and not reference.endswith(":<none>"):
            succeeds("docker", "rmi", reference)
    # Every image inherits this label from the base image.
    run("docker", "image", "prune", "--force", "--filter", f"label={images.HASH_LABEL}")
