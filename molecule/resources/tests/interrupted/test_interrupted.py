"""A run that is killed, again and again, leaves nothing half-written, and the one after it goes on.

KILLS says how often, SEED where: the same seed kills at the same places. Both come from the environment.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import testinfra.host
import yaml

from helpers.exposure import Watched, given_secrets, readable_by_others, watched_processes
from helpers.playbooks import ansible_playbook, killed, runs
from helpers.variables import Variables
from helpers.whole import half_written, unfinished, written_files

KILLS = int(os.environ.get("KILLS") or 3)
SEED = int(os.environ.get("SEED") or 1)
PLAYBOOK = "molecule/resources/converge.yml"
USUAL_DELAY = 1.5  # seconds: most tasks take less, but Docker's packages and the start of the stack take more


@dataclass
class Story:
    """What happened to the host so far."""

    places: list[tuple[int, float]]
    secrets: dict[str, str] = field(default_factory=dict)
    watched: list[Watched] = field(default_factory=list)

    @contextmanager
    def watching(self, host: str) -> Iterator[None]:
        """Look at the processes of the host and of this machine while a run goes on."""
        with watched_processes(host) as there, watched_processes(None) as here:
            yield
        self.watched += [there, here]


@pytest.fixture(scope="module")
def story() -> Story:
    """Where runs are to be killed: once in each of as many parts of a run, from the first task that changes something.

    The check of the bare host has told how many tasks there are, and which would change something.
    """
    check = [run for run in runs("converge.yml") if run.check][-1]
    dice = random.Random(SEED)  # noqa: S311
    ends = [check.first_change + (check.tasks - check.first_change) * part // KILLS for part in range(KILLS + 1)]
    return Story([(dice.randint(*part), dice.expovariate(1 / USUAL_DELAY)) for part in itertools.pairwise(ends)])


def kept_secrets(host: testinfra.host.Host, variables: Variables) -> dict[str, str]:
    """What secrets.yml holds; nothing when it is not there yet."""
    file = host.file(f"{variables['clearml_server_data_root']}/secrets.yml")
    kept: dict[str, str] = yaml.safe_load(file.content_string) if file.exists else {}
    return kept


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_leaves_nothing_half_written(
    host: testinfra.host.Host, variables: Variables, story: Story, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    task, delay = story.places[number]
    with story.watching(host.backend.name):
        output = killed(PLAYBOOK, task, delay, "--diff", "-vvv")
    with capsys.disabled():
        place = next(line for line in output.splitlines() if line.startswith("The run is killed"))
        print(f"\nKILLS={KILLS} SEED={SEED}, task {task}: {place}")
    assert half_written(written_files(host, variables), variables) == []
    secrets = kept_secrets(host, variables)
    assert secrets.items() >= story.secrets.items(), "a secret changed"
    story.secrets = secrets
    assert readable_by_others(host.backend.name, {**secrets, **given_secrets(variables)}) == []


def test_the_run_after_them_goes_on(host: testinfra.host.Host, variables: Variables, story: Story) -> None:
    """With the whole output, in which other tests look for secrets."""
    with story.watching(host.backend.name):
        result = ansible_playbook(PLAYBOOK, "--diff", "-vvv")
    assert result.returncode == 0, result.stdout[-5000:]
    files = written_files(host, variables)
    assert half_written(files, variables) == []
    assert unfinished(files, variables) == []
    assert kept_secrets(host, variables).items() >= story.secrets.items(), "a secret changed"


def test_no_secret_was_in_lists_of_processes(
    host: testinfra.host.Host, secrets: dict[str, str], variables: Variables, story: Story
) -> None:
    """Neither on the host nor here, in any of the runs."""
    assert sum(watched.looks for watched in story.watched) > 200, "too few looks to prove anything"
    everything = {**secrets, **given_secrets(variables)}
    assert [found for watched in story.watched for found in watched.holding(everything)] == []
