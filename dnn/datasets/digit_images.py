"""The name in version 0.1.0 of ``dnn.datasets.digits``."""

from dnn.datasets.digits import load_digit_image as load_digit_image
