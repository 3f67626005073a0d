"""The filters to_hocon and from_hocon, on the real parser."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pyhocon
import pytest
from ansible.errors import AnsibleFilterError

Load = Callable[[str], ModuleType]
Ansible = Callable[..., str]


@pytest.fixture
def to_hocon(load_plugin: Load) -> Callable[..., str]:
    filters: dict[str, Callable[..., str]] = load_plugin("filter/to_hocon").FilterModule().filters()
    return filters["to_hocon"]


def read(text: str) -> Any:
    return pyhocon.ConfigFactory.parse_string(text).as_plain_ordered_dict()


STRINGS = [
    "",
    " ",
    "  both ends  ",
    "123",
    "0123",
    "1e5",
    "-1",
    "true",
    "null",
    "yes",
    "10s",
    "5 minutes",
    "1d",
    "a#b",
    "# not a comment",
    "a//b",
    "http://host:8081/path",
    "$",
    "$$",
    "${HOME}",
    "a${b}c",
    "${?MISSING}",
    '"',
    '""',
    '"""',
    'say "hi"',
    "it's",
    "\\",
    "\\\\",
    "ends in \\",
    "\\n is not a newline",
    "\\u0041",
    '\\"',
    "a\nb",
    "\n",
    "a\r\nb",
    "\t",
    "é",
    "日本語",
    "пароль",
    "😀",
    "\u2028",
    "\ufeffbom",
    "{}",
    "[]",
    "a,b",
    "a=b",
    "a:b",
    "a+=b",
    'include "x"',
    "`!@#$%^&*()_+-={}[]|:;<>?,./~",
    'p"#a$s/s&w%d!\\',
    "ab+c/d==",
]


@pytest.mark.parametrize("value", STRINGS)
def test_strings_stay_what_they_are(to_hocon: Callable[..., str], value: str) -> None:
    data = {"key": value, "deep": {"deeper": {"key": value}}, "list": ["first", {"key": value}, [1, {"k": value}]]}
    assert read(to_hocon(data)) == data


VALUES: list[Any] = [
    0,
    1,
    -1,
    10**20,
    0.0,
    1.0,
    -0.5,
    1e300,
    5e-324,
    True,
    False,
    None,
    [],
    {},
    [[]],
    [{}],
    [[], []],
    [None],
    [True, False],
    [1, "1", 1.0],
    [{"a": 1}, {"a": 2}],
    [[1, 2], [3, 4]],
    {"a": {}},
    {"a": [{"b": [{"c": {}}]}]},
]


@pytest.mark.parametrize("value", VALUES, ids=json.dumps)
def test_other_values_stay_what_they_are(to_hocon: Callable[..., str], value: object) -> None:
    got = read(to_hocon({"key": value}))
    assert got == {"key": value}
    assert type(got["key"]) is type(value) or isinstance(value, dict)


KEYS = ["a.b", "a b", "1", "a-b", "a#b", "$", "a/b", "a:b", "a=b", "+a", "include", "true", "null", ".", "[x]", "a,b"]


@pytest.mark.parametrize("key", KEYS)
def test_odd_keys_stay_one_key(to_hocon: Callable[..., str], key: str) -> None:
    data = {"before": 1, key: {"x": 1, key: {key: "v"}}, "after": 2}
    assert read(to_hocon(data)) == data


def test_order_is_kept(to_hocon: Callable[..., str]) -> None:
    assert list(read(to_hocon({"z": 1, "a": 2, "m": 3}))) == ["z", "a", "m"]


def test_header_becomes_comments(to_hocon: Callable[..., str]) -> None:
    text = to_hocon({"a": 1}, header='Written by Ansible.\n\nNot ${HOME} { } " here')
    assert text.splitlines()[:3] == ["# Written by Ansible.", "#", '# Not ${HOME} { } " here']
    assert text.endswith("}\n")
    assert read(text) == {"a": 1}


PRIVATE = "hunter2-do-not-show"
REFUSED = {
    "empty string in a list": ({"a": {"b": ["", PRIVATE]}}, r"data\.a\.b "),
    "control character": ({"a": {"b": PRIVATE + "\x01"}}, r"data\.a\.b "),
    "quote in a key": ({"a": {'b"c': PRIVATE}}, r"data\.a\."),
    "other alphabet in a key": ({"a": {"b\n": PRIVATE}}, r"data\.a\."),
    "empty key": ({"x": PRIVATE, "a": [1, {"": PRIVATE}]}, r"data\.a\[1\]\. cannot be written as HOCON"),
    "number as a key": ({"a": {1: PRIVATE}}, r"key 1 in data\.a is not a string"),
    "infinity": ({"a": float("inf"), "b": PRIVATE}, r"data\.a "),
    "date": ({"a": [date(2026, 1, 1), PRIVATE]}, r"data\.a\[0\] is of type date"),
    "bytes": ({"a": PRIVATE.encode()}, r"data\.a is of type bytes"),
    "no mapping": ([PRIVATE], "the data is of type list"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_change_is_refused_by_name(to_hocon: Callable[..., str], data: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message) as caught:
        to_hocon(data)
    assert PRIVATE not in str(caught.value)
    # Ansible shows the chain of causes too; the parser's own message would quote the file.
    assert caught.value.__cause__ is None


def test_in_a_playbook_with_lazy_and_vaulted_values(run_ansible: Ansible, tmp_path: Path) -> None:
    """Ansible hands templates over as lazy containers and vaulted strings as objects of their own."""
    (tmp_path / "vault").write_text("vault-password")
    vaulted = run_ansible("ansible-vault", "encrypt_string", "--vault-password-file", "vault", "s#e$c 1", "--name", "v")
    (tmp_path / "vars.yml").write_text(
        vaulted + 'digits: "12345678"\n'
        'data: {vaulted: "{{ v }}", direct: "{{ digits }}", list: [{deep: "{{ digits }}"}], brace: !unsafe "{{ x }}"}\n'
    )
    (tmp_path / "play.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  vars_files: [vars.yml]\n  tasks:\n"
        "    - ansible.builtin.copy: {content: \"{{ data | to_hocon('Top') }}\", dest: out.conf, mode: '0600'}\n"
    )
    run_ansible("ansible-playbook", "--vault-password-file", "vault", "play.yml")
    got = read((tmp_path / "out.conf").read_text())
    assert got["vaulted"] == "s#e$c 1"
    assert got["direct"] == "12345678"
    assert got["brace"] == "{{ x }}"
    assert got["list"] == [{"deep": "12345678"}]


def test_what_cannot_be_read_is_named_and_not_shown(load_plugin: Load) -> None:
    from_hocon = load_plugin("filter/to_hocon").from_hocon
    assert from_hocon('a { b = "c" }') == {"a": {"b": "c"}}
    with pytest.raises(AnsibleFilterError, match=r"^secure\.conf cannot be read as HOCON") as caught:
        from_hocon("a { b = hunter2-do-not-show", "secure.conf")
    assert PRIVATE not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["to_hocon", "from_hocon", "account_problems", "account_secrets", "account_config"])
def test_filters_are_documented(run_ansible: Ansible, name: str) -> None:
    documented = json.loads(run_ansible("ansible-doc", "-t", "filter", "--json", name))
    assert documented[name]["doc"]["short_description"]
    assert documented[name]["examples"]
    assert documented[name]["return"]
