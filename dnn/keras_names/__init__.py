"""Names and arguments of Keras and other libraries that do not exist here, and what to use instead.

``REPLACEMENTS`` and ``ALIASES`` hold all of them. An unsupported name is an AttributeError, or an ImportError
in ``from dnn import name``, so ``hasattr`` and ``try`` work. An unsupported argument is a TypeError.
"""

from dnn.keras_names.checks import (
    ChecksKeywords,
    KerasModules,
    KerasNames,
    check_keywords,
    check_methods,
    checks_keywords,
    missing_attribute,
    module_getattr,
)
from dnn.keras_names.table import ALIASES, REPLACEMENTS

__all__ = [
    "ALIASES", "REPLACEMENTS", "ChecksKeywords", "KerasModules", "KerasNames", "check_keywords",
    "check_methods", "checks_keywords", "missing_attribute", "module_getattr",
]  # fmt: skip
