"""Exceptions for wrong input and for backends that cannot run here; helpers for their messages."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

NO_MEMORY = re.compile("failed to map segment|[Cc]annot allocate memory")  # in messages of loaders
MEMORY_CURE = "it needs more memory than this process may have"


class InputError(ValueError):
    """An argument is wrong.

    The message is one sentence: the argument and its value, what was expected and, if there is one, the cure.
    Command lines print it and exit with code 2; any other exception that reaches a command line is a bug and
    keeps its traceback.

    >>> print(InputError("rate is -1", "a number of at least 0", "leave it out"))
    rate is -1, expected a number of at least 0; leave it out
    """

    def __init__(self, got: str, expected: str = "", cure: str = "") -> None:
        sentence = got + (expected and f", expected {expected}") + (cure and f"; {cure}")
        super().__init__(one_line(sentence))  # file names may contain newlines
        self.annotate()

    def annotate(self) -> None:
        """Add notes to a new error. A library that builds on this one may replace this method."""


class UnknownName(InputError):
    """A name that is not registered."""


class MissingAttribute(InputError, AttributeError):
    """An object lacks an attribute; the message says what to do instead."""


class BackendUnavailable(RuntimeError):
    """A known backend cannot run on this machine; the message says why, and what to do."""


def install_command(extra: str) -> str:
    """Return the command that installs an extra of pyproject.toml; the project is on no package index.

    >>> install_command("fast")
    'pip install -e ".[fast]" in a checkout of array-api-dnn'
    """
    return f'pip install -e ".[{extra}]" in a checkout of array-api-dnn'


def printable(text: object) -> str:
    r"""Return a text with escapes in place of characters that control a terminal or are not text.

    Names come from files and their authors; everything that is printed passes through this function.

    >>> print(printable("a\x1b[2J\nb"))
    a\x1b[2J\nb
    """
    characters = str(text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in characters)


def one_line(message: object) -> str:
    """Return a message on one line; a very long one is cut in the middle."""
    text = printable(" ".join(str(message).split()))
    return text if len(text) <= 1200 else f"{text[:800]} ... {text[-300:]}"


def shorten(value: object, limit: int = 160) -> str:
    r"""Return ``str(value)`` on one line of at most ``limit`` characters, for a message.

    >>> shorten("a\nb"), shorten("x" * 9, limit=5)
    ('a b', 'xx...')
    """
    text = one_line(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def short_repr(value: object) -> str:
    """Return ``repr(value)`` on one line, shortened, for a message.

    >>> short_repr([0] * 1000)[-6:]
    '0, ...'
    """
    return shorten(repr(value))


@contextmanager
def reraise(
    kinds: type[BaseException] | tuple[type[BaseException], ...],
    got: str, expected: str = "", cure: str = "", error_type: type[InputError] = InputError,
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
        # An OSError's text without its number and file name, which ``got`` has.
        reason = shorten(getattr(error, "strerror", None) or error, 400)
        if NO_MEMORY.search(reason):
            cure = MEMORY_CURE
        raise error_type(
            f"{got} {reason}" if got[-1] == ":" else f"{got} ({reason})", expected, cure
        ) from None


@contextmanager
def report_unavailable(backend: str, cure: str = "") -> Iterator[None]:
    """Turn errors of a backend's import or creation into BackendUnavailable, with this cure.

    Without a cure, a lack of memory and the library's environment variables are named, and an ImportError has
    the pip command that mends it.
    """
    try:
        yield
    except (InputError, BackendUnavailable):
        raise
    except Exception as error:  # numba raises many types if its environment variables are wrong
        why = f"backend {backend!r} cannot run ({type(error).__name__}: {shorten(error, 400)})"
        variables = sorted(name for name in os.environ if name.startswith(f"{backend.upper()}_"))
        if cure:
            pass
        elif isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
            cure = MEMORY_CURE
        elif isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0].replace("_", "-")
            missing = f"{package} is not installed"
            why = missing if package == backend else f"backend {backend!r} cannot run: {missing}"
            cure = f"pip install {package}"
        elif isinstance(error, ImportError):  # broken files, or versions that do not fit
            cure = f"pip install --force-reinstall {backend}"
        elif variables:
            cure = f"correct or unset {', '.join(variables)}"
        raise BackendUnavailable(f"{why}; {cure}".removesuffix("; ")) from error


def unknown_name_error(argument: str, name: object, known: Iterable[str]) -> UnknownName:
    """Return the error for an unknown name; it lists the known names and suggests the closest.

    >>> print(unknown_name_error("backend", "nunpy", ["numpy", "torch"]))
    backend is 'nunpy', expected one of numpy, torch; did you mean 'numpy'?
    """
    names = list(known)
    close = difflib.get_close_matches(shorten(name).lower(), names)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UnknownName(f"{argument} is {short_repr(name)}", f"one of {', '.join(names)}{hint}")
