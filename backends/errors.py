"""The two ways in which this project says no: wrong input, and a backend that cannot run here."""


class InputError(ValueError):
    """Something the caller handed in is wrong.

    The message is one sentence that names the argument, what it was, what is expected and, where
    there is one, the cure. Command lines print it and exit with code 2; any other exception that
    reaches a command line is a bug and keeps its traceback.
    """


class BackendUnavailable(RuntimeError):
    """A known backend cannot run on this machine; the message says what is missing and the cure."""
