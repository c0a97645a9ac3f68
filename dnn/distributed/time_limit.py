"""A time limit for calls of torch.distributed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
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
