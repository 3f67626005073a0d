"""Lets these tests import the lab server, which is installed nowhere but in its image."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[3] / "lab" / "server"))
