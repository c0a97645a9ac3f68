"""Sequential: layers one after another, a goal, and an optimizer that looks for the best parameters.

The lecture's three steps are the three calls: build the model, ``compile`` the goal, ``fit``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from dnn.callbacks.progress_bar import progress_callbacks
from dnn.distributed.blocks import make_steps
from dnn.distributed.group import Workers
from dnn.layers import Layer
from dnn.losses import Loss, get_loss
from dnn.metrics import Metric, resolve_metrics
from dnn.network import Network
from dnn.optimizers import Optimizer, get_optimizer
from dnn.training.callback import Callback, require_callbacks
from dnn.training.evaluation import Evaluation, evaluate, predict
from dnn.training.history import History
from dnn.training.loop import Batches, Training
from dnn.training.state import TrainingState
from dnn.training.stream import Stream
from dnn.validation.arrays import validate_examples
from dnn.validation.settings import positive_integer, require, require_bool, require_kind


class Sequential(Network):
    """A feed-forward network on one backend.

    Args:
        layers: at least one, new ones; the last one's output is (C,).
        input_shape: of one example, without the batch axis; images are (H, W, C).
        backend: from ``get_backend``, or its name: the library, device and dtype that everything lives in.
        seed: of the initial weights and of the shuffles; equal seeds give equal ones on all backends.

    Attributes:
        layers, input_shape, backend, seed: as given.
        outputs: C, how many numbers the network returns for an example.
        parameters: the flat vectors of values and gradients.
        epochs_done: epochs trained so far; ``fit`` goes on from there.
        stop_training: a callback sets it at an epoch's end, and ``fit`` returns.
    Raises InputError: no layers, a layer that is in another model, or shapes that do not fit.

    >>> from dnn import Dense
    >>> model = Sequential([Dense(500, "relu"), Dense(10, "softmax")], input_shape=(784,), backend="numpy")
    >>> model.parameters.count
    397510
    """

    def compile(
        self, loss: str | Loss = "categorical_crossentropy", optimizer: str | Optimizer = "adam",
        metrics: Sequence[str | Metric | Callable[[Any, Any], Any]] | None = None, *,
        l1: float = 0.0, l2: float = 0.0,
    ) -> None:  # fmt: skip
        """Choose the goal and the way to its best parameters.

        Args:
            loss: a name in ``dnn.losses.LOSSES`` or a Loss.
            optimizer: a name in ``dnn.optimizers.OPTIMIZERS`` or an Optimizer with its settings.
            metrics: names in ``dnn.metrics.METRICS`` and functions of (y, outputs) (``dnn.metrics.metric_of``
                says which); () for none. None: the natural ones of the loss: for squared and absolute errors
                of values the mean absolute error and R2, else the accuracy, which in rows of several
                yes-or-no outputs is the share of right ones.
            l1, l2: the price of large weights (``dnn.optimizers.regularizers``); reported losses are without.
        Raises InputError: an unknown name, something else, or a loss that does not fit the last layer.
        """
        loss = get_loss(loss)
        optimizer = get_optimizer(optimizer)
        self.set_goal(loss, optimizer, None if metrics is None else resolve_metrics(metrics), l1, l2)

    def fit(
        self, x: Any, y: Any = None, *,
        batch_size: int = 100, epochs: int = 1, steps_per_epoch: int | None = None,
        validation_split: float = 0.0, validation_data: tuple[Any, ...] | None = None,
        callbacks: Sequence[Callback] = (), shuffle: bool = True,
        class_weight: Mapping[int, float] | str | None = None, sample_weight: Any = None,
        resume: TrainingState | None = None, verbose: str | int = "auto",
        blocks: int = 1, workers: Workers | None = None,
    ) -> History:  # fmt: skip
        """Train: each epoch takes every example once, in batches, with one update a batch.

        A second ``fit`` goes on where the first ended: 5 and 5 epochs are 10. The last batch may be shorter.

        Args:
            x: (N, *input_shape) numbers. uint8 stays so until a batch is picked; all others are cast to
                the backend's dtype, in a copy, if they are of another. Or an iterable of batches, see below.
            y: (N,) class numbers, integers or bool, or (N, C) rows of numbers; with one output, (N,) values.
                Class numbers are copied to int64, and others cast as x is, where they are of another dtype.
            batch_size, epochs: from 1; fewer examples than batch_size are one batch.
            steps_per_epoch: updates of an epoch, if not all batches are taken (or their number is not known).
            validation_split: the last examples, this share of them, are evaluated after each epoch only.
            validation_data: (x, y) or (x, y, sample_weight) to evaluate after each epoch instead.
            callbacks: are told of each epoch; see ``dnn.training.callback``.
            shuffle: a new order each epoch, keyed by the model's seed and the epoch's number.
            class_weight: class number -> weight of its examples (else 1), or "balanced"; not in validation.
            sample_weight: (N,) numbers from 0, for the weighted mean of the loss (``dnn.losses``).
            resume: go on from this state; epochs then counts from the start, so that the same call with it
                ends where it would have ended without a stop (at once, if it had).
            verbose: 1: a progress bar on a terminal, else a line an epoch; 2: lines; 0: nothing; "auto": the
                bar where there is a terminal.
            blocks: each batch is cut into so many, a power of two, whose gradients are added in one order:
                the same bits for any number of workers (``dnn.distributed.blocks``).
            workers: ``Workers.from_environment()`` in processes that torchrun started, each with the same
                call; they share the blocks. See docs/workers.md.

        Which arrays and iterables are taken, and what is copied or cast, is told in ``dnn.validation``.

        Returns a number an epoch for loss, each metric, seconds, and with validation val_loss and so on.
        Raises InputError: not compiled, or an argument that does not fit; nothing was changed.
        """
        if steps_per_epoch is not None:
            positive_integer("steps_per_epoch", steps_per_epoch)
        require_bool("shuffle", shuffle)
        require_callbacks(callbacks)
        fits = resume is None or isinstance(resume, TrainingState)
        require(fits, "resume", resume, "a TrainingState", "read one with read_state")
        epochs = positive_integer("epochs", epochs)
        batch_size = positive_integer("batch_size", batch_size)
        workers = require_kind("workers", workers, Workers, None) or Workers()
        callbacks = [*callbacks, *(progress_callbacks(verbose, callbacks) if workers.is_first else ())]
        if y is None and hasattr(x, "__iter__") and not hasattr(x, "shape"):  # batches, and no array
            validation = self.input_pipeline.validate_stream(
                x, validation_split, validation_data, sample_weight, resume
            )
            batches: Any = partial(Stream, self, x, steps_per_epoch, class_weight)
        else:
            given = x, y, validation_split, validation_data, class_weight, sample_weight
            examples, validation = self.input_pipeline.validate_training(*given)
            batches = partial(Batches, self, examples, batch_size, shuffle, steps_per_epoch)
        with self.training(), make_steps(self, blocks, workers) as make_step:
            made = batches(make_step=make_step)
            return Training(self, made, validation, callbacks, workers).run(epochs, resume)

    def evaluate(self, x: Any, y: Any, batch_size: int = 1000, sample_weight: Any = None) -> Evaluation:
        """Mean loss and what is measured; arguments, and what is raised, as in ``fit``."""
        chunk = positive_integer("batch_size", batch_size)
        return evaluate(self, self.input_pipeline.validate(x, y, sample_weight), chunk)

    def predict(self, x: Any, batch_size: int = 1000) -> np.ndarray:
        """The outputs (N, C) as a host NumPy array; x as in ``fit``. Raises InputError: it does not fit."""
        chunk = positive_integer("batch_size", batch_size)
        x = validate_examples(self.backend, "x", x, self.input_shape, self.layers[0].n_categories)
        return self.backend.to_host(predict(self, x, chunk))

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table: each layer, its output shape and parameters; the total; untrained state."""
        require_kind("print_fn", print_fn, Callable)
        rows = [("layer", "output shape", "parameters"), *_rows(self.layers)]
        rows.append(("total", "", f"{self.parameters.count:,}"))
        if untrained := sum(prod(array.shape) for array in self.parameters.state.values()):
            rows.append(("state, not trained", "", f"{untrained:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print_fn(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}")


def _rows(layers: Sequence[Layer], indent: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, output shape and parameters of each layer; below a container those of its layers."""
    for layer in layers:
        name = type(layer).__name__
        label = name if layer.activation == "linear" else f"{name}, {layer.activation}"
        count = sum(prod(shape) for shape in layer.parameter_shapes().values())
        yield f"{indent}{layer.name} ({label})", str(("batch", *layer.output_shape)), f"{count:,}"
        yield from _rows(layer.inner, indent + "  ")
