"""InputPipeline: checks examples, targets and weights once, and returns them as ``Examples``.

No code checks ``Examples`` again. ``sample_weight`` and ``class_weight`` become one number per example.
"""

from collections.abc import Mapping
from functools import partial
from itertools import count
from math import isfinite
from typing import Any, NamedTuple, Self

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import short_repr
from dnn.inputs.advice import as_code, column_cure
from dnn.inputs.arrays import check_examples, check_numbers, check_targets
from dnn.inputs.batches import CheckedBatches, as_batches, has_batches, in_order, refuse_iterator
from dnn.inputs.conversion import as_array
from dnn.inputs.rows import Rows
from dnn.keras_names import note
from dnn.settings.checks import is_integer, require, require_number

VALIDATION_BATCH = 1000  # examples that are evaluated at once, the default of ``evaluate``
ClassWeight = Mapping[int, float] | str | None


class Examples(NamedTuple):
    """Checked examples on the device; x may be ``Rows`` on the host."""

    x: Array | Rows  # (N, *input_shape), uint8 or the backend's dtype
    y: Array  # (N,) int64 class numbers, or (N, C) in the backend's dtype
    weights: Array | None  # (N,) in the backend's dtype; None: all 1

    @property
    def size(self) -> int:
        """N."""
        return int(self.x.shape[0])

    @property
    def has_weights(self) -> bool:
        """Whether the examples have weights."""
        return self.weights is not None

    @property
    def has_classes(self) -> bool:
        """Whether the targets are class numbers."""
        return bool(self.y.ndim == 1)

    def between(self, start: int, stop: int) -> Self:
        return type(self)(*(None if a is None else a[start:stop, ...] for a in self))


class InputPipeline(NamedTuple):
    """Checks the inputs of a network; raises an InputError that names the invalid argument."""

    backend: Backend  # of the device to which arrays are moved
    input_shape: tuple[int, ...]  # of one example
    n_outputs: int  # C, number of outputs for one example
    loss: Any
    n_categories: int | None = None  # of the first layer

    def check(
        self, x: Any, y: Any, sample_weight: Any = None, names: tuple[str, str] = ("x", "y"),
        class_weight: ClassWeight = None, in_batches: bool = False,
    ) -> Examples:  # fmt: skip
        """Return x, y and the weights on the device.

        Args:
            names: those of x and y in messages.
            in_batches: these are a batch of an iterable, which always has weights; they may all be 0.
        """
        ignored = self.loss.ignored_class
        x = check_examples(self.backend, names[0], x, self.input_shape, self.n_categories)
        y = check_targets(self.backend, names[1], y, int(x.shape[0]), self.n_outputs, ignored)
        self.loss.check_targets(self.backend, names[1], y)
        if y.ndim == 1 < self.n_outputs and self.loss.rows:
            note("class_numbers")
        return Examples(x, y, self._weights(y, sample_weight, class_weight, in_batches))

    def check_stream(
        self, x: Any, validation_split: Any, validation_data: Any, sample_weight: Any, resume: Any
    ) -> Examples | CheckedBatches | None:
        """Return the validation data for an iterable of batches x; check that other arguments allow it."""
        if validation_split != 0.0 or sample_weight is not None:
            got = "validation_split or sample_weight is given with an iterable of batches"
            raise InputError(got, "them only with arrays", "use validation_data, and batches (x, y, weight)")
        if resume is not None:
            refuse_iterator("x", x, "with resume ")
        return self.check_validation_data(validation_data)

    def check_batch(
        self, item: Any, number: int, class_weight: ClassWeight = None, argument: str = "x"
    ) -> Examples:
        """Return a batch of an iterable, given as (x, y) or (x, y, weight)."""
        x, y, weight = _unpack(f"batch {number} of {argument}", item)
        origin = f"of batch {number}" + ("" if argument == "x" else f" of {argument}")
        return self.check(x, y, weight, (f"x {origin}", f"y {origin}"), class_weight, in_batches=True)

    def _weights(
        self, y: Array, sample_weight: Any, class_weight: ClassWeight = None, in_batches: bool = False
    ) -> Array | None:
        """Return the weights on the device, (N,) in the backend's dtype; None if all are 1 (not in batches).

        The class of a row of y is its largest entry; with one output it is 1 above 0.5, else 0. Ignored
        examples have weight 0. "balanced" means N / (number of classes in y * examples of the class), as in
        scikit-learn, without the ignored examples.

        Args:
            y: checked targets.
            sample_weight: (N,) numbers of at least 0, or None.
            class_weight: class number -> weight of at least 0, "balanced", or None.
            in_batches: as in ``check``.
        Raises InputError: wrong shape, unknown class, a negative number, NaN or infinity, or all are 0.
        """
        backend = self.backend
        ignored_class = self.loss.ignored_class if y.ndim == 1 else None
        if not in_batches and sample_weight is class_weight is ignored_class is None:
            return None
        n = int(y.shape[0])
        weights = backend.xp.ones(n, dtype=backend.dtype, device=backend.device)
        if sample_weight is not None:
            note("sample_weight")
            numbers = as_array(backend, "sample_weight", sample_weight)
            shape = tuple(numbers.shape)
            if shape != (n,):
                got = f"sample_weight has shape {shape}"
                cure = column_cure("sample_weight", sample_weight, shape, n)
                raise InputError(got, f"({n},): one for each example", cure)
            weights = check_numbers(backend, "sample_weight", numbers)
            if float(backend.xp.min(weights)) < 0.0:
                raise InputError("sample_weight holds negative numbers", "finite numbers of at least 0")
        if class_weight is not None:
            note("class_weight")
            weights = weights * _class_weights(backend, class_weight, y, self.n_outputs, ignored_class)
        if ignored_class is not None:
            weights = backend.xp.where(y == ignored_class, weights * 0.0, weights)
        total = float(backend.xp.sum(weights))
        if not isfinite(total):
            got = f"the sum of the weights is infinite in {backend.dtype_name}"
            raise InputError(got, "weights of usual size, such as 0.1 to 10")
        if total == 0.0 and not in_batches:
            raise InputError("the weights are all 0", "at least one above 0")
        return weights

    def check_batches(self, source: Any, batch_size: int, argument: str = "x") -> CheckedBatches:
        """Return the batches of an iterable or a data set, to be checked one after another."""
        batches = as_batches(source, self.input_shape, batch_size, in_order)
        return CheckedBatches(partial(self.check_batch, argument=argument), batches, argument)

    def check_validation_data(self, data: Any) -> Examples | CheckedBatches | None:
        """Return ``validation_data``, given as (x, y) or (x, y, sample_weight), or in batches, or None."""
        if data is None:
            return None
        if not isinstance(data, tuple) and has_batches(data, None):
            refuse_iterator("validation_data", data)
            return self.check_batches(data, VALIDATION_BATCH, "validation_data")
        x, y, sample_weight = _unpack("validation_data", data)
        return self.check(x, y, sample_weight, names=("validation_data[0]", "validation_data[1]"))

    def check_training(
        self, x: Any, y: Any, validation_split: float = 0.0, validation_data: Any = None,
        class_weight: ClassWeight = None, sample_weight: Any = None,
    ) -> tuple[Examples, Examples | CheckedBatches | None]:  # fmt: skip
        """Return (training examples, validation examples or None); arguments as in ``Sequential.fit``."""
        training = self.check(x, y, sample_weight)
        validation = self.check_validation_data(validation_data)
        if require_number("validation_split", validation_split, 0.0, 1.0) != 0.0:
            if validation is not None:
                raise InputError("validation_split and validation_data are both given", "one of them")
            n_training = int(training.size * (1.0 - validation_split))  # Keras's rounding
            if n_training in (0, training.size):
                got = f"validation_split is {validation_split} of {training.size} examples"
                cure = "use validation_data for a set of your own"
                raise InputError(got, "a share that leaves examples in both splits", cure)
            _refuse_sorted(self.backend.to_host(training.y), x, y, self.n_outputs)
            last = training.between(n_training, training.size)
            training = training.between(0, n_training)
            validation = last._replace(weights=self._weights(last.y, last.weights))
        weights = self._weights(training.y, training.weights, class_weight)
        return training._replace(weights=weights), validation


def _is_sorted(y: np.ndarray, n_outputs: int) -> bool:
    """Return whether all equal rows of y are adjacent.

    False if y has one kind of rows, more than n_outputs + 1 kinds, or no row twice.
    """
    changes = int(np.any(y[1:] != y[:-1], axis=1).sum())
    return 0 < changes <= n_outputs and changes + 1 == len(np.unique(y, axis=0)) < len(y)


def _refuse_sorted(targets: np.ndarray, x: Any, y: Any, n_outputs: int) -> None:
    """Raise InputError if the targets (N,) or (N, C) of the data x and y are sorted by class."""
    rows = targets.reshape(len(targets), -1)
    if _is_sorted(rows, n_outputs):
        n = len(rows)
        mixed = (s for s in count() if not _is_sorted(np.random.default_rng(s).permutation(rows), n_outputs))
        raise InputError(
            "y is sorted by class, and validation_split would hold out the last classes",
            "a random order",
            f"give {as_code('x', x)}[order] and {as_code('y', y)}[order] (sample_weight too) with "
            f"order = numpy.random.default_rng({next(mixed)}).permutation({n})",
        )


def _unpack(what: str, data: Any) -> Any:
    """Return x, y, and the weight or None, given (x, y) or (x, y, weight)."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        got = f"{what} is a {type(data).__name__}"
        cure = "give arrays as a tuple (x, y), not as a list"
        raise InputError(got, "a tuple or list of (x, y) or (x, y, weight)", cure)
    return (*data, None)[:3]


def _class_weights(
    backend: Backend, class_weight: Any, y: Array, n_outputs: int, ignored_class: int | None
) -> Array:
    """Return the weight of each example's class, (N,); see ``InputPipeline._weights``."""
    classes = max(n_outputs, 2)
    numbers = backend.to_host(y)
    if numbers.ndim == 2:
        numbers = (numbers[:, 0] > 0.5).astype(np.int64) if n_outputs == 1 else numbers.argmax(axis=1)
    counted = numbers != ignored_class  # None: all
    table = np.ones(classes)
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(numbers[counted], minlength=classes)
        present = counts > 0  # classes in y; each gets the same total weight
        table[present] = counts.sum() / (present.sum() * counts[present])
    else:
        expected = "'balanced' or a dict such as {0: 1.0, 1: 5.0}"
        require(isinstance(class_weight, Mapping), "class_weight", class_weight, expected)
        for number, weight in class_weight.items():
            if not is_integer(number) or not 0 <= number < classes:
                got = f"class_weight names class {short_repr(number)}"
                raise InputError(got, f"classes 0 to {classes - 1}")
            table[number] = require_number(f"class_weight[{number}]", weight, 0.0)
    table = table.astype(backend.dtype_name)  # the caller raises an error for infinite weights
    return backend.from_host(table[numbers * counted])  # the caller makes ignored weights 0
