"""What to use for a name that a module or an object lacks, from the tables."""

import sys
from difflib import get_close_matches

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
    """Return the full name in dnn of a module with about this name, or of what has it as its public name.

    Upper and lower case of public names are equal. "": there is nothing.
    """
    modules = {path: vars(module) for path, module in sys.modules.items() if path.partition(".")[0] == "dnn"}
    public = {path: names["__all__"] for path, names in sorted(modules.items()) if "__all__" in names}
    ends = {path.rpartition(".")[2]: path for path in public}
    for end in get_close_matches(name, ends, 1, cutoff=0.8) if name.islower() else ():
        return ends[end]
    return next((f"{path}.{n}" for path in public for n in public[path] if n.lower() == name.lower()), "")
