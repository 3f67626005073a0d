"""The filter daemon_option_problems: what would keep the Docker daemon from starting with these options."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping

from ansible.errors import AnsibleFilterError

# The names in daemon.json on Linux, by the type of their values. With a name that it does not know, or a number where
# text should be, the daemon does not start.
_NAMES = {
    "true or false": """
        allow-direct-routing cri-containerd debug experimental icc init ip-forward ip-forward-no-drop ip-masq ip6tables
        iptables ipv6 live-restore no-new-privileges raw-logs rootless selinux-enabled tls tlsverify userland-proxy
        """,
    "a number without quotes": """
        cpu-rt-period cpu-rt-runtime max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu
        network-control-plane-mtu network-diagnostic-port shutdown-timeout swarm-raft-election-tick
        swarm-raft-heartbeat-tick
        """,
    "a string": """
        api-cors-header bip bip6 bridge bridge-accept-fwmark cgroup-parent containerd containerd-namespace
        containerd-plugin-namespace data-root default-cgroupns-mode default-gateway default-gateway-v6 default-init
        default-ipc-mode default-runtime exec-root firewall-backend fixed-cidr fixed-cidr-v6 group host-gateway-ip
        http-proxy https-proxy init-path ip log-driver log-format log-level metrics-addr no-proxy pidfile resolv-conf
        seccomp-profile storage-driver swarm-default-advertise-addr tlscacert tlscert tlskey userland-proxy-path
        userns-remap
        """,
    "a list of strings": """
        allow-nondistributable-artifacts authorization-plugins cdi-spec-dirs dns dns-opts dns-search exec-opts
        host-gateway-ips insecure-registries labels node-generic-resources registry-mirrors storage-opts
        """,
    "a list of mappings": "default-address-pools",
    "a mapping": "builder default-network-opts default-ulimits features proxies runtimes",
    "a mapping of strings (numbers in quotes)": "log-opts",
    "a size such as 64M": "default-shm-size",
}
_WANTED = {name: wanted for wanted, names in _NAMES.items() for name in names.split()}


def _texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


_FITS: dict[str, Callable[[object], bool]] = {
    "true or false": lambda value: isinstance(value, bool),
    "a number without quotes": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "a string": lambda value: isinstance(value, str),
    "a list of strings": _texts,
    "a list of mappings": lambda value: isinstance(value, list) and all(isinstance(item, Mapping) for item in value),
    "a mapping": lambda value: isinstance(value, Mapping),
    "a mapping of strings (numbers in quotes)": lambda value: (
        isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())
    ),
    "a size such as 64M": lambda value: isinstance(value, (str, int)) and not isinstance(value, bool),
}


def _problem(name: str, value: object) -> str | None:
    """Return what is wrong with one option."""
    if name == "hosts":
        return (
            f"docker_daemon_options.hosts is {json.dumps(value)}, but its unit says where the daemon listens, and "
            "it does not start when both do: leave hosts out, or change the unit with `systemctl edit docker`."
        )
    if name not in _WANTED:
        alike = difflib.get_close_matches(name, _WANTED, n=1, cutoff=0.75)
        advice = f"did you mean {alike[0]}?" if alike else "leave it out."
        return f"docker_daemon_options has {name}, which the daemon does not know and would not start with: {advice}"
    if not _FITS[_WANTED[name]](value):
        return f"docker_daemon_options.{name} is {json.dumps(value)}: it must be {_WANTED[name]}."
    return None


def daemon_option_problems(options: object, present: object = "{}") -> list[str]:
    """Return a sentence for each option that the daemon would refuse, and for a file that cannot be merged."""
    if not isinstance(options, Mapping):
        raise AnsibleFilterError(
            f"daemon_option_problems: the options are of type {type(options).__name__}: they must be a mapping."
        )
    problems = [problem for name, value in options.items() if (problem := _problem(str(name), value))]
    try:
        mergeable = isinstance(json.loads(str(present)), dict)
    except ValueError:
        mergeable = False
    if options and not mergeable:
        problems.append(
            "docker_daemon_options cannot be merged with /etc/docker/daemon.json, which holds no JSON mapping: "
            "correct or remove that file."
        )
    return problems


class FilterModule:
    """Filters for the Docker daemon's options."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"daemon_option_problems": daemon_option_problems}
