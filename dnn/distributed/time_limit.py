"""A time limit for calls of torch.distributed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

CALL_THREAD = "dnn-call"  # name of the threads that call


def call_within(seconds: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a thread, because its C++ code may wait for ever, and return its result.

    The thread has ended when the result is returned. After an exception it may run on, see ``running_calls``.

    Raises TimeoutError: it has not returned within ``seconds``.
    """
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)

    thread = threading.Thread(target=work, daemon=True, name=CALL_THREAD)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError("no answer")
    return future.result(0)


def running_calls() -> set[threading.Thread]:
    """Return the threads of calls that were given up, by a time limit or by Ctrl-C, and have not returned.

    Such a call may return while Python finalises. Python before 3.14 then ends its thread by ``pthread_exit``
    in C++ code, which aborts the process ("terminate called without an active exception").
    """
    return {thread for thread in threading.enumerate() if thread.name == CALL_THREAD}
