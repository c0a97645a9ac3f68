"""Gradients of the losses with respect to the examples, for saliency maps.

The first layer of a model computes no dx, because training does not need it. So a copy of the model computes
it, frozen and outside training, as ``predict``.
"""

from backends import Array, InputError
from dnn.copies import assemble_model, contents_of
from dnn.inputs.examples import Examples
from dnn.layers.noise import Random
from dnn.network import Network
from dnn.training.blocks import all_layers
from dnn.training.evaluation import load_batches


def input_gradient(network: Network, examples: Examples, batch_size: int) -> Array:
    """Return dL/dx (N, *input_shape) on the device, where L is the sum of the examples' losses.

    Raises InputError: a layer returns no dx.
    """
    twin = assemble_model(contents_of(network)._replace(network_class=Network), network.backend)
    for layer in all_layers(twin.layers):
        layer.trainable = False
        layer._needs_dx = True
        if isinstance(layer, Random):
            layer.backward = _pass_on  # type: ignore[method-assign]  # outside training it returns x
    result = network.backend.zeros(tuple(examples.x.shape))
    for start, stop, batch in load_batches(twin, examples.x, batch_size, training=True):
        if hasattr(batch, "toarray"):  # rows of a sparse matrix
            batch = batch.toarray()
        _, y, weights = examples.between(start, stop)
        _, _, dy = twin.loss_of(batch, y, training=False)
        dy[...] = dy * float(stop - start)  # the kernel divides by it, for the mean of the batch
        if weights is not None:
            dy[...] = dy * weights[:, None]
        dx = twin.backward(dy)
        if dx is None:
            expected = "layers that return dx; integers of an Embedding have no gradient"
            raise InputError("the layers of the model return no gradient of x", expected)
        result[start:stop, ...] = dx * network.scale
    return result


def _pass_on(dy: Array) -> Array:
    return dy
