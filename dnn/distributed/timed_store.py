"""Calls of torch.distributed that cannot wait for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any


def call_within(seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a thread, because its C++ code may wait for ever, and return its result.

    Raises TimeoutError: it has not returned within ``seconds``.
    """
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        raise TimeoutError("no answer") from None


class TimedStore:
    """A store of torch.distributed with methods that raise TimeoutError after ``seconds``."""

    def __init__(self, store: Any, seconds: float) -> None:
        self.store = store
        self.seconds = seconds

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(call_within, self.seconds, getattr(self.store, name))
