"""Ways to change a function. Each returns a ``Change``: it takes the right function and returns a wrong one.

A wrong function may remember earlier calls. Its memory is empty whenever a Change is applied.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

Function = Callable[..., Any]
Change = Callable[[Function], Function]


def around(wrong: Function) -> Change:
    """Call ``wrong(right, *arguments)`` in place of ``right(*arguments)``."""

    def change(right: Function) -> Function:
        return lambda *arguments, **options: wrong(right, *arguments, **options)

    return change


def with_argument(position: int, edit: Function) -> Change:
    """Call the right function with ``edit(argument)`` in place of the argument at this position."""

    def wrong(right: Function, *arguments: Any) -> Any:
        return right(*arguments[:position], edit(arguments[position]), *arguments[position + 1 :])

    return around(wrong)


def before(edit: Function) -> Change:
    """Call ``edit(*arguments)``, which writes into them, and then the right function."""

    def wrong(right: Function, *arguments: Any) -> Any:
        edit(*arguments)
        return right(*arguments)

    return around(wrong)


def after(edit: Function) -> Change:
    """Call the right function, and then ``edit(*arguments)``, which writes into them."""

    def wrong(right: Function, *arguments: Any, **options: Any) -> None:
        right(*arguments, **options)
        edit(*arguments)

    return around(wrong)


def after_with_largest(edit: Function) -> Change:
    """Call the right function, and then ``edit(largest, *arguments)``. largest is the length of the longest
    first argument so far: the size of the largest batch."""

    def change(right: Function) -> Function:
        sizes = [0]

        def wrong(*arguments: Any) -> None:
            sizes.append(len(arguments[0]))
            right(*arguments)
            edit(max(sizes), *arguments)

        return wrong

    return change


def restore(view: Function) -> Change:
    """Call the right function, and then restore ``view(*arguments)``, a view of an argument."""

    def wrong(right: Function, *arguments: Any) -> None:
        array = view(*arguments)
        old = array.copy()
        right(*arguments)
        array[...] = old

    return around(wrong)


def on_calls(chosen: Callable[[int], bool], change: Change) -> Change:
    """Call the changed function if ``chosen(number of the call, from 1)``, else the right one."""

    def make(right: Function) -> Function:
        wrong = change(right)
        numbers = count(1)
        return lambda *arguments: (wrong if chosen(next(numbers)) else right)(*arguments)

    return make


def late(change: Change) -> Change:
    """Call the changed function from the 1001st call on."""
    return on_calls(lambda number: number > 1000, change)
