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
def claim_training(model: Any) -> Iterator[None]:
    """Claim the model during training, since there is one set of gradients and buffers; it runs isolated.

    Raises InputError: the model is being trained already.
    """
    claim = Claim(model)
    with trainings().hold(claim), model.backend.isolated():
        if any(other.kind is model for other in trainings().older(claim)):
            got = "fit or compile was called during a training, by another thread or a callback"
            raise InputError(got, "one training at a time", "create one model for each")
        yield
