"""Ways to change a function: each makes a ``Change``, which takes the right function and returns a wrong one.

What a wrong function remembers begins anew each time that a Change is applied.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

Function = Callable[..., Any]
Change = Callable[[Function], Function]


def around(wrong: Function) -> Change:
    """``wrong(right, *arguments)`` in place of ``right(*arguments)``."""

    def change(right: Function) -> Function:
        return lambda *arguments, **options: wrong(right, *arguments, **options)

    return change


def with_argument(position: int, edit: Function) -> Change:
    """The right function of another argument: ``edit(argument)`` at this position."""

    def wrong(right: Function, *arguments: Any) -> Any:
        return right(*arguments[:position], edit(arguments[position]), *arguments[position + 1 :])

    return around(wrong)


def before(edit: Function) -> Change:
    """``edit(*arguments)``, which writes into them, and then the right function."""

    def wrong(right: Function, *arguments: Any) -> Any:
        edit(*arguments)
        return right(*arguments)

    return around(wrong)


def after(edit: Function) -> Change:
    """The right function, and then ``edit(*arguments)``, which writes into them."""

    def wrong(right: Function, *arguments: Any, **options: Any) -> None:
        right(*arguments, **options)
        edit(*arguments)

    return around(wrong)


def after_with_largest(edit: Function) -> Change:
    """The right function, and then ``edit(largest, *arguments)``; largest is the longest first argument so
    far, that is, the size of the largest batch."""

    def change(right: Function) -> Function:
        sizes = [0]

        def wrong(*arguments: Any) -> None:
            sizes.append(len(arguments[0]))
            right(*arguments)
            edit(max(sizes), *arguments)

        return wrong

    return change


def restored(view: Function) -> Change:
    """The right function, but ``view(*arguments)``, a view of an argument, keeps its old values."""

    def wrong(right: Function, *arguments: Any) -> None:
        array = view(*arguments)
        old = array.copy()
        right(*arguments)
        array[...] = old

    return around(wrong)


def on_calls(chosen: Callable[[int], bool], change: Change) -> Change:
    """The changed function on chosen calls, which count from 1, and the right one on all others."""

    def make(right: Function) -> Function:
        wrong = change(right)
        numbers = count(1)
        return lambda *arguments: (wrong if chosen(next(numbers)) else right)(*arguments)

    return make


def late(change: Change) -> Change:
    """The changed function after 1000 calls of the right one."""
    return on_calls(lambda number: number > 1000, change)
