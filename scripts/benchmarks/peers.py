"""Other libraries that a user might choose: PyTorch and JAX (``pip install -e ".[peers]"``), and the peak."""

from typing import Any

import numpy as np

from backends import InputError, get_backend
from benchmarks.ours import build
from benchmarks.task import Floats, Prepared, Task, scale_pixels
from dnn.interop.torch import to_torch

PRODUCT_SIZE = 1024


def prepare_product(task: Task) -> Prepared:
    """Prepare what the processor reaches at most: in place of an update, a product of two large matrices."""
    a = np.random.default_rng(0).standard_normal((PRODUCT_SIZE, PRODUCT_SIZE), dtype=np.float32)
    out = np.empty_like(a)

    def run(n: int) -> None:
        for _ in range(n):
            np.matmul(a, a, out=out)

    return Prepared(run, lambda x: np.zeros((len(x), 10), np.float32), {"numpy": np.__version__})


def prepare_pytorch(task: Task, compiled: bool = False, fused: bool | None = None) -> Prepared:
    """Prepare an efficient loop: float32 images in memory, a permutation per epoch, no DataLoader.

    It starts with our initial weights.

    Args:
        compiled: run the forward pass with torch.compile.
        fused: an option of torch's Adam.
    """
    import torch

    device = torch.device(task.device or "cpu")
    x, y = (torch.from_numpy(array).to(device) for array in (scale_pixels(task.x), task.y))
    module = to_torch(build(task, get_backend("numpy"), scaled=False), str(device), logits=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=fused)
    loss_of = torch.nn.CrossEntropyLoss()
    model = torch.compile(module) if compiled else module
    total = torch.zeros((), device=device)
    batches: list[torch.Tensor] = []

    def run(n: int) -> None:
        for _ in range(n):
            if not batches:
                batches.extend(torch.randperm(len(x), device=device).split(task.settings.batch))
            index = batches.pop()
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total.add_(loss.detach())
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def probabilities(images: Floats) -> Floats:
        module.eval()
        with torch.no_grad():
            rows = module(torch.from_numpy(images).to(device)).softmax(1)
        module.train()
        return np.asarray(rows.cpu())

    return Prepared(run, probabilities, {"torch": torch.__version__})


def prepare_jax(task: Task) -> Prepared:
    """Prepare JAX: one jit per epoch with lax.scan over the batches, JAX's own Adam, donated buffers."""
    if not task.settings.is_dense:
        raise InputError("timed for Dense layers only")
    import jax
    from jax import numpy as jnp
    from jax.example_libraries import optimizers

    activation = getattr(jax.nn, task.settings.activation)
    initialize, adam_update, weights_of = optimizers.adam(1e-3)
    x = jnp.asarray(scale_pixels(task.x))
    y = jnp.asarray(task.y.astype(np.int32))

    def logits(weights: Any, rows: Any) -> Any:
        for W, b in weights[:-1]:
            rows = activation(rows @ W + b)
        W, b = weights[-1]
        return rows @ W + b

    def loss_of(weights: Any, rows: Any, classes: Any) -> Any:
        log_p = jax.nn.log_softmax(logits(weights, rows))
        return -jnp.mean(jnp.take_along_axis(log_p, classes[:, None], axis=1))

    def epoch(state: Any, done: Any, order: Any, x: Any, y: Any) -> Any:
        def update(state: Any, batch: Any) -> Any:
            step, index = batch
            loss, gradient = jax.value_and_grad(loss_of)(weights_of(state), x[index], y[index])
            return adam_update(step, gradient, state), loss

        return jax.lax.scan(update, state, (done + jnp.arange(len(order)), order))

    train = jax.jit(epoch, donate_argnums=0)
    ours = build(task, get_backend("numpy"), scaled=False)
    values = ours.parameters.to_host()
    state = initialize(
        [tuple(jnp.asarray(values[f"{layer.name}.{w}"]) for w in "Wb") for layer in ours.layers]
    )
    done = 0

    def run(n: int) -> None:
        nonlocal state, done
        order = task.order(done)[:n].astype(np.int32)
        state, losses = train(state, done, jnp.asarray(order), x, y)
        losses.block_until_ready()
        done += len(order)

    def probabilities(images: Floats) -> Floats:
        return np.asarray(jax.nn.softmax(logits(weights_of(state), jnp.asarray(images))))

    return Prepared(run, probabilities, {"jax": jax.__version__}, trains_epochs=True)
