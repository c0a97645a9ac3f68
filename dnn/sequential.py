"""Sequential: layers in sequence, a loss, and an optimizer that minimises it.

The lecture's three steps are three calls: construct the model, ``compile`` it with a loss, ``fit`` it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dnn.callbacks.progress import add_progress, format_numbers, require_verbose
from dnn.distributed.group import Workers
from dnn.hints import (
    print_summary,
    takes_optimizer_first,
    warn_of_channels_first,
    warn_of_logits,
    warn_of_slow_learning,
)
from dnn.inputs.arrays import check_examples
from dnn.inputs.batches import has_batches
from dnn.io.notices import print_line
from dnn.keras_names import checks_keywords, note
from dnn.losses import Loss, get_loss
from dnn.metrics import Metric
from dnn.network import Network
from dnn.optimizers import Optimizer, get_optimizer
from dnn.parameters import copy_to_host
from dnn.settings.checks import positive_integer, require, require_bool, require_kind
from dnn.training.blocks import limit_threads
from dnn.training.callback import Callback
from dnn.training.evaluation import Evaluation, compute_gradients, evaluate, predict
from dnn.training.history import History
from dnn.training.input_gradient import input_gradient
from dnn.training.loop import Batches, Training
from dnn.training.state import TrainingState
from dnn.training.step import Cut
from dnn.training.stream import Stream


class Sequential(Network):
    """A feed-forward network on one backend.

    Args:
        layers: at least one; none may belong to another model. The last one returns (C,).
        input_shape: of one example, without the batch axis; images are (H, W, C).
        backend: a Backend from ``get_backend``, or its name; it determines library, device and dtype.
        seed: of initial weights and shuffling; equal seeds give equal numbers on all backends.

    Attributes:
        layers, input_shape, backend, seed: as given.
        outputs: C, the number of outputs for one example.
        parameters: flat vectors of values and gradients.
        epochs_done: number of epochs trained so far; ``fit`` continues from there.
        stop_training: if a callback sets it to True at the end of an epoch, ``fit`` returns.
    Raises InputError: no layers, a layer of another model, or shapes that do not fit together.

    >>> from dnn import Dense
    >>> model = Sequential([Dense(500, "relu"), Dense(10, "softmax")], input_shape=(784,), backend="numpy")
    >>> model.parameters.count
    397510
    """

    @takes_optimizer_first
    @checks_keywords
    def compile(
        self, loss: str | Loss | None = None, optimizer: str | Optimizer | None = None,
        metrics: Sequence[str | Metric | Callable[[Any, Any], Any]] | None = None, *,
        l1: float = 0.0, l2: float = 0.0,
    ) -> None:  # fmt: skip
        """Set the loss, the optimizer and the metrics. The optimizer may also be the first, as in Keras.

        Args:
            loss: a name in ``dnn.losses.LOSSES`` or a Loss. None: "categorical_crossentropy".
            optimizer: a name in ``dnn.optimizers.OPTIMIZERS`` or an Optimizer. None: "adam".
            metrics: names as in ``dnn.metrics``, and functions of (y, outputs) as
                ``dnn.metrics.metric_of`` describes them; () for none. None: the default metrics of the loss.
                For squared and absolute errors of values these are the mean absolute error and R2, else the
                accuracy. With several yes-or-no outputs the accuracy is the share of correct outputs.
            l1, l2: penalty on large weights (``dnn.optimizers.regularizers``); reported losses exclude it.
        Raises InputError: an unknown name, an invalid object, or a loss that does not fit the last layer.
        """
        loss = get_loss("categorical_crossentropy" if loss is None else loss)
        self.set_objective(loss, get_optimizer("adam" if optimizer is None else optimizer), metrics, l1, l2)
        if self.penalty is not None:
            note("penalty")
        warn_of_logits(self)
        warn_of_channels_first(self)

    @checks_keywords
    def fit(
        self, x: Any, y: Any = None, batch_size: int = 100, epochs: int = 1, verbose: str | int = "auto",
        callbacks: Sequence[Callback] | None = (), validation_split: float = 0.0, validation_data: Any = None,
        shuffle: bool = True, class_weight: Mapping[int, float] | str | None = None,
        sample_weight: Any = None, *, steps_per_epoch: int | None = None,
        resume: TrainingState | None = None, blocks: int = 1, workers: Workers | None = None,
    ) -> History:  # fmt: skip
        """Train: each epoch uses every example once, in batches, with one update per batch.

        A second ``fit`` continues where the first ended. The last batch may be shorter. ``dnn.inputs``
        documents the supported arrays and iterables, and when they are copied or cast.

        Args:
            x: (N, *input_shape) numbers, or an iterable of batches, or a data set with ``__len__`` and
                ``__getitem__`` of batches or examples. uint8 is cast batch by batch; other dtypes are cast to
                the backend's dtype at once, in a copy.
            y: (N,) class numbers, integers or bool, or (N, C) rows of numbers. With one output, (N,) values.
                Class numbers are cast to int64, other numbers as in x.
            batch_size: at least 1; fewer examples are one batch.
            epochs: at least 1.
            steps_per_epoch: updates per epoch. None: all batches; required for iterables without a length.
            validation_split: share of the examples, from the end, to hold out; not of y sorted by class.
            validation_data: (x, y), (x, y, sample_weight) or batches as in x to evaluate after each epoch.
            callbacks: objects with methods that are called during training; see ``dnn.training.callback``.
            shuffle: whether to reorder the examples each epoch, by the model's seed and the epoch's number.
            class_weight: class number -> weight (default 1), or "balanced"; not used in validation.
            sample_weight: (N,) numbers of at least 0, for the weighted mean of the loss (``dnn.losses``).
            resume: training state to continue from. ``epochs`` then counts from the start of the saved fit,
                so the same call ends where it would have ended without an interruption.
            verbose: 1 or "auto": a line per epoch, and on a terminal one that changes during an epoch;
                2: lines per epoch; 0: nothing.
            blocks: number of blocks per batch, a power of two. Their gradients are added in a fixed order,
                with the same bits for any number of workers (``dnn.training.blocks``).
            workers: ``Workers.from_environment()`` in processes that torchrun started. All make the same
                call and share the blocks; see docs/workers.md.
        Returns the History: per epoch the loss, each metric, seconds, and with validation val_loss etc.
        Raises InputError: not compiled, or an invalid argument; then the model is unchanged.
        """
        require_bool("shuffle", shuffle)
        fits = resume is None or isinstance(resume, TrainingState)
        require(fits, "resume", resume, "a TrainingState", "read it with dnn.callbacks.latest_state(folder)")
        epochs = positive_integer("epochs", epochs)
        batch_size = positive_integer("batch_size", batch_size)
        workers = require_kind("workers", workers, Workers, None) or Workers()
        cut = Cut(blocks, workers).check(self.backend)
        callbacks = add_progress(callbacks, verbose)
        batches: Batches | Stream
        with self.training(), limit_threads(self.backend, cut.blocks):
            self.update_forms.clear()
            if has_batches(x, y):
                arguments = x, validation_split, validation_data, sample_weight, resume
                validation = self.input_pipeline.check_stream(*arguments)
                batches = Stream(self, x, batch_size, shuffle, steps_per_epoch, class_weight, cut)
            else:
                examples, validation = self.input_pipeline.check_training(
                    x, y, validation_split, validation_data, class_weight, sample_weight
                )
                batches = Batches(self, examples, batch_size, shuffle, steps_per_epoch, cut=cut)
                warn_of_slow_learning(self, examples.x, examples.y, epochs * batches.updates)
            return Training(self, batches, validation, callbacks).run(epochs, resume)

    def gradients(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[float, dict[str, np.ndarray]]:
        """Return the mean loss of one batch, and its gradient for each parameter by name, as host copies.

        The forward pass is that of training: dropout is random, and batch normalisation uses this batch.
        ``update`` then applies these gradients, so a loop of your own is ``gradients`` and ``update``. They
        include the penalty, the loss does not. Arguments are as in ``fit``, of any batch size.

        >>> from dnn import Dense
        >>> model = Sequential([Dense(2, "softmax")], input_shape=(3,), backend="numpy")
        >>> model.compile()
        >>> loss, gradients = model.gradients(np.zeros((4, 3)), [0, 0, 0, 1])
        >>> round(loss, 4), gradients["dense_1.b"]
        (0.6931, array([-0.25,  0.25], dtype=float32))
        """
        with self.training():
            examples = self.input_pipeline.check(x, y, sample_weight)
            loss = compute_gradients(self, examples)[0]
            return loss, copy_to_host(self.backend, self.parameters.gradient_by_name)

    @checks_keywords
    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None,
        class_weight: Mapping[int, float] | str | None = None,
    ) -> Evaluation:  # fmt: skip
        """Make one update on all examples; return their loss and metrics before the update.

        Nothing is printed, and ``epochs_done`` does not change. Arguments are as in ``fit``.
        """
        pipeline = self.input_pipeline
        with self.training():
            examples, _ = pipeline.check_training(
                x, y, class_weight=class_weight, sample_weight=sample_weight
            )
            self.optimizer_state.require_room(1)
            found = compute_gradients(self, examples)
            self.apply_gradients()
        return found

    @checks_keywords
    def evaluate(
        self, x: Any, y: Any = None, batch_size: int = 1000, verbose: str | int = "auto",
        sample_weight: Any = None,
    ) -> Evaluation:  # fmt: skip
        """Return mean loss and metrics; ``verbose`` 1 or 2 prints them. Other arguments are as in ``fit``."""
        batch_size = positive_integer("batch_size", batch_size)
        require_verbose(verbose)
        pipeline = self.input_pipeline
        with self.backend.isolated():
            if has_batches(x, y):
                require(sample_weight is None, "sample_weight", sample_weight, "batches (x, y, weight)")
                found = evaluate(self, pipeline.check_batches(x, batch_size), batch_size)
            else:
                found = evaluate(self, pipeline.check(x, y, sample_weight), batch_size)
        if verbose in (1, 2):
            print_line("  ".join(format_numbers(found.as_dict())))
        return found

    @checks_keywords
    def predict(self, x: Any, batch_size: int = 1000, verbose: str | int = "auto") -> np.ndarray:
        """Return the outputs (N, C) as a NumPy array for x as in ``fit``. Raises InputError: invalid x.

        ``verbose`` has no effect.
        """
        batch_size = positive_integer("batch_size", batch_size)
        require_verbose(verbose)
        with self.backend.isolated():
            x = check_examples(self.backend, "x", x, self.input_shape, self.layers[0].n_categories)
            return self.backend.to_host(predict(self, x, batch_size))

    def input_gradient(self, x: Any, y: Any, batch_size: int = 1000) -> np.ndarray:
        """Return dL/dx as a NumPy array (N, *input_shape), where L is the loss of each example.

        The model computes as in ``predict``, and L is without penalty. A saliency map is the absolute value.

        Args:
            x, y: arrays as in ``fit``.
            batch_size: number of examples that are computed at once; it does not change the result.
        Raises InputError: not compiled, invalid x or y, or a layer that returns no dx, such as Embedding.
        """
        batch_size = positive_integer("batch_size", batch_size)
        with self.backend.isolated():
            return self.backend.to_host(input_gradient(self, self.input_pipeline.check(x, y), batch_size))

    @checks_keywords
    def summary(self, print_fn: Callable[[str], object] = print_line) -> None:
        """Print a table of the layers with output shapes and parameter counts, and totals."""
        print_summary(self, require_kind("print_fn", print_fn, Callable))
