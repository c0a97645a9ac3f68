"""What to use for a name that a module or an object lacks, from the tables."""

import sys

from dnn.keras_names.table import REPLACEMENTS


def explain_name(module: str, name: str) -> str:
    """Return what to use for a name that a module lacks, "" if it is unknown."""
    cure = REPLACEMENTS["module"].get(name) or _full_name(name)
    return cure and f"{module} has no {name}, expected {cure}"


def explain_attribute(kind: type, name: str) -> str:
    """Return what to use for an attribute that objects of a class lack, "" if it is unknown."""
    cure = REPLACEMENTS.get(getattr(kind, "explained_as", ""), {}).get(name)
    return f"a {kind.__name__} has no {name}, expected {cure}" if cure else ""


def explain_call(kind: type) -> str:
    """Return the error message for calling an object of this class like a function, "" if it has none."""
    cure = REPLACEMENTS.get(getattr(kind, "explained_as", ""), {}).get("()")
    return f"a {kind.__name__} was called like a function, expected {cure}" if cure else ""


def _full_name(name: str) -> str:
    """Return the full name of what has this public name in dnn, in upper or lower case; "" if nothing has."""
    for module in sorted(sys.modules):
        if module.partition(".")[0] == "dnn":
            for public in vars(sys.modules[module]).get("__all__", ()):
                if public.lower() == name.lower():
                    return f"{module}.{public}"
    return ""
