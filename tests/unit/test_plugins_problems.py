"""The filters that say what is wrong with certificates and with the Docker daemon's options."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

# Any certificate will do that this machine trusts.
BUNDLE = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
END = "-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def certificate() -> str:
    if not BUNDLE.is_file():
        pytest.skip(f"{BUNDLE} is not there: install ca-certificates")
    text = BUNDLE.read_text()
    return text[text.index("-----BEGIN CERTIFICATE-----") : text.index(END)] + END


@pytest.fixture(scope="module")
def certificate_problems(load_plugin: Callable[[str], ModuleType]) -> Callable[[list[str]], list[str]]:
    found: Callable[[list[str]], list[str]] = load_plugin("filter/certificate_problems").certificate_problems
    return found


@pytest.fixture(scope="module")
def option_problems(load_plugin: Callable[[str], ModuleType]) -> Callable[..., list[str]]:
    found: Callable[..., list[str]] = load_plugin("filter/daemon_option_problems").daemon_option_problems
    return found


def test_certificates_are_accepted(
    certificate: str, certificate_problems: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    one, two = tmp_path / "one.crt", tmp_path / "two.pem"
    one.write_text(certificate)
    two.write_text("# für alle\n" + certificate + certificate)
    assert certificate_problems([str(one), str(two)]) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[:0], "which holds no certificate in PEM format"),
        (lambda text: text[:-100], "which holds no certificate in PEM format"),
        (lambda text: text[:60] + text[124:], "in which a certificate is damaged"),
        (lambda text: text + "-----BEGIN RSA PRIVATE KEY-----\n", "which holds a private key"),
    ],
    ids=["empty", "cut", "damaged", "key"],
)
def test_other_files_are_named(
    certificate: str,
    certificate_problems: Callable[[list[str]], list[str]],
    tmp_path: Path,
    change: Callable[[str], str],
    problem: str,
) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(change(certificate))
    (sentence,) = certificate_problems([str(file)])
    assert sentence.startswith(f"host_ca_certificates has {file}, {problem}")


def test_a_missing_file_is_named(certificate_problems: Callable[[list[str]], list[str]], tmp_path: Path) -> None:
    (sentence,) = certificate_problems([str(tmp_path / "ca.crt")])
    assert "which cannot be read on this controller (No such file or directory)" in sentence


def test_two_of_one_name_are_refused(
    certificate: str, certificate_problems: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    files = [tmp_path / "a" / "ca.crt", tmp_path / "b" / "ca.pem"]
    for file in files:
        file.parent.mkdir()
        file.write_text(certificate)
    (sentence,) = certificate_problems([str(file) for file in files])
    assert f"has {files[0]} and {files[1]}, which would both be installed as ca.crt" in sentence


def test_usual_daemon_options_are_accepted(option_problems: Callable[..., list[str]]) -> None:
    options = {
        "registry-mirrors": ["https://mirror.example.com"],
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
        "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}],
        "live-restore": True,
        "mtu": 1400,
        "proxies": {"http-proxy": "http://proxy.example.com:3128"},
        "default-shm-size": "64M",
    }
    assert option_problems(options, '{"debug": true}') == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"registry-mirror": []}, "did you mean registry-mirrors?"),
        ({"color": 1}, "docker_daemon_options has color, which the daemon does not know"),
        ({"live-restore": "true"}, 'docker_daemon_options.live-restore is "true": it must be true or false.'),
        ({"mtu": "1400"}, 'docker_daemon_options.mtu is "1400": it must be a number without quotes.'),
        ({"mtu": True}, "docker_daemon_options.mtu is true: it must be a number without quotes."),
        ({"dns": "10.0.0.1"}, 'docker_daemon_options.dns is "10.0.0.1": it must be a list of strings.'),
        ({"log-opts": {"max-file": 3}}, "it must be a mapping of strings (numbers in quotes)."),
        ({"hosts": ["tcp://0.0.0.0:2375"]}, "leave hosts out"),
    ],
)
def test_what_the_daemon_would_not_start_with_is_named(
    option_problems: Callable[..., list[str]], options: dict[str, object], sentence: str
) -> None:
    (problem,) = option_problems(options)
    assert sentence in problem


@pytest.mark.parametrize("present", ["", "not JSON", "[]"])
def test_a_file_that_cannot_be_merged_is_named(option_problems: Callable[..., list[str]], present: str) -> None:
    (problem,) = option_problems({"debug": True}, present)
    assert "/etc/docker/daemon.json, which holds no JSON mapping" in problem
    assert option_problems({}, present) == []
