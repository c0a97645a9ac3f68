"""Other libraries that a user might choose: Keras on two backends, hand-written JAX, scikit-learn.

Their packages are optional (``pip install -e ".[peers]"``), so mypy does not see them.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends import get_backend
from benchmarks.ours import build
from benchmarks.task import Prepared, Task


def initial_weights(task: Task) -> list[list[NDArray[np.float32]]]:
    """Return [W (n_in, n_out), b (n_out,)] of each layer: the initial weights of our network."""
    model = build(task, get_backend("numpy"), scaled=False)
    values = model.parameters.to_host()
    return [[values[f"{layer.name}.{short}"] for short in "Wb"] for layer in model.layers]


def split_into_calls(task: Task, fit: Callable[[slice], None]) -> Callable[[int], None]:
    """Return a function that runs n updates as calls of ``fit(rows)``, each at most one epoch.

    The library shuffles the rows of each call.
    """
    batch = task.settings.batch
    position = 0

    def run(n: int) -> None:
        nonlocal position
        while n:
            now = min(n, task.updates_per_epoch)
            if position + now > task.updates_per_epoch:
                position = 0
            fit(slice(position * batch, (position + now) * batch))
            position = position + now
            n = n - now

    return run


def prepare_keras(task: Task) -> Prepared:
    """Prepare Keras model.fit on float32 images; the variable KERAS_BACKEND selects its backend."""
    k: Any = importlib.import_module("keras")
    k.utils.set_random_seed(task.settings.seed)
    hidden = [k.layers.Dense(n, activation=task.settings.activation) for n in task.settings.hidden]
    model = k.Sequential(
        [k.layers.Input((task.x.shape[1],)), *hidden, k.layers.Dense(10, activation="softmax")]
    )
    adam = k.optimizers.Adam(learning_rate=1e-3, epsilon=1e-8)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy")
    x = task.floats()
    y = task.y

    def fit(rows: slice) -> None:
        model.fit(x[rows], y[rows], batch_size=task.settings.batch, epochs=1, shuffle=True, verbose=0)

    def probabilities(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.predict(images, batch_size=1000, verbose=0))

    name = k.backend.backend()
    facts = {"keras": k.__version__, "keras_backend": name}
    facts[name] = importlib.import_module(name).__version__
    return Prepared(split_into_calls(task, fit), probabilities, facts, trains_epochs=True)


def prepare_jax(task: Task) -> Prepared:
    """Prepare JAX: one jit per epoch with lax.scan over the batches, hand-written Adam, donated buffers."""
    j: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    activation = {"sigmoid": j.nn.sigmoid, "tanh": jnp.tanh, "relu": j.nn.relu}[task.settings.activation]
    b1 = 0.9
    b2 = 0.999
    epsilon = 1e-8
    rate = 1e-3
    x = jnp.asarray(task.floats())
    y = jnp.asarray(task.y.astype(np.int32))

    def logits(weights: Any, rows: Any) -> Any:
        for W, b in weights[:-1]:
            rows = activation(rows @ W + b)
        W, b = weights[-1]
        return rows @ W + b

    def loss_of(weights: Any, rows: Any, classes: Any) -> Any:
        log_p = j.nn.log_softmax(logits(weights, rows))
        return -jnp.mean(jnp.take_along_axis(log_p, classes[:, None], axis=1))

    def update(state: Any, index: Any, x: Any, y: Any) -> Any:
        weights, m, v, t = state
        loss, g = j.value_and_grad(loss_of)(weights, x[index], y[index])
        t = t + 1
        m = j.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        v = j.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
        c1 = 1 - b1**t
        c2 = 1 - b2**t
        weights = j.tree.map(
            lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + epsilon), weights, m, v
        )
        return (weights, m, v, t), loss

    def epoch(state: Any, order: Any, x: Any, y: Any) -> Any:
        return j.lax.scan(lambda s, index: update(s, index, x, y), state, order)

    train = j.jit(epoch, donate_argnums=0)
    weights = [tuple(map(jnp.asarray, layer)) for layer in initial_weights(task)]
    zeros = [j.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    state = (weights, *zeros, jnp.zeros((), jnp.float32))
    epochs = 0

    def run(n: int) -> None:
        nonlocal state, epochs
        while n:
            now = min(n, task.updates_per_epoch)
            order = task.order(epochs)[:now].astype(np.int32)
            state, losses = train(state, jnp.asarray(order), x, y)
            losses.block_until_ready()
            n = n - now
            epochs = epochs + 1

    def probabilities(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(j.nn.softmax(logits(state[0], jnp.asarray(images))))

    return Prepared(run, probabilities, {"jax": j.__version__}, trains_epochs=True)


def prepare_sklearn(task: Task) -> Prepared:
    """Prepare MLPClassifier.partial_fit, one epoch per call, without its default L2 penalty."""
    from sklearn import __version__
    from sklearn.neural_network import MLPClassifier

    names = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
    model = MLPClassifier(
        task.settings.hidden,
        activation=names[task.settings.activation],
        alpha=0.0,
        batch_size=task.settings.batch,
        learning_rate_init=1e-3,
        random_state=task.settings.seed,
    )
    x = task.floats()
    y = task.y
    classes = np.arange(10)

    def fit(rows: slice) -> None:
        model.partial_fit(x[rows], y[rows], classes=classes)

    def probabilities(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.predict_proba(images))

    return Prepared(
        split_into_calls(task, fit), probabilities, {"scikit-learn": __version__}, trains_epochs=True
    )
