"""A training written out in plain float64 NumPy, with only settings from ``dnn``.

The oracle of the other levels shares layers, schedules and the training loop with the backends, so it would
share a mistake in them. This training shares only the random streams, which are defined bit by bit, the
curves of schedules, and reference kernels, which L0 to L3 compare with other programs.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from math import ceil, inf
from typing import Any

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS, Kernels
from dnn.agreement.cases import FitCase
from dnn.agreement.textbook.images import augment
from dnn.callbacks import LearningRateScheduler, ReduceLROnPlateau
from dnn.layers import (
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Layer,
    RandomElastic,
    Rescaling,
    Reshape,
)
from dnn.layers.augmentation import Augmentation
from dnn.layers.containers import layer_names
from dnn.losses import get_loss
from dnn.optimizers.schedules import Schedule
from dnn.random import stream_key
from dnn.training.callback import Callback
from dnn.typing import HostArrays

Back = Callable[[np.ndarray], np.ndarray]


def random_bits(seed: int, purpose: str, layer: int, step: int, n: int) -> np.ndarray:
    """Return n 63-bit integers from one step of a random stream."""
    out = np.zeros(n, dtype=np.int64)
    Kernels(np).threefry(stream_key(seed, purpose, layer), np.asarray([step]), np.arange(n), out)
    return out


def epoch_batches(seed: int, epoch: int, n: int, batch_size: int) -> list[np.ndarray]:
    """Return the rows of each batch in an epoch, counted from 1, of n examples."""
    order = np.argsort(random_bits(seed, "shuffle", 0, epoch, n))
    return np.split(order, range(batch_size, n, batch_size))


def control_after(updates: int, rate: float, settings: tuple[Any, ...]) -> np.ndarray:
    """Return an optimizer's control array: with 1 - beta^t, if the first two settings are Adam's betas."""
    biases = [1.0 - float(beta) ** updates for beta in (*settings, 0.0, 0.0)[:2]]
    return np.asarray([rate, *biases, updates])


def targets(case: FitCase, labels: np.ndarray) -> np.ndarray:
    """Return the probabilities (n, C) that the loss expects: one-hot rows, smoothed (Szegedy et al. 2016)."""
    e = getattr(get_loss(case.loss), "label_smoothing", 0.0)
    return np.asarray((1.0 - e) * np.eye(case.classes)[labels] + e / case.classes)


def example_weights(case: FitCase, class_weight: Any) -> np.ndarray:
    """Return the weight of each example, (N,). Class weights apply only in training."""
    w = np.ones(len(case.labels)) if case.sample_weight is None else case.sample_weight.astype(np.float64)
    ignored = case.labels == get_loss(case.loss).ignored_class
    if class_weight == "balanced":
        present, counts = np.unique(case.labels[~ignored], return_counts=True)
        class_weight = dict(zip(present, counts.sum() / (len(present) * counts), strict=True))
    for number, factor in (class_weight or {}).items():
        w[case.labels == number] *= factor
    w[ignored] = 0.0
    return w


def learning_rate(schedule: float | Schedule, t: int) -> float:
    """Return the learning rate of update t = 0, 1, ...: warm-up, the schedule's curve, its last rate."""
    if not isinstance(schedule, Schedule):
        return schedule
    curve = schedule.curve()
    after = t - schedule.warmup
    if after < 0:
        return float(curve[0]) * (t + 1) / (schedule.warmup + 1)
    return float(curve[min(after, len(curve) - 1)])


def rate_after_epoch(callbacks: Sequence[Callback], rate: Any, losses: Sequence[float]) -> Any:
    """Return the rate after epochs with these losses in validation; the last one may have reduced it."""
    for plateau in callbacks:
        if isinstance(plateau, ReduceLROnPlateau):
            best, waited, resting = inf, 0, 0
            for loss in losses:
                better = loss < best - plateau.min_delta
                best = loss if better else best
                waited = 0 if better or resting else waited + 1
                resting = max(resting - 1, 0)
                reduces = waited == plateau.patience
                if reduces:
                    waited, resting = 0, plateau.cooldown
            rate = max(rate * plateau.factor, plateau.min_lr) if reduces else rate
    return rate


class TextbookTraining:
    """The network, its optimizer state and its training; arguments as in ``fit``."""

    def __init__(self, case: FitCase, weights: HostArrays, rate_factor: float) -> None:
        self.case = case
        self.rate_factor = rate_factor
        self.p = {k: w.astype(np.float64) for k, w in weights.items()}
        self.t = 0
        self.rate: Any = case.optimizer.learning_rate  # or that of a callback
        names = layer_names(layers := case.layers())
        self.layers = list(zip(range(-1, len(layers)), names, layers, strict=False))
        self.frozen: tuple[str, ...] = ()
        for _, name, layer in self.layers:
            if isinstance(layer, BatchNormalization):
                self.p[f"{name}.running_mean"] = np.zeros(case.hidden[0])
                self.p[f"{name}.running_variance"] = np.ones(case.hidden[0])
        self.slots = {
            k: tuple(np.zeros_like(w) for _ in case.optimizer.slot_names) for k, w in self.p.items()
        }
        reference = get_backend("numpy", dtype="float64", fused=False)
        self.kernels = reference.kernels
        self.step = case.optimizer.bind(reference)

    def draw(self, layer: Layer, index: int, batch: int, pairs: int) -> np.ndarray:
        """Return the random 63-bit integers (B, pairs) of a layer in this step."""
        bits = random_bits(self.case.seed, type(layer).__name__, index, self.t, batch * pairs)
        return bits.reshape(batch, pairs)

    def probabilities(self, x: np.ndarray, g: HostArrays | None = None) -> tuple[np.ndarray, list[Back]]:
        """Return the softmax (B, C), and functions dy -> dx of the layers, which add to the gradients g.

        g is None in evaluation: then with running averages, and without random numbers.
        """
        backs: list[Back] = []
        for index, name, layer in self.layers:
            if isinstance(layer, Rescaling):
                x = x.astype(np.float64) * layer.scale
            elif isinstance(layer, (Reshape, Flatten)):
                x = x.reshape(len(x), *layer.shape_after(x.shape[1:]))
            elif isinstance(layer, Augmentation) and g is not None:
                pairs = 2 + ceil(2 * x[0, ..., 0].size / 7) * isinstance(layer, RandomElastic)
                bits = self.draw(layer, index, len(x), pairs)
                words = [word for pair in bits[:, :2].T for word in (pair >> 32, pair & 0x7FFFFFFF)]
                x = augment(layer, np.stack(words) * 2.0**-31, bits[:, 2:], x)
            elif isinstance(layer, (GaussianNoise, Dropout)) and g is not None:
                bits = self.draw(layer, index, len(x), (x.shape[1] + 1) // 2)
                y, mask = np.empty((2, *x.shape))
                if isinstance(layer, Dropout):
                    self.kernels.dropout(bits, x, layer.rate, mask, y)
                    backs.append(mask.__mul__)
                else:
                    self.kernels.gaussian_noise(bits, x, layer.stddev, y)
                x = y
            elif isinstance(layer, BatchNormalization):
                x, back = self.normalise(name, layer, x, g)
                backs.append(back)
            elif isinstance(layer, Dense):
                x, back = self.dense(name, layer.activation, x, g)
                backs.append(back)
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True), backs

    def dense(self, name: str, kind: str, x: np.ndarray, g: Any) -> tuple[np.ndarray, Back]:
        W = self.p[f"{name}.W"]
        f = ACTIVATIONS["linear" if kind == "softmax" else kind]  # the softmax follows later
        z = x @ W + self.p.get(f"{name}.b", 0.0)
        y = f.forward(np, z)

        def back(dy: np.ndarray) -> np.ndarray:
            dz = f.backward(np, dy, z, y)
            g[f"{name}.W"] = x.T @ dz
            if f"{name}.b" in self.p:
                g[f"{name}.b"] = dz.sum(axis=0)
            return np.asarray(dz @ W.T)

        return y, back

    def normalise(
        self, name: str, layer: BatchNormalization, x: np.ndarray, g: Any
    ) -> tuple[np.ndarray, Back]:
        """Normalise by the averages of the batch; of one example, and in evaluation, by the running ones."""
        short_names = "gamma", "beta", "running_mean", "running_variance"
        gamma, beta, mean, variance = (self.p[f"{name}.{short}"] for short in short_names)
        n = len(x)
        uses_batch = g is not None and name not in self.frozen and n > 1
        if uses_batch:
            running = mean, variance
            mean, variance = x.mean(axis=0), x.var(axis=0)
            for average, new in zip(running, (mean, variance * n / (n - 1)), strict=True):
                average += layer.momentum * (new - average)
        inverse = 1.0 / np.sqrt(variance + layer.epsilon)
        normal = (x - mean) * inverse

        def back(dy: np.ndarray) -> np.ndarray:
            g[f"{name}.gamma"] = (dy * normal).sum(axis=0)
            g[f"{name}.beta"] = dy.sum(axis=0)
            if uses_batch:
                dy = dy - dy.mean(axis=0) - normal * (dy * normal).mean(axis=0)
            return dy * gamma * inverse

        return normal * gamma + beta, back

    def train_batch(self, rows: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Make an update on these rows, with their weights w; return the probabilities."""
        case = self.case
        g: HostArrays = {}
        found, backs = self.probabilities(case.images[rows], g)
        dy = (found - targets(case, case.labels[rows])) * (w / (w.sum() or 1.0))[:, None]
        for back in reversed(backs):
            dy = back(dy)
        settings = case.optimizer.settings()
        rate = self.rate_factor * learning_rate(self.rate, self.t)
        control = control_after(self.t, rate, settings)
        for name, d in g.items():
            p = self.p[name]
            if name.endswith(".W"):  # no penalty on biases and scales
                d += case.l1 * np.sign(p) + 2.0 * case.l2 * p
            if name.rpartition(".")[0] not in self.frozen:
                self.step(p, d, self.slots[name], control.copy(), settings)
        self.t = self.t + 1
        return found


def fit(
    case: FitCase, weights: HostArrays | None = None, rate_factor: float = 1.0
) -> tuple[HostArrays, HostArrays]:
    """Return the arrays that every contender's ``fit`` must return, and the parameters before the training.

    - "before": loss and accuracy of the untrained network.
    - "loss" and "accuracy": during each epoch, then at the end of each epoch.
    - "predictions": probabilities (N, C) after training. "learning rate": of the last update.
    - the parameters and running averages by name.

    Args:
        weights: instead of the weights of the case. rate_factor: of each update's learning rate.
    """
    run = TextbookTraining(case, weights or case.weights(), rate_factor)
    start = deepcopy(run.p)

    def scores(p: np.ndarray, class_weight: Any = None) -> tuple[float, float]:
        y = run.case.labels
        w = example_weights(run.case, class_weight)
        right = np.argmax(p, axis=1) == y  # the first maximum wins ties
        t = targets(run.case, y)
        loss = -np.sum(w[:, None] * t * np.log(np.where(t > 0.0, p, 1.0))) / np.sum(w)
        return float(loss), float(np.mean(right[y != get_loss(case.loss).ignored_class]))

    def predict() -> np.ndarray:
        return run.probabilities(run.case.images)[0]

    before = scores(predict())
    during: list[tuple[float, float]] = []
    after: list[tuple[float, float]] = []
    for session in case.sessions:
        run.case = shift_rows(case, session.shift)
        run.frozen = session.frozen
        w = example_weights(run.case, session.class_weight)
        losses = []
        for epoch in range(len(during), len(during) + session.epochs):
            for callback in case.callbacks:
                if isinstance(callback, LearningRateScheduler):
                    run.rate = callback.schedule(epoch, run.rate)
            n = len(case.labels)
            p = np.zeros((n, case.classes))
            for rows in epoch_batches(case.seed, epoch + 1, n, session.batch_size):
                p[rows] = run.train_batch(rows, w[rows])
            during.append(scores(p, session.class_weight))
            after.append(scores(predict()))
            losses.append(after[-1][0])
            run.rate = rate_after_epoch(case.callbacks, run.rate, losses)
    loss, accuracy = zip(*during, *after, strict=True)
    found: dict[str, Any] = {
        "before": before, "predictions": predict(), "loss": loss, "accuracy": accuracy,
        "learning rate": [learning_rate(run.rate, run.t - 1)], **run.p,
    }  # fmt: skip
    return {name: np.asarray(numbers, dtype=np.float64) for name, numbers in found.items()}, start


def shift_rows(case: FitCase, shift: int) -> FitCase:
    """Return the case with its examples moved on by ``shift`` rows."""
    moved: dict[str, Any] = {
        name: None if (a := getattr(case, name)) is None else np.roll(a, shift, axis=0)
        for name in ("images", "labels", "sample_weight")
    }
    return replace(case, **moved)
