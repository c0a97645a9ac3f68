"""Lines for whoever looks: the log "dnn", and progress on stdout. A closed or full one ends no training."""

import contextlib
import logging
import os
import sys


def warn(text: str) -> None:
    """A warning in the log "dnn"."""
    logging.getLogger("dnn").warning(text)


def say(text: str) -> None:
    """Print to stdout; where that does not work any more, warn once and print nothing from then on."""
    try:
        print(text, flush=True)  # to nowhere if it was closed before Python started
    except (OSError, ValueError) as error:
        silence_stdout()
        warn(f"standard output cannot be written ({error}); going on without it")


def silence_stdout() -> None:
    """Send stdout to nowhere, also what is still buffered: Python flushes it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
