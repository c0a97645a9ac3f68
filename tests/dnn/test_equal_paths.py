"""Equal paths are laws: two ways to compute the same numbers, for drawn networks, losses and optimizers."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest
import scipy.sparse
from helpers import assert_close, build_network, numbers, same_bits, weights

from backends import get_backend
from dnn import (
    LBFGS,
    SGD,
    Adam,
    AdamW,
    BatchNormalization,
    Block,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    GaussianNoise,
    GlobalMaxPooling2D,
    LayerNormalization,
    MaxPooling2D,
    Parallel,
    Reshape,
    Residual,
    RMSprop,
    fit_lbfgs,
)
from dnn.checkpoints import load_model
from dnn.interop.torch import from_torch, to_torch
from dnn.losses import get_loss
from dnn.optimizers.schedules import CosineDecay, LinearDecay
from dnn.random import permutation, stream_key

N = 41
"""Batches of 8 and of 20 leave a last batch of one."""
LOSSES = "categorical_crossentropy", "mean_squared_error", "binary_crossentropy"
SCHEDULES = (0.03, CosineDecay(0.03, 20, warmup=2), LinearDecay(0.03, 9, 0.003))
OPTIMIZERS = SGD, Adam, AdamW, RMSprop
BETWEEN = Dropout(0.2), LayerNormalization(), GaussianNoise(0.1), BatchNormalization()
"""The last one needs whole batches of more than one."""


class Drawn:
    """A network and its training."""

    def __init__(self, seed, dtype, tmp_path):
        draw = np.random.default_rng(seed)
        self.backend = get_backend(("numpy", "torch", "numba", "strict")[seed % 4], dtype=dtype)
        self.tmp_path = tmp_path
        self.seed = seed
        self.batch_size = int(draw.choice([7, 9, 13, N]))
        self.epochs = int(draw.integers(2, 5))
        self.x = np.maximum(draw.normal(size=(N, 6)) - 0.6, 0.0).astype(dtype)
        self.w = draw.integers(0, 4, N)
        self.loss = LOSSES[draw.integers(3)]
        self.y = draw.integers(0, 3, N)
        if self.loss != LOSSES[0]:
            self.y = np.eye(3, dtype=dtype)[self.y]
        last = get_loss(self.loss).activation or "linear"
        hidden = [Dense(6, kind) for kind in draw.choice(["sigmoid", "tanh", "gelu"], 2)]
        self.l2 = float(draw.choice([0.0, 1e-3]))
        self.plain = [*hidden, Dense(3, last)]
        self.layers = [hidden[0], BETWEEN[draw.integers(4)], *self.plain[1:]]
        self.optimizer = OPTIMIZERS[draw.integers(4)](SCHEDULES[draw.integers(3)])

    def batches(self, *more):
        stops = range(self.batch_size, N + self.batch_size, self.batch_size)
        return [tuple(a[i - self.batch_size : i] for a in (self.x, self.y, *more)) for i in stops]

    def model(self, layers=None):
        model = build_network([*map(deepcopy, layers or self.layers)], backend=self.backend, seed=self.seed)
        model.compile(self.loss, deepcopy(self.optimizer), l2=self.l2)
        return model

    def fit(self, model, x=None, y=None, **settings):
        examples = (self.x, self.y) if x is None else (x, y)
        settings = {"batch_size": self.batch_size, "epochs": self.epochs, **settings}
        return [model, model.fit(*examples, verbose=0, **settings).history]


def saved_and_copied(d):
    """Copies continue in the middle of a schedule, and of the random numbers; a file has no moments."""
    one = d.model()
    d.fit(one)
    one.save(d.tmp_path / "model")
    loaded = load_model(d.tmp_path / "model", d.backend).predict(d.x)
    copies = deepcopy(one), pickle.loads(pickle.dumps(one))
    return [one.predict(d.x), *d.fit(one) * 2], [loaded, *d.fit(copies[0]), *d.fit(copies[1])]


def several_trainings(d):
    one = d.model()
    d.fit(one, epochs=1)
    d.fit(one, epochs=d.epochs - 1)
    return [one], d.fit(d.model())[:1]


def held_out(d):
    split = d.fit(d.model(), validation_split=0.25, sample_weight=d.w + 1)
    n = 30
    held = d.x[n:], d.y[n:], d.w[n:] + 1
    return split, d.fit(d.model(), d.x[:n], d.y[:n], sample_weight=d.w[:n] + 1, validation_data=held)


def in_order(d):
    order = d.backend.to_host(permutation(d.backend, stream_key(d.seed, "shuffle"), 1, N))
    ordered = d.fit(d.model(), d.x[order], d.y[order], epochs=1, shuffle=False)
    return d.fit(d.model(), epochs=1), ordered


def best_weights(d):
    """Those of a training that ends after the best epoch."""
    held = d.x, np.roll(d.y, 1, axis=0)
    best = EarlyStopping(patience=9, restore_best_weights=True)
    model, history = d.fit(d.model(), validation_data=held, callbacks=[best])
    epochs = 1 + int(np.argmin(history["val_loss"]))
    return [model], d.fit(d.model(), validation_data=held, epochs=epochs)[:1]


def through_torch(d):
    one = d.model([layer for layer in d.layers if not isinstance(layer, GaussianNoise)])
    d.fit(one)
    two = from_torch(to_torch(one, logits=False), d.backend)
    return [one.predict(d.x)], [two.predict(d.x)]


def forms_of_examples(d):
    d.x.tofile(d.tmp_path / "x")
    mapped = np.memmap(d.tmp_path / "x", d.x.dtype, "r", shape=d.x.shape)
    forms = d.fit(d.model(), mapped, d.y) + d.fit(d.model(), scipy.sparse.csr_array(d.x), d.y)
    forms += d.fit(d.model(), d.x.tolist(), d.y, sample_weight=np.ones(N))
    weighted = {"class_weight": {0: 3.0}} if d.y.ndim == 1 else {}
    held = {"validation_data": (d.x, d.y), **weighted}
    ordered = d.fit(d.model(), shuffle=False, sample_weight=d.w, **held)
    return d.fit(d.model()) * 3 + ordered, forms + d.fit(d.model(), d.batches(d.w), **held)


def blocks(d):
    whole = {"sample_weight": d.w + 1, "batch_size": N}
    one = d.fit(d.model(d.plain), **whole)
    cut = d.fit(d.model(d.plain), blocks=2, **whole) + d.fit(d.model(d.plain), blocks=8, **whole)
    ordered = d.fit(d.model(d.plain), shuffle=False)
    return one * 2 + ordered, cut + d.fit(d.model(d.plain), d.batches(), blocks=4)


def steps_of_ones_own(d):
    one, two, three = (d.model() for _ in range(3))
    losses, found = [], []
    for _ in range(3):
        loss, _ = one.gradients(d.x, d.y, d.w)
        one.update()
        losses.append(loss)
        found.append(two.train_on_batch(d.x, d.y, d.w)[0])
    whole, history = d.fit(three, sample_weight=d.w, batch_size=N, epochs=3, shuffle=False)
    return [one, one, losses, losses], [two, whole, found, history["loss"]]


def weights_are_copies(d):
    """The weight of an example is the number of its copies, in L-BFGS, too."""
    many = np.repeat(d.x, d.w, axis=0), np.repeat(d.y, d.w, axis=0)
    one, two = d.model(d.plain), d.model(d.plain)
    ours, theirs = one.gradients(d.x, d.y, d.w), two.gradients(*many)
    settings = {"settings": LBFGS(max_iterations=3), "chunk_size": d.batch_size}
    fit_lbfgs(one, d.x, d.y, sample_weight=d.w, **settings)
    fit_lbfgs(two, *many, **settings)
    return [ours[0], *ours[1].values(), one], [theirs[0], *theirs[1].values(), two]


def containers(d):
    """Frozen layers, too: x + f(x), and columns side by side, are those of the layers alone."""
    first, second, last = d.plain
    flat = d.model([first, Dense(6, "tanh", trainable=False), last])
    nested = d.model([Block([first, Block([Dense(6, "tanh", trainable=False), last])])])
    load(nested, flat)
    both = d.fit(flat), d.fit(nested)
    residual, parallel = d.model([Residual([first]), last]), d.model([Parallel([first, second]), last])
    a, b, c = (build_network([deepcopy(layer)], backend=d.backend) for layer in (first, second, last))
    load(a, residual)
    load(c, residual, skip=2)
    x = d.x + a.predict(d.x)
    sums = residual.predict(d.x), c.predict(x)
    load(a, parallel)
    load(b, parallel, skip=2)
    wide = build_network([deepcopy(last)], (12,), d.backend)
    load(wide, parallel, skip=4)
    columns = np.concatenate([a.predict(d.x), b.predict(d.x)], axis=1)
    return [*both[0], sums[0], parallel.predict(d.x)], [*both[1], sums[1], wide.predict(columns)]


def global_pooling(d):
    """Windows are the whole image; relu gives ties."""
    first, end = Dense(6, "relu"), d.plain[-1]
    whole = d.model([first, Reshape((2, 3, 1)), GlobalMaxPooling2D(), end])
    window = d.model([first, Reshape((2, 3, 1)), MaxPooling2D((2, 3)), Flatten(), end])
    load(window, whole)
    return d.fit(whole), d.fit(window)


def load(model, other, skip=0):
    values = [*other.parameters.to_host().values()][skip:]
    model.parameters.load(dict(zip(model.parameters.to_host(), values, strict=False)))


def parts_of_predictions(d):
    model = d.model()
    p = model.predict(d.x)
    found = model.evaluate(d.x, d.y, batch_size=N)
    rows = np.concatenate([*map(model.predict, d.x[:, None])])
    parts = model.evaluate(d.x, d.y, batch_size=20)
    return [p, p, found], [model.predict(d.x, batch_size=4), rows, parts]


SAME_BITS = saved_and_copied, several_trainings, held_out, in_order, best_weights, through_torch
CLOSE = (
    forms_of_examples, blocks, steps_of_ones_own, weights_are_copies, containers,
    global_pooling, parts_of_predictions,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("law", [*SAME_BITS, *CLOSE], ids=lambda law: law.__name__)
def test_equal_paths(law, seed, tmp_path):
    bits = law in SAME_BITS
    one, two = law(Drawn(seed, "float32" if bits else "float64", tmp_path))
    for a, b in zip(map(as_arrays, one), map(as_arrays, two), strict=True):
        for name in a.keys() & b.keys() if law is not held_out else a:
            if bits:
                assert same_bits(a[name], b[name]), name
            else:
                assert_close(a[name], b[name], 1e-9, name)


def as_arrays(value):
    """Return a model's parameters, a history, or an array by name."""
    if hasattr(value, "parameters"):
        return {"weights": weights(value)}
    return {k: np.asarray(v) for k, v in (numbers(value) if isinstance(value, dict) else {"": value}).items()}
