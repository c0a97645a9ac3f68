"""Lines for whoever looks, on stdout and stderr: a closed or full one never ends a training."""

import contextlib
import os
import sys


def warn(text: str) -> None:
    """Print ``WARNING: text`` to stderr; where that is closed or full, nobody reads it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"WARNING: {text}", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print to stdout; where that does not work any more, warn once and print nothing from then on."""
    if sys.stdout is None:  # closed before Python started
        return
    try:
        print(text, flush=True)
    except (OSError, ValueError) as error:
        silence_stdout()
        warn(f"standard output cannot be written ({error}); going on without it")


def silence_stdout() -> None:
    """Send stdout to nowhere, also what is still buffered: Python flushes it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
