"""What the experiments measure beside the training: noisy test images, and sizes before the first update."""

import numpy as np

from dnn.datasets import Dataset
from dnn.layers import Dense
from dnn.random import host_normal, stream_key
from dnn.sequential import Sequential

NOISE_DEVIATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Standard deviations of the pixel noise, for pixels in [0, 1]."""


def noise_accuracies(model: Sequential, data: Dataset, seed: int) -> dict[str, float]:
    """Return "noise-S" -> test accuracy in per cent, for each S of NOISE_DEVIATIONS."""
    dtype = model.backend.dtype_name
    clean = data.x_test.astype(dtype)
    draw = host_normal(stream_key(seed, "pixel noise"), clean.shape).astype(dtype)
    found = {}
    for strength in NOISE_DEVIATIONS:
        noisy = np.clip(clean + 255 * strength * draw, 0, 255).astype(dtype)
        found[f"noise-{strength}"] = 100 * float(model.evaluate(noisy, data.y_test).accuracy)
    return found


def initial_sizes(model: Sequential, data: Dataset, n_images: int = 1000) -> dict[str, float]:
    """Return the sizes of activations and gradients at the model's weights, by layer.

    "activation-I" is the standard deviation of the outputs of hidden layer I over images and units, if all
    hidden layers are Dense. "gradient-I" is the root mean square of the gradient of the weights of layer I.
    Both are for the first ``n_images`` training images. The ratios are those of the last hidden layer to
    the first for activations, and of the first to the last hidden one for gradients.
    """
    x = data.x_train[:n_images]
    dense = [layer for layer in model.layers if isinstance(layer, Dense)]
    _, slopes = model.gradients(x, data.y_train[:n_images])
    sizes = {
        f"gradient-{i}": float(np.sqrt(np.mean(np.square(slopes[f"{layer.name}.W"], dtype=np.float64))))
        for i, layer in enumerate(dense, 1)
    }
    if len(dense) < 2:
        return sizes
    last = len(dense) - 1
    sizes["gradient-ratio"] = sizes["gradient-1"] / (sizes[f"gradient-{last}"] or 1.0)
    if dense[0].activation == "linear":  # a layer of its own applies it, after a normalisation
        return sizes
    y = model.backend.from_host((x * model.scale).astype(model.backend.dtype_name))
    for i, layer in enumerate(dense[:-1], 1):
        layer.reserve(len(x), training=False)
        y = layer.forward(y)
        sizes[f"activation-{i}"] = float(model.backend.to_host(y).std())
    sizes["activation-ratio"] = sizes[f"activation-{last}"] / (sizes["activation-1"] or 1.0)
    return sizes
