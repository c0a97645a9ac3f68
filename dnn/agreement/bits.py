"""Trainings in the precision "reproducible", which must give every backend the same bits.

Each case is trained on NumPy and on the contender. The first tensor with other bits is named.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from math import isqrt
from typing import Any

import numpy as np

from backends import Backend, InputError, get_backend
from backends.reproducible import make_reproducible
from dnn.agreement.cases import Data
from dnn.agreement.contenders.contender import Contender
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.records import Record
from dnn.checkpoints import weights_digest
from dnn.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Layer, Reshape
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.optimizers import Adam
from dnn.sequential import Sequential
from dnn.training.callback import Callback, Progress

Digests = dict[str, str]  # "update 1, dW of dense_1" -> SHA-256, in the order of computation


class DigestCallback(Callback):
    """Stores the digest of each gradient and each parameter after every update."""

    every = 1

    def __init__(self) -> None:
        self.digests: Digests = {}

    def on_progress(self, progress: Progress) -> None:
        progress.read()  # waits for the device
        self.add(f"update {progress.updates}")

    def add(self, when: str) -> None:
        """Store the digests of all tensors, gradients from the last layer to the first."""
        parameters = self.model.parameters
        views = parameters.backend
        gradients = reversed(parameters.gradient_by_name.items())
        arrays = {f"gradient of {name}": views.to_host(view) for name, view in gradients}
        for name, array in {**arrays, **parameters.to_host()}.items():
            self.digests[f"{when}, {name}"] = sha256(array.tobytes()).hexdigest()


@dataclass(frozen=True)
class BitsCase:
    """A network and its training."""

    name: str
    layers: Callable[[], Sequence[Layer]]
    images: np.ndarray  # (N, pixels) in [0, 1]
    labels: np.ndarray
    batch_size: int
    lbfgs_iterations: int = 0  # of L-BFGS, instead of an epoch of Adam

    def train(self, backend: Backend, seed: int) -> tuple[Digests, str]:
        """Train on a backend and return the digests of all tensors, and that of the final weights."""
        model = Sequential(self.layers(), input_shape=self.images.shape[1:], backend=backend, seed=seed)
        model.compile("categorical_crossentropy", Adam())
        watch = DigestCallback()
        watch.set_model(model)
        if self.lbfgs_iterations:
            settings = LBFGS(max_iterations=self.lbfgs_iterations)
            fit_lbfgs(
                model, self.images, self.labels, settings=settings,
                watch=lambda state: watch.add(f"iteration {state.iterations}"),
            )  # fmt: skip
        else:
            model.fit(
                self.images, self.labels, batch_size=self.batch_size, epochs=1, verbose=0, callbacks=[watch]
            )
        return watch.digests, weights_digest(model)


def bits_cases(data: Data, seed: int, quick: bool) -> Iterator[BitsCase]:
    """Yield a dense network, a convolutional one and one for L-BFGS; the full form has the lecture's."""
    classes = data.classes
    width = data.x.shape[1]
    side = isqrt(width)
    hidden, batch, updates = (16, 20, 2) if quick else (500, 100, 10)
    rows = data.rows(seed, 0, batch * updates)
    images, iterations = (40, 3) if quick else (2000, 20)
    others = data.rows(seed, 1, images)
    few = others[:200]
    yield BitsCase(
        f"{width}-{hidden}-{hidden}-{classes} sigmoid, {updates} updates",
        lambda: [Dense(hidden, "sigmoid"), Dense(hidden, "sigmoid"), Dense(classes, "softmax")],
        data.x[rows], data.y[rows], batch,
    )  # fmt: skip
    yield BitsCase(
        f"convolution, {-(-len(others) // 20)} updates",
        lambda: [
            Reshape((side, side, 1)), Conv2D(4, 3, strides=3), BatchNormalization(), Flatten(), Dropout(0.3),
            Dense(classes, "softmax"),
        ],
        data.x[others][:, : side * side], data.y[others], 20,
    )  # fmt: skip
    yield BitsCase(
        f"L-BFGS, {iterations} iterations",
        lambda: [Dense(8, "tanh"), Dense(classes, "softmax")],
        data.x[few], data.y[few], len(few), lbfgs_iterations=iterations,
    )  # fmt: skip


def bits_level(
    contenders: Sequence[Contender], data: Data, *, seed: int = 0, quick: bool = False
) -> Iterator[Record]:
    """Compare the bits of trainings on each backend with those on NumPy; yield a record for each case.

    The record's tensor is the first one that differs, its note the digest of the final weights.
    """
    backends: dict[str, Any] = {}
    for contender in contenders:
        if isinstance(contender, BackendContender):
            with suppress(InputError):  # a device without float64
                backends[contender.name] = make_reproducible(contender.backend)
    for case in bits_cases(data, seed, quick):
        expected, _ = case.train(get_backend("numpy", precision="reproducible"), seed)
        for name, backend in backends.items():
            digests, found = case.train(backend, seed)
            different = [tensor for tensor in expected if digests.get(tensor) != expected[tensor]]
            tensor = different[0] if different else "weights"
            yield Record("bits", case.name, tensor, name, float(len(different)), 0.0, f"SHA-256 {found}")
