"""What is tried: the lecture's network, and the same network with one choice changed.

The lecture (three steps: build a model, define a goal, find the best function) goes back to Hung-yi Lee's
"Hello world of deep learning", which begins with mean squared error and plain gradient descent, and improves
one choice after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from dnn.layers import Dense, Layer, Rescaling
from dnn.optimizers import SGD, Adam, Optimizer

FULL_BATCH = 0
"""As a batch size: all training examples at once."""
LECTURE_EPOCHS = 10
"""Passes over the training examples, the lecture's."""


@dataclass(frozen=True)
class Experiment:
    """One network trained in one way. The defaults are the lecture's."""

    name: str  # in tables and file names
    about: str  # what is tried, in a few words
    hidden: tuple[int, ...] = (500, 500)  # units of each hidden layer
    activation: str = "sigmoid"  # as in ``Dense``
    features: str = ""  # made by hand (``features.py``) from the image, or "": the pixels themselves
    loss: str = "categorical_crossentropy"  # as in ``compile``
    # None: L-BFGS over all examples, with ``epochs`` evaluations of the total loss at most
    optimizer: Optimizer | None = Adam(1e-3)  # noqa: RUF009 - frozen
    batch: int = 100  # examples an update; ALL: every one
    epochs: int = LECTURE_EPOCHS  # passes over the training examples
    # Test accuracy that students of such lectures report, for smaller networks and fewer images.
    reported: str = ""

    def layers(self, classes: int) -> list[Layer]:
        """New layers; the output is the lecture's softmax, also under mean squared error."""
        hidden = [Dense(n, self.activation) for n in self.hidden]
        pixels = [] if self.features else [Rescaling(1 / 255)]
        return [*pixels, *hidden, Dense(classes, "softmax")]

    def with_epochs(self, epochs: int) -> "Experiment":
        """The same, with ``epochs`` instead of USUAL passes, and others in proportion, but at least one."""
        return replace(self, epochs=max(1, round(self.epochs * epochs / LECTURE_EPOCHS)))

    def updates(self, examples: int) -> int:
        """Of the parameters, in all passes over so many examples; of L-BFGS the most that it may make."""
        return self.epochs * -(-examples // (self.batch or examples))


ACTIVATION_NAMES = {"sigmoid": "sigmoid", "relu": "ReLU"}
"""Activation -> how it is written."""
DEPTHS = (1, 2, 3, 5, 7, 10)
WIDTHS = (10, 30, 100, 300, 500, 1000)
BATCH_SIZES = (1, 10, 1000, FULL_BATCH)
LECTURE = Experiment(
    "lecture", "lecture network: sigmoid, cross-entropy, Adam", reported="94.39 % (10,000 images)"
)


def _describe_hidden(layers: int, units: int, activation: str) -> str:
    return f"{layers} hidden layer{'s' if layers > 1 else ''} of {units}, {ACTIVATION_NAMES[activation]}"


def _depth_experiment(layers: int, activation: str) -> Experiment:
    about = _describe_hidden(layers, 500, activation)
    return Experiment(f"depth-{layers}-{activation}", about, hidden=(500,) * layers, activation=activation)


def _batch_experiment(size: int) -> Experiment:
    about = "full batch: one update per epoch" if size == FULL_BATCH else f"batch of {size}"
    # With a batch of one, one epoch is 60,000 updates: ten times those of the lecture in all.
    return Experiment(f"batch-{size or 'all'}", about, batch=size, epochs=1 if size == 1 else 10)


_STEPS = (
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
    Experiment("linear", "no hidden layer: multinomial logistic regression", hidden=()),
    Experiment("lbfgs", "cross-entropy, full-batch L-BFGS, 100 passes", optimizer=None,
               batch=FULL_BATCH, epochs=100),
)  # fmt: skip

NO_HIDDEN_SUFFIX = ", no hidden layer"
_FEATURES = {"zoning": "zone means", "pca": "principal components (PCA)", "hog": "oriented gradients (HOG)"}

STEP_NAMES = tuple(experiment.name for experiment in _STEPS)
"""Those that change the goal, the activation or the search."""

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        experiment.name: experiment
        for experiment in (
            *_STEPS,
            *(_depth_experiment(n, activation) for activation in ("sigmoid", "relu") for n in DEPTHS),
            *(Experiment(f"width-{n}", _describe_hidden(2, n, "sigmoid"), hidden=(n, n)) for n in WIDTHS),
            *(_batch_experiment(size) for size in BATCH_SIZES),
            *(
                Experiment(f"features-{k}", v + NO_HIDDEN_SUFFIX, (), features=k)
                for k, v in _FEATURES.items()
            ),
        )
    }
)
"""By name, in the order in which they are run and shown."""
