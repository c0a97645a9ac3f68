"""Fashion-MNIST under the module name of Keras: ``dnn.datasets.fashion_mnist.load_data()``."""

from functools import partial

from dnn.datasets.loading import load_images

load_data = partial(load_images, "fashion_mnist")
