"""What all programs of the lab server have in common: configuration, logging, serving, and a clean end."""

from __future__ import annotations

import logging.config
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from .config import Config, ConfigurationError, load


def start(program: str) -> Config:
    """Return the configuration, with logging set up. A configuration that cannot be read ends the process."""
    # As process 1 of a container a program gets no default signal handling: without this, stopping takes 10 s.
    signal.signal(signal.SIGTERM, _stop)
    try:
        config = load(program)
        logging.config.dictConfig(config.get("logging"))
    except (ConfigurationError, ValueError) as ex:
        fail(f"{ex}{f': {ex.__cause__}' if ex.__cause__ else ''}")
    return config


def fail(message: str) -> NoReturn:
    """End the process with one clear line."""
    print(f"ERROR: {message}", file=sys.stderr, flush=True)
    # Not sys.exit: threads that still wait for a database must not delay the end.
    os._exit(1)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
