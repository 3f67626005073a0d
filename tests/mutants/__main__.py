"""Put deliberate faults into a copy of the repository, one by one, and show which test catches each.

A fault that no test catches makes the command fail, and so does one over which a test only stumbles. Before the
faults of a layer are tried, the same tests run on the copy without any, and must pass.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console

from tests.mutants import report
from tests.mutants.host import HostError, host
from tests.mutants.report import Result
from tests.mutants.suites import Suite, clients, local
from tests.mutants.table import FAST, LAYERS, Mutant, TableError, check, load
from tests.mutants.verdict import Outcome
from tests.mutants.workspace import ROOT, fault, workspace

SUITES: dict[str, Callable[[Path], AbstractContextManager[Suite]]] = {
    "unit": local,
    "config": local,
    "preflight": local,
    "stack": local,
    "clients": clients,
    "host": host,
}


class BaselineError(Exception):
    """The tests fail without any fault, so they could show nothing."""


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__, usage='make mutants [ARGS="…"]')
    parser.add_argument("--list", action="store_true", help="only say which faults there are")
    parser.add_argument("--only", nargs="+", action="extend", default=[], metavar="NAME", help="try these")
    parser.add_argument("--layer", nargs="+", action="extend", default=[], choices=LAYERS, help="try those of a layer")
    parser.add_argument(
        "--sample", type=int, metavar="N", help=f"try N of the fast layers ({', '.join(FAST)}), by chance"
    )
    parser.add_argument("--seed", type=int, help="the chance of --sample (default: another each time, and shown)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table; progress goes to stderr")
    options = parser.parse_args(words)
    if options.seed is None and options.sample is not None:
        options.seed = random.SystemRandom().randrange(10**6)
    return options


def chosen(mutants: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    """Pick what the command line asks for, in the order of the table."""
    if unknown := set(options.only) - {mutant.name for mutant in mutants}:
        raise TableError(f"--only names {', '.join(sorted(unknown))}: `make mutants ARGS=--list` shows the names.")
    picked = [mutant for mutant in mutants if not options.only or mutant.name in options.only]
    picked = [mutant for mutant in picked if not options.layer or mutant.layer in options.layer]
    if options.sample is not None:
        fast = [mutant for mutant in picked if mutant.layer in FAST]
        sample = random.Random(options.seed).sample(fast, min(options.sample, len(fast)))  # noqa: S311 -- no secret
        picked = [mutant for mutant in picked if mutant in sample]
    return picked


def tried(mutants: list[Mutant], copy: Path, output: Console) -> Iterable[Result]:
    """Try each fault, layer by layer, and yield what became of it."""
    for layer in LAYERS:
        of_layer = [mutant for mutant in mutants if mutant.layer == layer]
        if not of_layer:
            continue
        with SUITES[layer](copy) as suite:
            for runs in dict.fromkeys(mutant.runs for mutant in of_layer):
                group = [mutant for mutant in of_layer if mutant.runs == runs]
                must_pass(suite, group, output)
                for mutant in group:
                    start = time.monotonic()
                    with output.status(f"{mutant.name}: {mutant.fault}"), fault(copy, mutant):
                        verdict = suite.judge(mutant.tests, mutant.runs)
                    yield Result(mutant, verdict, time.monotonic() - start)


def must_pass(suite: Suite, group: list[Mutant], output: Console) -> None:
    """Refuse to go on when the tests fail on the copy as it is."""
    start = time.monotonic()
    with output.status(f"The tests of the layer {group[0].layer}, without a fault"):
        verdict = suite.judge(list(dict.fromkeys(test for mutant in group for test in mutant.tests)), group[0].runs)
    if verdict.outcome is not Outcome.SURVIVED:
        raise BaselineError(
            f"The layer {group[0].layer} fails already without any fault, so it would show nothing: {verdict.by}\n"
            f"{verdict.detail}"
        )
    output.print(
        f"        The tests of the layer {group[0].layer} pass without a fault ({time.monotonic() - start:.0f} s)."
    )


def main(words: list[str]) -> int:
    """Do what the command line asks for; return the exit code."""
    options = parse(words)
    output = report.console(stderr=options.json)
    try:
        mutants = load()
        check(mutants, ROOT)
        mutants = chosen(mutants, options)
        if options.list:
            report.listing(output, mutants)
            return 0
        if options.sample is not None:
            output.print(
                f"A sample of {len(mutants)}: the same again with --sample {options.sample} --seed {options.seed}"
            )
        results: list[Result] = []
        with workspace() as copy:
            for result in tried(mutants, copy, output):
                results.append(result)
                report.progress(output, len(results), len(mutants), result)
    except TableError as error:
        print(error, file=sys.stderr)
        return 2
    except (BaselineError, HostError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is left behind.", file=sys.stderr)
        return 130
    if options.json:
        print(report.as_json(results, options.seed))
    else:
        report.summary(output, results)
    return 0 if all(result.verdict.outcome is Outcome.CAUGHT for result in results) else 1


if __name__ == "__main__":
    # A program that is told to end does so as with Ctrl-C, and cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Each line when it is there, in a log as well.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
