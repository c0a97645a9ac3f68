"""A training written out in plain float64 NumPy, with the formulas of the papers and nothing of ``dnn``.

The oracle of the other levels shares layers, schedules and the training loop with the backends, so it would
share a mistake in them. This training shares only the random streams, which are defined bit by bit.

Symbols are those of ``dnn.layers``; h is the output of the first layer, n the normalised h.
"""

from math import cos, pi

import numpy as np

from backends.reference.random import threefry
from dnn.agreement.cases import FitCase
from dnn.agreement.state import Named
from dnn.losses import get_loss
from dnn.optimizers import SGD, Adam
from dnn.optimizers.schedules import CosineDecay, LinearDecay, Schedule
from dnn.random import stream_key


def random_bits(seed: int, purpose: str, layer: int, step: int, n: int) -> np.ndarray:
    """Return n 63-bit integers from one step of a random stream."""
    out = np.zeros(n, dtype=np.int64)
    threefry(np, stream_key(seed, purpose, layer), np.asarray([step]), np.arange(n), out)
    return out


def epoch_order(case: FitCase, epoch: int) -> np.ndarray:
    """Return the order of the rows in an epoch, counted from 1."""
    return np.argsort(random_bits(case.seed, "shuffle", 0, epoch, len(case.labels)))


def dropout_mask(case: FitCase, step: int, batch: int) -> np.ndarray:
    """Return dropout's factors (B, n), 0 or 1 / (1 - rate), in a step, counted from 0."""
    n = case.hidden[0]
    if not case.rate:
        return np.ones((batch, n))
    pairs = random_bits(case.seed, "Dropout", 2 if case.normalised else 1, step, batch * ((n + 1) // 2))
    pairs = pairs.reshape(batch, -1)
    words = np.concatenate([pairs >> 32, pairs & 0x7FFFFFFF], axis=1)[:, :n]
    return (words >= case.rate * 2.0**31) / (1.0 - case.rate)


def learning_rate(given: float | Schedule, t: int) -> float:
    """Return the learning rate of update t = 0, 1, ...: constant, linear or cosine (Loshchilov, Hutter
    2017).
    """
    if not isinstance(given, Schedule):
        return given
    if t < given.warmup:
        return learning_rate(given, given.warmup) * (t + 1) / (given.warmup + 1)
    t -= given.warmup
    assert isinstance(given, LinearDecay)
    share = min(t / given.steps, 1.0)
    if isinstance(given, CosineDecay):
        share = (1.0 - cos(pi * share)) / 2.0
    return given.initial + (given.final - given.initial) * share


def example_weights(case: FitCase, training: bool) -> np.ndarray:
    """Return the weight of each example, (N,). Class weights apply only in training."""
    w = np.ones(len(case.labels)) if case.sample_weight is None else case.sample_weight.astype(np.float64)
    w = np.where(case.labels == get_loss(case.loss).ignored_class, 0.0, w)
    for number, factor in (case.class_weight or {}).items() if training else ():
        w[case.labels == number] *= factor
    return w


class TextbookTraining:
    """The network, its optimizer state and its training."""

    def __init__(self, case: FitCase) -> None:
        self.case = case
        self.x: np.ndarray = case.images / 255.0
        self.p = {k: w.astype(np.float64) for k, w in case.weights().items()}
        width = case.hidden[0]
        self.t = 0
        self.running = {"mean": np.zeros(width), "variance": np.ones(width)}
        self.slots = {k: [np.zeros_like(w), np.zeros_like(w)] for k, w in self.p.items()}

    def numbers(self) -> Named:
        averages = {f"batch_normalization_1.running_{k}": v for k, v in self.running.items()}
        return {k: np.array(v) for k, v in {**self.p, **(averages if self.case.normalised else {})}.items()}

    def probabilities(self, n: np.ndarray) -> np.ndarray:
        """Return the softmax (N, C) of the last layer for its input n (N, width)."""
        z = n @ self.p["dense_2.W"] + self.p["dense_2.b"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        found: np.ndarray = e / e.sum(axis=1, keepdims=True)
        return found

    def hidden_outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the output (N, width) of the first layer, with tanh."""
        return np.tanh(x @ self.p["dense_1.W"] + self.p["dense_1.b"])

    def predict(self) -> np.ndarray:
        """Return the probabilities in evaluation: with running averages and without dropout."""
        h = self.hidden_outputs(self.x)
        if self.case.normalised:
            h = (h - self.running["mean"]) / np.sqrt(self.running["variance"] + self.case.EPSILON)
            h = h * self.p["batch_normalization_1.gamma"] + self.p["batch_normalization_1.beta"]
        return self.probabilities(h)

    def train_batch(self, rows: np.ndarray) -> np.ndarray:
        case = self.case
        p = self.p
        batch = len(rows)
        g = {}
        x = self.x[rows]
        y = case.labels[rows]
        w = example_weights(case, training=True)[rows]
        h = self.hidden_outputs(x)
        n = h
        drop = dropout_mask(case, self.t, batch)
        if case.normalised:
            mean = h.mean(axis=0)
            variance = h.var(axis=0)
            keep = 1.0 - case.MOMENTUM
            self.running["mean"] = keep * self.running["mean"] + case.MOMENTUM * mean
            unbiased = variance * batch / (batch - 1)
            self.running["variance"] = keep * self.running["variance"] + case.MOMENTUM * unbiased
            inverse = 1.0 / np.sqrt(variance + case.EPSILON)
            normal = (h - mean) * inverse
            gamma = p["batch_normalization_1.gamma"]
            n = normal * gamma + p["batch_normalization_1.beta"]
        found = self.probabilities(n * drop)
        dz = (found - np.eye(case.classes)[y]) * (w / (w.sum() or 1.0))[:, None]
        g["dense_2.W"] = (n * drop).T @ dz
        g["dense_2.b"] = dz.sum(axis=0)
        dn = dz @ p["dense_2.W"].T * drop
        if case.normalised:
            g["batch_normalization_1.gamma"] = (dn * normal).sum(axis=0)
            g["batch_normalization_1.beta"] = dn.sum(axis=0)
            dn = gamma * inverse * (dn - dn.mean(axis=0) - normal * (dn * normal).mean(axis=0))
        dh = dn * (1.0 - h * h)
        g["dense_1.W"] = x.T @ dh
        g["dense_1.b"] = dh.sum(axis=0)
        for name in ("dense_1.W", "dense_2.W"):  # the penalty covers weights, not biases and scales
            g[name] += case.l1 * np.sign(p[name]) + 2.0 * case.l2 * p[name]
        self.update(g)
        return found

    def update(self, g: Named) -> None:
        """Make one update of Adam (Kingma and Ba 2015), or SGD with Nesterov momentum (Sutskever et al.
        2013).
        """
        o = self.case.optimizer
        now = learning_rate(o.learning_rate, self.t)
        self.t = self.t + 1
        for name, p in self.p.items():
            slots = self.slots[name]
            d = g[name]
            if isinstance(o, Adam):
                slots[0] = o.beta1 * slots[0] + (1.0 - o.beta1) * d
                slots[1] = o.beta2 * slots[1] + (1.0 - o.beta2) * d * d
                m = slots[0] / (1.0 - o.beta1**self.t)
                v = slots[1] / (1.0 - o.beta2**self.t)
                self.p[name] = p - now * m / (np.sqrt(v) + o.epsilon)
            elif isinstance(o, SGD):
                slots[0] = o.momentum * slots[0] + d
                self.p[name] = p - now * (d + o.momentum * slots[0])


def fit(case: FitCase) -> tuple[Named, Named]:
    """Return the arrays that every contender's ``fit`` must return, and the parameters before the training.

    - "before": loss and accuracy of the untrained network.
    - "loss" and "accuracy": during each epoch, then at the end of each epoch.
    - "predictions": probabilities (N, C) after training. "learning rate": of the last update.
    - the parameters and running averages by name.
    """
    training_run = TextbookTraining(case)
    start = training_run.numbers()
    y = case.labels
    counted = y != get_loss(case.loss).ignored_class

    def scores(p: np.ndarray, training: bool = False) -> tuple[float, float]:
        w = example_weights(case, training)
        right = np.argmax(p, axis=1) == y  # the first maximum wins ties
        loss = -np.sum(w * np.log(p[np.arange(len(y)), y])) / np.sum(w)
        return float(loss), float(np.mean(right[counted]))

    before = scores(training_run.predict())
    during = []
    after = []
    for epoch in range(1, case.epochs + 1):
        p = np.zeros((len(y), case.classes))
        for rows in np.split(epoch_order(case, epoch), range(case.batch_size, len(y), case.batch_size)):
            p[rows] = training_run.train_batch(rows)
        during.append(scores(p, training=True))
        after.append(scores(training_run.predict()))
    loss, accuracy = zip(*during, *after, strict=True)
    last = learning_rate(case.optimizer.learning_rate, training_run.t - 1)
    numbers = {"before": before, "predictions": training_run.predict(), "loss": loss, "accuracy": accuracy}
    found = {k: np.asarray(v, dtype=np.float64) for k, v in {**numbers, "learning rate": [last]}.items()}
    return {**found, **training_run.numbers()}, start
