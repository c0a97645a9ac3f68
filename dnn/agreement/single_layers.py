"""L1: one forward and backward of every layer with a random cotangent, and of every loss."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Data, loss_variants
from dnn.agreement.contender import Contender
from dnn.agreement.oracle import pre_activation, predicted
from dnn.agreement.records import Record, judge
from dnn.agreement.samples import inner_dimensions, samples
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Named
from dnn.layers import Layer
from dnn.losses import Loss
from dnn.random import host_normal, host_uniform, stream_key

LEVEL = "L1"


def _draw(seed: int, purpose: str, shape: tuple[int, ...]) -> np.ndarray:
    return host_normal(stream_key(seed, f"agreement {purpose}"), shape).astype(np.float32)


def layer_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """y, dx and the parameter gradients within u (sqrt(k) + 10); the losses from given outputs."""
    for name, make, shape in samples():
        yield from _layer(contenders, oracle, name, make, shape, sizes.batch, seed)
    outputs = 2.0 * _draw(seed, "outputs", (sizes.batch, 10))
    y = np.floor(10.0 * host_uniform(stream_key(seed, "agreement classes"), (sizes.batch,))).astype(np.int64)
    rows = np.abs(_draw(seed, "target rows", outputs.shape))
    rows /= rows.sum(axis=1, keepdims=True)
    for name, loss in loss_variants():
        yield from _loss(contenders, oracle, f"{name} classes", loss, outputs, y, np.eye(10)[y])
        if loss.rows:
            yield from _loss(contenders, oracle, f"{name} rows", loss, outputs, rows, rows)


def _layer(
    contenders: Sequence[Contender], oracle: Contender, name: str, make: Callable[[], Layer],
    shape: tuple[int, ...], batch: int, seed: int,
) -> Iterator[Record]:  # fmt: skip
    probe = make()
    probe.build(shape, get_backend("numpy"), "layer", first=False)
    values = {
        short: (_draw(seed, f"values {short}", form) / np.float32(np.sqrt(form[0])))
        for short, form in probe.parameter_shapes().items()
    }
    x = _draw(seed, "layer x", (batch, *shape))
    dy = _draw(seed, "layer dy", (batch, *probe.output_shape))
    if ACTIVATIONS[probe.activation].kink:
        # Units whose oracle z is near the kink get no cotangent, so their side does not matter.
        z64 = pre_activation(oracle, make, shape, values, x, dy)
        dy = np.where(np.abs(z64) < 1e-4, np.float32(0.0), dy)
    forward, back, over = inner_dimensions(probe, batch)
    inner = {"y": forward, "dx": back}

    def ask(c: Contender) -> Named:
        return c.layer(make(), shape, values, x, dy.copy())

    def bound(tensor: str, unit: float) -> float:
        return bounds.layer(inner.get(tensor, over), unit)

    return judge(LEVEL, name, ask(oracle), contenders, ask, bound)


def _loss(
    contenders: Sequence[Contender], oracle: Contender, name: str, loss: Loss,
    outputs: np.ndarray, targets: np.ndarray, rows: np.ndarray,
) -> Iterator[Record]:  # fmt: skip
    def ask(c: Contender) -> Named:
        value, gradient = c.loss(loss, outputs, targets)
        return {"loss": np.asarray(value), "dy": gradient}

    batch, classes = outputs.shape
    wanted, p, largest = ask(oracle), predicted(loss, outputs), float(np.abs(outputs).max())
    bound = {
        "loss": bounds.loss_value(batch, classes, largest, float(wanted["loss"])),
        "dy": bounds.loss_gradient(classes, bounds.norm(p) / bounds.norm(p - rows), largest),
    }
    return judge(LEVEL, name, wanted, contenders, ask, lambda tensor, unit: bound[tensor])
