"""The trainings that run in this process: one for each model at a time."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backends import InputError
from backends.claims import Claim, Claims, once


@once
def trainings() -> Claims:
    """Return the claims of all trainings in this process; at its end, those of daemon threads end."""
    claims = Claims()
    atexit.register(claims.end_others)
    return claims


@contextmanager
def claim_training(network: Any) -> Iterator[None]:
    """Claim the network during training, since there is one set of gradients and buffers; it runs isolated.

    Raises InputError: the network is being trained already.
    """
    claim = Claim(network)
    with trainings().hold(claim), network.backend.isolated():
        if any(other.kind is network for other in trainings().older(claim)):
            got = "fit or compile was called during a training, by another thread or a callback"
            raise InputError(got, "one training at a time", "create one model for each")
        yield
