"""The module host_probe, on real sockets, real HTTP servers and this machine's own /proc."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
ANY_ADDRESS = "0.0.0.0"


@pytest.fixture
def module(load_plugin: Load) -> ModuleType:
    return load_plugin("modules/host_probe")


@pytest.fixture
def probe(module: ModuleType) -> Callable[..., dict[str, Any]]:
    """Return the module's one function with its defaults."""
    defaults: dict[str, Any] = {
        "ports": [],
        "bind_address": "127.0.0.1",
        "own_port_holders": [],
        "paths": [],
        "registries": [],
        "registry_timeout": 2,
        "sysctls": [],
    }

    def call(**arguments: object) -> dict[str, Any]:
        found: dict[str, Any] = module.probe(**{**defaults, **arguments})
        return found

    return call


Probe = Callable[..., dict[str, Any]]


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the Docker client off the PATH, as on a fresh host."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))


@pytest.fixture
def docker_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Return a function that puts a shell script on the PATH as the Docker client."""

    def install(script: str) -> None:
        client = tmp_path / "docker"
        client.write_text(f"#!/bin/sh\n{script}\n")
        client.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return install


@contextmanager
def listener(address: str, family: int = socket.AF_INET) -> Iterator[int]:
    with closing(socket.socket(family, socket.SOCK_STREAM)) as server:
        server.bind((address, 0))
        server.listen()
        yield server.getsockname()[1]


def free_port() -> int:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


MYSELF = f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"

# -- ports


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1"),
        (ANY_ADDRESS, "127.0.0.1"),
        ("127.0.0.1", ANY_ADDRESS),
        (ANY_ADDRESS, ANY_ADDRESS),
        ("::", "127.0.0.1"),
        ("::", ANY_ADDRESS),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_taken_port_names_its_holder(probe: Probe, held: str, wanted: str) -> None:
    with listener(held, socket.AF_INET6 if ":" in held else socket.AF_INET) as port:
        assert probe(ports=[port], bind_address=wanted)["ports"] == {
            str(port): {"free": False, "holder": MYSELF, "own": False}
        }


def test_port_of_another_address_is_free(probe: Probe) -> None:
    with listener("127.0.0.2") as port:
        assert probe(ports=[port])["ports"][str(port)] == {"free": True, "holder": None, "own": False}


def test_free_port_stays_free(probe: Probe) -> None:
    port = free_port()
    assert probe(ports=[port])["ports"][str(port)] == {"free": True, "holder": None, "own": False}
    with closing(socket.create_server(("127.0.0.1", port))):
        pass


def test_port_with_closed_connections_is_free(probe: Probe) -> None:
    """A server that just ended leaves connections in TIME_WAIT; the next one can listen all the same."""
    port = free_port()
    server = socket.create_server(("127.0.0.1", port))
    with closing(server), closing(socket.create_connection(("127.0.0.1", port))) as client:
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps TIME_WAIT
        client.recv(1)
    assert probe(ports=[port])["ports"][str(port)]["free"]


def test_container_of_ours_is_told_from_another(
    probe: Probe, docker_says: Callable[[str], None], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_says('[ "$*" = "ps --filter publish=$PORT --format {{.Names}}" ] && echo clearml-webserver')
    with listener("127.0.0.1") as port:
        monkeypatch.setenv("PORT", str(port))
        # As seen for a container: the listening process belongs to Docker.
        monkeypatch.setattr(module, "process_of", lambda _: "docker-proxy (pid 7)")
        ours = probe(ports=[port], own_port_holders=["clearml-server", "clearml-webserver"])["ports"][str(port)]
        assert ours == {"free": False, "holder": "container clearml-webserver", "own": True}
        theirs = probe(ports=[port], own_port_holders=["clearml-web"])["ports"][str(port)]
        assert theirs == {"free": False, "holder": "container clearml-webserver", "own": False}


def test_docker_that_knows_nothing_leaves_the_process(
    probe: Probe, docker_says: Callable[[str], None], module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_says("exit 1")
    with listener("127.0.0.1") as port:
        monkeypatch.setattr(module, "process_of", lambda _: "docker-proxy (pid 7)")
        assert probe(ports=[port])["ports"][str(port)]["holder"] == "docker-proxy (pid 7)"
        monkeypatch.setattr(module, "process_of", lambda _: None)
        assert probe(ports=[port])["ports"][str(port)] == {"free": False, "holder": None, "own": False}


@pytest.mark.parametrize(
    ("address", "ok"),
    [("127.0.0.1", True), (ANY_ADDRESS, True), ("127.8.8.8", True), ("192.0.2.1", False), ("", False),
     ("localhost", False), ("::1", False), ("1.2.3.4.5", False), ("not an address", False)],
)  # fmt: skip
def test_bind_address(probe: Probe, address: str, ok: bool) -> None:
    found = probe(bind_address=address, ports=[free_port()])
    assert found["bind_address_ok"] is ok


# -- the machine


def test_disk_is_measured_at_the_nearest_existing_parent(probe: Probe, tmp_path: Path) -> None:
    missing = os.fspath(tmp_path / "not" / "yet" / "there")
    found = probe(paths=[missing, os.fspath(tmp_path), "/proc"])["disk_free_mib"]
    status = os.statvfs(tmp_path)
    assert found[missing] == pytest.approx(status.f_bavail * status.f_frsize // 2**20, rel=0.05, abs=64)
    assert found[os.fspath(tmp_path)] == pytest.approx(found[missing], rel=0.05, abs=64)
    assert found["/proc"] == 0


def test_sysctls(probe: Probe) -> None:
    found = probe(sysctls=["vm.max_map_count", "no.such.setting", "../../etc/passwd", "vm..", "vm"])["sysctls"]
    assert found.pop("vm.max_map_count") == Path("/proc/sys/vm/max_map_count").read_text().strip()
    assert found == {"no.such.setting": None, "../../etc/passwd": None, "vm..": None, "vm": None}


def test_machine(probe: Probe) -> None:
    found = probe()
    assert found["arch"] == os.uname().machine
    assert found["cores"] == len(os.sched_getaffinity(0))
    total = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    assert found["memory_mib"] == pytest.approx(total, abs=1)


def test_avx(module: ModuleType) -> None:
    assert module.has_avx("x86_64", "model name : avx\nflags\t\t: fpu avx sse\n")
    assert not module.has_avx("x86_64", "model name : avx\nflags\t\t: fpu avx2 sse\n")
    assert module.has_avx("aarch64", "Features : fp asimd\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID_LIKE=x\n', ("debian", "12", "bookworm")),
        ("NAME='Ubuntu'\nVERSION_ID='24.04'\nID=ubuntu\nVERSION_CODENAME=noble\n", ("ubuntu", "24.04", "noble")),
        ("ID=debian\n", ("debian", "", "")),
        ("", ("", "", "")),
    ],
)
def test_os_release(module: ModuleType, text: str, expected: tuple[str, str, str]) -> None:
    assert tuple(module.os_release(text).values()) == expected


# -- Docker


@pytest.mark.usefixtures("no_docker")
def test_host_without_docker(probe: Probe) -> None:
    assert set(probe()["docker"].values()) == {None}


def test_engine_with_compose(probe: Probe, docker_says: Callable[[str], None]) -> None:
    versions = {"Client": {"Version": "26.1.5+dfsg1"}, "Server": {"Version": "26.1.5+dfsg1"}}
    docker_says(
        f"case $1 in version) echo '{json.dumps(versions)}';;"
        ' compose) [ "$*" = "compose version --short" ] && echo v2.26.1-4;; esac'
    )
    assert probe()["docker"] == {
        "client": "26.1.5",
        "server": "26.1.5",
        "compose": "2.26.1",
    }


def test_an_engine_counts_as_installed_when_it_is_stopped(probe: Probe, docker_says: Callable[[str], None]) -> None:
    docker_says("exit 1")
    program = Path(os.environ["PATH"].split(":", maxsplit=1)[0]) / "dockerd"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    found = probe()
    assert found["engine_installed"]
    assert found["docker"]["server"] is None


def test_client_whose_engine_is_down(probe: Probe, docker_says: Callable[[str], None]) -> None:
    docker_says("""[ $1 = version ] && echo '{"Client":{"Version":"20.10.24"},"Server":null}'; echo down >&2; exit 1""")
    found = probe()["docker"]
    assert found.pop("client") == "20.10.24"
    assert set(found.values()) == {None}


@pytest.mark.parametrize("script", ["echo not json", "echo '[]'", "exit 1", "echo '\"x\"'", "kill -9 $$"])
def test_odd_client_never_fails(probe: Probe, docker_says: Callable[[str], None], script: str) -> None:
    docker_says(script)
    assert set(probe()["docker"].values()) == {None}


# -- registries


@contextmanager
def registry(status: int, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Run a registry that answers at /v2/ with ``status``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v2/" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(("status", "ok"), [(200, True), (401, True), (403, False), (404, False), (500, False)])
def test_registry_by_url(probe: Probe, status: int, ok: bool) -> None:
    with registry(status) as url:
        found = probe(registries=[url])["registries"][url]
        error = None if ok else f"{url}: answered {status}"
        assert found == {"ok": ok, "via": url if ok else None, "error": error}
        assert probe(registries=[url + "/"])["registries"][url + "/"]["ok"] is ok


def test_registry_by_name(probe: Probe) -> None:
    with registry(200) as url:
        name = url.removeprefix("http://")
        assert probe(registries=[name])["registries"] == {name: {"ok": True, "via": url, "error": None}}


def test_registry_that_is_down(probe: Probe) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert probe(registries=[url])["registries"][url]["error"] == f"{url}: Connection refused"


def test_registry_that_is_no_url(probe: Probe) -> None:
    found = probe(registries=["http://", "ftp2://x", "a b", ""])["registries"]
    assert not any(answer["ok"] for answer in found.values())
    assert all(answer["error"] for answer in found.values())


def test_silent_registries_are_waited_for_together(probe: Probe) -> None:
    with listener("127.0.0.1") as one, listener("127.0.0.1") as two:
        urls = [f"http://127.0.0.1:{port}" for port in (one, two)]
        found = probe(registries=urls, registry_timeout=1)["registries"]
    assert [found[url]["error"] for url in urls] == [f"{url}: no answer within 1 s" for url in urls]


def test_mirror_stands_in_for_docker_hub(
    probe: Probe, module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "DAEMON_JSON", tmp_path / "daemon.json")
    hub = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr(module, "DOCKER_HUB", hub)
    assert probe(registries=["docker.io"])["registries"]["docker.io"]["error"] == f"{hub}: Connection refused"
    for text in ("", "not json", "[]", "{}", '{"registry-mirrors": null}'):
        (tmp_path / "daemon.json").write_text(text)
        assert module.candidates("docker.io") == [hub]
    with registry(200) as url:
        (tmp_path / "daemon.json").write_text(json.dumps({"registry-mirrors": [url + "/"]}))
        found = probe(registries=["docker.io"])["registries"]
        assert found == {"docker.io": {"ok": True, "via": url + "/", "error": None}}


def test_proxy_of_the_environment_is_used(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(200) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        # The proxy sees the whole URL as path and answers 404 in this test: it was asked, not the (missing) host.
        url = "http://registry.invalid"
        assert probe(registries=[url])["registries"][url]["error"] == f"{url}: answered 404"


def test_certificate_that_is_not_trusted_yet(probe: Probe, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mirror", "-days", "1"]
    program = shutil.which("openssl") or "openssl"
    subprocess.run([program, *request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with registry(401, (certificate, key)) as url:
        found = probe(registries=[url])["registries"][url]
    assert (found["ok"], found["via"]) == (True, url)
    assert "certificate is not trusted" in found["error"]


# -- as Ansible runs it


def test_as_a_module(run_ansible: Callable[..., str]) -> None:
    with listener("127.0.0.1") as port:
        arguments = json.dumps({"ports": [port], "sysctls": ["vm.max_map_count"]})
        command = ("ansible", "localhost", "-m", "host_probe", "-a", arguments)
        for mode in ((), ("--check",)):
            output = run_ansible(*command, *mode)
            found = json.loads(output[output.index("{") :])
            assert found["changed"] is False
            assert found["ports"][str(port)]["holder"] == MYSELF


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ports": [70000]}, "ports has 70000: it must be a whole number from 1 to 65535."),
        ({"registry_timeout": 0}, "registry_timeout is 0: it must be 1 second or more."),
    ],
)
def test_bad_arguments(run_ansible: Callable[..., str], arguments: dict[str, Any], message: str) -> None:
    assert message in run_ansible("ansible", "localhost", "-m", "host_probe", "-a", json.dumps(arguments), rc=2)


def test_module_is_documented(run_ansible: Callable[..., str], module: ModuleType, probe: Probe) -> None:
    documented = json.loads(run_ansible("ansible-doc", "-t", "module", "--json", "host_probe"))["host_probe"]
    assert set(documented["doc"]["options"]) == set(module.probe.__annotations__) - {"return"}
    assert set(documented["return"]) == set(probe())
    assert documented["examples"]
