"""Sphinx configuration of ``make docs``: the pages in this folder and an API reference."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import dnn  # noqa: E402

project = "array-api-dnn"
version = release = dnn.__version__
html_title = f"{project} {version}"
html_theme = "furo"
html_show_copyright = False
smartquotes = False
default_role = "code"
python_maximum_signature_line_length = 90
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.mermaid",
]

myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]  # drawn in the browser; offline the source is shown
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # methods that override one of a base class are documented there
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "exclude-members": "examples"}
suppress_warnings = [
    "ref.term", "ref.ref",  # of methods that scikit-learn adds
    "myst.xref_missing",  # links to folders and to pages outside of docs become text
]  # fmt: skip


# ----- docstrings: plain sentences with ``code``, and sections that napoleon reads


def read_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape characters outside of code, and make a paragraph of "Raises NAME: text" and the like."""
    if what == "class" and obj.__module__.startswith(("dnn.", "backends.")):
        fields = re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(obj), flags=re.MULTILINE)
        lines += [f"- ``{field}``: {comment}" for field, comment in fields]
    code = r"(^>>>.*(?:\n.+)*|``?[^`]+``?)|([*|\\]|(?<=\w)_(?!\w))"
    text = re.sub(code, lambda found: found[1] or "\\" + found[2], "\n".join(lines), flags=re.MULTILINE)
    sentence = r"\n((?:Raises|Returns):? \S.*(?:\n    .*)*)"
    lines[:] = re.sub(sentence, lambda found: "\n\n" + " ".join(found[1].split()), text).split("\n")


def shorten(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: Any, back: Any) -> Any:
    """Remove validators in types from signatures."""
    if signature is None:
        return None
    signature = re.sub(r"~?(?:typing\.)?Annotated\[(\w+), [^]]*\]", r"\1", signature)
    return signature.replace("<factory>", "...").replace("~collections.abc.", ""), back


def skip_fields(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Skip the fields of named tuples, which the class documents."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field") else None


def set_language(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Name the language of Chinese pages, so that browsers choose the right glyphs."""
    if page.endswith(".zh"):
        context["language"] = "zh"


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", set_language)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip_fields)
