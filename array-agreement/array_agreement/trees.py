"""Nested tuples, lists and dicts, such as the arguments and results of a call."""

from collections.abc import Callable
from typing import Any


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply ``function`` to every leaf of nested tuples, lists and dicts. Named tuples become tuples."""
    if not isinstance(tree, tuple | list | dict):
        return function(tree)
    if isinstance(tree, dict):
        return {key: tree_map(function, leaf) for key, leaf in tree.items()}
    mapped = [tree_map(function, leaf) for leaf in tree]
    return mapped if isinstance(tree, list) else tuple(mapped)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dicts, in order."""
    found = list[Any]()
    tree_map(found.append, tree)
    return found
