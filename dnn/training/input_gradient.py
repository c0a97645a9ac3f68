"""Gradients of the losses with respect to the examples, for saliency maps.

The first layer of a model computes no dx, because training does not need it. So a copy of the layers computes
it, with the model's parameters, frozen and without random layers, which is what ``predict`` computes.
"""

from backends import Array, InputError
from dnn.layers import Activation, Block, Layer
from dnn.layers.containers import MODEL_INDEX
from dnn.layers.dense import is_sparse
from dnn.layers.noise import Random
from dnn.network import Network
from dnn.training.evaluation import chunks
from dnn.validation.examples import Examples
from dnn.validation.objects import layer_from_config
from dnn.validation.settings import assign


def input_gradient(network: Network, examples: Examples, chunk: int) -> Array:
    """Return dL/dx (N, *input_shape) on the device, where L is the sum of the examples' losses.

    Raises InputError: a layer returns no dx.
    """
    backend = network.backend
    block = _differentiable(network)
    loss_kernel = network.goal.bind(backend)
    has_logits = network.goal.activation == network.layers[-1].activation
    forward = block.forward_logits if has_logits else block.forward
    backward = block.backward_logits if has_logits else block.backward
    result = backend.zeros(tuple(examples.x.shape))
    for start, stop, batch in chunks(network, examples.x, chunk):
        size = stop - start
        if is_sparse(batch):
            batch = batch.toarray()
        _, y, weights = examples.part(start, stop)
        block.reserve(size, training=True)
        dy = backend.zeros((size, network.outputs))
        loss_kernel(forward(batch, training=False), y, backend.zeros(size), dy)
        dy = dy * float(size)  # the kernel divides by it, for the mean of the batch
        if weights is not None:
            dy = dy * weights[:, None]
        dx = backward(dy)
        if dx is None:
            expected = "layers that return dx; integers of an Embedding have no gradient"
            raise InputError("the layers of the model return no gradient of x", expected)
        result[start:stop, ...] = dx
    return result


def _differentiable(network: Network) -> Block:
    """Return a copy of the layers that computes dx, with views of the same parameters."""
    layers = [_without_noise(layer_from_config(type(layer), layer.config())) for layer in network.layers]
    block = Block(layers)
    block.build(network.input_shape, network.backend, "", False, seed=network.seed, index=MODEL_INDEX)
    parameters = network.parameters
    block.attach(parameters.value, parameters.views(network.backend.zeros(parameters.values.shape)))
    for name, array in block.state.items():
        array[...] = parameters.state[name]
    block.trainable = False
    return block


def _without_noise(layer: Layer) -> Layer:
    """Return the layer with an identity in place of each layer that acts only in training."""
    if isinstance(layer, Random):
        return Activation("linear", name=layer.name)
    assign(layer, inner=tuple(map(_without_noise, layer.inner)))
    return layer
