"""What all commands do alike: an error is one sentence on stderr, and an exit code that scripts can trust."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from clearml_platform.errors import PlatformError

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
