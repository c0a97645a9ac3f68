"""The table of experiments: the lecture's network, and variants with one choice changed.

The lecture (three steps: build a model, define a loss, find the best function) follows Hung-yi Lee's "Hello
world of deep learning", which starts with mean squared error and plain gradient descent and improves one
choice at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dnn.layers import Dense, Layer, Rescaling
from dnn.optimizers import SGD, Adam, Optimizer

FULL_BATCH = 0
"""Batch size that means all training examples."""
LECTURE_EPOCHS = 10
"""Epochs of the lecture's training."""


@dataclass(frozen=True)
class Experiment:
    """A network and how it is trained. The defaults are those of the lecture."""

    name: str  # for tables and file names
    about: str  # short description
    hidden: tuple[int, ...] = (500, 500)  # units of each hidden layer
    activation: str = "sigmoid"  # as in ``Dense``
    features: str = ""  # hand-crafted features of ``features.py``; "": pixels
    loss: str = "categorical_crossentropy"  # as in ``compile``
    # None: full-batch L-BFGS with at most ``epochs`` evaluations of the total loss
    optimizer: Optimizer | None = Adam(1e-3)  # noqa: RUF009 - frozen
    batch: int = 100  # batch size, or FULL_BATCH
    epochs: int = LECTURE_EPOCHS
    # Test accuracy reported by students of such lectures, for smaller networks and fewer images.
    reported: str = ""

    def layers(self, classes: int) -> list[Layer]:
        """Return new layers. The output is the lecture's softmax, also with mean squared error."""
        hidden = [Dense(n, self.activation) for n in self.hidden]
        pixels = [] if self.features else [Rescaling(1 / 255)]
        return [*pixels, *hidden, Dense(classes, "softmax")]

    def updates(self, examples: int) -> int:
        """Return the number of updates over all epochs; for L-BFGS its maximum.

        Args:
            examples: number of training examples.
        """
        return self.epochs * -(-examples // (self.batch or examples))


ACTIVATION_NAMES = {"sigmoid": "sigmoid", "relu": "ReLU"}
"""Activation -> its name in texts."""
DEPTHS = (1, 2, 3, 5, 7, 10)
WIDTHS = (10, 30, 100, 300, 500, 1000)
LECTURE = Experiment(
    "lecture", "lecture network: sigmoid, cross-entropy, Adam", reported="94.39 % (10,000 images)"
)


def _describe_hidden(layers: int, units: int, activation: str) -> str:
    return f"{layers} hidden layer{'s' if layers > 1 else ''} of {units}, {ACTIVATION_NAMES[activation]}"


_LINEAR = Experiment("linear", "no hidden layer: multinomial logistic regression", hidden=())

TABLES: Mapping[str, tuple[Experiment, ...]] = {
    "steps": (
        Experiment("mse-sgd", "mean squared error, gradient descent", loss="mean_squared_error",
                   optimizer=SGD(0.1), reported="11.35 %"),
        Experiment("ce-sgd", "cross-entropy, gradient descent", optimizer=SGD(0.1),
                   reported="about 87 % (training)"),
        Experiment("relu-sgd", "ReLU, cross-entropy, gradient descent", activation="relu", optimizer=SGD(0.1),
                   reported="95.64 %"),
        Experiment("mse-adam", "mean squared error, Adam", loss="mean_squared_error"),
        LECTURE,
        Experiment("relu-adam", "ReLU, cross-entropy, Adam", activation="relu"),
        Experiment("relu-mse-adam", "ReLU, mean squared error, Adam", activation="relu",
                   loss="mean_squared_error"),
        _LINEAR,
        Experiment("lbfgs", "cross-entropy, full-batch L-BFGS, 100 passes", optimizer=None,
                   batch=FULL_BATCH, epochs=100),
    ),
    "depth": tuple(
        Experiment(f"depth-{n}-{f}", _describe_hidden(n, 500, f), (500,) * n, f)
        for f in ACTIVATION_NAMES for n in DEPTHS
    ),
    "width": tuple(
        Experiment(f"width-{n}", _describe_hidden(2, n, "sigmoid"), (n, n)) for n in WIDTHS
    ),
    "batch": (
        LECTURE,
        Experiment("batch-1", "batch of 1", batch=1, epochs=1),  # one epoch is 60,000 updates
        Experiment("batch-10", "batch of 10", batch=10),
        Experiment("batch-1000", "batch of 1000", batch=1000),
        Experiment("batch-all", "full batch: one update per epoch", batch=FULL_BATCH),
    ),
    "features": (
        _LINEAR,
        Experiment("features-zoning", "zone means, no hidden layer", (), features="zoning"),
        Experiment("features-pca", "principal components (PCA), no hidden layer", (), features="pca"),
        Experiment("features-hog", "oriented gradients (HOG), no hidden layer", (), features="hog"),
        LECTURE,
    ),
}  # fmt: skip
"""Table of the pages -> its experiments. "steps" changes the loss, the activation or the optimizer."""
EXPERIMENTS: Mapping[str, Experiment] = {e.name: e for table in TABLES.values() for e in table}
"""Name -> experiment, in the order of running and display."""
