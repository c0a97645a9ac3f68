"""Sphinx configuration of ``make docs``: the pages in this folder and an API reference."""

import inspect
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from pygments.lexers import get_lexer_for_filename
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

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


# ----- files outside of this folder, and notebooks


def document_text(path: Path, others: list[Path]) -> str:
    """Return a document for a page that has the others, too: links lead into it, or from this folder."""

    def relink(found: re.Match[str]) -> str:
        target = (path.parent / found[1]).resolve()
        return f"](#{target.stem})" if target in others else f"]({os.path.relpath(target, HERE)})"

    return f"({path.stem})=\n" + re.sub(r"\]\(([^)#:]+)\)", relink, path.read_text("utf-8"))


def make_toctrees(text: str) -> str:
    """Return the lists of pages for the site's menu.

    Each section of the index becomes a list of the pages that it links to. Two more lists have the notebooks
    and the Chinese pages.
    """
    groups = {}
    for section in re.split("^## ", text, flags=re.MULTILINE)[1:]:
        groups[section.partition("\n")[0]] = re.findall(r"\]\(([\w/-]+\.md)\)", section)
    for name, ending in (("Notebooks", "ipynb"), ("中文", "zh.md")):
        groups[name] = sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob(f"*.{ending}"))
    heads = (f"\n```{{toctree}}\n:hidden:\n:caption: {name}\n\n" for name in groups)
    trees = zip(heads, groups.values(), strict=True)
    return "".join(head + "\n".join(pages) + "\n```\n" for head, pages in trees)


def read_source(app: Sphinx, page: str, source: list[str]) -> None:
    """Put array-agreement's documents in place of their list, and mark links to documents outside of here."""
    if page == "index":
        source[0] += make_toctrees(source[0])
    if page == "array-agreement":
        paths = [ROOT / name for name in re.findall(r"\]\(\.\./(.*?\.md)\)", source[0])]
        source[0] = "\n\n".join(document_text(path, paths) for path in paths)
    outside = r"\]\(((?:\.\./)+(?:array-agreement/|[A-Z]+\.md)[^)#]*)(?:#[^)]*)?\)"
    source[0] = re.sub(outside, r"](path:\1)", source[0])


def link_files(app: Sphinx, doctree: nodes.document) -> None:
    """Let links to files outside of this folder lead to pages, in place of downloads."""
    page = app.env.docname
    for node in list(doctree.findall(download_reference)):
        name = os.path.relpath((HERE / page).parent / node["reftarget"], ROOT)
        if name.startswith("docs/"):
            continue
        target = "array-agreement" if name.startswith("array-agreement/") else f"source/{name}"
        if name == "README.md":
            target = "index"
        if target.startswith("source/"):
            app.env.linked_files = getattr(app.env, "linked_files", frozenset()) | {name}
        uri = app.builder.get_relative_uri(page, target)
        node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))


def make_source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page with the highlighted text of each file that a page links to."""
    for name in getattr(app.env, "linked_files", ()):
        language = get_lexer_for_filename(name).aliases[0]
        text = app.builder.highlighter.highlight_block((ROOT / name).read_text("utf-8"), language)
        yield f"source/{name}", {"title": name, "body": f"<h1>{name}</h1>{text}"}, "page.html"


class NotebookParser(MystParser):
    """Makes a page of a notebook: its text, programs and outputs."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        parts = []
        for cell in json.loads(inputstring)["cells"]:
            text = "".join(cell["source"])
            language = "text" if text.startswith(("%", "!")) else "python"  # commands of the notebook
            parts.append(text if cell["cell_type"] == "markdown" else f"```{language}\n{text}\n```")
            parts += [f"```text\n{''.join(output['text'])}```" for output in cell.get("outputs", ())]
        super().parse("\n\n".join(parts), document)


def set_language(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Name the language of Chinese pages, so that browsers choose the right glyphs."""
    if page.endswith(".zh"):
        context["language"] = "zh"


def setup(app: Sphinx) -> None:
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.connect("source-read", read_source)
    app.connect("doctree-read", link_files, priority=400)  # before the files are collected for download
    app.connect("html-collect-pages", make_source_pages)
    app.connect("html-page-context", set_language)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip_fields)
