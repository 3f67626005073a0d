"""`make mutants` tells a fault that a test catches from one that no test catches, and from a slip of the pen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants.suites import run_pytest
from tests.mutants.table import Mutant, TableError, check, load, must_parse
from tests.mutants.verdict import Outcome, Verdict
from tests.mutants.workspace import fault

ROOT = Path(__file__).resolve().parents[2]

# What the fixture run gives.
Run = Callable[..., int]


def mutant(
    name: str = "one", replace: str = "a", into: str = "b", *, layer: str = "unit", file: str = "f.txt"
) -> Mutant:
    return Mutant(layer, name, f"the fault {name}", file, replace, into, ("test_f.py",))


# -- the table


def test_a_part_of_a_line_is_replaced() -> None:
    assert mutant(replace="b c", into="x").applied_to("a b c d\n") == "a x d\n"


def test_whole_lines_are_found_at_any_depth() -> None:
    nested = mutant(replace="key:\n  - one\n", into="key:\n  - two\n  - three\n")
    assert (
        nested.applied_to("top:\n    key:\n      - one\nend\n") == "top:\n    key:\n      - two\n      - three\nend\n"
    )
    assert mutant(replace="  - one\n", into="").applied_to("key:\n  - one\n  - one more\n") == "key:\n  - one more\n"


@pytest.mark.parametrize(("text", "times"), [("nothing of it", 0), ("a b a", 2)])
def test_what_is_not_there_once_is_stale(text: str, times: int) -> None:
    with pytest.raises(TableError, match=f"one is stale: what it replaces is {times} times in f.txt"):
        mutant(replace="a b" if times == 0 else "a").applied_to(text)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("f.yml", "a: {b: '{{ c }}'}\n", "a: {b: '{{ c }}'\n"),
        ("f.py", "def f() -> None: ...\n", "def f() -> None\n"),
        ("f.j2", "{% if a %}b{% endif %}\n", "{% if a %}b\n"),
        ("f.sh", "if true; then echo; fi\n", "if true; then echo\n"),
    ],
)
def test_what_does_not_parse_is_no_fault(name: str, good: str, bad: str) -> None:
    must_parse(name, good)
    with pytest.raises(TableError, match=f"{name} would not parse any more"):
        must_parse(name, bad)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("a")
    (tmp_path / "test_f.py").touch()
    with pytest.raises(TableError) as caught:
        check([mutant(), mutant("two", "x"), mutant("three", file="g.txt")], tmp_path)
    assert str(caught.value).splitlines() == [
        "two is stale: what it replaces is 0 times in f.txt, it must be there once.",
        "three names g.txt: No such file or directory.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units: []", "mutants.yml has the layer units: known are unit, config, preflight, stack, clients, host."),
        ("unit: [", "mutants.yml does not parse"),
        ("unit: [{name: a, fault: b, file: c, replace: d}]", "a has name, fault, file, replace: it must have"),
        ("unit: [{name: a, fault: b, file: c, replace: d, tests: [e], runs: [check]}]", "a has .*runs: it must have"),
        ("unit: [{name: a, fault: b, file: c, replace: [d], tests: [e]}]", r"a has replace \['d'\]: .* a string"),
        ("host: [{name: a, fault: b, file: c, replace: d, tests: [e], runs: [x]}]", "a has the run x: known are bare"),
        ("unit: [&m {name: a, fault: b, file: c, replace: d, tests: [e]}, *m]", "has a more than once"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mutants.yml"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        load(path)


# -- what a failed test tells


CAUGHT, SURVIVED, UNCLEAR = Outcome
TESTS = {
    "def test(): assert 1 == 1": SURVIVED,
    "def test(): assert 1 == 2": CAUGHT,
    "import pytest\ndef test():\n  with pytest.raises(KeyError): pass": CAUGHT,
    "import pytest\n@pytest.fixture\ndef f(): assert 0, 'not up'\ndef test(f): pass": UNCLEAR,
    "def test(): {}['key']": UNCLEAR,
    "def test(: pass": UNCLEAR,
    "import no_such_module": UNCLEAR,
    "": UNCLEAR,
}


@pytest.mark.parametrize(("text", "outcome"), TESTS.items())
def test_only_an_assertion_catches(tmp_path: Path, text: str, outcome: Outcome) -> None:
    (tmp_path / "test_f.py").write_text(text)
    verdict = run_pytest(tmp_path, {**os.environ, "PYTHONPATH": str(ROOT)}, ["test_f.py"])
    assert verdict.outcome is outcome
    assert (verdict.by == "test_f.py::test") is (outcome is CAUGHT)


def test_the_fault_is_there_only_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("a")

    def interrupted() -> None:
        with fault(tmp_path, mutant()):
            assert path.read_text() == "b"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "a"


# -- the command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a function that runs the command on a repository of one file, with tests that catch certain texts."""
    (tmp_path / "f.txt").write_text("abc")

    @contextmanager
    def workspace() -> Iterator[Path]:
        yield tmp_path

    def with_tests(catch: str, mutants: Sequence[Mutant], *words: str) -> int:
        class Suite:
            def judge(self, tests: Sequence[str], runs: Sequence[str]) -> Verdict:
                text = (tmp_path / "f.txt").read_text()
                return Verdict(CAUGHT, "test_f.py::test") if set(text) & set(catch) else Verdict(SURVIVED)

        @contextmanager
        def suite(copy: Path) -> Iterator[Suite]:
            yield Suite()

        monkeypatch.setattr(command, "load", lambda: list(mutants))
        monkeypatch.setattr(command, "check", lambda *_: None)
        monkeypatch.setattr(command, "workspace", workspace)
        monkeypatch.setattr(command, "SUITES", {"unit": suite, "config": suite})
        return command.main(list(words))

    yield with_tests
    assert (tmp_path / "f.txt").read_text() == "abc"


TWO = (mutant("one", "a", "x"), mutant("two", "b", "y", layer="config"))


def test_all_are_caught(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("xy", TWO) == 0
    assert "2 of 2 faults are caught." in capsys.readouterr().out


def test_a_survivor_fails_the_command(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("x", TWO, "--json") == 1
    printed = json.loads(capsys.readouterr().out)["mutants"]
    assert {entry["name"]: (entry["outcome"], entry["by"]) for entry in printed} == {
        "one": ("caught", "test_f.py::test"),
        "two": ("survived", ""),
    }


def test_tests_that_fail_anyway_catch_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("c", TWO) == 1
    assert "fails already without any fault" in capsys.readouterr().err


def test_one_by_name(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("x", TWO, "--only", "one") == 0
    assert run("x", TWO, "--only", "three") == 2
    assert "--only names three" in capsys.readouterr().err


def test_a_sample_can_be_had_again(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    many = [mutant(f"m{number}", "a", "x") for number in range(50)]
    outputs = []
    for _ in range(2):
        assert run("x", many, "--sample", "5", "--seed", "7", "--json") == 0
        outputs.append([entry["name"] for entry in json.loads(capsys.readouterr().out)["mutants"]])
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 5
