"""Mistakes, and how to follow the advice that the error or the warning prints."""

from typing import NamedTuple

import numpy as np

import dnn


class Row(NamedTuple):
    """A mistake, as code. ``tests/dnn/inputs/test_cures.py`` runs it."""

    setup: str
    mistake: str  # raises an error, or logs a warning
    pattern: str  # its group is the part of the message to follow
    follow: str  # code with {cure} in place of that part, before the mistake's code runs again
    check: str  # an expression that is then true
    again: str = ""  # runs instead of the mistake's code


def network(shape, outputs=3, loss="categorical_crossentropy", last="softmax", backend="numpy", **options):
    """Return a compiled network for examples of this shape."""
    image = [dnn.Conv2D(4, 2)] if len(shape) == 3 else []
    layers = [dnn.Input(shape), *image, dnn.Flatten(), dnn.Dense(outputs, last)]
    model = dnn.Sequential(layers, backend=backend, **options)
    model.compile(loss, "adam")
    return model


def examples(shape, n=6):
    """Return n different examples of this shape."""
    return np.random.default_rng(0).random((n, *shape), dtype="f4")


def same(a, b):
    """Whether two arrays hold the same float32 numbers."""
    return np.array_equal(np.asarray(a, "f4"), np.asarray(b, "f4"))


USE = r"; use (.+?)(?:$| if |, a batch )"
NUMBER = r"of the training with (.+), and those"
RGB = 4, 5, 3
SQUARE = 5, 5, 3
GREY = 5, 4, 1


def example_row(shape, wrong, pattern=USE, backend="numpy"):
    """Return the row in which the examples ``right`` were given as the expression ``wrong``."""
    made = f"right = examples({shape})\nmodel = network({shape}, backend={backend!r})\nx = {wrong}"
    check = "same(found, model.predict(right[: len(found)])) and len(found) in (1, 6)"
    return Row(made, "found = model.predict(x)", pattern, "x = {cure}", check)


TORCH_ORDER = r"or (.+) if rows are in PyTorch's order"
FIRST = "right.transpose(0, 3, 1, 2)"
EXAMPLES = {
    "channels first": example_row(RGB, FIRST),
    "channels first, square": example_row(SQUARE, FIRST),
    "channels first, a copy": example_row(SQUARE, f"{FIRST}.copy()"),
    "channels first, uint8": example_row(SQUARE, f"right.astype('u1'); right = x; x = {FIRST}"),
    "channels first, grey": example_row(GREY, FIRST),
    "channels first, a tensor": example_row(SQUARE, f"torch.from_numpy({FIRST}.copy())"),
    "channels first, a tensor for torch": example_row(
        SQUARE, f"torch.from_numpy({FIRST}.copy())", backend="torch"
    ),
    "channels first, with a gradient": example_row(RGB, f"torch.tensor({FIRST}, requires_grad=True)"),
    "channels first, of the standard": example_row(SQUARE, f"xp.asarray({FIRST}.copy())", backend="strict"),
    "channels first, a list": example_row(SQUARE, f"{FIRST}.tolist()"),
    "channels first, one tensor": example_row(RGB, "torch.from_numpy(right[0].transpose(2, 0, 1).copy())"),
    "sequences with channels first": example_row((7, 2), "right.transpose(0, 2, 1)"),
    "width before height": example_row((5, 4), "right.transpose(0, 2, 1)"),
    "images last": example_row(RGB, "right.transpose(1, 2, 3, 0)"),
    "features x examples": example_row((4,), "right.T"),
    "features x examples, a tensor": example_row((4,), "torch.from_numpy(right).T"),
    "features x examples, a data frame": example_row((4,), "pandas.DataFrame(right.T)"),
    "flat rows": example_row(GREY, "right.reshape(6, -1)"),
    "flat rows, a tensor": example_row(GREY, "torch.from_numpy(right).flatten(1)"),
    "flat rows, of the standard": example_row(GREY, "xp.asarray(right.reshape(6, -1))", backend="strict"),
    "flat rows, a data frame": example_row(GREY, "pandas.DataFrame(right.reshape(6, -1))"),
    "flat rows, sparse": example_row(GREY, "scipy.sparse.csr_array(right.reshape(6, -1))"),
    "flat rows of colours": example_row(RGB, "right.reshape(6, -1)"),
    "flat rows, PyTorch's tensor": example_row(
        RGB, f"torch.from_numpy({FIRST}.copy()).flatten(1)", TORCH_ORDER
    ),
    "flat rows, PyTorch's list": example_row(RGB, f"{FIRST}.reshape(6, -1).tolist()", TORCH_ORDER),
    "images for a flat model": example_row((20,), "right.reshape(6, 5, 4)"),
    "images for a flat model, a list": example_row((20,), "right.reshape(6, 5, 4).tolist()"),
    "no axis of channels": example_row(GREY, "right[..., 0]"),
    "no axis of channels, a list": example_row(GREY, "right[..., 0].tolist()"),
    "an axis too many": example_row((5, 4), "right[..., None]"),
    "one image": example_row(RGB, "right[0]"),
    "one image without channels": example_row(GREY, "right[0, ..., 0]"),
    "one image for a flat model": example_row((20,), "right[0].reshape(5, 4)"),
    "one flat image": example_row(GREY, "right[0].reshape(-1)"),
    "one row": example_row((4,), "right[0]"),
    "one row, a list": example_row((4,), "right[0].tolist()"),
    "one row, a column of pandas": example_row((4,), "pandas.Series(right[0])"),
    "one row, of the standard": example_row((4,), "xp.asarray(right[0])", backend="strict"),
    "one feature": example_row((1,), "right[:, 0]"),
    "one feature, a column of pandas": example_row((1,), "pandas.Series(right[:, 0])"),
    "a sparse tensor": example_row((4,), "torch.from_numpy(right).to_sparse()", backend="torch"),
    "a nested tensor": example_row(
        (4,), "torch.nested.nested_tensor(list(torch.from_numpy(right)), layout=torch.jagged)"
    ),
    "bfloat16": example_row(
        (4,), "torch.from_numpy(right).bfloat16(); right = x.float()", r"as (x\.float\(\)) does"
    ),
    "numbers as objects": example_row((4,), "right.astype(object)"),
    "numbers as text": example_row((4,), "right.astype(str)", r"or for numbers use (.+)$"),
}


def target_row(wrong, pattern=USE, follow="y = {cure}", check="", outputs=3, **options):
    """Return the row in which the class numbers ``right`` were given as the expression ``wrong``."""
    options_code = "".join(f", {name}={value!r}" for name, value in options.items())
    made = (
        "right = numpy.asarray([0, 2, 1, 0, 1, 2])"
        if outputs > 2
        else "right = numpy.asarray([0, 1, 1, 0, 1, 0])"
    )
    made += f"\nx = examples((4,))\nmodel = network((4,), {outputs}{options_code})\ny = {wrong}"
    evaluate = "found = model.evaluate(x, y).loss"
    return Row(made, evaluate, pattern, follow, check or "found == model.evaluate(x, right).loss")


YES_NO = {"outputs": 1, "loss": "binary_crossentropy", "last": "sigmoid"}
SPARSE = "sparse_categorical_crossentropy"
ONE_HOT = "numpy.eye(3)[right]"
INTEGERS = r"for class numbers use (.+), or give rows"
DENSE = r"end the network with (Dense\(.+?\))"
TARGETS = {
    "a column": target_row("right[:, None]"),
    "a column, a tensor": target_row("torch.from_numpy(right)[:, None]", backend="torch"),
    "a column, a list": target_row("right[:, None].tolist()"),
    "a column, a data frame": target_row("pandas.DataFrame(right)"),
    "a column, of the standard": target_row("xp.asarray(right)[:, None]", backend="strict"),
    "a row": target_row("right[None, :]"),
    "a row for one output": target_row("right[None, :]", **YES_NO),
    "one-hot columns": target_row(f"{ONE_HOT}.T[:, :6]"),
    "one-hot columns, a tensor": target_row(f"torch.from_numpy({ONE_HOT}).T"),
    "one-hot columns, a data frame": target_row(f"pandas.DataFrame({ONE_HOT}).T"),
    "an axis too many": target_row(f"{ONE_HOT}[:, None, :]"),
    "sparse rows": target_row(f"scipy.sparse.csr_array({ONE_HOT})"),
    "floats": target_row("right.astype('f4')", INTEGERS),
    "floats, a tensor": target_row("torch.from_numpy(right).float()", INTEGERS),
    "floats, a list": target_row("right.astype(float).tolist()", INTEGERS),
    "floats, a column of pandas": target_row("pandas.Series(right, dtype='f8')", INTEGERS),
    "floats, of the standard": target_row("xp.asarray(right, dtype=xp.float32)", INTEGERS, backend="strict"),
    "objects": target_row("right.astype(object)", USE, "y = {cure}.astype(int)"),
    "numbers as text": target_row("right.astype(str)", NUMBER, "{cure}"),
    "from 1": target_row("right + 1", r"as (.+) does, or end"),
    "from 1, a list": target_row("(right + 1).tolist()", r"as (.+) does, or end"),
    "from 1, a larger network": target_row(
        "right + 1",
        DENSE,
        "model = network((4,), {cure}.units)",
        "found == model.evaluate(x, right + 1).loss",
    ),
    "more classes": target_row(
        "right * 2", DENSE, "model = network((4,), {cure}.units)", "model.outputs == 5"
    ),
    "more columns": target_row(
        "numpy.eye(4)[right]", DENSE, "model = network((4,), {cure}.units)", "model.outputs == 4"
    ),
    "-1 and 1": target_row("2 * right - 1", NUMBER, "{cure}", outputs=2, check="y.max() == 1"),
    "-1 to be ignored": target_row(
        "right.copy(); y[0] = -1",
        r"give the loss (ignore_index=-1)$",
        "model.compile(dnn.CategoricalCrossentropy({cure}))",
        "found == model.evaluate(x[1:], right[1:]).loss",
    ),
    "values": target_row(
        "right + 0.5",
        r"end the network with (Dense\(1\)) and compile it with the loss 'mse'",
        "model = network((4,), {cure}.units, 'mse', 'linear')",
        "model.metrics_for(False)[0].name == 'mean_absolute_error'",
    ),
    "one-hot for class numbers": target_row(ONE_HOT, r"; use (.+), or for lists", loss=SPARSE),
    "one-hot for class numbers, a tensor": target_row(
        f"torch.from_numpy({ONE_HOT})", r"; use (.+), or for", loss=SPARSE
    ),
    "one-hot for class numbers, a list": target_row(
        f"{ONE_HOT}.tolist()", r"or for lists (.+)$", loss=SPARSE
    ),
    "one-hot for class numbers, a data frame": target_row(
        f"pandas.DataFrame({ONE_HOT})", r"or for lists (.+)$", loss=SPARSE
    ),
    "counts": target_row(
        f"3 * {ONE_HOT}", r"divide (each row by its sum)$", "y = y / y.sum(axis=1, keepdims=True)  # {cure}"
    ),
    "-1 for no": target_row(
        "2 * right - 1", r"; use (0 for no and 1 for yes)$", "y = y > 0  # {cure}", **YES_NO
    ),
}

NAMED = """
names_ = numpy.asarray(["dog", "ant", "cat"])
numbers = numpy.asarray([2, 0, 1, 2, 1, 0])
y = names_[[0, 1, 2, 0, 2, 1]].tolist()
x = examples((4,))
model = network((4,))
"""
FIT = "model.fit(x, y, verbose=0)"
UNSCALED = (
    "layers = [dnn.Input(x.shape[1:]), *first, dnn.Dense(2, 'softmax')]\n"
    f"model = dnn.Sequential(layers, backend='numpy'); model.compile()\n{FIT}"
)
DATES = """
when = pandas.Series(pandas.date_range("2020-01-01", periods=8, freq="30D"))
y = numpy.arange(8) % 2
x = pandas.DataFrame({"a": numpy.arange(8.0), "when": when})
years = 20 + numpy.arange(8) * 30 / 365 + 5 / 365
model = network((2,), 2)
"""
YEARS = r"as the years (.+), or parts"
SOON = "numpy.allclose(x['when'].astype(float), years)"
IMAGES = "x = examples((5, 5, 3))\ny = numpy.arange(6) % 3\n"


def warning_row(mistake, pattern, follow, check):
    """Return the row of a setting that gets a warning."""
    return Row("", f"made = {mistake}", pattern, follow or "made = {cure}", check, "pass")


NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(3, 2)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

"""
PATH = """
import pathlib, tempfile
path = pathlib.Path(tempfile.mkdtemp()) / "file"
"""
WRITE = r"write (\S+)$"
ADVICE = {
    "names of classes": Row(NAMED, FIT, NUMBER, "{cure}", "same(y, numbers)"),
    "names of classes, a column of pandas": Row(
        f"{NAMED}y = pandas.Series(y)", FIT, NUMBER, "{cure}", "same(y, numbers)"
    ),
    "names of other data": Row(
        f"{NAMED}names = numpy.unique(y)\nx = x[:2]\ny = ['dog', 'cat']",
        "model.evaluate(x, y)",
        r"those of other data with (.+)$",
        "y = {cure}",
        "same(y, [2, 1])",
    ),
    "names of validation data": Row(
        f"{NAMED}names, y = numpy.unique(y, return_inverse=True)\nvalidation_data = x[:2], ['dog', 'cat']",
        "model.fit(x, y, verbose=0, validation_data=validation_data)",
        r"those of other data with (.+)$",
        "validation_data = x[:2], {cure}",
        "same(validation_data[1], [2, 1])",
    ),
    "validation data with channels first": Row(
        f"{IMAGES}model = network((5, 5, 3))\nvalidation_data = x.transpose(0, 3, 1, 2), y",
        "model.fit(x, y, verbose=0, validation_data=validation_data)",
        USE,
        "validation_data = {cure}, y",
        "same(validation_data[0], x)",
    ),
    "batches with channels first": Row(
        f"{IMAGES}model = network((5, 5, 3))\nright = x\nx = x.transpose(0, 3, 1, 2)",
        "model.fit([(x, y)], verbose=0)",
        USE,
        "x = {cure}",
        "same(x, right)",
    ),
    "batches of names": Row(
        f"{NAMED}names = numpy.unique(y)",
        "model.fit([(x, y)], verbose=0)",
        r"those of other data with (.+)$",
        "y = {cure}",
        "same(y, numbers)",
    ),
    "weights as a column": Row(
        f"{IMAGES}model = network((5, 5, 3))\nweights = sample_weight = numpy.arange(6.0)[:, None]",
        "model.fit(x, y, verbose=0, sample_weight=sample_weight)",
        USE,
        "sample_weight = {cure}",
        "same(sample_weight, numpy.arange(6))",
    ),
    "weights as a list of lists": Row(
        f"{IMAGES}model = network((5, 5, 3))\nsample_weight = [[1.0]] * 6",
        "model.evaluate(x, y, sample_weight=sample_weight)",
        USE,
        "sample_weight = {cure}",
        "same(sample_weight, [1] * 6)",
    ),
    "a model with channels first": Row(
        f"{IMAGES}x = numpy.concatenate([x] * 3, axis=2)[:, :, :9]\nmodel = network((3, 5, 9))",
        "found = model.predict(x)",
        r"make the model with input_shape=(.+)$",
        "model = network({cure})",
        "model.input_shape == (5, 9, 3)",
    ),
    "a grey model with channels first": Row(
        "x = examples((5, 5, 1))\nmodel = network((1, 5, 5), last='softmax') if 0 else dnn.Sequential("
        "[dnn.Input((1, 5, 5)), dnn.Flatten(), dnn.Dense(3, 'softmax')], backend='numpy')",
        "found = model.predict(x)",
        r"make the model with input_shape=(.+)$",
        "model = network({cure})",
        "model.input_shape == (5, 5, 1)",
    ),
    "a model with channels first, as the images": Row(
        "x = examples((3, 9, 9))\nmodel = dnn.Sequential([dnn.Conv2D(2, 3, padding='same'), dnn.Flatten(), "
        "dnn.Dense(2, 'softmax')], input_shape=(3, 9, 9), backend='numpy')\nright = x.transpose(0, 2, 3, 1)",
        "model.compile()",
        r"write input_shape=(\(.+?\)) and",
        "model = network({cure})\n",
        "model.input_shape == (9, 9, 3) and model.predict(x.transpose(0, 2, 3, 1)).shape == (6, 3)",
    ),
    "a masked array": Row(
        "x = numpy.ma.masked_array([[1.0, 2.0, 3.0]], [[False, True, False]])\nmodel = network((3,))",
        "model.predict(x)",
        r"as (.+) does$",
        "x = {cure}",
        "same(x, [[1, 2, 3]])",
    ),
    "dates": Row(DATES, FIT, YEARS, "x['when'] = {cure}", SOON),
    "numbers as objects": Row(
        f"{DATES}x['when'] = x['a'].astype(object)",
        FIT,
        r"use (numpy.asarray\(.+\))$",
        "x['when'] = {cure}",
        "same(x['when'], x['a'])",
    ),
    "dates with a time zone": Row(
        f"{DATES}x['when'] = when.dt.tz_localize('UTC')", FIT, YEARS, "x['when'] = {cure}", SOON
    ),
    "dates as objects": Row(f"{DATES}x['when'] = when.dt.date", FIT, YEARS, "x['when'] = {cure}", SOON),
    "dates of NumPy": Row(
        f"{DATES}x = when.to_numpy()[:, None]\nmodel = network((1,), 2)",
        FIT,
        YEARS,
        "x = {cure}",
        "numpy.allclose(x[:, 0], years)",
    ),
    "dates in lists": Row(
        f"{DATES}x = [[day.to_pydatetime()] for day in when]\nmodel = network((1,), 2)",
        FIT,
        YEARS,
        "x = {cure}",
        "numpy.allclose(x[:, 0], years)",
    ),
    "dates as targets": Row(
        f"{DATES}y = when\nx = x[['a']]\nmodel = network((1,), 1, 'mse', 'linear')",
        FIT,
        YEARS,
        "y = {cure}",
        "numpy.allclose(y, years)",
    ),
    "text": Row(
        f"{DATES}x['when'] = list('abcaabca')",
        FIT,
        r"or with (pandas.get_dummies) of all",
        "x = {cure}(x)\nmodel = network((4,), 2)",
        "same(x['when_b'], [0, 1, 0, 0, 0, 1, 0, 0])",
    ),
    "categories": Row(
        f"{DATES}x['when'] = pandas.Categorical(list('abcaabca'))",
        FIT,
        r"(leave it out)",
        "x = x[['a']]  # {cure}\nmodel = network((1,), 2)",
        "True",
    ),
    "a gap": Row(
        f"{DATES}x['when'] = [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0]",
        FIT,
        r"with pandas\.DataFrame\.(fillna)",
        "x = x.{cure}(3.0)",
        "same(x['when'], range(1, 9))",
    ),
    "infinity": Row(
        f"{DATES}x['when'] = [1.0, 2.0, numpy.inf, 4.0, 5.0, 6.0, 7.0, 8.0]",
        FIT,
        r"\((replace infinity by NaN) first\) with pandas",
        "x = x.replace(numpy.inf, numpy.nan).fillna(3.0)  # {cure}",
        "same(x['when'], range(1, 9))",
    ),
    "dates for an estimator": Row(
        f"{DATES}model = dnn.interop.sklearn.DNNClassifier((3,), max_iter=300, tol=10.0)\nX = x",
        "model.fit(X, y)",
        YEARS,
        "X['when'] = {cure}",
        SOON,
    ),
    "dates for a prediction of an estimator": Row(
        f"{DATES}X = x\nmodel = dnn.interop.sklearn.DNNClassifier((3,), max_iter=300, tol=10.0)\n"
        "model.fit(X.assign(when=years), y)",
        "model.predict(X)",
        YEARS,
        "X['when'] = {cure}",
        SOON,
    ),
    "dates as targets of an estimator": Row(
        f"{DATES}model = dnn.interop.sklearn.DNNRegressor((3,), max_iter=300, tol=10.0)\ny = when",
        "model.fit(x[['a']], y)",
        YEARS,
        "y = {cure}",
        "numpy.allclose(y, years)",
    ),
    "no classes for partial_fit": Row(
        f"{DATES}model = dnn.interop.sklearn.DNNClassifier((3,))\nmore = {{}}",
        "model.partial_fit(x[['a']], y, **more)",
        r"expected (all labels) in the first",
        "more['classes'] = [0, 1]  # {cure}",
        "same(model.classes_, [0, 1])",
    ),
    "balanced weights for partial_fit": Row(
        f"{DATES}model = dnn.interop.sklearn.DNNClassifier((3,), class_weight='balanced')",
        "model.partial_fit(x[['a']], y, classes=[0, 1])",
        r"expected (a dict of weights)",
        "model.set_params(class_weight={{0: 1.0, 1: 2.0}})  # {cure}",
        "same(model.classes_, [0, 1])",
    ),
    "too few examples to hold out": Row(
        f"{DATES}model = dnn.interop.sklearn.DNNClassifier((3,), early_stopping=True, tol=10.0)",
        "model.fit(x[['a']], y)",
        r"expected (a share that leaves two examples)",
        "model.set_params(validation_fraction=0.25)  # {cure}",
        "len(model.validation_scores_) > 0",
    ),
    "Keras's momentum": warning_row(
        "dnn.BatchNormalization(momentum=0.99)",
        r"write (momentum=\S+)$",
        "made = dnn.BatchNormalization({cure})",
        "made.momentum == 0.01",
    ),
    "Keras's rotation": warning_row("dnn.RandomRotation(0.05)", WRITE, "", "made.degrees == 18"),
    "Keras's translation": warning_row("dnn.RandomTranslation(0.1, 0.1)", WRITE, "", "made.pixels == 3"),
    "Keras's translation along one axis": warning_row(
        "dnn.RandomTranslation(0.2)", WRITE, "", "made.pixels == 6"
    ),
    "two translations": warning_row("dnn.RandomTranslation(2, 2)", WRITE, "", "made.pixels == 2"),
    "Keras's second setting of AdamW": warning_row(
        "dnn.AdamW(1e-3, 0.004)",
        WRITE,
        "made = dnn.AdamW(1e-3, {cure})",
        "(made.beta1, made.weight_decay) == (0.9, 0.004)",
    ),
    "Keras's alpha": warning_row(
        "dnn.CosineDecay(1e-3, 100, 0.1)",
        WRITE,
        "made = dnn.CosineDecay(1e-3, 100, {cure})",
        "made.final == 1e-4",
    ),
    "large values": Row(
        "x = examples((4,))\ny = 1000 * x.sum(axis=1)\nmodel = network((4,), 1, 'mse', 'linear')",
        FIT,
        r"with a new model train on (.+?), validate",
        "scaled = {cure}\nmodel = network((4,), 1, 'mse', 'linear')\nmodel.compile('mse', dnn.Adam(0.1))",
        "abs(scaled.mean()) < 1e-5",
        "model.fit(x, scaled, epochs=300, verbose=0)\nfound = model.predict(x)[:, 0] * y.std() + y.mean()\n"
        "assert numpy.corrcoef(found, y)[0, 1] > 0.99",
    ),
    "logits": Row(
        "layers = lambda last: [dnn.Input((4,)), dnn.Dense(3, last)]",
        "model = dnn.Sequential(layers('linear'), backend='numpy'); model.compile()",
        r"end it with ('softmax')",
        "model = dnn.Sequential(layers({cure}), backend='numpy')",
        "numpy.allclose(model.predict(examples((4,))).sum(axis=1), 1)",
        "model.compile()",
    ),
    "softmax of one number": Row(
        "last = dnn.Dense(1, 'softmax')\nloss = 'categorical_crossentropy'",
        "model = dnn.Sequential([dnn.Input((4,)), last], backend='numpy'); model.compile(loss)",
        r"end in (Dense\(1, 'sigmoid'\)) with the loss 'binary_crossentropy'",
        "last = {cure}\nloss = 'binary_crossentropy'",
        "model.outputs == 1",
    ),
    "sigmoid of one number": Row(
        "last = dnn.Dense(1, 'sigmoid')\nloss = 'categorical_crossentropy'",
        "model = dnn.Sequential([dnn.Input((4,)), last], backend='numpy'); model.compile(loss)",
        r"or in (Dense\(2, 'softmax'\))$",
        "last = {cure}",
        "model.outputs == 2",
    ),
    "values without a loss": Row(
        "loss = None",
        "model = dnn.Sequential([dnn.Input((4,)), dnn.Dense(1)], backend='numpy'); model.compile(loss)",
        r"to predict values end in (Dense\(1\) with the loss 'mse');",
        "loss = 'mse'  # {cure}",
        "model.loss.name == 'mean_squared_error'",
    ),
    "three classes as yes or no": Row(
        "x = examples((4,))\ny = [0, 1, 2, 0, 1, 2]\noptions = 1, 'binary_crossentropy', 'sigmoid'",
        f"model = network((4,), *options)\n{FIT}",
        r"for three classes or more end in Dense\(classes, 'softmax'\) with the loss ('\w+'); use",
        "options = 3, {cure}, 'softmax'",
        "model.outputs == 3",
    ),
    "softmax twice": Row(
        "first = 'softmax'",
        "layers = [dnn.Input((4,)), dnn.Dense(3, first), dnn.Activation('softmax')]\n"
        "model = dnn.Sequential(layers, backend='numpy'); model.compile()",
        r"expected the reverse order, with (one softmax): ",
        "first = 'linear'  # {cure}",
        "numpy.allclose(model.predict(examples((4,))).sum(axis=1), 1)",
    ),
    **{
        f"values that {last} cannot return": Row(
            f"x = examples((4,))\ny = x[:, 0] + {shift}\nlast = {last!r}",
            f"model = network((4,), 1, 'mse', last)\n{FIT}",
            r"; end in ('linear'), and with a new model ",
            "last = {cure}",
            "model.layers[-1].activation == 'linear'",
        )
        for last, shift in (("sigmoid", 1), ("relu", -1))
    },
    "pixels": Row(
        "x = 255 * examples((64,))\ny = x[:, 0] > 60\nfirst = []",
        UNSCALED,
        r"begin with (Rescaling\(1 / 255\)) for pixels",
        "first = [{cure}]",
        "model.scale == 1 / 255",
    ),
    "columns of a table": Row(
        "x = 400 * examples((4,))\ny = x[:, 0] > 60\nfirst = []",
        UNSCALED,
        r"or with (BatchNormalization\(\)) for a table$",
        "first = [{cure}]",
        "len(model.layers) == 2",
    ),
    "a schedule that ends early": Row(
        "x = examples((4,))\ny = [0, 1, 2, 0, 1, 2]\nrate = dnn.LinearDecay(0.01, steps=3)",
        "model = network((4,)); model.compile('categorical_crossentropy', dnn.Adam(rate))\n"
        "model.fit(x, y, epochs=9, verbose=0)",
        r"a schedule with (steps=9)$",
        "rate = dnn.LinearDecay(0.01, {cure})",
        "0.001 < model.optimizer_state.rate < 0.002",
    ),
    "the rate in compile": Row(
        "model = network((4,))\noptions = dict(lr=0.1)",
        "model.compile('categorical_crossentropy', **options)",
        r"to the optimizer, as in (compile\(.+\))$",
        "loss, learning_rate = 'categorical_crossentropy', 0.1\nmodel.{cure}",
        "model.optimizer.learning_rate == 0.1",
        "pass",
    ),
    "the loss in fit": Row(
        "x = examples((4,))\ny = [0, 1, 2, 0, 1, 2]\nmodel = network((4,))\noptions = dict(loss='mse')",
        "model.fit(x, y, verbose=0, **options)",
        r"; give it to (model\.compile)$",
        "{cure}(**options)\noptions = dict()",
        "model.loss.name == 'mean_squared_error'",
    ),
    **{
        f"layers without a list in {name}": Row(
            "first, last = dnn.Dense(4, 'relu'), dnn.Dense(4)",
            f"made = dnn.{name}(first, last{options})",
            rf"one list: ({name}\(\[).*\]\)$",
            f"made = dnn.{{cure}}first, last]{options})",
            "len(getattr(made, 'layers', ()) or made.branches) == 2",
            "pass",
        )
        for name, options in (
            ("Sequential", ", input_shape=(4,), backend='numpy'"),
            ("Parallel", ""),
        )
    },
    "a class of a loss": Row(
        "model = network((4,))\nloss = dnn.losses.CategoricalCrossentropy",
        "model.compile(loss)",
        r"or a loss such as .* or (CategoricalCrossentropy\(\)), or",
        "loss = dnn.losses.{cure}",
        "model.loss.name == 'categorical_crossentropy'",
    ),
    "a number as a shape": Row(
        "shape = 64",
        "model = dnn.Sequential([dnn.Dense(3)], input_shape=shape, backend='numpy')",
        r"a list or a tuple such as (\(64,\))$",
        "shape = {cure}",
        "model.input_shape == (64,)",
    ),
    "the shape of all examples": Row(
        "x = examples((4,))\nshape = x.shape",
        "model = dnn.Sequential([dnn.Dense(3)], input_shape=shape, backend='numpy')",
        r"input_shape is the shape of (one example), without their number$",
        "shape = x[0].shape  # {cure}",
        "model.predict(x).shape == (6, 3)",
    ),
    "another name of a number": Row(
        "x = examples((4,))\ny = [0, 1, 2, 0, 1, 2]\nmodel = network((4,))\nname = 'val_acc'",
        "model.fit(x, y, verbose=0, validation_split=0.5, callbacks=[dnn.EarlyStopping(name)])",
        r", (val_accuracy); give mode",
        "name = '{cure}'",
        "model.epochs_done > 0",
    ),
    "another last activation": Row(
        "last = 'relu'",
        "model = dnn.Sequential([dnn.Input((4,)), dnn.Dense(3, last)], backend='numpy'); model.compile()",
        r"expected ('softmax') \(or",
        "last = {cure}",
        "model.layers[-1].activation == 'softmax'",
    ),
    "images at the end": Row(
        "end = []",
        "model = dnn.Sequential([dnn.Input((5, 5, 1)), dnn.Conv2D(2, 3), *end], backend='numpy')",
        r"put (Flatten\(\) and Dense)\(C\) last",
        "end = [dnn.Flatten(), dnn.Dense(2)]  # {cure}",
        "model.outputs == 2",
    ),
    "a convolution of flat rows": Row(
        "begin = []",
        "model = dnn.Sequential([*begin, dnn.Conv2D(2, 3), dnn.Flatten()], input_shape=(784,))",
        r"put Reshape\(\(H, W, C\)\) before it, (\(28, 28, 1\)) for MNIST",
        "begin = [dnn.Reshape({cure})]",
        "model.layers[1].input_shape == (28, 28, 1)",
    ),
    "a window larger than the image": Row(
        "more = {}",
        "model = dnn.Sequential([dnn.Conv2D(2, 5, **more), dnn.Flatten()], input_shape=(4, 4, 1))",
        r'(padding="same")',
        "more = dict({cure})",
        "model.outputs == 32",
    ),
    "a misspelt activation": Row(
        "name = 'rleu'",
        "layer = dnn.Dense(3, name)",
        r"did you mean ('.+')\?",
        "name = {cure}",
        "layer.activation == 'relu'",
    ),
    "a misspelt optimizer": Row(
        "name = 'adm'\nmodel = network((4,))",
        "model.compile(optimizer=name)",
        r"did you mean ('.+')\?",
        "name = {cure}",
        "model.optimizer.name == 'adam'",
    ),
    "val_loss without validation": Row(
        f"{IMAGES}model = network((5, 5, 3))\nmore = {{}}",
        "log = model.fit(x, y, verbose=0, callbacks=[dnn.EarlyStopping()], **more)",
        r"or (validation_split)$",
        "more = dict({cure}=0.5)",
        "'val_loss' in log.history",
    ),
    "a log of softmax": Row(
        "module = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(1))\nmore = {}\n"
        "x = torch.from_numpy(examples((4,)))\nright = module(x).exp().detach().numpy()",
        "model = dnn.interop.torch.from_torch(module, 'torch', **more)",
        r"leave it out and give (output_activation='softmax')$",
        "module = module[:1]\nmore = dict({cure})",
        "numpy.allclose(model.predict(x), right, atol=1e-6)",
    ),
    "a module of doubles": Row(
        "module = nn.Sequential(nn.Linear(4, 3)).double()",
        "model = dnn.interop.torch.from_torch(module, 'torch')",
        r"; use (module\.float\(\)),",
        "module = {cure}",
        "model.backend.dtype_name == 'float32'",
    ),
    "a module of another class": Row(
        f"{NET}net = Net()\nmodule = net\nx = torch.from_numpy(examples((4,)))",
        "model = dnn.interop.torch.from_torch(module, 'torch')",
        r"write its forward as an (nn\.Sequential), activations too",
        "module = {cure}(net.a, nn.ReLU(), net.b)",
        "numpy.allclose(model.predict(x), net(x).detach(), atol=1e-6)",
    ),
    "validation data in a list": Row(
        f"{IMAGES}model = network((5, 5, 3))\nvalidation_data = [x, y]",
        "model.fit(x, y, verbose=0, validation_data=validation_data)",
        r"give arrays as a (tuple) \(x, y\), not as a list$",
        "validation_data = {cure}(validation_data)",
        "len(validation_data) == 2",
    ),
    "a softmax over examples": Row(
        "dim = 0",
        "model = dnn.interop.torch.from_torch(nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim)), 'torch')",
        r"expected dim=(\d)",
        "dim = {cure}",
        "model.layers[-1].activation == 'softmax'",
    ),
    "a checkpoint of another dtype": Row(
        f"{PATH}network((4,)).save(path)\nmore = {{'dtype': 'float64'}}",
        "model = dnn.load_model(path, dnn.get_backend('numpy', **more))",
        r"get the backend with (dtype='float32')$",
        "more = dict({cure})",
        "model.backend.dtype_name == 'float32'",
    ),
    "a diverged checkpoint": Row(
        f"{PATH}model = network((4,))\nmodel.parameters.vector[0] = numpy.nan\nmodel.save(path)\nmore = {{}}",
        "model = dnn.load_model(path, 'numpy', **more)",
        r"load it anyway with (allow_nonfinite=True) ",
        "more = dict({cure})",
        "numpy.isnan(model.parameters.vector[0])",
    ),
    "weights of another dtype": Row(
        "model = network((4,))\nvalues = {n: v.astype('f8') for n, v in model.parameters.to_host().items()}",
        "model.parameters.load(values)",
        r" and (float32)$",
        "values = {{name: value.astype('{cure}') for name, value in values.items()}}",
        "True",
    ),
    "a schedule with a plateau": Row(
        f"{IMAGES}rate = dnn.LinearDecay(0.1, 9)\nmodel = network((5, 5, 3))",
        "model.compile(optimizer=dnn.Adam(rate))\n"
        "model.fit(x, y, verbose=0, validation_split=0.5, callbacks=[dnn.ReduceLROnPlateau()])",
        r"a learning rate that is a number, as in Adam\((.+)\)$",
        "rate = {cure}",
        "model.optimizer.learning_rate == 1e-3",
    ),
    "a rate that is set": Row(
        "model = network((4,))\nloss = 'categorical_crossentropy'",
        "model.optimizer.learning_rate = 0.1",
        r"make a new (.+?); model.compile takes losses and optimizers$",
        "model.compile(loss, dnn.{cure})",
        "model.optimizer.learning_rate == 0.1",
        "pass",
    ),
    "weights beside batches": Row(
        f"{IMAGES}model = network((5, 5, 3))\nweight = numpy.arange(6.0)\n"
        "batch = x, y\nmore = {'sample_weight': weight}",
        "model.fit([batch], verbose=0, **more)",
        r"and batches (\(x, y, weight\))$",
        "batch = {cure}\nmore = {{}}",
        "len(batch) == 3",
    ),
    "two kinds of clipping": Row(
        "more = {'clip_norm': 1.0, 'clip_value': 1.0}",
        "optimizer = dnn.SGD(0.1, **more)",
        r"(leave one out)$",
        "del more['clip_norm']  # {cure}",
        "optimizer.clip_value == 1.0",
    ),
    "a generator without a length": Row(
        f"{IMAGES}model = network((5, 5, 3))\nmore = {{}}",
        "model.fit(((x, y) for _ in range(2)), verbose=0, **more)",
        r"^(steps_per_epoch) is None, expected how many batches of x",
        "more = dict({cure}=2)",
        "model.epochs_done == 1",
    ),
    "validation data that end": Row(
        f"{IMAGES}model = network((5, 5, 3))\nvalidation_data = iter([(x, y)])",
        "model.fit(x, y, verbose=0, epochs=2, validation_data=validation_data)",
        r"such as a (list) or a DataLoader$",
        "validation_data = {cure}(validation_data) or [(x, y)]",
        "model.epochs_done == 2",
    ),
    "an argument of Keras": Row(
        "more = {'kernel_initializer': 'he_normal'}",
        "layer = dnn.Dense(3, **more)",
        r"use (initializer)=",
        "more = dict({cure}='he_normal')",
        "layer.initializer == 'he_normal'",
    ),
}

START = "model = network((4,))\nx = examples((4,))\ny = numpy.arange(6) % 3\n"
ADVICE |= {
    "alpha of PyTorch": Row(
        "more = {'alpha': 0.8}",
        "made = dnn.RMSprop(**more)",
        r"use (\w+)=$",
        "more = dict({cure}=0.8)",
        "made.decay == 0.8",
    ),
    "steps of Keras": Row(
        "more = {'decay_steps': 9}",
        "made = dnn.CosineDecay(0.1, **more)",
        r"use (\w+)=$",
        "more = dict({cure}=9)",
        "made.steps == 9",
    ),
    "weight decay of SGD": Row(
        f"{START}more = {{'weight_decay': 0.5}}\nl2, weight_decay = 0, 0.5\nw = model.layers[-1].value['W']\n"
        "right = 0.95 * w - 0.1 * next(iter(model.gradients(x, y)[1].values()))",
        "model.compile('categorical_crossentropy', dnn.SGD(0.1, **more), l2=l2); model.fit(x, y, verbose=0)",
        r"l2=(.+)\), which",
        "l2 = {cure}\nmore = {{}}",
        "numpy.allclose(w, right, atol=1e-6)",
    ),
    "an exponential decay": Row(
        "decay_steps, decay_rate, initial, steps = 5, 0.9, 0.1, 20",
        "dnn.ExponentialDecay(0.1, 5, 0.9)",
        r"expected (.+\)), steps",
        "made = dnn.{cure}",
        "numpy.allclose(made.rates(), 0.1 * 0.9 ** (numpy.arange(21) / 5))",
        "pass",
    ),
    "a divergence for a loss": Row(
        f"{START}y = numpy.full((6, 3), 1 / 3)",
        "loss = dnn.KLDivergence()",
        r"expected (\w+), larger by the entropy",
        "loss = dnn.{cure}()\nmodel.compile(loss)\np = model.predict(x)",
        "numpy.isclose(model.evaluate(x, y).loss - numpy.log(3), -numpy.log(3 * p).mean(), atol=1e-6)",
        "pass",
    ),
    "a dtype of a library": Row(
        "dtype = torch.float64",
        "made = dnn.get_backend('numpy', dtype=dtype)",
        r"write (.+)$",
        "dtype = {cure}",
        "made.dtype_name == 'float64'",
    ),
    "a folder to resume from": Row(
        f"import tempfile\n{START}folder = resume = tempfile.mkdtemp()\n"
        "model.fit(x, y, verbose=0, callbacks=[dnn.callbacks.TrainingCheckpoint(folder)])",
        "model.fit(x, y, epochs=2, verbose=0, resume=resume)",
        r"read it with (.+)$",
        "resume = {cure}",
        "model.epochs_done == 2",
    ),
    "large values in a pipeline": Row(
        "from sklearn.preprocessing import StandardScaler\nfrom sklearn.pipeline import make_pipeline\n"
        "x = 400 * examples((4,))\ny = x[:, 0] > 60\nbegin = []",
        "made = make_pipeline(*begin, dnn.interop.sklearn.DNNClassifier(max_iter=50, tol=9)).fit(x, y)",
        r"a (StandardScaler) in a pipeline",
        "begin = [{cure}()]",
        "len(made) == 2",
    ),
    "the arguments of Keras's callbacks": Row(
        f"{START}begin = 'def on_train_begin(self, logs=None)'",
        "exec(f'class Mine(dnn.Callback):\\n    {begin}: self.begun = True')\nmine = Mine()\n"
        "model.fit(x, y, verbose=0, callbacks=[mine])",
        r"expected (def .+\))$",
        "begin = '{cure}'",
        "mine.begun",
    ),
    "units of two layers": Row(
        "layers = lambda: [dnn.Dense(64, 32)]",
        "made = dnn.Sequential(layers(), input_shape=(4,), backend='numpy')",
        r"is (Dense\(32\))$",
        "layers = lambda: [dnn.Dense(64), dnn.{cure}]",
        "made.outputs == 32",
    ),
    "the axis of examples": Row(
        "shape = None, 64",
        "made = dnn.Sequential([dnn.Dense(3)], input_shape=shape, backend='numpy')",
        r"expected (\(64,\))",
        "shape = {cure}",
        "made.input_shape == (64,)",
    ),
    "ready-made networks": Row(
        "",
        "dnn.applications",
        r"from_torch of an (nn\.Sequential);",
        "made = dnn.interop.torch.from_torch({cure}(nn.Linear(4, 3)), 'torch')",
        "made.outputs == 3",
        "pass",
    ),
    **{
        f"a history's {name}": Row(
            f"{START}model.compile(metrics=['accuracy', 'mae'])\n"
            f"name = {name!r}\nlog = model.fit(x, y, verbose=0, validation_split=0.5)",
            "found = log.history[name]",
            r"write '(\w+)'$",
            "name = '{cure}'",
            "len(found) == 1",
        )
        for name in ("acc", "val_acc", "mae", "val_mae")
    },
    "numbers as one": Row(
        f"{START}found = model.evaluate(x, y)",
        "text = f'{found:.3f}'",
        r"write (\.loss) after",
        "found = found{cure}",
        "len(text) == 5",
    ),
}
