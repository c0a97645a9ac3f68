"""The two ways in which this project says no: wrong input, and a backend that cannot run here."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the caller handed in is wrong.

    The message is one sentence that names the argument, what it was, what is expected and, where
    there is one, the cure; given whole or in these parts. Command lines print it and exit with code 2; any
    other exception that reaches a command line is a bug and keeps its traceback.

    >>> print(InputError("rate is -1", "a number of at least 0", "leave it out"))
    rate is -1, expected a number of at least 0; leave it out
    """

    def __init__(self, got: str, expected: str = "", cure: str = "") -> None:
        sentence = got + (expected and f", expected {expected}") + (cure and f"; {cure}")
        super().__init__(one_line(sentence))  # names of files may hold more


class UnknownName(InputError):
    """A name that is in no table here."""


class BackendUnavailable(RuntimeError):
    """A known backend cannot run on this machine; the message says what is missing and the cure."""


def install_command(extra: str) -> str:
    """The command that brings an extra of pyproject.toml; the project is on no index.

    >>> install("fast")
    'pip install -e ".[fast]" in a checkout of array-api-dnn'
    """
    return f'pip install -e ".[{extra}]" in a checkout of array-api-dnn'


def one_line(message: object) -> str:
    """A message on one line; of a very long one the beginning and the end."""
    text = " ".join(str(message).split()).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 1200 else f"{text[:800]} ... {text[-300:]}"


def shorten(value: object, limit: int = 160) -> str:
    r"""``str(value)`` for a message, in one line of at most ``limit`` characters.

    >>> brief("a\nb"), brief("x" * 9, limit=5)
    ('a b', 'xx...')
    """
    text = " ".join(str(value).split()).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def short_repr(value: object) -> str:
    """``repr(value)`` for a message, in one line and not too long.

    >>> shown([0] * 1000)[-6:]
    '0, ...'
    """
    return shorten(repr(value))


@contextmanager
def reraise(
    kinds: type[Exception] | tuple[type[Exception], ...], got: str, expected: str = "", cure: str = "",
    error_type: type[InputError] = InputError,
) -> Iterator[None]:  # fmt: skip
    """Turn exceptions of these kinds into ``error_type``, with their text in brackets after ``got``.

    If ``got`` ends with a colon the text follows without brackets.

    >>> with reraise(KeyError, "page 3 cannot be read", "a number"):
    ...     {}["a"]
    Traceback (most recent call last):
    backends.errors.InputError: page 3 cannot be read ('a'), expected a number
    """
    try:
        yield
    except kinds as error:
        # Of an OSError without its number and the file's name.
        reason = shorten(getattr(error, "strerror", None) or error, 400)
        raise error_type(
            f"{got} {reason}" if got[-1] == ":" else f"{got} ({reason})", expected, cure
        ) from None


def unknown_name_error(argument: str, name: object, known: Iterable[str]) -> UnknownName:
    """What to raise for a name that is none of the known: names the argument, and the nearest of them.

    >>> print(unknown("backend", "nunpy", ["numpy", "torch"]))
    backend is 'nunpy', expected one of numpy, torch; did you mean 'numpy'?
    """
    names = list(known)
    close = difflib.get_close_matches(shorten(name).lower(), names)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UnknownName(f"{argument} is {short_repr(name)}, expected one of {', '.join(names)}{hint}")
