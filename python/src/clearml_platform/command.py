"""What all commands do alike: an error is one sentence on stderr, and an exit code that scripts can trust."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from clearml_platform.errors import InputError, PlatformError

INTERRUPTED = 130


def run(command: Callable[[Sequence[str] | None], int], arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 done, 1 failed, 2 wrong input, 3 the server's fault, 130 interrupted."""
    try:
        return command(arguments)
    except PlatformError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        sys.stderr.close()
        return 0


def print_json(content: object) -> None:
    """Print what machines read."""
    print(json.dumps(content, indent=2, ensure_ascii=False, default=str))


@contextmanager
def only_json(*, wanted: bool) -> Iterator[None]:
    """Keep what the SDK and other processes print out of the output that a machine reads."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def assigned(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Return what was given as ``name=value``."""
    found = {}
    for text in pairs:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InputError(f"{option}: {text!r} is no name=value.")
        found[name] = value
    return found
