"""Calls of torch.distributed that cannot wait for ever."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any


def call_within(seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a thread, because its C++ code may wait for ever, and return its result.

    Raises TimeoutError: it has not returned within ``seconds``.
    """
    results: list[Any] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(function(*arguments))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


class TimedStore:
    """A store of torch.distributed whose methods raise TimeoutError after ``seconds``."""

    def __init__(self, store: Any, seconds: float) -> None:
        self.store = store
        self.seconds = seconds

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(call_within, self.seconds, getattr(self.store, name))
