"""L1: one forward and backward of every layer with a random cotangent, and of every loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn.agreement import bounds
from dnn.agreement.cases import Data, loss_variants
from dnn.agreement.contender import Contender
from dnn.agreement.oracle import pre_activation, predicted
from dnn.agreement.records import Record, refused
from dnn.agreement.samples import inner_dimensions, samples
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import Misfit
from dnn.interop.torch.layers import NoTwin
from dnn.random import host_normal, host_uniform, stream_key

LEVEL = "L1"


def _draw(seed: int, purpose: str, shape: tuple[int, ...]) -> np.ndarray:
    return host_normal(stream_key(seed, f"agreement {purpose}"), shape).astype(np.float32)


def layer_level(
    contenders: Sequence[Contender], oracle: Contender, data: Data, sizes: Sizes, seed: int
) -> Iterator[Record]:
    """y, dx and the parameter gradients within u (sqrt(k) + 10); the losses from given outputs."""
    yield from _layers(contenders, oracle, sizes, seed)
    yield from _losses(contenders, oracle, sizes, seed)


def _layers(contenders: Sequence[Contender], oracle: Contender, sizes: Sizes, seed: int) -> Iterator[Record]:
    for name, make, shape in samples():
        probe = make()
        probe.build(shape, get_backend("numpy"), "layer", first=False)
        values = {
            short: (_draw(seed, f"values {short}", form) / np.float32(np.sqrt(form[0])))
            for short, form in probe.parameter_shapes().items()
        }
        x = _draw(seed, "layer x", (sizes.batch, *shape))
        dy = _draw(seed, "layer dy", (sizes.batch, *probe.output_shape))
        if ACTIVATIONS[probe.activation].kink:
            # Units whose oracle z is near the kink get no cotangent, so their side does not matter.
            z64 = pre_activation(oracle, make, shape, values, x, dy)
            dy = np.where(np.abs(z64) < 1e-4, np.float32(0.0), dy)
        wanted = oracle.layer(make(), shape, values, x, dy)
        forward, back, over = inner_dimensions(probe, sizes.batch)
        inner = {"y": forward, "dx": back}
        for c in contenders:
            try:
                got = c.layer(make(), shape, values, x, dy.copy())
            except NoTwin:
                continue
            except Misfit as error:
                yield refused(LEVEL, name, c.name, error)
                continue
            for tensor, x64 in wanted.items():
                bound = bounds.layer(inner.get(tensor, over), c.unit)
                yield Record(LEVEL, name, tensor, c.name, bounds.eta(got[tensor], x64), bound)


def _losses(contenders: Sequence[Contender], oracle: Contender, sizes: Sizes, seed: int) -> Iterator[Record]:
    outputs = 2.0 * _draw(seed, "outputs", (sizes.batch, 10))
    y = np.floor(10.0 * host_uniform(stream_key(seed, "agreement classes"), (sizes.batch,)))
    rows = np.abs(_draw(seed, "target rows", outputs.shape))
    rows /= rows.sum(axis=1, keepdims=True)
    largest = float(np.abs(outputs).max())
    for name, loss in loss_variants():
        forms = {"classes": y.astype(np.int64), **({"rows": rows} if loss.rows else {})}
        for form, targets in forms.items():
            value64, gradient64 = oracle.loss(loss, outputs, targets)
            dense = np.eye(10)[targets] if targets.ndim == 1 else targets
            p = predicted(loss, outputs)
            kappa = bounds.norm(p) / bounds.norm(p - dense)
            bound = bounds.loss_value(sizes.batch, 10, largest, value64)
            slope = bounds.loss_gradient(10, kappa, largest)
            for c in contenders:
                case = f"{name} {form}"
                try:
                    value, gradient = c.loss(loss, outputs, targets)
                except Misfit as error:
                    yield refused(LEVEL, case, c.name, error)
                    continue
                error_of_value = abs(value - value64) / abs(value64)
                yield Record(LEVEL, case, "loss", c.name, error_of_value, bound)
                yield Record(LEVEL, case, "dy", c.name, bounds.eta(gradient, gradient64), slope)
