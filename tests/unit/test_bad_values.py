"""A value that cannot be is refused by one sentence that names the variable and the value, before anything changes.

The playbook is run as an operator runs it, against this machine; --check keeps a test that finds a fault from
deploying.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"

BAD = [
    ("clearml_server_release", "9.9.9", "in compose/releases"),
    ("clearml_server_release", "latest", "in compose/releases"),
    ("clearml_server_api_port", "abc", "a whole number from 1 to 65535"),
    ("clearml_server_api_port", "0", "a whole number from 1 to 65535"),
    ("clearml_server_web_port", "65536", "a whole number from 1 to 65535"),
    ("clearml_server_web_port", "80.5", "a whole number from 1 to 65535"),
    ("clearml_server_files_port", "-1", "a whole number from 1 to 65535"),
    ("clearml_server_files_port", "8008", "three different ports"),
    ("clearml_server_bind_address", "localhost", "an IPv4 address"),
    ("clearml_server_bind_address", "300.1.1.1", "an IPv4 address"),
    ("clearml_server_bind_address", "192.0.2.77", "one of its own IPv4 addresses"),
    ("clearml_server_data_root", "opt/clearml", "an absolute path"),
    ("clearml_server_data_root", "/", "an absolute path"),
    ("clearml_server_data_root", "/opt/../etc", "an absolute path"),
    ("clearml_server_data_root", "/opt/my data", "an absolute path"),
    ("clearml_server_registry_prefix", "mirror.example.com", "a slash at its end"),
    ("clearml_server_mongo_memory", "2GB", "a size such as"),
    ("clearml_server_files_url", "files.example.com", "a URL such as"),
]


@pytest.mark.parametrize(
    ("variable", "value", "wanted"), BAD, ids=[f"{variable}={value}" for variable, value, _ in BAD]
)
def test_bad_value_is_refused_by_name(variable: str, value: str, wanted: str) -> None:
    # The least memory is not what is tested here, and a laptop may have less.
    extra = {"host_min_memory_mib": 1, "host_min_disk_mib": 1, "host_registries": {}, "host_ports": {}, variable: value}
    result = subprocess.run(
        [PLAYBOOK, "-i", "inventory/local", "playbooks/deploy.yml", "--check", "--extra-vars", json.dumps(extra)],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_BECOME": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stdout + result.stderr
    sentences = re.findall(
        r"^\[ERROR\]: Task failed: Action failed: (.*)$", result.stderr + result.stdout, re.MULTILINE
    )
    assert len(sentences) == 1, sentences
    assert variable in sentences[0]
    assert value in sentences[0]
    assert wanted in sentences[0]
    assert "changed=0" in result.stdout
